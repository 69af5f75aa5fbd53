"""The table of task templates, ours and those made of other packages that are installed.

Listing ids and metadata imports none of the apps: a row names its template as `module:attribute`, and only
`get_template` follows that name. So `import milepost` can register every environment and stay light.
"""

import difflib
import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from milepost.envs.miniwob.package import MISSING, PREFIX, VERSION, installed_pages
from milepost.envs.miniwob.table import SUMMARIES, step_limit

if TYPE_CHECKING:  # milepost.envs.task brings the site server and numpy, which listing must not load
    from milepost.envs.task import Template

NAMESPACE = "milepost"
"""What stands before the slash in a Gymnasium id: `milepost/ReportExport-v0`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known about a template without importing it."""

    id: str
    """Such as `ReportExport-v0`; the Gymnasium id is `milepost/` and this."""
    family: str
    """One of the six families: `navigation, form, file, email, settings, search`; or `miniwob`."""
    summary: str
    """One line about what the agent does."""
    max_steps: int
    """Steps before the episode is truncated."""
    template: str
    """Where the template is, as `module:attribute`; the attribute may be a mapping of templates by id."""


_ROWS = (
    Row(
        id="ExpenseForm-v0",
        family="form",
        summary="Fill in an expense form, submit it and confirm.",
        max_steps=8,
        template="milepost.envs.apps.expenses.tasks:TEMPLATE",
    ),
    Row(
        id="ReportExport-v0",
        family="file",
        summary="Open the right report and export a region of it to a file in the right format.",
        max_steps=6,
        template="milepost.envs.apps.reports.tasks:TEMPLATE",
    ),
    Row(
        id="CatalogSearch-v0",
        family="search",
        summary="Search a catalogue and open the right one of several similar items.",
        max_steps=6,
        template="milepost.envs.apps.catalog.tasks:TEMPLATE",
    ),
)


def templates() -> tuple[Row, ...]:
    """List the metadata of our own templates, without importing the apps."""
    return _ROWS


@functools.cache
def imported_templates() -> tuple[Row, ...]:
    """List the metadata of templates made of other packages, MiniWoB++; none of a package that is not installed."""
    return tuple(
        Row(
            id=f"{PREFIX}{page}{VERSION}",
            family="miniwob",
            summary=SUMMARIES[page],
            max_steps=step_limit(page),
            template="milepost.envs.miniwob.tasks:TEMPLATES",
        )
        for page in installed_pages()
    )


def get_template(template_id: str) -> "Template":
    """Import the template of an id, written with or without `milepost/`.

    Raises:
        UnknownTaskError: no template has this id; the message names the nearest.
    """
    from milepost.envs.task import Template, UnknownTaskError  # noqa: PLC0415 (see TYPE_CHECKING above)

    wanted = template_id.removeprefix(f"{NAMESPACE}/")
    rows = {row.id: row for row in (imported_templates() if wanted.startswith(PREFIX) else _ROWS)}
    if wanted not in rows:
        unknown = (
            _describe_unknown(template_id, wanted, list(rows)) if rows else f"{template_id!r}: {MISSING}"
        )
        raise UnknownTaskError(unknown)
    module, _, attribute = rows[wanted].template.partition(":")
    template = getattr(importlib.import_module(module), attribute)
    if isinstance(template, Mapping):
        template = template[wanted]
    if not isinstance(template, Template):
        raise TypeError(f"{rows[wanted].template} must be a Template, got {type(template).__name__}")
    return template


def _describe_unknown(template_id: str, wanted: str, known: list[str]) -> str:
    lowered = {name.lower(): name for name in known}
    near = [lowered[name] for name in difflib.get_close_matches(wanted.lower(), lowered, n=2, cutoff=0.4)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"no task has the id {template_id!r}; {hint}Known ids: {', '.join(known)}"
