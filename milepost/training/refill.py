"""Dynamic sampling: groups that teach nothing are replaced until a batch is full (DAPO, Yu et al. 2025, section 3.2)."""

from collections.abc import Awaitable, Callable, Sequence

from milepost.training.sampler import find_mixed
from milepost.training.trajectory import Trajectory

REFILLS = 2
"""Rounds of new groups that are played for those that fared alike."""


async def play_groups(
    play: Callable[[int], Awaitable[list[Trajectory]]], wanted: int, *, refills: int = 0
) -> list[Trajectory]:
    """Play a number of groups, and new ones for those whose members all fared alike.

    Groups that fared alike stay in what is given back: they say how good the policy is. `keep_mixed` takes them out
    before anything is learnt.

    Args:
        play: plays so many new groups.
        wanted: how many groups should teach something.
        refills: rounds that may follow the first; fewer when none is missing.
    """
    whole = await play(wanted)
    for _ in range(refills):
        missing = wanted - len(find_mixed(whole))
        if missing <= 0:
            break
        whole = whole + await play(missing)
    return whole


def keep_mixed(trajectories: Sequence[Trajectory]) -> list[Trajectory]:
    """Keep the trajectories of groups whose scored members have different returns."""
    mixed = find_mixed(trajectories)
    return [one for one in trajectories if one.group in mixed]
