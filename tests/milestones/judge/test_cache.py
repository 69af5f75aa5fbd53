from dataclasses import replace
from pathlib import Path

import pytest

from milepost.milestones.judge.cache import CacheError, Kept, VerdictCache

KEPT = Kept(key="a1", model="m", style="auditor", nonce="n", reply="{}", reason="semantic", tokens=3)


def test_what_was_kept_is_found_under_its_key_alone(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "deep" / "er")
    assert cache.get("a1") is None
    cache.put(KEPT)
    assert cache.get("a1") == KEPT
    assert cache.get("a2") is None
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["a1.json"]


def test_a_file_that_is_not_what_was_written_is_named(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path)
    (tmp_path / "a1.json").write_text("{")
    with pytest.raises(CacheError, match="is not a kept verdict"):
        cache.get("a1")
    cache.put(replace(KEPT, key="a1"))
    (tmp_path / "a1.json").rename(tmp_path / "b.json")
    with pytest.raises(CacheError, match="the verdict of another question"):
        cache.get("b")
