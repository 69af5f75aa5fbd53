"""FileMove: find a file, move it to another folder in a dialog and download it from there."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.drive.scene import draw_store, make_oracle, make_rules, make_task, was_changed
from milepost.envs.apps.moves import follow, pick, press
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "move {file}{place} to {folder} and download it.",
        "put {file}{place} into the folder {folder}, then download it.",
        "download {file}{place}, but move it to {folder} first.",
        "download {file}{place} after a move to the folder {folder}.",
        "move {file}{place} into {folder}, then download it.",
        "find {file}{place}, move it into {folder} and download it.",
        "move the file {file}{place} into the folder {folder} and download the file.",
    ),
)
"""How the goal is put, by split."""


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    store = draw_store(rng, difficulty)
    file, layout, target = store.file, store.layout, store.spare

    def work(view: Observation) -> Action | None:
        if view.find("dialog", f"{layout.move} {file.name}"):
            return pick(view, "Folder", target.name) or press(view, "button", layout.move)
        if view.element("dialog"):
            return None
        if f"/folders/{target.id}/" in view.url:
            return follow(view, layout.download)
        return press(view, "button", layout.move)

    goal = choose(rng, WORDINGS[split]).format(
        file=f'"{file.name}"', place=store.hint if difficulty.hint else "", folder=f'"{target.name}"'
    )
    spec = make_rules(
        replace(file, folder=target.id),
        change=was_changed("file.moved", id=file.id, folder=target.name),
        may_change=was_changed("file.moved", id=file.id),
    )
    oracle = make_oracle(store, work, home=f"/files/{file.id}")
    return make_task(store, goal, {"folder": target.name}, spec, oracle)


TEMPLATE = Template(
    id="FileMove-v0",
    family="file",
    summary="Find a file, move it to another folder in a dialog and download it from there.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
