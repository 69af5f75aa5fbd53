"""Downloads become facts and files."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from milepost.sandbox.downloads import Downloads
from milepost.sandbox.events import DownloadFinished, DownloadStarted, Fact
from milepost.sandbox.files import FileWatcher, Workspace

BEGIN = {"guid": "g", "url": "http://a.test/r", "suggestedFilename": "r.csv", "frameId": "f"}


@pytest.fixture
def facts() -> list[Fact]:
    return []


@pytest.fixture
def workspace(tmp_path: Path, facts: list[Fact]) -> Iterator[Workspace]:
    (tmp_path / "files").mkdir()
    watcher = FileWatcher(tmp_path / "files")
    workspace = Workspace(watcher, "e1", {}, lambda source, fact: facts.append(fact))
    yield workspace
    workspace.close()
    watcher.close()


async def test_a_finished_download_is_moved_into_downloads(workspace: Workspace, facts: list[Fact]) -> None:
    downloads = Downloads(workspace, lambda source, fact: facts.append(fact))
    downloads.on_event("Browser.downloadWillBegin", BEGIN)
    waiting = asyncio.create_task(downloads.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    (workspace.incoming / "g").write_bytes(b"x")
    downloads.on_event("Browser.downloadProgress", {"guid": "g", "state": "inProgress"})
    downloads.on_event("Browser.downloadProgress", {"guid": "g", "state": "completed"})
    await waiting
    assert facts == [
        DownloadStarted(url="http://a.test/r", filename="r.csv"),
        DownloadFinished(url="http://a.test/r", path="Downloads/r.csv", state="completed"),
    ]
    assert (workspace.root / "Downloads" / "r.csv").read_bytes() == b"x"


async def test_a_canceled_download_leaves_no_file(workspace: Workspace, facts: list[Fact]) -> None:
    downloads = Downloads(workspace, lambda source, fact: facts.append(fact))
    downloads.on_event("Browser.downloadWillBegin", BEGIN)
    downloads.on_event("Browser.downloadProgress", {"guid": "g", "state": "canceled"})
    await downloads.wait()
    assert facts[-1] == DownloadFinished(url="http://a.test/r", path="", state="canceled")
    assert list((workspace.root / "Downloads").iterdir()) == []


async def test_an_expected_download_is_waited_for_until_it_begins_and_ends(
    workspace: Workspace, facts: list[Fact]
) -> None:
    downloads = Downloads(workspace, lambda source, fact: facts.append(fact))
    downloads.expect()
    waiting = asyncio.create_task(downloads.wait())
    await asyncio.sleep(0)
    downloads.on_event("Browser.downloadWillBegin", BEGIN)
    await asyncio.sleep(0)
    assert not waiting.done()
    (workspace.incoming / "g").write_bytes(b"x")
    downloads.on_event("Browser.downloadProgress", {"guid": "g", "state": "completed"})
    await waiting
    assert [type(fact) for fact in facts] == [DownloadStarted, DownloadFinished]
