"""An episode's file workspace: a jail for the agent, and a witness of what happens to files.

watchdog's events are hints (its queue drops overflows silently, and inotify names no writer), a hash read by
the harness when a step settles is the fact. So `probe` compares a manifest of the whole workspace with the
one before and uses the hints only to look again at files whose size and time did not change.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from milepost.sandbox.events import FileCreated, FileDeleted, FileModified, FileMoved, Source
from milepost.sandbox.sites import FactSink
from milepost.sandbox.watcher import FileWatcher

DOWNLOADS = "Downloads"
MAX_FILES = 1_000
MAX_BYTES = 64 * 1024 * 1024
MAX_READ_CHARS = 20_000


class WorkspaceError(ValueError):
    """A file action cannot be carried out; the message is shown to the agent."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    inode: int
    mtime_ns: int
    size: int
    sha256: str


class Workspace:
    """The folder an episode's agent and browser may write to."""

    def __init__(
        self, watcher: FileWatcher, episode: str, files: Mapping[str, bytes], sink: FactSink
    ) -> None:
        """Make the folder and put the task's files there.

        Raises:
            WorkspaceError: a start file's path leaves the workspace.
            OSError: the disk is full or not writable.
        """
        self._watcher = watcher
        self._episode = episode
        self._sink = sink
        self.incoming = watcher.root.parent / "incoming" / episode
        self.incoming.mkdir(parents=True)
        # Built aside and moved in whole: watchdog adds its watches once, not while folders appear.
        final, self.root = watcher.root / episode, watcher.root.parent / "building" / episode
        (self.root / DOWNLOADS).mkdir(parents=True)
        for path, content in files.items():
            target = self._resolve(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        self.root.rename(final)
        self.root = final
        self._manifest = self._scan({}, set())

    @property
    def manifest(self) -> Mapping[str, int]:
        """Size in bytes of every file at the last probe, by relative path."""
        return {path: stamp.size for path, stamp in sorted(self._manifest.items())}

    def probe(self) -> Mapping[str, str]:
        """Compare with the last probe, note the facts, and give the change of each changed path."""
        before, hints = self._manifest, self._watcher.take_hints(self._episode)
        after = self._manifest = self._scan(before, hints)
        gone = {path: before[path] for path in sorted(before.keys() - after.keys())}
        changes: dict[str, str] = {}
        for path in sorted(after.keys() - before.keys()):
            stamp = after[path]
            source = next((p for p, s in gone.items() if s.sha256 == stamp.sha256), None)
            if source is not None:
                del gone[source]
                self._sink(Source.FILES, FileMoved(path=path, previous=source, sha256=stamp.sha256))
                changes[path] = "moved"
            else:
                self._sink(Source.FILES, FileCreated(path=path, size=stamp.size, sha256=stamp.sha256))
                changes[path] = "created"
        for path in sorted(after.keys() & before.keys()):
            if after[path].sha256 != before[path].sha256:
                stamp = after[path]
                self._sink(Source.FILES, FileModified(path=path, size=stamp.size, sha256=stamp.sha256))
                changes[path] = "modified"
        for path in gone:
            self._sink(Source.FILES, FileDeleted(path=path))
            changes[path] = "deleted"
        return changes

    def _scan(self, known: Mapping[str, _Stamp], hints: set[str]) -> dict[str, _Stamp]:
        found: dict[str, _Stamp] = {}
        folders = [self.root]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        path = Path(entry.path).relative_to(self.root).as_posix()
                        found[path] = _stamp(entry, known.get(path), path in hints)
        return found

    # -- the agent's actions ------------------------------------------------------------------------

    def read(self, path: str) -> str:
        """Read a text file, at most `MAX_READ_CHARS` characters."""
        target = self._existing(path)
        text = target.read_bytes()[: MAX_READ_CHARS * 4].decode("utf-8", "replace")
        return text[:MAX_READ_CHARS]

    def locate(self, path: str) -> Path:
        """Give the place of a file on disk, for the browser to upload."""
        return self._existing(path)

    def write(self, path: str, text: str) -> None:
        """Write a text file, making folders on the way."""
        target, data = self._resolve(path), text.encode()
        self._check_quota(len(data))
        if target.is_dir():
            raise WorkspaceError(f"{path} is a folder")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise WorkspaceError(f"a part of {path} is a file, not a folder") from None
        target.write_bytes(data)

    def move(self, path: str, target: str) -> None:
        """Move or rename a file; never replaces one."""
        source, destination = self._existing(path), self._resolve(target)
        if destination.exists():
            raise WorkspaceError(f"{target} exists already")
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise WorkspaceError(f"a part of {target} is a file, not a folder") from None
        source.rename(destination)

    def delete(self, path: str) -> None:
        """Delete a file."""
        self._existing(path).unlink()

    def adopt_download(self, staged: Path, filename: str) -> str:
        """Move a finished download from the browser's staging folder into Downloads, under a safe name.

        Raises:
            WorkspaceError: the workspace has no room for it; it stays where it is.
        """
        self._check_quota(staged.stat().st_size)
        folder = self.root / DOWNLOADS
        name = _safe_name(filename)
        target, number = folder / name, 1
        while target.exists():
            stem, dot, suffix = name.rpartition(".")
            target = folder / (f"{stem} ({number}).{suffix}" if dot and stem else f"{name} ({number})")
            number += 1
        staged.rename(target)
        return target.relative_to(self.root).as_posix()

    def _check_quota(self, more: int) -> None:
        if len(self._manifest) >= MAX_FILES:
            raise WorkspaceError(f"the workspace is full: at most {MAX_FILES} files")
        if sum(stamp.size for stamp in self._manifest.values()) + more > MAX_BYTES:
            raise WorkspaceError(f"the workspace is full: at most {MAX_BYTES} bytes")

    def _existing(self, path: str) -> Path:
        target = self._resolve(path)
        try:
            mode = target.lstat().st_mode
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                names = ", ".join(self.manifest) or "none"
                raise WorkspaceError(f"no file {path!r}; files: {names}") from None
            raise
        if not stat.S_ISREG(mode):
            raise WorkspaceError(f"{path} is not a regular file")
        return target

    def _resolve(self, path: str) -> Path:
        """Give the place of a relative path inside the workspace; nothing leaves it."""
        parts = PurePosixPath(path.replace("\\", "/")).parts
        if not parts or "\0" in path or ".." in parts or parts[0] == "/" or len(path) > 1_000:
            raise WorkspaceError(
                f"{path[:100]!r} is not a path inside the workspace, such as Downloads/report.csv"
            )
        if any(len(part.encode()) > 255 for part in parts):
            raise WorkspaceError(f"a name in {path[:100]!r} is longer than 255 bytes")
        target = self.root.joinpath(*parts)
        # No part of the way may be a link (nothing here makes any, but the jail does not rely on that).
        for step in (target, *target.parents):
            if step == self.root:
                break
            if step.is_symlink():
                raise WorkspaceError(f"{path} leads through a link")
        return target

    def close(self) -> None:
        """Remove the workspace."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.incoming, ignore_errors=True)
        self._watcher.take_hints(self._episode)


def _stamp(entry: "os.DirEntry[str]", known: _Stamp | None, hinted: bool) -> _Stamp:
    info = entry.stat(follow_symlinks=False)
    if (
        known is not None
        and not hinted
        and (known.inode, known.mtime_ns, known.size) == (info.st_ino, info.st_mtime_ns, info.st_size)
    ):
        return known
    with Path(entry.path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _Stamp(info.st_ino, info.st_mtime_ns, info.st_size, digest)


_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"COM{i}" for i in range(10)), *(f"LPT{i}" for i in range(10))}


def _safe_name(filename: str) -> str:
    """Reduce a name a server suggested to one that is safe on any system."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join("_" if ord(c) < 32 or c in '<>:"|?*' else c for c in name).strip(" .")
    while len(name.encode()) > 200:
        stem, dot, suffix = name.rpartition(".")
        name = stem[:-1] + dot + suffix if dot and len(stem) > 1 else name[:-1]
    if not name or name.split(".")[0].upper() in _RESERVED:
        name = f"download_{name}".rstrip("_")
    return name
