"""Overrides such as `optim.learning_rate=3e-4`, and what a wrong key or value is told."""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

Keys = Mapping[str, Sequence[str]]
"""The keys of every section."""


class ConfigError(ValueError):
    """The configuration is wrong; the message names the file, the key, what was expected and what came."""


FORMER: Mapping[str, str] = {
    "run.name": "a run is called after its folder, so leave the key out; --out says which",
    "rollout.reward": 'write it as rules = "..." in [reward]',
    "reward.router": "write blend = [0.6, 0.3, 0.1] in [reward] for a blend, and leave both out for a cascade",
    "reward.weights": "write them as blend = [...] in [reward]",
    "algorithm.clip_low": "write both bounds as clip = [low, high]",
    "algorithm.clip_high": "write both bounds as clip = [low, high]",
    "algorithm.step_kl_coef": "write weight and target as step_kl = [weight, target]",
    "preference.sync_every": 'write schedule = "semi_online@5"',
    "train.max_minutes": 'write budget = "13 minutes" in [train]',
    "train.max_steps": 'write budget = "20000 steps" in [train]',
    "train.selection": 'write flags = ["frontier"] or flags = ["band"] in [algorithm]',
    "eval.validation_episodes": "write both numbers as episodes = [validation, test] in [eval]",
    "eval.test_episodes": "write both numbers as episodes = [validation, test] in [eval]",
    "checkpoint.every": "a checkpoint is written with every validation, so leave [checkpoint] out; [eval] every says when",
}
"""Keys that went away, and what to write instead."""

_BARE = re.compile(r"[A-Za-z_./~][\w./~:@-]*|\d[\d.]* [a-z]+")


def read_override(override: str, keys: Keys) -> tuple[str, str, Any]:
    """Read `section.key=value`, or `key=value` where only one section has the key.

    The value is a TOML value; a bare word, or a number with its unit, is taken as a string.

    Raises:
        ConfigError: no such key, or not a value.
    """
    name, equals, text = override.partition("=")
    name, origin = name.strip(), f"--set {override}"
    if not equals:
        raise ConfigError(f"{origin}: expected section.key=value, such as optim.learning_rate=3e-4")
    section, _, key = name.rpartition(".")
    if not section:
        section = _find_section(key, keys, origin)
    if key not in keys.get(section, ()):
        raise ConfigError(f"{origin}: {_describe_unknown(section, key, keys)}")
    try:
        return section, key, tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        if _BARE.fullmatch(text.strip()):
            return section, key, text.strip()
        raise ConfigError(
            f"{origin}: {text!r} is not a TOML value; "
            'numbers and true/false stand alone, other text in quotes: "..."'
        ) from None


def _find_section(key: str, keys: Keys, origin: str) -> str:
    sections = [section for section, known in keys.items() if key in known]
    if len(sections) > 1:
        choices = " or ".join(f"{section}.{key}" for section in sections)
        raise ConfigError(f"{origin}: several sections have this key; write {choices}")
    return sections[0] if sections else ""


def describe_error(error: Mapping[str, Any], place: Sequence[str], keys: Keys, origin: str) -> str:
    """Put a validation error into words.

    Args:
        error: as pydantic gives it.
        place: section, key, and what is inside of it.
        keys: the known keys.
        origin: the file or the override it came from.
    """
    start = f"{origin}: " if origin else ""
    if error["type"] == "extra_forbidden":
        return start + _describe_unknown(place[0], place[1] if len(place) > 1 else "", keys)
    name = f"[{place[0]}]" + (f" {'.'.join(place[1:])}" if len(place) > 1 else "")
    words = error["msg"].removeprefix("Value error, ")
    message = words[0].lower() + words[1:]
    return f"{start}{name}: {message.replace('input should', 'the value should')}, got {error['input']!r}"


def _describe_unknown(section: str, key: str, keys: Keys) -> str:
    former = _find_former(section, key, keys)
    if former:
        return (
            f"[{former.partition('.')[0]}] has no key {former.partition('.')[2]!r} any more; {FORMER[former]}"
        )
    if section and section not in keys:
        near = difflib.get_close_matches(section, keys, n=1, cutoff=0.5)
        hint = f"did you mean [{near[0]}]? " if near else ""
        return f"there is no section [{section}]; {hint}The sections are {', '.join(keys)}"
    what = f"[{section}] has no key {key!r}" if section else f"no section has the key {key!r}"
    return f"{what}; {_hint(section, key, keys)}"


def _find_former(section: str, key: str, keys: Keys) -> str:
    """Find the key that went away: by its whole name, by the key alone, or by a section that went away."""
    for name in FORMER:
        home, _, own = name.partition(".")
        if (home, own) == (section, key) or (not section and own == key) or (home == section not in keys):
            return name
    return ""


def _hint(section: str, key: str, keys: Keys) -> str:
    home = next((name for name, known in keys.items() if key in known), "")
    if home:
        return f"it belongs to [{home}]"
    own = keys.get(section, ())
    everywhere = [(name, known) for name, names in keys.items() for known in names]
    near = difflib.get_close_matches(key, own, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r} in [{section}]?"
    close = difflib.get_close_matches(key, [known for _, known in everywhere], n=1, cutoff=0.5)
    if close:
        where = next(name for name, known in everywhere if known == close[0])
        return f"did you mean {close[0]!r} in [{where}]?"
    return f"its keys are {', '.join(own)}" if own else f"the sections are {', '.join(keys)}"
