"""Hints of changes: of those alone, and no word of its own."""

import logging
import time
from pathlib import Path

import pytest

from milepost.sandbox.watcher import FileWatcher


def test_stopping_in_the_midst_of_changes_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10):
        watcher = FileWatcher(tmp_path)
        for n in range(30):
            (tmp_path / f"{number}-{n}").touch()
        watcher.close()
    assert caplog.messages == []
    assert logging.getLogger("watchdog.observers.inotify").filters == []


def test_reading_a_file_is_no_hint_of_a_change(tmp_path: Path) -> None:
    (tmp_path / "e1").mkdir()
    (tmp_path / "e1" / "read.txt").write_text("a")
    watcher = FileWatcher(tmp_path)
    (tmp_path / "e1" / "read.txt").read_text()
    (tmp_path / "e1" / "written.txt").write_text("b")
    hints = set[str]()
    for _ in range(2000):
        hints |= watcher.take_hints("e1")
        if hints:
            break
        time.sleep(0.005)
    watcher.close()
    assert hints == {"written.txt"}
