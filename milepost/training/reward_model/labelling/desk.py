"""The labelling desk: what is shown to whom next, and what becomes of an answer. No network here."""

import difflib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from milepost.milestones.learned.transition import find_target
from milepost.sandbox.dialect import ActionError, parse_action
from milepost.sandbox.log import LogError, read_log
from milepost.training.records import EPISODES_FOLDER, RecordError, read_episode
from milepost.training.reward_model.labels import (
    Choice,
    Comparison,
    Verdict,
    append_verdict,
    draw_comparisons,
    read_verdicts,
)
from milepost.training.reward_model.pairs import PreferenceError, Side

NAME_LENGTH = 40
"""Longest name of an annotator."""

_FILE_KINDS = ("file_created", "file_modified", "file_moved", "file_deleted")


_EFFECTS = {"dom": "the page changed", "navigation": "another page opened", "none": ""}
"""What a step did, in words for people."""


class DeskError(ValueError):
    """An answer that cannot be taken; the message is for the annotator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One step, as the annotator sees it: no reasoning, no reward, no name of a play."""

    action: str
    target: str
    """The element that the action is about, such as `button "Save"`."""
    error: str
    url: str
    effect: str
    changes: tuple[str, ...]
    """Lines of the tree that came (`+`) and went (`-`) since the step before."""
    tree: str
    files: tuple[str, ...]


class Desk:
    """Hands out comparisons and takes verdicts."""

    def __init__(self, run: Path, path: Path, *, seed: int, limit: int | None = None) -> None:
        """Draw the comparisons.

        Args:
            run: whose episodes are compared.
            path: the file verdicts are appended to; what it holds already is not asked again.
            seed: sets the order of comparisons, the same for all, and for each annotator who stands left.
            limit: how many comparisons at most.

        Raises:
            PreferenceError: there is nothing to compare, or the file cannot be read.
        """
        self._run = run
        self._path = path
        self._seed = seed
        self.comparisons = draw_comparisons(run, seed=seed, limit=limit)
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("milepost.training.reward_model.labelling", "."),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("page.html")
        self._read()

    def render(self, annotator: str, *, nonce: str, problem: str = "") -> str:
        """Give the page: a form for the name, the next comparison, or that all is done."""
        annotator = annotator.strip()[:NAME_LENGTH]
        own = [v for v in self._read() if v.annotator == annotator]
        about = self._find_next(annotator) if annotator else None
        left = self.draw_left(about, annotator) if about is not None else Choice.FIRST
        sides = (about.first, about.second) if about is not None else ()
        ordered = sides if left is Choice.FIRST else sides[::-1]
        return self._template.render(
            annotator=annotator,
            nonce=nonce,
            problem=problem,
            comparison=about,
            goal=about.first.goal if about is not None else "",
            columns=[self.show(side) for side in ordered],
            done=len(own),
            total=len(self.comparisons),
        )

    def take(self, annotator: str, comparison: str, key: str) -> None:
        """Take an answer: `1` left, `2` right, `t` tie, `s` skip, `u` take the last one back.

        Raises:
            DeskError: the annotator has no name, the comparison is not theirs to answer, or the key means nothing.
        """
        annotator = annotator.strip()[:NAME_LENGTH]
        if not annotator:
            raise DeskError("enter your name first")
        if key == "u":
            self._undo(annotator)
            return
        about = self._find_next(annotator)
        if about is None or about.id != comparison:
            raise DeskError("that comparison is not the one that was asked; this is the current one")
        left = self.draw_left(about, annotator)
        right = Choice.SECOND if left is Choice.FIRST else Choice.FIRST
        choices = {"1": left, "2": right, "t": Choice.TIE, "s": Choice.SKIP}
        if key not in choices:
            raise DeskError(f"expected 1, 2, t, s or u, got {key[:20]!r}")
        verdict = Verdict(comparison=about, annotator=annotator, choice=choices[key], left=left)
        append_verdict(verdict, self._path)

    def draw_left(self, about: Comparison, annotator: str) -> Choice:
        """Say which side stands on the left for an annotator; half of them see it the other way round."""
        drawn = zlib.crc32(f"{self._seed}:{annotator}:{about.id}".encode())
        return Choice.FIRST if drawn % 2 else Choice.SECOND

    def show(self, side: Side) -> list[Shown]:
        """Give the steps of a side.

        Raises:
            PreferenceError: the episode is not there or cannot be read.
        """
        folder = self._run / EPISODES_FOLDER / side.episode
        try:
            record = read_episode(folder)
            events = read_log(folder / "events.jsonl")
        except (OSError, RecordError, LogError) as broken:
            raise PreferenceError(f"the episode {side.episode} cannot be read: {broken}") from None
        views = record.views
        shown = []
        for index, turn in enumerate(record.trajectory.turns[: side.end]):
            after = views[index + 1]["tree"] if index + 1 < len(views) else ""
            files = (e.fact for e in events if e.step == index + 1 and e.kind in _FILE_KINDS)
            shown.append(
                Shown(
                    action=turn.action,
                    target=_name_target(views[index]["tree"], turn.action),
                    error=turn.error,
                    url=views[index]["url"],
                    effect=_EFFECTS.get(views[index]["effect"], views[index]["effect"]),
                    changes=_compare(views[index]["tree"], after) if after else (),
                    tree=views[index]["tree"],
                    files=tuple(_say_file(fact) for fact in files),
                )
            )
        return shown

    def _read(self) -> list[Verdict]:
        return read_verdicts(self._path) if self._path.exists() else []

    def _find_next(self, annotator: str) -> Comparison | None:
        answered = {v.comparison.id for v in self._read() if v.annotator == annotator}
        return next((c for c in self.comparisons if c.id not in answered), None)

    def _undo(self, annotator: str) -> None:
        own = [v for v in self._read() if v.annotator == annotator]
        if not own:
            raise DeskError("there is nothing to take back")
        last = own[-1]
        undone = Verdict(
            comparison=last.comparison, annotator=annotator, choice=Choice.UNDONE, left=last.left
        )
        append_verdict(undone, self._path)


def _name_target(tree: str, action: str) -> str:
    try:
        target = find_target(tree, parse_action(action))
    except ActionError:
        return ""
    return f'{target.role} "{target.name}"' if target is not None else ""


def _compare(before: str, after: str) -> tuple[str, ...]:
    lines = difflib.ndiff(_strip(before), _strip(after))
    return tuple(line for line in lines if line[:2] in ("+ ", "- "))


def _strip(tree: str) -> Sequence[str]:
    return [line.strip() for line in tree.splitlines()]


def _say_file(fact: object) -> str:
    verb = type(fact).__name__.removeprefix("File").lower()
    return f"{verb} {getattr(fact, 'path', '')}"
