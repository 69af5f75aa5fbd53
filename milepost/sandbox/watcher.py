"""Listens to what happens to files, for every episode of a process: hints of where to look again, and no facts."""

import logging
import os
import threading
from pathlib import Path, PurePosixPath

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

_CHANGES = (
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
)
"""What is listened to. Reading a file changes nothing, and who looks at one would be told of it and look again."""


class FileWatcher:
    """One watchdog observer for all workspaces below a folder; it hands hints to the workspace they concern."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._hints: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self._observer: BaseObserver = Observer()
        handler = _HintHandler(self)
        self._observer.schedule(handler, str(self.root), recursive=True, event_filter=list(_CHANGES))
        self._observer.start()

    def hint(self, path: str) -> None:
        """Take note that something happened to a path (called from watchdog's thread)."""
        try:
            episode, *rest = PurePosixPath(path).relative_to(self.root).parts
        except ValueError:
            return
        if rest:
            with self._lock:
                self._hints.setdefault(episode, set()).add("/".join(rest))

    def take_hints(self, episode: str) -> set[str]:
        """Give and forget the hints of a workspace."""
        with self._lock:
            return self._hints.pop(episode, set())

    def close(self) -> None:
        """Stop the observer's thread."""
        log = logging.getLogger("watchdog.observers.inotify")
        log.addFilter(_is_news)
        try:
            self._observer.stop()
            self._observer.join(timeout=5)
        finally:
            log.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    # An event that was being read when the thread was stopped: watchdog calls that an error.
    return "called when the thread is inactive" not in record.getMessage()


class _HintHandler(FileSystemEventHandler):
    def __init__(self, watcher: FileWatcher) -> None:
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass on the paths of an event."""
        for path in (event.src_path, event.dest_path):
            if path and not event.is_directory:
                self._watcher.hint(os.fsdecode(path))
