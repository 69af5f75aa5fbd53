import pytest

from milepost.milestones.trust import BOOKKEEPING, CHANGES, TRUST_OF_KIND, is_trustworthy, required_trust
from milepost.sandbox.events import FACT_TYPES, DialogOpened, EpisodeStarted, Source, TitleChanged, Trust
from tests.milestones.conftest import DIALOG, click, rechain, submit, witness


def test_every_kind_is_in_the_table_or_is_bookkeeping() -> None:
    assert set(TRUST_OF_KIND) | BOOKKEEPING == set(FACT_TYPES)
    assert {"episode_started", "episode_ended", "failed"} == BOOKKEEPING


def test_what_scripts_and_agents_can_write_is_below_the_browser() -> None:
    low = {kind for kind, trust in TRUST_OF_KIND.items() if trust < Trust.BROWSER}
    assert low == {
        "action_taken",
        "answer_given",
        "infeasible_reported",
        "title_changed",
        "history_navigated",
        "element_appeared",
        "element_disappeared",
        "element_changed",
        "page_scored",
    }


def test_changes_of_the_world_are_told_by_the_harness_alone() -> None:
    assert {TRUST_OF_KIND[kind] for kind, cls in FACT_TYPES.items() if cls in CHANGES} == {Trust.HARNESS}


def test_a_dialog_of_the_browser_needs_more_trust_than_one_of_the_page() -> None:
    alert = DialogOpened(tab=0, type="alert", message="x")
    assert (required_trust(DIALOG), required_trust(alert)) == (Trust.PAGE, Trust.BROWSER)
    page, browser = witness((Source.PAGE, alert), (Source.BROWSER, alert))
    assert (is_trustworthy(page), is_trustworthy(browser)) == (False, True)


@pytest.mark.parametrize("trust", Trust)
def test_an_event_counts_from_its_kinds_trust_on(trust: Trust) -> None:
    events = rechain(witness(click("A"), submit("1", "B"), TitleChanged(tab=0, title="T")), trust=trust)
    needed = [Trust.BROWSER, Trust.HARNESS, Trust.PAGE]
    assert [is_trustworthy(event) for event in events] == [trust >= least for least in needed]


def test_bookkeeping_needs_the_harness() -> None:
    assert required_trust(EpisodeStarted(task="t", seed=0, split="train", goal="g")) is Trust.HARNESS
