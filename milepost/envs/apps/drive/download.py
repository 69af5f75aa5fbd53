"""FileDownload: find the right file in the folders, open it with its access code and download it."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.drive.scene import draw_store, lock, make_oracle, make_rules, make_task, was_changed
from milepost.envs.apps.moves import enter, follow, press
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "download {file}{place}. Its access code is {code}.",
        "find {file}{place}, open it with the access code {code} and download it.",
        "get the file {file}{place} as a download; the code {code} opens it.",
        "open {file}{place} with {code} and press {download}.",
        "look for {file}{place}, enter {code} as its access code and press {download}.",
        "with the access code {code}, download the file {file}{place}.",
    ),
)
"""How the goal is put, by split."""


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    store = lock(draw_store(rng, difficulty), rng)
    file, layout = store.file, store.layout

    def work(view: Observation) -> Action | None:
        return (
            enter(view, "Access code", file.code)
            or press(view, "button", "Open")
            or follow(view, layout.download)
        )

    goal = choose(rng, WORDINGS[split]).format(
        file=f'"{file.name}"',
        place=store.hint if difficulty.hint else "",
        download=f'"{layout.download}"',
        code=file.code,
    )
    spec = make_rules(file, may_change=was_changed("file.unlocked", id=file.id))
    oracle = make_oracle(store, work, home=f"/folders/{file.folder}/files/{file.id}")
    return make_task(store, goal, {"folder": file.folder, "code": file.code}, spec, oracle)


TEMPLATE = Template(
    id="FileDownload-v0",
    family="file",
    summary="Find the right file in the folders of a file store, open it with its code and download it.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
