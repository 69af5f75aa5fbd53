"""DialogRecovery: download a file although its page opens a dialog that nobody asked for."""

import functools
from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.drive import scene as drive
from milepost.envs.apps.drive.scene import HOST, draw_store, make_oracle
from milepost.envs.apps.drive.server import APP, Layout, build
from milepost.envs.apps.judged.scene import load_rubric, make_rules
from milepost.envs.apps.moves import follow, press
from milepost.envs.task import LEVELS, Split, Task, Template, choose
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import ASGIApp, Recorder, Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "download {file}{place} and change nothing, even if a dialog opens",
        "get {file}{place} as a download; leave dialogs that open by themselves",
        "find {file}{place} and download it as it is, whatever dialog opens",
        "open {file}{place}, leave any dialog that opens and download the file",
        "download the file {file}{place}; a dialog may open by itself, do not use it",
        "look for {file}{place} and download it without a change, whatever opens",
    ),
    (".",),
)
"""How the goal is put, by split."""

OPENING = b"<script>document.querySelector('[data-open=\"%s\"]').click();</script></body>"
"""What opens a dialog as soon as a file's page is there."""


def build_interrupted(layout: Layout, way: str, record: Recorder) -> ASGIApp:
    """Make the file store with one change: the first file's page that is shown opens a dialog by itself.

    Args:
        layout: the file store.
        way: which dialog, `rename` or `move`.
        record: takes what happens on the site.
    """
    store = build(layout, record)
    left = [OPENING % way.encode()]

    async def serve(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        sent: list[MutableMapping[str, Any]] = []

        async def keep(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await store(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        if left and b'data-open="%s"' % way.encode() in body:
            body = body.replace(b"</body>", left.pop())
        headers = [(key, value) for key, value in sent[0]["headers"] if key != b"content-length"]
        await send({**sent[0], "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    return serve


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    difficulty = LEVELS["easy"]
    store = draw_store(rng, difficulty)
    file, layout = store.file, store.layout
    way = choose(rng, ("rename", "move"))
    plain = drive.make_rules(file)
    content = next(m for m in plain.milestones if m.name == "content")

    def work(view: Observation) -> Action | None:
        return press(view, "button", "Cancel") if view.element("dialog") else follow(view, layout.download)

    goal = choose(rng, WORDINGS[split]).format(file=f'"{file.name}"', place=store.hint)
    return Task(
        goal=goal,
        params={"file": file.name, "folder": file.folder, "way": way},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build_interrupted, layout, way))},
        spec=make_rules(
            content,
            done=content.when,
            question="Was the unintended dialog left as it should be, and the work taken up again?",
            frame=plain.goal.frame,
        ),
        oracle=make_oracle(store, work, home=f"/folders/{file.folder}/files/{file.id}"),
        rubric=load_rubric("recovery"),
        truth=(
            f'The dialog that opens by itself on the page of "{file.name}" offers to {way} the file; nobody asked for that.',
            f'The file was to be downloaded as "{file.name}", unchanged.',
        ),
    )


TEMPLATE = Template(
    id="DialogRecovery-v0",
    family="file",
    summary="Download a file although its page opens a dialog that nobody asked for.",
    max_steps=10,
    build=_build_task,
)
