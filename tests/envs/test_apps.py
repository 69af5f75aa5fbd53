"""What every built-in task keeps to, whatever it is about."""

import re
from fractions import Fraction
from html.parser import HTMLParser
from types import ModuleType
from urllib.parse import urlsplit

import pytest

from milepost.envs.apps.catalog import tasks as catalog
from milepost.envs.apps.expenses import tasks as expenses
from milepost.envs.apps.reports import tasks as reports
from milepost.envs.registry import Row, get_template, templates
from milepost.envs.task import Split
from milepost.milestones import Spec
from milepost.sandbox.actions import Noop
from milepost.sandbox.observation import Observation
from tests.envs.apps.conftest import visit

MODULES = (expenses, reports, catalog)
SEEDS = range(60)

each_template = pytest.mark.parametrize("row", templates(), ids=lambda row: row.id)
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.TEMPLATE.id)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]+", text))


@each_template
@pytest.mark.parametrize("split", Split)
def test_a_seed_gives_the_same_task_again(row: Row, split: Split) -> None:
    template = get_template(row.id)
    for seed in SEEDS:
        first, second = template.task(seed, split), template.task(seed, split)
        assert (first.goal, first.params, first.spec) == (second.goal, second.params, second.spec)
        path = urlsplit(first.start_url).path
        assert visit(first).get(path).body == visit(second).get(path).body


@each_template
def test_no_goal_of_one_split_is_in_another(row: Row) -> None:
    template = get_template(row.id)
    goals = [{template.task(seed, split).goal for seed in SEEDS} for split in Split]
    assert len(set().union(*goals)) == sum(len(g) for g in goals)


@each_template
def test_most_seeds_give_different_tasks(row: Row) -> None:
    template = get_template(row.id)
    assert len({template.task(seed).goal for seed in SEEDS}) >= 55


@each_module
def test_each_split_has_wordings_of_its_own(module: ModuleType) -> None:
    wordings = module.WORDINGS
    assert all(len(wordings[split]) >= least for split, least in zip(Split, (6, 2, 2), strict=True))
    assert len(set().union(*wordings.values())) == sum(len(texts) for texts in wordings.values())


def test_held_out_wordings_use_no_word_that_training_lacks() -> None:
    def used(split: Split) -> set[str]:
        return {
            w for m in MODULES for text in m.WORDINGS[split] for w in words_of(re.sub(r"{\w+}", "", text))
        }

    assert used(Split.VALIDATION) | used(Split.TEST) <= used(Split.TRAIN)


def test_the_goals_of_all_tasks_share_a_small_vocabulary() -> None:
    found: set[str] = set()
    for row in templates():
        for seed in range(400):
            found |= words_of(get_template(row.id).task(seed).goal)
    assert 200 <= len(found) <= 320


class _Counter(HTMLParser):
    """Counts what can be acted on before a dialog opens."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._in_dialog = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_dialog = self._in_dialog or tag == "dialog"
        if tag in ("a", "button", "input", "select", "option") and not self._in_dialog:
            self.count += 1

    def handle_endtag(self, tag: str) -> None:
        self._in_dialog = self._in_dialog and tag != "dialog"


@each_template
def test_a_start_page_is_small_and_needs_nothing_else(row: Row) -> None:
    for seed in SEEDS:
        task = get_template(row.id).task(seed)
        answer = visit(task).get(urlsplit(task.start_url).path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert len(answer.body) < 12_000
        assert not re.search(
            r"<link(?! rel=\"icon\" href=\"data:)|<script src|<img|@import|url\(", answer.text
        )
        counter = _Counter()
        counter.feed(answer.text)
        assert 6 <= counter.count <= 18


@each_template
def test_an_oracle_that_sees_nothing_it_knows_waits(row: Row) -> None:
    task = get_template(row.id).task(0)
    assert task.oracle(Observation(goal=task.goal, url="about:blank", title="")) == Noop()


REWARDS = {
    "ExpenseForm-v0": {"filled": "0.2", "asked": "0.3", "filed": "0.5"},
    "ReportExport-v0": {"created": "1.0", "content": "0.5", "tidy": "0.25"},
    "CatalogSearch-v0": {"query": "0.25", "results": "0.5", "opened": "0.5"},
}


@each_template
def test_milestones_pay_what_the_categories_state(row: Row) -> None:
    for seed in range(5):
        spec = get_template(row.id).task(seed).spec
        expected = {name: Fraction(reward) for name, reward in REWARDS[row.id].items()}
        assert {m.name: m.reward for m in spec.milestones} == expected


@each_template
def test_the_rules_survive_a_round_trip_through_json(row: Row) -> None:
    spec = get_template(row.id).task(3).spec
    assert Spec.from_bytes(spec.to_bytes()) == spec
