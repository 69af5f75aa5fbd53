"""FileRename: find a file, rename it in a dialog and download it under its new name."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.drive.scene import draw_store, make_oracle, make_rules, make_task, was_changed
from milepost.envs.apps.moves import enter, follow, press
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "rename {file}{place} to {new} and download it.",
        "give {file}{place} the name {new}, then download it.",
        "change the name of {file}{place} to {new} and download the file.",
        "download {file}{place} as {new}: rename it first.",
        "find {file}{place}, rename it to {new} and download it.",
    ),
)
"""How the goal is put, by split."""


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    store = draw_store(rng, difficulty)
    file, layout = store.file, store.layout
    new = f"{choose(rng, names.TOPICS).lower()}-{choose(rng, names.MONTHS).lower()}.csv"

    def work(view: Observation) -> Action | None:
        if view.find("dialog", f"{layout.rename} {file.name}"):
            return enter(view, "New name", new) or press(view, "button", layout.rename)
        if view.element("dialog"):
            return None
        if view.find("heading", new):
            return follow(view, layout.download)
        return press(view, "button", layout.rename)

    goal = choose(rng, WORDINGS[split]).format(
        file=f'"{file.name}"', place=store.hint if difficulty.hint else "", new=f'"{new}"'
    )
    spec = make_rules(
        replace(file, name=new),
        change=was_changed("file.renamed", id=file.id, name=new),
        may_change=was_changed("file.renamed", id=file.id),
    )
    oracle = make_oracle(store, work, home=f"/folders/{file.folder}/files/{file.id}")
    return make_task(store, goal, {"folder": file.folder, "new": new}, spec, oracle)


TEMPLATE = Template(
    id="FileRename-v0",
    family="file",
    summary="Find a file, rename it in a dialog and download it under its new name.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
