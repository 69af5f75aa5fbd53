"""Hints of changes: of those alone, and no word of its own."""

import logging
import time
from pathlib import Path

import pytest

from milepost.sandbox.watcher import FileWatcher


def test_only_what_watchdog_says_of_its_own_stopping_is_kept_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, log = FileWatcher(tmp_path), logging.getLogger("watchdog.observers.inotify")
    stop = watcher._observer.stop

    def stop_late() -> None:
        # What its thread says when an event is read just then, one time in forty.
        log.error("InotifyEmitter.queue_events() called when the thread is inactive")
        log.error("anything else")
        stop()

    monkeypatch.setattr(watcher._observer, "stop", stop_late)
    watcher.close()
    assert caplog.messages == ["anything else"]
    assert not watcher._observer.is_alive()
    assert log.filters == []


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
