"""FileConvert: find a file, convert it to another format in a dialog and download the copy."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.drive.scene import draw_store, make_oracle, make_rules, make_task, was_changed
from milepost.envs.apps.drive.server import CONVERTERS, convert
from milepost.envs.apps.moves import follow, pick, press
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "convert {file}{place} to {format} and download the copy.",
        "download {file}{place} as {format}: convert it first.",
        "make a {format} copy of {file}{place} and download it.",
        "find {file}{place}, convert it to {format} and download the copy.",
        "convert the file {file}{place} to {format}, then download it.",
    ),
)
"""How the goal is put, by split."""


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    store = draw_store(rng, difficulty)
    file, layout = store.file, store.layout
    kind = choose(rng, tuple(CONVERTERS))
    copy = convert(file, kind)

    def work(view: Observation) -> Action | None:
        if view.find("dialog", f"{layout.convert} {file.name}"):
            return pick(view, "Format", kind) or press(view, "button", layout.convert)
        if view.element("dialog"):
            return None
        if view.find("heading", copy.name):
            return follow(view, layout.download)
        return press(view, "button", layout.convert)

    goal = choose(rng, WORDINGS[split]).format(
        file=f'"{file.name}"', place=store.hint if difficulty.hint else "", format=f'"{kind}"'
    )
    spec = make_rules(
        copy,
        change=was_changed("file.converted", id=file.id, format=kind),
        may_change=was_changed("file.converted", id=file.id),
    )
    oracle = make_oracle(store, work, home=f"/folders/{file.folder}/files/{file.id}")
    return make_task(store, goal, {"folder": file.folder, "format": kind}, spec, oracle)


TEMPLATE = Template(
    id="FileConvert-v0",
    family="file",
    summary="Find a file, convert it to another format in a dialog and download the copy.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
