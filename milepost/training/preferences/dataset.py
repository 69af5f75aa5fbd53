"""Preferences on disk: one JSON object a line.

A line is a pair or a label, in token ids of one tokenizer:

    {"kind": "pair", "chosen": TRAJECTORY, "rejected": TRAJECTORY}
    {"kind": "label", "desirable": true, "trajectory": TRAJECTORY}

with TRAJECTORY = `{"name": "...", "return": 1.0, "turns": [{"prompt_ids": [..], "completion_ids": [..]}, ..]}`. The
returns are what the preference was made from; a pair whose returns are equal is a tie and is refused.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from milepost.training.batch import Row
from milepost.training.preferences.pairs import Label, Pair, Sample


class PreferenceFileError(ValueError):
    """A preference file cannot be read, or a line of it is not a preference; the message names the line."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class _Turn(_Line):
    prompt_ids: _Ids
    completion_ids: _Ids


class _Trajectory(_Line):
    name: str
    ret: Annotated[FiniteFloat, Field(alias="return")]
    turns: Annotated[list[_Turn], Field(min_length=1)]


class _PairLine(_Line):
    kind: Literal["pair"] = "pair"
    chosen: _Trajectory
    rejected: _Trajectory


class _LabelLine(_Line):
    kind: Literal["label"] = "label"
    desirable: bool
    trajectory: _Trajectory


_LINE: TypeAdapter[_PairLine | _LabelLine] = TypeAdapter(
    Annotated[_PairLine | _LabelLine, Field(discriminator="kind")]
)


def write_preferences(path: Path, preferences: Iterable[Pair | Label]) -> int:
    """Write pairs and labels, and say how many.

    Raises:
        PreferenceFileError: the file cannot be written.
    """
    lines = [_to_line(preference).model_dump_json(by_alias=True) + "\n" for preference in preferences]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as broken:
        raise PreferenceFileError(f"cannot write preferences to {path}: {broken}") from None
    return len(lines)


def read_preferences(path: Path, *, vocabulary: int) -> list[Pair | Label]:
    """Read pairs and labels.

    Args:
        path: the file.
        vocabulary: number of tokens the policy knows; an id beyond it is of another tokenizer.

    Raises:
        PreferenceFileError: the file cannot be read or is empty, or a line is no preference, a tie, has the same on
            both sides, repeats an earlier line, contradicts one, or holds unknown tokens.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as broken:
        raise PreferenceFileError(f"cannot read preferences from {path}: {broken}") from None
    found: list[Pair | Label] = []
    seen: dict[object, tuple[int, bool]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        preference = _read_line(line, f"{path}, line {number}", vocabulary)
        key, side = _identify(preference)
        if key in seen:
            earlier, other = seen[key]
            what = "repeats" if other == side else "contradicts"
            raise PreferenceFileError(f"{path}, line {number}: {what} line {earlier}; keep one of them")
        seen[key] = number, side
        found.append(preference)
    if not found:
        raise PreferenceFileError(f"{path} holds no preference; expected one JSON object a line")
    return found


def _read_line(line: bytes, place: str, vocabulary: int) -> Pair | Label:
    try:
        data = _LINE.validate_json(line)
    except ValidationError as wrong:
        error = wrong.errors()[0]
        where = ".".join(str(part) for part in error["loc"] if part not in ("pair", "label"))
        raise PreferenceFileError(f"{place}: {where + ': ' if where else ''}{error['msg']}") from None
    if isinstance(data, _LabelLine):
        return Label(sample=_to_sample(data.trajectory, place, vocabulary), desirable=data.desirable)
    chosen, rejected = data.chosen, data.rejected
    if chosen.ret == rejected.ret:
        raise PreferenceFileError(
            f"{place}: a tie, both sides have return {chosen.ret:g}; a pair needs a better side, so leave it out"
        )
    if chosen.ret < rejected.ret:
        raise PreferenceFileError(
            f"{place}: the chosen side has return {chosen.ret:g}, less than the rejected side's "
            f"{rejected.ret:g}; swap them"
        )
    pair = Pair(
        chosen=_to_sample(chosen, place, vocabulary), rejected=_to_sample(rejected, place, vocabulary)
    )
    if pair.chosen.text == pair.rejected.text:
        raise PreferenceFileError(f"{place}: chosen and rejected are the same; leave the pair out")
    return pair


def _identify(preference: Pair | Label) -> tuple[object, bool]:
    """Give what a preference is about, and which way it goes."""
    if isinstance(preference, Label):
        return preference.sample.text, preference.desirable
    texts = preference.chosen.text, preference.rejected.text
    return frozenset(texts), texts[0] < texts[1]


def _to_sample(data: _Trajectory, place: str, vocabulary: int) -> Sample:
    for turn in data.turns:
        unknown = max(*turn.prompt_ids, *turn.completion_ids)
        if unknown >= vocabulary:
            raise PreferenceFileError(
                f"{place}: token {unknown} is unknown to the policy, whose ids end at {vocabulary - 1}; "
                "the file was written with another tokenizer"
            )
    rows = tuple(
        Row(
            prompt_ids=tuple(turn.prompt_ids),
            completion_ids=tuple(turn.completion_ids),
            sampler_logps=(0.0,) * len(turn.completion_ids),
        )
        for turn in data.turns
    )
    return Sample(name=data.name, rows=rows, ret=data.ret)


def _to_line(preference: Pair | Label) -> _PairLine | _LabelLine:
    if isinstance(preference, Label):
        return _LabelLine(desirable=preference.desirable, trajectory=_from_sample(preference.sample))
    return _PairLine(chosen=_from_sample(preference.chosen), rejected=_from_sample(preference.rejected))


def _from_sample(sample: Sample) -> _Trajectory:
    if any(row.picture is not None for row in sample.rows):
        raise PreferenceFileError(
            f"episode {sample.name} was played by a policy that sees, and a preference file holds no pictures; train with "
            "preference.method and an empty preference.file, which learns from the run's own episodes"
        )
    turns: Sequence[_Turn] = [
        _Turn(prompt_ids=list(row.prompt_ids), completion_ids=list(row.completion_ids)) for row in sample.rows
    ]
    return _Trajectory.model_validate({"name": sample.name, "return": sample.ret, "turns": turns})
