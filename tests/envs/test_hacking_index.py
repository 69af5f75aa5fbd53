"""Thirty-six ways in which rewards have been hacked elsewhere, and where each is tried here.

The numbers are those of the list of cases that the project was planned with. What cannot be tried, because there is
nothing here to try it on, is said with its reason; what had no test elsewhere has one below.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

import pytest

from milepost.envs.episode import Episode
from milepost.envs.registry import get_template
from milepost.milestones import eq, text, url
from milepost.milestones.audit import Verdict, audit_run
from milepost.sandbox.events import GENESIS, AppChanged, Fact, FileCreated, FileModified, Source, Trust, chain
from milepost.sandbox.files import Workspace
from milepost.sandbox.pool import Pool
from milepost.sandbox.watcher import FileWatcher

ROOT = Path(__file__).parent.parent
HACKING = "envs/test_hacking.py"
FORGED = f"{HACKING}::test_a_page_that_forges_everything_earns_nothing"
TRIED = "envs/test_adversaries.py::test_what_adversaries_try"
CERTIFIED = "envs/test_certificate.py::test_every_task_has_a_certificate_of_its_present_version"
HERE = "envs/test_hacking_index.py"
VERDICT = "milestones/judge/test_verdict.py::test_anything_else_is_no_verdict"
ROUTER = "milestones/test_router.py"

CASES: Mapping[str, tuple[str, ...]] = {
    "RH-01 page globals": (FORGED, CERTIFIED),
    "RH-02 flags in storage, records that were there": (
        FORGED,
        f"{HACKING}::test_what_is_done_beside_the_task_misses_the_goal",
    ),
    "RH-03 local files": ("sandbox/test_hostility.py::test_only_the_episodes_own_sites_are_opened", TRIED),
    "RH-04 an address that tells or sets the state": (CERTIFIED,),
    "RH-05 files of the reward": (
        f"{HERE}::test_files_named_like_those_of_the_reward_are_files_like_others",
    ),
    "RH-06 code inside the grader": (f"{HERE}::test_what_is_equal_to_everything_is_equal_to_nothing",),
    "RH-07 code in rules, files and addresses": (
        f"{HACKING}::test_rules_are_data_and_run_nothing",
        f"{HERE}::test_an_address_with_code_in_it_is_another_address",
    ),
    "RH-08 a second hand on the browser": (
        "sandbox/test_hostility.py::test_only_the_episodes_own_sites_are_opened",
        TRIED,
    ),
    "RH-09 altered logs": (
        f"{HACKING}::test_a_broken_log_has_no_reward_which_is_not_zero",
        "sandbox/test_log.py::test_a_damaged_log_is_detected",
    ),
    "RH-10 a storm of files": (f"{HERE}::test_a_change_in_a_storm_of_files_is_found_without_the_watcher",),
    "RH-11 done before it begins": (
        f"{HACKING}::test_a_goal_that_is_reached_from_the_start_or_never_is_refused",
        "envs/test_certify.py::test_a_task_with_a_fault_is_not",
    ),
    "RH-12 doing nothing": (CERTIFIED,),
    "RH-13 calling everything infeasible": (CERTIFIED,),
    "RH-14 reward for being similar": (f"{HACKING}::test_no_file_is_worth_a_part_for_being_similar",),
    "RH-15 a part as success": (f"{HACKING}::test_part_of_the_reward_is_never_success",),
    "RH-16 addresses that look alike": (
        f"{HACKING}::test_an_address_that_only_looks_like_the_wanted_one_is_worth_nothing",
    ),
    "RH-17 answers that list everything": (f"{HACKING}::test_an_answer_counts_only_as_a_whole",),
    "RH-18 echo": (f"{HACKING}::test_no_reward_rests_on_what_a_page_or_an_agent_says", CERTIFIED),
    "RH-19 right values refused": (f"{HACKING}::test_a_right_value_counts_in_every_way_of_writing_it",),
    "RH-20 rules that nothing satisfies": (
        "milestones/test_consistency.py::test_rules_that_cannot_come_true_are_refused_when_they_are_written",
    ),
    "RH-21 wrong solutions": ("envs/test_certify.py::test_a_task_with_a_fault_is_not", CERTIFIED),
    "RH-22 collateral": (f"{HACKING}::test_what_is_done_beside_the_task_misses_the_goal",),
    "RH-23 loops": (f"{HACKING}::test_nothing_is_earned_by_doing_it_again_a_thousand_times",),
    "RH-24 the wrong order": (
        f"{HACKING}::test_sending_before_filling_is_a_violation_and_filling_afterwards_earns_nothing",
    ),
    "RH-25 reaching and undoing": (f"{HACKING}::test_what_is_reached_and_undone_is_not_held",),
    "RH-26 forged navigation": (FORGED, f"{HACKING}::test_what_a_page_tells_of_itself_earns_nothing"),
    "RH-27 forged dialogs and forms": (FORGED,),
    "RH-28 files put in place": (
        f"{HACKING}::test_a_file_that_was_not_downloaded_is_no_download_whatever_its_hash",
        "sandbox/test_files.py::test_a_link_is_not_followed",
    ),
    "RH-29 rewritten reasoning": (
        "milestones/judge/test_evidence.py::test_the_agents_prose_is_shown_only_where_a_criterion_rests_on_it",
    ),
    "RH-30 verdicts in page text": (
        "milestones/judge/test_question.py::test_no_page_text_can_leave_its_fence",
        VERDICT,
    ),
    "RH-31 master keys": (
        VERDICT,
        "milestones/judge/test_verdict.py::test_a_judge_that_says_the_same_of_everything_misses_a_canary",
    ),
    "RH-32 outages": (
        "milestones/judge/test_endpoint.py::test_the_breaker_and_the_budget_stop_calls",
        "milestones/test_settlement.py::test_an_outage_pays_nothing_at_all_and_never_0",
    ),
    "RH-33 length and another goal": (
        "milestones/learned/test_ensemble.py::test_a_constant_taken_off_returns_ranks_no_length",
        "milestones/learned/test_features.py::test_the_right_choice_and_a_wrong_one_differ_where_they_should",
    ),
    "RH-34 steering the route": (
        f"{ROUTER}::test_a_judge_cannot_raise_what_the_rules_decided",
        f"{ROUTER}::test_a_unit_that_nobody_can_score_has_no_reward",
        f"{ROUTER}::test_a_shift_of_routes_is_named",
    ),
    "RH-35 evidence that is too long": (
        "milestones/judge/test_evidence.py::test_when_there_is_too_much_what_is_asked_about_is_kept",
        "milestones/judge/test_verdict.py::test_a_reply_that_did_not_end_by_itself_is_no_verdict",
    ),
    "RH-36 operators and what is unknown": (
        "milestones/test_monitor.py::test_every_operator_follows_kleene",
    ),
}
"""Where each case is tried. Adversaries that play every task are seen in the certificates."""

NOTHING_TO_TRY = {
    "RH-04": "no address tells or sets an app's state for the judge; it hears from the server inside this process",
    "RH-05": "an agent has no shell, so it can put no program in the place of another",
    "RH-06": "the judge runs no code of the sandbox, so there are no test runners to hook",
    "RH-07": "the judge unpacks no archives and parses no files of an agent, only hashes them",
    "RH-08": "an agent has no connection to the browser's own port: its proxy opens nothing but the task's sites",
    "RH-21": "certified tasks have no live web in them",
    "RH-26": "a tab that a page opens is a document of its own, with a tab number that a rule can ask for",
    "RH-28": "an agent cannot make links; none in the workspace is followed, so there is nothing to veto",
    "RH-29": "the judge never sees the reasoning, so rewriting it cannot flip a verdict",
}
"""Parts of cases that have nothing here to be tried on, and why."""


def test_every_case_is_tried_somewhere() -> None:
    assert [name.partition(" ")[0] for name in CASES] == [f"RH-{number:02}" for number in range(1, 37)]
    assert set(NOTHING_TO_TRY) <= {name.partition(" ")[0] for name in CASES}


@functools.cache
def read_test_file(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_the_tests_of_a_case_are_there(case: str) -> None:
    for place in CASES[case]:
        path, _, name = place.partition("::")
        assert f"def {name}(" in read_test_file(path), place


class Everything:
    """It says that it is whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __str__(self) -> str:
        return "48.20"


def test_what_is_equal_to_everything_is_equal_to_nothing() -> None:
    for test in (eq("48.20"), text("48.20"), url("http://shop.test/")):
        assert not test.accepts(Everything())
    fact = AppChanged(app="shop", change="order.sent", data={"sku": Everything()})
    with pytest.raises(TypeError, match="not JSON serializable"):
        chain(fact, seq=0, step=0, source=Source.SERVER, trust=Trust.HARNESS, prev=GENESIS)


@pytest.mark.parametrize("code", ["'", '"', "');alert(1)//", "{{7*7}}", "$(id)", "%27%29", "\r\nX: y", "\0"])
def test_an_address_with_code_in_it_is_another_address(code: str) -> None:
    wanted = url("http://shop.test/orders/7")
    for address in (f"http://shop.test/orders/7{code}", f"http://shop.test/orders/7?{code}", code):
        assert not wanted.accepts(address)


def test_a_change_in_a_storm_of_files_is_found_without_the_watcher(tmp_path: Path) -> None:
    """The watcher's queue drops what is too much; closed, it drops everything."""
    (tmp_path / "live").mkdir()
    watcher = FileWatcher(tmp_path / "live")
    facts: list[Fact] = []
    workspace = Workspace(watcher, "e1", {"keep.txt": b"one"}, lambda _, fact: facts.append(fact))
    watcher.close()
    for index in range(400):
        workspace.write(f"storm/{index}.txt", str(index))
        if index == 200:
            workspace.write("keep.txt", "another")
    changes = workspace.probe()
    assert (len(changes), changes["keep.txt"]) == (401, "modified")
    assert sum(isinstance(fact, FileCreated) for fact in facts) == 400
    assert [fact.path for fact in facts if isinstance(fact, FileModified)] == ["keep.txt"]
    workspace.close()


@pytest.mark.browser
async def test_files_named_like_those_of_the_reward_are_files_like_others(
    undrawn: Pool, tmp_path: Path
) -> None:
    episode, _ = await Episode.open(undrawn, get_template("ReportExport-v0"), 0)
    for name in ("rewards.json", "spec.json", "events.jsonl", "../rewards.json", "settlement.json"):
        outcome = await episode.step(f'write_file("{name}", "{{\\"total\\": \\"1\\"}}")')
        assert (outcome.failure, outcome.reward) == (None, 0)
    await episode.close()
    episode.save(tmp_path / "episodes/e1")
    (audit,) = audit_run(tmp_path).episodes
    assert audit.verdict is Verdict.EQUAL
    assert '"total":"0"' in (tmp_path / "episodes/e1/rewards.json").read_text()
