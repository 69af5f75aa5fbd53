"""The templates: a page of MiniWoB++, a seed, and a rule that pays what the page itself calls success."""

import functools
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from milepost.envs.miniwob.oracles.index import find_oracle
from milepost.envs.miniwob.package import MISSING, PREFIX, VERSION, find_html, installed_pages, page_path
from milepost.envs.miniwob.site import build_site, digest
from milepost.envs.miniwob.table import RENEWABLE, SUMMARIES, step_limit, turn_ms
from milepost.envs.task import Split, Task, Template, UnknownTaskError
from milepost.milestones import Goal, Spec, at_most, fields, forbid, milestone, number, when
from milepost.sandbox.sites import Site

HOST = "miniwob.test"
VIEWPORT = (332, 214)
"""The size for which the pages are made: 160 by 210, and the benchmark's own display beside it."""

SEEDS_PER_SPLIT = 2**48
"""Every split has as many page seeds of its own; all of them are exact numbers in JavaScript."""


def draw_page_seed(rng: np.random.Generator, split: Split) -> int:
    """Draw what the page seeds its chance with, from the range of a split."""
    return list(Split).index(split) * SEEDS_PER_SPLIT + int(rng.integers(SEEDS_PER_SPLIT))


BELOW_ONE = Fraction(1) - Fraction(1, 2**53)
"""The largest score below 1 that a page can have: its numbers are doubles."""


def make_spec(path: str, sha256: str) -> Spec:
    """Make the rules: a page that is the package's own, byte for byte, ended its episode with the full score."""
    served = when("app_changed", app="miniwob", change="page.served", data=fields(page=path, sha256=sha256))
    solved = when("page_scored", score=number("1"))
    missed = when("page_scored", score=at_most(BELOW_ONE))
    return Spec(
        milestones=(milestone("solved", reward=1, when=served & solved),),
        forbidden=(forbid("missed", when=missed),),
        goal=Goal(when=served & solved, frame=(served,)),
    )


def _build_task(page: str, rng: np.random.Generator, split: Split) -> Task:
    folder = find_html()
    if folder is None:
        raise UnknownTaskError(MISSING)
    path, seed = page_path(page), draw_page_seed(rng, split)
    # Six of the pages draw other data for testing; "default" is what they draw for training.
    mode = "test" if split is Split.TEST else "default"
    return Task(
        goal=f"MiniWoB++ {page}: the page says what to do.",
        params={"page": page, "page_seed": seed, "mode": mode},
        start_url=f"http://{HOST}/{path}",
        sites={HOST: Site(app="miniwob", build=functools.partial(build_site, folder, path, seed, mode))},
        spec=make_spec(path, digest(folder / path)),
        oracle=find_oracle(page),
        referee=f"globalThis.milepostTurn && milepostTurn({turn_ms(page)})",
        again=f"globalThis.milepostAgain && milepostAgain({seed}, {mode!r})" if page in RENEWABLE else "",
    )


def _make_template(page: str) -> Template:
    return Template(
        id=f"{PREFIX}{page}{VERSION}",
        family="miniwob",
        summary=SUMMARIES[page],
        max_steps=step_limit(page),
        build=functools.partial(_build_task, page),
        viewport=VIEWPORT,
    )


TEMPLATES: Mapping[str, Template] = {
    template.id: template for template in map(_make_template, installed_pages())
}
"""The templates of the installed pages, by id."""
