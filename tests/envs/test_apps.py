"""What every built-in task keeps to, whatever it is about."""

import functools
import importlib
import re
from collections import Counter
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

from milepost.envs import apps
from milepost.envs.apps.catalog import tasks as catalog
from milepost.envs.apps.expenses import tasks as expenses
from milepost.envs.apps.reports import tasks as reports
from milepost.envs.registry import Row, get_template, templates
from milepost.envs.task import LEVELS, Split, Task
from milepost.milestones import Spec
from milepost.sandbox.actions import Noop
from milepost.sandbox.events import AppChanged, NavigationCompleted
from milepost.sandbox.observation import Observation
from tests.envs.apps.conftest import judge, visit

FIRST = (expenses, reports, catalog)
"""The apps whose words are tokens of the shipped policy."""
MODULES = tuple(importlib.import_module(row.template.partition(":")[0]) for row in templates())
SEEDS = range(24)
FEW_SEEDS = range(6)
"""For what renders pages."""

each_template = pytest.mark.parametrize("row", templates(), ids=lambda row: row.id)
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.TEMPLATE.id)
each_graded = pytest.mark.parametrize(
    "row", [row for row in templates() if get_template(row.id).levels], ids=lambda row: row.id
)


@functools.cache
def draw(template_id: str, seed: int, split: Split = Split.TRAIN) -> Task:
    return get_template(template_id).task(seed, split)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]+", text))


@each_template
@pytest.mark.parametrize("split", Split)
def test_a_seed_gives_the_same_task_again(row: Row, split: Split) -> None:
    for seed in FEW_SEEDS:
        first, second = draw(row.id, seed, split), get_template(row.id).task(seed, split)
        assert (first.goal, first.params, first.spec) == (second.goal, second.params, second.spec)
        path = urlsplit(first.start_url).path
        assert visit(first).get(path).body == visit(second).get(path).body


@each_template
def test_no_goal_of_one_split_is_in_another(row: Row) -> None:
    goals = [{draw(row.id, seed, split).goal for seed in SEEDS} for split in Split]
    assert len(set().union(*goals)) == sum(len(g) for g in goals)


@each_template
def test_most_seeds_give_different_tasks(row: Row) -> None:
    assert len({draw(row.id, seed).goal for seed in SEEDS}) >= 23


@each_module
def test_each_split_has_wordings_of_its_own(module: ModuleType) -> None:
    wordings = module.WORDINGS
    assert all(len(wordings[split]) >= least for split, least in zip(Split, (6, 2, 2), strict=True))
    assert len(set().union(*wordings.values())) == sum(len(texts) for texts in wordings.values())


def test_held_out_wordings_use_no_word_that_training_lacks() -> None:
    def used(split: Split, modules: tuple[ModuleType, ...]) -> set[str]:
        texts = [text for module in modules for text in module.WORDINGS[split]]
        return {word for text in texts for word in words_of(re.sub(r"{\w+}", "", text))}

    assert used(Split.VALIDATION, FIRST) | used(Split.TEST, FIRST) <= used(Split.TRAIN, FIRST)
    trained = {word.casefold() for word in used(Split.TRAIN, MODULES)}
    held_out = used(Split.VALIDATION, MODULES) | used(Split.TEST, MODULES)
    assert {word for word in held_out if word.casefold() not in trained} == set()


def test_the_goals_of_the_first_tasks_share_a_small_vocabulary() -> None:
    found: set[str] = set()
    for module in FIRST:
        for seed in range(150):
            found |= words_of(module.TEMPLATE.task(seed).goal)
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
    for seed in FEW_SEEDS:
        task = draw(row.id, seed)
        answer = visit(task).get(urlsplit(task.start_url).path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert len(answer.body) < 12_000
        assert not re.search(
            r"<link(?! rel=\"icon\" href=\"data:)|<script src|<img|@import|url\(", answer.text
        )
        counter = _Counter()
        counter.feed(answer.text)
        assert 6 <= counter.count <= 18, "links, buttons, fields, lists and their options outside dialogs"


@each_template
def test_other_ways_to_do_a_task_have_the_same_names_in_every_seed(row: Row) -> None:
    names = {tuple(sorted(draw(row.id, seed).alternatives)) for seed in SEEDS}
    assert len(names) == 1
    # The first three keep the pages and rules for which the shipped policy was trained; of a judged task the judge
    # decides which ways are good.
    alone = importlib.import_module(row.template.partition(":")[0]) in FIRST or ".judged." in row.template
    assert bool(names.pop()) == (not alone)


@each_template
def test_an_oracle_that_sees_nothing_it_knows_waits(row: Row) -> None:
    task = draw(row.id, 0)
    assert task.oracle(Observation(goal=task.goal, url="about:blank", title="")) == Noop()


@each_template
def test_looking_at_the_start_page_pays_nothing(row: Row) -> None:
    for seed in FEW_SEEDS:
        task = draw(row.id, seed)
        site = visit(task)
        site.get(urlsplit(task.start_url).path)
        app = task.sites[urlsplit(task.start_url).netloc].app
        facts = [AppChanged(app=app, change=change, data=data) for change, data in site.records]
        assert judge(task, NavigationCompleted(tab=0, url=task.start_url), *facts) == ({}, False)


@each_graded
def test_every_level_draws_tasks_of_its_own(row: Row) -> None:
    template = get_template(row.id)
    assert list(template.levels) == list(LEVELS)
    for seed in FEW_SEEDS:
        tasks = [draw(f"{row.id}@{level}", seed) for level in LEVELS]
        assert len({task.goal for task in tasks}) == len(LEVELS)
        rewards = {tuple((m.name, m.reward) for m in task.spec.milestones) for task in tasks}
        assert len(rewards) == 1


@each_graded
def test_a_hard_goal_says_no_more_than_an_easy_one(row: Row) -> None:
    quoted = [
        sum(len(re.findall(r'"[^"]*"', draw(f"{row.id}@{level}", seed).goal)) for seed in SEEDS)
        for level in ("easy", "hard")
    ]
    fields = {"VisitorPass-v0", "EventSignup-v0"}  # harder forms ask for more
    assert quoted[1] <= quoted[0] or row.id in fields


def test_each_category_has_at_least_four_templates() -> None:
    found = Counter(row.family for row in templates())
    assert set(found) == {"navigation", "form", "file", "email", "settings", "search"}
    assert all(count >= 4 for count in found.values())


REWARDS = {
    "ExpenseForm-v0": {"filled": "0.2", "asked": "0.3", "filed": "0.5"},
    "ReportExport-v0": {"created": "1.0", "content": "0.5", "tidy": "0.25"},
    "CatalogSearch-v0": {"query": "0.25", "results": "0.5", "opened": "0.5"},
    "NotificationSwitch-v0": {"opened": "0.25", "switched": "0.25", "saved": "0.5"},
    "ChannelMatrix-v0": {"opened": "0.25", "switched": "0.25", "saved": "0.5"},
    "ProfileUpdate-v0": {"opened": "0.25", "switched": "0.25", "saved": "0.5"},
    "SecurityPanel-v0": {"opened": "0.25", "switched": "0.25", "saved": "0.5"},
    "DashboardFigure-v0": {"opened": "0.25", "seen": "0.25", "read": "0.5"},
    "TableLookup-v0": {"opened": "0.25", "seen": "0.25", "read": "0.5"},
    "TopRow-v0": {"opened": "0.25", "seen": "0.25", "read": "0.5"},
    "RecordField-v0": {"opened": "0.25", "seen": "0.25", "read": "0.5"},
    "MailCompose-v0": {"addressed": "0.25", "attached": "0.5", "sent": "1.0"},
    "MailReply-v0": {"addressed": "0.25", "attached": "0.5", "sent": "1.0"},
    "MailForward-v0": {"addressed": "0.25", "attached": "0.5", "sent": "1.0"},
    "SheetToMail-v0": {"addressed": "0.25", "attached": "0.5", "sent": "1.0"},
    "FileDownload-v0": {"created": "1.0", "content": "0.5", "tidy": "0.25"},
    "FileRename-v0": {"created": "1.0", "content": "0.5", "tidy": "0.25"},
    "FileMove-v0": {"created": "1.0", "content": "0.5", "tidy": "0.25"},
    "FileConvert-v0": {"created": "1.0", "content": "0.5", "tidy": "0.25"},
    "EventSignup-v0": {"filled": "0.2", "asked": "0.3", "filed": "0.5"},
    "RoomBooking-v0": {"filled": "0.2", "asked": "0.3", "filed": "0.5"},
    "VisitorPass-v0": {"filled": "0.2", "asked": "0.3", "filed": "0.5"},
    "WikiSearch-v0": {"query": "0.25", "results": "0.5", "opened": "0.5"},
    "LatestInvoice-v0": {"query": "0.25", "results": "0.5", "opened": "0.5"},
    "MarketFilter-v0": {"query": "0.25", "results": "0.5", "opened": "0.5"},
    "BoardSummary-v0": {"seen": "0.5", "settled": "0.5"},
    "TableCopy-v0": {"opened": "0.25", "sent": "0.5", "settled": "0.5"},
    "MeantInvoice-v0": {"results": "0.25", "opened": "0.25", "settled": "0.5"},
    "DialogRecovery-v0": {"content": "0.5", "settled": "0.5"},
    "ReplyTone-v0": {"opened": "0.25", "sent": "0.5", "settled": "0.5"},
}


@each_template
def test_milestones_pay_what_the_categories_state(row: Row) -> None:
    for seed in FEW_SEEDS:
        spec = draw(row.id, seed).spec
        expected = {name: Fraction(reward) for name, reward in REWARDS[row.id].items()}
        assert {m.name: m.reward for m in spec.milestones} == expected


@each_template
def test_the_rules_survive_a_round_trip_through_json(row: Row) -> None:
    spec = draw(row.id, 3).spec
    assert Spec.from_bytes(spec.to_bytes()) == spec


def test_pages_of_tidy_apps_keep_nothing_that_cannot_be_cleared() -> None:
    keeps = re.compile(
        r"sessionStorage|window\.name|serviceWorker|SharedWorker|BroadcastChannel|sendBeacon|keepalive"
    )
    for row in templates():
        assert get_template(row.id).tidy == row.tidy
    folder = Path(apps.__file__).parent
    sources = [path for path in folder.rglob("*") if path.suffix in (".py", ".html", ".js", ".css")]
    assert len(sources) > 50
    assert [path.name for path in sources if keeps.search(path.read_text())] == []
