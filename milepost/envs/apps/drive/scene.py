"""What the tasks of the file store share: the tree of folders, rules about the downloaded file, and the way to it."""

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from milepost.envs.apps import names
from milepost.envs.apps.detours import by_keyboard
from milepost.envs.apps.drive.server import APP, ROOT, File, Folder, Layout, build
from milepost.envs.apps.mail.scene import draw_content, draw_files
from milepost.envs.apps.moves import follow, press, take_first
from milepost.envs.apps.pages import draw_look
from milepost.envs.task import Difficulty, Oracle, Task
from milepost.milestones import Goal, Predicate, Spec, at_least, eq, fields, matches, milestone, when
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "drive.acme.test"

_BRANDS = ("Drive", "Shelf", "Cabinet", "Vault", "Stacks")
_FOLDERS = (
    "Projects",
    "Archive",
    "Clients",
    "Finance",
    "Shared",
    "Reports",
    "Legal",
    "Press",
    "Events",
    "Drafts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A drawn file store and the file that the task is about."""

    layout: Layout
    file: File
    place: tuple[Folder, ...]
    """The folders on the way to the file, without the root."""
    spare: Folder
    """A folder that the file is not in and that has no file of this name."""

    @property
    def hint(self) -> str:
        """Where the file is, for the goal: `in "Archive"`."""
        return f' in "{self.place[-1].name if self.place else self.layout.root}"'


def draw_store(rng: np.random.Generator, difficulty: Difficulty) -> Store:
    """Draw folders two deep and similar files in them; if the goal says where, another has the same name."""
    titles = names.mix(rng, list(_FOLDERS))
    top = [Folder(id=f"f{i}", name=titles[i], parent=ROOT) for i in range(3)]
    deep = [Folder(id=f"f{i}", name=titles[i], parent=top[i % 3].id) for i in range(3, 7)]
    place = ((), (top[0],), (top[0], deep[0]))[difficulty.depth]
    files = draw_files(rng, 3 + difficulty.distractors)
    ids = [f"d{number}" for number in rng.permutation(np.arange(100, 1000))]
    folders = [place[-1].id if place else ROOT, *(folder.id for folder in (*top[1:], *deep[1:]))]
    stored = [
        File(
            id=ids[index],
            name=name,
            folder=folders[0 if index < 3 else index % len(folders)],
            content=content,
        )
        for index, (name, content) in enumerate(files.items())
    ]
    file = stored[0]
    if difficulty.hint:
        stored.append(File(id=ids[-1], name=file.name, folder=top[1].id, content=draw_content(rng)))
    layout = Layout(
        look=draw_look(rng, _BRANDS),
        root=names.draw_one(rng, "My files", "All files", "Home"),
        folders=tuple(top[int(i)] for i in rng.permutation(3)) + tuple(deep),
        files=tuple(stored[int(index)] for index in rng.permutation(len(stored))),
        rename=names.draw_one(rng, "Rename", "Change name"),
        move=names.draw_one(rng, "Move", "Move to"),
        convert=names.draw_one(rng, "Convert", "Save as"),
        download=names.draw_one(rng, "Download", "Get file"),
        listed_as=names.draw_one(rng, "list", "tiles"),
    )
    return Store(layout=layout, file=file, place=place, spare=top[2])


def lock(store: Store, rng: np.random.Generator) -> Store:
    """Give every file of a store an access code of its own."""
    codes = [str(number) for number in rng.permutation(np.arange(1000, 10000))[: len(store.layout.files)]]
    files = tuple(replace(file, code=code) for file, code in zip(store.layout.files, codes, strict=True))
    file = next(one for one in files if one.id == store.file.id)
    return replace(store, layout=replace(store.layout, files=files), file=file)


def make_rules(wanted: File, *, change: Predicate | None = None, may_change: Predicate | None = None) -> Spec:
    """Make the rules of a download: it arrives, it is the right one, nothing else came.

    Args:
        wanted: the file as it is to be downloaded, under its last name and in its last folder.
        change: what must have been done to it before.
        may_change: what else may be done to it.
    """
    stem, _, suffix = wanted.name.rpartition(".")
    # A second download of the same name is numbered: `budget-daily (1).csv`.
    path = matches(rf"Downloads/{re.escape(stem)}( \(\d+\))?\.{suffix}")
    # The address says in which folder the file was then; the server gives it from no other.
    address = f"http://{HOST}/folders/{wanted.folder}/files/{wanted.id}/download"
    # The download must stand behind the file: an agent can write a file of any name and content itself.
    finished = when("download_finished", url=address, path=path, state="completed")
    arrived: Predicate = finished & when("file_created", path=path, size=at_least(1))
    digest = eq(hashlib.sha256(wanted.content).hexdigest())
    right: Predicate = finished & when("file_created", path=path, sha256=digest)
    if change is not None:
        arrived, right = change.then(arrived), change.then(right)
    stray = when("file_created", path=matches(rf"(?!Downloads/{re.escape(stem)}( \(\d+\))?\.{suffix}$).*"))
    # Whoever downloads everything has found nothing: another file breaks the goal.
    only_file = when("file_created", path=path)
    frame = (only_file,) if may_change is None else (only_file, may_change)
    return Spec(
        milestones=(
            milestone("created", reward="1.0", component="file", when=arrived),
            milestone("content", reward="0.5", component="goal", when=right),
            milestone("tidy", reward="0.25", component="file", when=arrived & ~stray),
        ),
        goal=Goal(when=right, frame=frame),
    )


def was_changed(change: str, **data: str) -> Predicate:
    """Say that the server made a change of a file."""
    return when("app_changed", app=APP, change=change, data=fields(**data))


def make_oracle(store: Store, work: Callable[[Observation], Action | None], *, home: str) -> Oracle:
    """Make an oracle that finds the file and works on it.

    Args:
        store: the drawn store.
        work: the next move on the file's page; None when it is not the file's page.
        home: part of the address of the pages where the work is done.
    """
    way = [folder.name for folder in store.place]

    def act(view: Observation) -> Action:
        if home in view.url:
            dialog = view.element("dialog")
            return work(view) or take_first(press(view, "button", "Cancel") if dialog else None)
        here = next((e.name for e in view.elements if e.role == "heading"), "")
        chain = [store.layout.root, *way]
        if here in chain:
            step = chain.index(here) + 1
            return take_first(follow(view, chain[step] if step < len(chain) else store.file.name))
        return take_first(follow(view, store.layout.root))

    return act


def make_task(store: Store, goal: str, params: Mapping[str, object], spec: Spec, oracle: Oracle) -> Task:
    """Make a task on the site."""
    return Task(
        goal=goal,
        params={"file": store.file.name, **params},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, store.layout))},
        spec=spec,
        oracle=oracle,
        alternatives={"by keyboard": by_keyboard(oracle)},
    )
