"""The table of task templates.

Listing ids and metadata imports none of the apps: a row names its template as `module:attribute`, and only
`get_template` follows that name. So `import milepost` can register every environment and stay light.
"""

import difflib
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    """One of the six families: `navigation, form, file, email, settings, search`."""
    summary: str
    """One line about what the agent does."""
    max_steps: int
    """Steps before the episode is truncated."""
    template: str
    """Where the template is, as `module:attribute`."""


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
    """List every template's metadata, without importing the apps."""
    return _ROWS


def get_template(template_id: str) -> "Template":
    """Import the template of an id, written with or without `milepost/`.

    Raises:
        UnknownTaskError: no template has this id; the message names the nearest.
    """
    from milepost.envs.task import Template, UnknownTaskError  # noqa: PLC0415 (see TYPE_CHECKING above)

    wanted = template_id.removeprefix(f"{NAMESPACE}/")
    rows = {row.id: row for row in _ROWS}
    if wanted not in rows:
        raise UnknownTaskError(_describe_unknown(template_id, wanted, list(rows)))
    module, _, attribute = rows[wanted].template.partition(":")
    template = getattr(importlib.import_module(module), attribute)
    if not isinstance(template, Template):
        raise TypeError(f"{rows[wanted].template} must be a Template, got {type(template).__name__}")
    return template


def _describe_unknown(template_id: str, wanted: str, known: list[str]) -> str:
    lowered = {name.lower(): name for name in known}
    near = [lowered[name] for name in difflib.get_close_matches(wanted.lower(), lowered, n=2, cutoff=0.4)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"no task has the id {template_id!r}; {hint}Known ids: {', '.join(known)}"
