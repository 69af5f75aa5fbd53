import asyncio

import pytest

from milepost.training.refill import REFILLS, keep_mixed, play_groups
from milepost.training.trajectory import Trajectory
from tests.training.trajectories import from_rewards


class Script:
    """Plays groups whose members fare differently, or alike, as a script says."""

    def __init__(self, *mixed: bool) -> None:
        self.left = list(mixed)
        self.asked: list[int] = []
        self.groups = 0

    async def __call__(self, count: int) -> list[Trajectory]:
        self.asked.append(count)
        trajectories: list[Trajectory] = []
        for _ in range(count):
            is_mixed = self.left.pop(0)
            trajectories += [
                from_rewards([float(is_mixed and member == 0)], group=str(self.groups), member=member)
                for member in range(2)
            ]
            self.groups += 1
        return trajectories


@pytest.mark.parametrize(
    ("script", "refills", "asked", "kept"),
    [
        ([True, False, True], 0, [3], ["0", "2"]),
        ([True, True, True], REFILLS, [3], ["0", "1", "2"]),
        ([True, False, False, True, False, True], REFILLS, [3, 2, 1], ["0", "3", "5"]),
        ([False, False, False, True, True, False, False], REFILLS, [3, 3, 1], ["3", "4"]),
    ],
)
def test_what_fared_alike_is_replaced_until_the_batch_is_full_or_the_rounds_are_over(
    script: list[bool], refills: int, asked: list[int], kept: list[str]
) -> None:
    play = Script(*script)
    played = asyncio.run(play_groups(play, 3, refills=refills))
    assert play.asked == asked
    assert len(played) == 2 * len(script)
    assert list(dict.fromkeys(one.group for one in keep_mixed(played))) == kept
