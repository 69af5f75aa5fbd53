import os
import re
from pathlib import Path

import pytest

from milepost.milestones import Predicate, SpecError, milestone
from milepost.milestones.catalogue import OBSERVABLES, write_catalogue
from milepost.milestones.field_notation import OPTIONS, READERS
from milepost.milestones.predicates import positives
from milepost.milestones.spec_file import parse_spec
from milepost.milestones.trust import TRUST_OF_KIND

PAGE = Path(__file__).parents[2] / "docs/milestones.md"
MARKED = re.compile(r"(?<=<!-- catalogue -->\n).*(?=<!-- /catalogue -->)", re.DOTALL)


def test_the_catalogue_of_the_page_is_that_of_the_code() -> None:
    page = PAGE.read_text()
    if os.environ.get("MILEPOST_WRITE_DOCS") == "1":
        PAGE.write_text(MARKED.sub(lambda _: write_catalogue(), page))
    found = MARKED.search(PAGE.read_text())
    assert found is not None
    assert found[0] == write_catalogue(), "run it with MILEPOST_WRITE_DOCS=1 to bring the page up to date"


@pytest.mark.parametrize(("words", "predicate"), OBSERVABLES)
def test_what_can_be_observed_can_be_paid_for(words: str, predicate: Predicate) -> None:
    assert words
    assert milestone("m", reward=1, when=predicate).when == predicate


def test_every_kind_and_every_test_is_in_the_catalogue() -> None:
    written = write_catalogue()
    assert all(f"| `{kind}` |" in written for kind in TRUST_OF_KIND)
    assert all(f"| `{word}(" in written for word in (*READERS, *OPTIONS))


def test_most_kinds_are_among_the_examples() -> None:
    used = {leaf.kind for _, predicate in OBSERVABLES for leaf in positives(predicate)}
    # Those that are left out say nothing about a task by themselves, or are another kind's opposite.
    assert set(TRUST_OF_KIND) - used == {
        *("action_taken", "infeasible_reported", "history_navigated", "page_scored"),
        *("tab_closed", "download_started", "requested", "responded", "file_moved", "file_deleted"),
    }


def test_the_rules_of_the_page_are_the_same_in_python_and_in_yaml() -> None:
    blocks = dict(re.findall(r"```(python|yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    names: dict[str, object] = {}
    exec(blocks["python"], names)
    assert parse_spec(blocks["yaml"]) == names["spec"]


def test_the_mistake_of_the_page_is_named_as_the_page_says() -> None:
    (rules,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (message,) = re.findall(r"^rules.yaml:.*$", PAGE.read_text(), re.MULTILINE)
    wrong = rules.replace("{name: Amount", "{nam: Amount", 1)
    with pytest.raises(SpecError) as refused:
        parse_spec(wrong, "rules.yaml")
    assert str(refused.value) == message
