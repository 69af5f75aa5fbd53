"""The jail and the witness."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from milepost.sandbox.events import Fact, FileCreated, FileDeleted, FileModified, FileMoved, Source
from milepost.sandbox.files import Workspace, WorkspaceError
from milepost.sandbox.watcher import FileWatcher


@pytest.fixture
def facts() -> list[Fact]:
    return []


@pytest.fixture
def workspace(tmp_path: Path, facts: list[Fact]) -> Iterator[Workspace]:
    root = tmp_path / "files"
    root.mkdir()
    watcher = FileWatcher(root)

    def sink(source: Source, fact: Fact) -> None:
        assert source is Source.FILES
        facts.append(fact)

    workspace = Workspace(watcher, "e1", {"a.txt": b"one"}, sink)
    yield workspace
    workspace.close()
    watcher.close()
    assert not (root / "e1").exists()


def test_nothing_changed_is_no_fact(workspace: Workspace, facts: list[Fact]) -> None:
    assert workspace.probe() == {}
    assert facts == []


def test_created_modified_moved_and_deleted_files_are_told_apart(
    workspace: Workspace, facts: list[Fact]
) -> None:
    workspace.write("b.txt", "two")
    workspace.write("a.txt", "ONE")
    assert workspace.probe() == {"b.txt": "created", "a.txt": "modified"}
    workspace.move("b.txt", "c/d.txt")
    workspace.delete("a.txt")
    assert workspace.probe() == {"c/d.txt": "moved", "a.txt": "deleted"}
    assert [type(fact) for fact in facts] == [FileCreated, FileModified, FileMoved, FileDeleted]


def test_a_change_that_keeps_size_and_time_is_still_seen(workspace: Workspace) -> None:
    file = workspace.root / "a.txt"
    info = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    # The hint comes from another thread: wait until it is there, at most two seconds.
    changes: dict[str, str] = {}
    end = time.monotonic() + 2
    while not changes and time.monotonic() < end:
        changes = dict(workspace.probe())
    assert changes == {"a.txt": "modified"}


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "..\\x", "a\0b", "x" * 2000])
def test_no_path_leaves_the_workspace(workspace: Workspace, path: str) -> None:
    with pytest.raises(WorkspaceError):
        workspace.write(path, "x")


def test_a_link_is_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (workspace.root / "link").symlink_to(tmp_path / "secret")
    (workspace.root / "folder").symlink_to(tmp_path)
    for path in ("link", "folder/secret"):
        with pytest.raises(WorkspaceError):
            workspace.read(path)
    assert workspace.probe() == {}


def test_a_missing_file_is_named_with_those_that_exist(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=r"no file 'b.txt'; files: a.txt"):
        workspace.read("b.txt")


def test_moving_never_replaces(workspace: Workspace) -> None:
    workspace.write("b.txt", "x")
    with pytest.raises(WorkspaceError, match="exists already"):
        workspace.move("a.txt", "b.txt")


@pytest.mark.parametrize(
    ("suggested", "path"),
    [
        ("report.csv", "Downloads/report.csv"),
        ("../../x.csv", "Downloads/x.csv"),
        ("C:\\x\\y.csv", "Downloads/y.csv"),
        ("CON", "Downloads/download_CON"),
        ("..", "Downloads/download"),
        ("a<b>.csv", "Downloads/a_b_.csv"),
        ("n" * 300 + ".csv", "Downloads/" + "n" * 196 + ".csv"),
    ],
)
def test_a_download_gets_a_safe_name(workspace: Workspace, suggested: str, path: str) -> None:
    staged = workspace.incoming / "guid"
    staged.write_bytes(b"x")
    assert workspace.adopt_download(staged, suggested) == path


def test_a_second_download_of_a_name_gets_a_number(workspace: Workspace) -> None:
    for expected in ("Downloads/r.csv", "Downloads/r (1).csv", "Downloads/r (2).csv"):
        staged = workspace.incoming / "guid"
        staged.write_bytes(b"x")
        assert workspace.adopt_download(staged, "r.csv") == expected
