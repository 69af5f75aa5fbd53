import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from milepost.milestones.judge.endpoint import JudgeClient
from milepost.milestones.judge.evidence import EvidencePack, build_pack
from milepost.milestones.judge.pairwise import Preference, prefer
from milepost.milestones.judge.scripted import Act, ScriptedJudgeServer
from milepost.sandbox.events import AppChanged, Source
from tests.milestones.conftest import witness
from tests.milestones.judge.conftest import RUBRIC

Make = Callable[..., JudgeClient]


def pack(change: str) -> EvidencePack:
    fact = (Source.SERVER, AppChanged(app="mail", change=change, data={}))
    return build_pack("Send the mail.", witness(fact), RUBRIC)


SENT, DRAFTED = pack("mail.sent"), pack("mail.drafted")


def answer(request: Mapping[str, Any], better: str, **changes: Any) -> Act:
    nonce = request["messages"][-1]["content"].split("\n")[0].removeprefix("nonce: ")
    cited = [f"{better}-E0"] if better in "AB" else []
    reply = {"nonce": nonce, "observations": cited, "reason": "", "better": better, **changes}
    return Act(content=json.dumps(reply))


def honest(request: Mapping[str, Any], n: int) -> Act:
    first_part = request["messages"][-1]["content"].split("--- B ")[0]
    return answer(request, "A" if "mail.sent" in first_part else "B")


async def ask(make_client: Make, script: Callable[[Mapping[str, Any], int], Act]) -> list[Preference]:
    counter = itertools.count()
    async with ScriptedJudgeServer(script) as server:
        client = make_client(server.url)
        return [
            await prefer(client, *order, make_nonce=lambda: f"n{next(counter)}")
            for order in ((SENT, DRAFTED), (DRAFTED, SENT))
        ]


async def test_an_answer_that_survives_the_swap_is_a_label(make_client: Make) -> None:
    assert await ask(make_client, honest) == [Preference.FIRST, Preference.SECOND]


@pytest.mark.parametrize("place", ["A", "B"])
async def test_a_judge_that_likes_a_place_gives_no_label(make_client: Make, place: str) -> None:
    assert await ask(make_client, lambda r, n: answer(r, place)) == [Preference.NONE] * 2


async def test_a_tie_is_a_label_and_doubt_is_none(make_client: Make) -> None:
    assert await ask(make_client, lambda r, n: answer(r, "tie")) == [Preference.TIE] * 2
    assert await ask(make_client, lambda r, n: answer(r, "cannot_determine")) == [Preference.NONE] * 2


@pytest.mark.parametrize(
    "changes",
    [{"nonce": "x"}, {"observations": ["A-E7"]}, {"observations": []}, {"better": "first"}, {"x": 1}],
)
async def test_a_reply_that_is_not_valid_is_no_label(make_client: Make, changes: dict[str, Any]) -> None:
    assert await ask(make_client, lambda r, n: answer(r, "A", **changes)) == [Preference.NONE] * 2


async def test_an_outage_is_no_label(make_client: Make) -> None:
    assert await ask(make_client, lambda r, n: Act(status=503)) == [Preference.NONE] * 2


async def test_episodes_of_different_goals_are_refused(make_client: Make) -> None:
    other = build_pack("Another.", [], RUBRIC)
    with pytest.raises(ValueError, match="different goals"):
        await prefer(make_client("http://127.0.0.1:9"), SENT, other, make_nonce=lambda: "n")
