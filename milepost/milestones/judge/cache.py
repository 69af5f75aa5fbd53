"""Verdicts kept under the hash of all they depend on, so that a run can be judged again to the same numbers."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from milepost.sandbox.events import canonical


class CacheError(ValueError):
    """A kept verdict cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A reply as it came, with what is needed to read it again."""

    key: str
    model: str
    style: str
    nonce: str
    reply: str
    reason: str
    """Why a judge was needed at all."""
    tokens: int


class VerdictCache:
    """A folder of replies, one file for each key. Only replies that were valid are kept."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it is made when the first reply comes."""
        self._folder = folder

    def get(self, key: str) -> Kept | None:
        """Give the reply kept under a key, or None.

        Raises:
            CacheError: the file is not what was written.
        """
        path = self._folder / f"{key}.json"
        try:
            data: dict[str, Any] = orjson.loads(path.read_bytes())
            kept = Kept(**data)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as broken:
            raise CacheError(f"{path} is not a kept verdict ({broken}); remove it to ask again") from None
        if kept.key != key:
            raise CacheError(f"{path} holds the verdict of another question; remove it to ask again")
        return kept

    def put(self, kept: Kept) -> None:
        """Keep a reply; a file is there whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        half = self._folder / f".{kept.key}.{os.getpid()}"
        half.write_bytes(canonical(asdict(kept)))
        half.replace(self._folder / f"{kept.key}.json")
