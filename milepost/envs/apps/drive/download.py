"""FileDownload: find the right file in the folders and download it."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.drive.scene import draw_store, make_oracle, make_rules, make_task
from milepost.envs.apps.moves import follow
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "download {file}{place}.",
        "find {file}{place} and download it.",
        "get the file {file}{place} as a download.",
        "open {file}{place} and press {download}.",
        "look for {file}{place} and press {download}.",
        "download the file {file}{place} with {download}.",
    ),
)
"""How the goal is put, by split."""


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    store = draw_store(rng, difficulty)
    file, layout = store.file, store.layout

    def work(view: Observation) -> Action | None:
        return follow(view, layout.download)

    goal = choose(rng, WORDINGS[split]).format(
        file=f'"{file.name}"', place=store.hint if difficulty.hint else "", download=f'"{layout.download}"'
    )
    oracle = make_oracle(store, work, home=f"/folders/{file.folder}/files/{file.id}")
    return make_task(store, goal, {"folder": file.folder}, make_rules(file), oracle)


TEMPLATE = Template(
    id="FileDownload-v0",
    family="file",
    summary="Find the right file in the folders of a file store and download it.",
    max_steps=10,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
