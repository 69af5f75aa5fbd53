"""The table of task templates, ours and those made of other packages that are installed.

Listing ids and metadata imports none of the apps: a row names its template as `module:attribute`, and only
`get_template` follows that name. So `import milepost` can register every environment and stay light.
"""

import difflib
import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    frames: bool = False
    """Whether its pages need frames, see `Template`; those of the built-in apps do not."""
    tidy: bool = True
    """Whether its pages leave nothing in the browser, see `Template`; those of the built-in apps do not."""


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
    Row(
        id="NotificationSwitch-v0",
        family="settings",
        summary="Open the notifications, turn one or two switches and save.",
        max_steps=12,
        template="milepost.envs.apps.preferences.notifications:TEMPLATE",
    ),
    Row(
        id="ChannelMatrix-v0",
        family="settings",
        summary="Choose by which channel an event is told, in a table of checkboxes, and save.",
        max_steps=12,
        template="milepost.envs.apps.preferences.channels:TEMPLATE",
    ),
    Row(
        id="ProfileUpdate-v0",
        family="settings",
        summary="Change a field, a list and a switch of the profile and save.",
        max_steps=14,
        template="milepost.envs.apps.preferences.profile:TEMPLATE",
    ),
    Row(
        id="SecurityPanel-v0",
        family="settings",
        summary="Turn a switch that asks back in a dialog, choose from a list and save.",
        max_steps=14,
        template="milepost.envs.apps.preferences.security:TEMPLATE",
    ),
    Row(
        id="DashboardFigure-v0",
        family="navigation",
        summary="Open a board, choose a period, read a figure out and answer with it.",
        max_steps=10,
        template="milepost.envs.apps.dashboard.figure:TEMPLATE",
    ),
    Row(
        id="TableLookup-v0",
        family="navigation",
        summary="Find a row in a table of several pages, read it out and answer with one of its cells.",
        max_steps=12,
        template="milepost.envs.apps.dashboard.lookup:TEMPLATE",
    ),
    Row(
        id="TopRow-v0",
        family="navigation",
        summary="Sort a grid, read out the row with the highest or lowest number and answer with its name.",
        max_steps=12,
        template="milepost.envs.apps.dashboard.top_row:TEMPLATE",
    ),
    Row(
        id="RecordField-v0",
        family="navigation",
        summary="Open a record of a long list, go to one of its tabs, read a field out and answer with it.",
        max_steps=12,
        template="milepost.envs.apps.dashboard.record:TEMPLATE",
    ),
    Row(
        id="MailCompose-v0",
        family="email",
        summary="Write a message with a subject and the right file attached, and send it.",
        max_steps=12,
        template="milepost.envs.apps.mail.compose:TEMPLATE",
    ),
    Row(
        id="MailReply-v0",
        family="email",
        summary="Find a message, answer it with a text and a file, and send.",
        max_steps=12,
        template="milepost.envs.apps.mail.reply:TEMPLATE",
    ),
    Row(
        id="MailForward-v0",
        family="email",
        summary="Find a message and forward it with the file that came with it.",
        max_steps=12,
        template="milepost.envs.apps.mail.forward:TEMPLATE",
    ),
    Row(
        id="SheetToMail-v0",
        family="email",
        summary="Download a table from the dashboard and mail its total with the file attached.",
        max_steps=18,
        template="milepost.envs.apps.mail.sheet:TEMPLATE",
    ),
    Row(
        id="FileDownload-v0",
        family="file",
        summary="Find the right file in the folders of a file store, open it with its code and download it.",
        max_steps=12,
        template="milepost.envs.apps.drive.download:TEMPLATE",
    ),
    Row(
        id="FileRename-v0",
        family="file",
        summary="Find a file, rename it in a dialog and download it under its new name.",
        max_steps=12,
        template="milepost.envs.apps.drive.rename:TEMPLATE",
    ),
    Row(
        id="FileMove-v0",
        family="file",
        summary="Find a file, move it to another folder in a dialog and download it from there.",
        max_steps=12,
        template="milepost.envs.apps.drive.move:TEMPLATE",
    ),
    Row(
        id="FileConvert-v0",
        family="file",
        summary="Find a file, convert it to another format in a dialog and download the copy.",
        max_steps=12,
        template="milepost.envs.apps.drive.convert:TEMPLATE",
    ),
    Row(
        id="EventSignup-v0",
        family="form",
        summary="Find an event, fill in its form, send it and accept the browser's question.",
        max_steps=14,
        template="milepost.envs.apps.bookings.registration:TEMPLATE",
    ),
    Row(
        id="RoomBooking-v0",
        family="form",
        summary="Choose a room, fill in the booking in a dialog and confirm it in another.",
        max_steps=14,
        template="milepost.envs.apps.bookings.room:TEMPLATE",
    ),
    Row(
        id="VisitorPass-v0",
        family="form",
        summary="Fill in a form of three steps, look it over, send it and confirm.",
        max_steps=15,
        template="milepost.envs.apps.bookings.visitor:TEMPLATE",
    ),
    Row(
        id="WikiSearch-v0",
        family="search",
        summary="Look a name up in a wiki and open the article about the right one that bears it.",
        max_steps=10,
        template="milepost.envs.apps.finder.wiki:TEMPLATE",
    ),
    Row(
        id="LatestInvoice-v0",
        family="search",
        summary="Search a company's invoices and open the latest one.",
        max_steps=10,
        template="milepost.envs.apps.finder.invoices:TEMPLATE",
    ),
    Row(
        id="MarketFilter-v0",
        family="search",
        summary="Search a market and open the one offer of the right material and color, with filters to help.",
        max_steps=10,
        template="milepost.envs.apps.finder.market:TEMPLATE",
    ),
    Row(
        id="BoardSummary-v0",
        family="navigation",
        summary="Look at a figure of a board in two periods and answer with a sentence about its change.",
        max_steps=10,
        template="milepost.envs.apps.judged.summary:TEMPLATE",
    ),
    Row(
        id="TableCopy-v0",
        family="email",
        summary="Read two rows of a table on one site and write their amounts into a mail on another.",
        max_steps=12,
        template="milepost.envs.apps.judged.copied:TEMPLATE",
    ),
    Row(
        id="MeantInvoice-v0",
        family="search",
        summary="Open the latest invoice of a company, where one that does not count is newer, and answer with it.",
        max_steps=10,
        template="milepost.envs.apps.judged.meant:TEMPLATE",
    ),
    Row(
        id="DialogRecovery-v0",
        family="file",
        summary="Download a file although its page opens a dialog that nobody asked for.",
        max_steps=10,
        template="milepost.envs.apps.judged.recovery:TEMPLATE",
    ),
    Row(
        id="ReplyTone-v0",
        family="email",
        summary="Find a message and decline politely, in the form of a letter.",
        max_steps=10,
        template="milepost.envs.apps.judged.tone:TEMPLATE",
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
            frames=True,
            tidy=False,
        )
        for page in installed_pages()
    )


def get_template(template_id: str) -> "Template":
    """Import the template of an id, written with or without `milepost/`, such as `TableLookup-v0@hard`.

    A template that is not in the table is named by its place, `module:attribute`, and that is its id then.

    Raises:
        UnknownTaskError: no template has this id, or it has no such level; the message names what there is.
    """
    from milepost.envs.task import UnknownTaskError  # noqa: PLC0415 (see TYPE_CHECKING above)

    wanted, _, level = template_id.removeprefix(f"{NAMESPACE}/").partition("@")
    if _is_place(wanted):
        template = _load_own(wanted)
        return template.at(level) if level else template
    rows = {row.id: row for row in (imported_templates() if wanted.startswith(PREFIX) else _ROWS)}
    if wanted not in rows:
        unknown = (
            _describe_unknown(template_id, wanted, list(rows)) if rows else f"{template_id!r}: {MISSING}"
        )
        raise UnknownTaskError(unknown)
    template = _load(rows[wanted])
    return template.at(level) if level else template


@functools.cache
def _load(row: Row) -> "Template":
    from milepost.envs.task import Template  # noqa: PLC0415 (see TYPE_CHECKING above)

    module, _, attribute = row.template.partition(":")
    template = getattr(importlib.import_module(module), attribute)
    if isinstance(template, Mapping):
        template = template[row.id]
    if not isinstance(template, Template):
        raise TypeError(f"{row.template} must be a Template, got {type(template).__name__}")
    return replace(template, frames=row.frames, tidy=row.tidy)


def _is_place(wanted: str) -> bool:
    module, _, attribute = wanted.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), attribute))


@functools.cache
def _load_own(place: str) -> "Template":
    from milepost.envs.task import Template, UnknownTaskError  # noqa: PLC0415 (see TYPE_CHECKING above)

    module, _, attribute = place.partition(":")
    try:
        own = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise UnknownTaskError(
            f"{place!r} names a template of the module {module!r}, but {missing}; is its folder on PYTHONPATH?"
        ) from missing
    if not hasattr(own, attribute):
        raise UnknownTaskError(f"{module} has no {attribute!r}; expected the name of a Template there")
    found = getattr(own, attribute)
    if not isinstance(found, Template):
        raise UnknownTaskError(f"{place} must be a Template, got {type(found).__name__}")
    return replace(found, id=place)


def _describe_unknown(template_id: str, wanted: str, known: list[str]) -> str:
    lowered = {name.lower(): name for name in known}
    near = [lowered[name] for name in difflib.get_close_matches(wanted.lower(), lowered, n=2, cutoff=0.4)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"no task has the id {template_id!r}; {hint}Known ids: {', '.join(known)}"
