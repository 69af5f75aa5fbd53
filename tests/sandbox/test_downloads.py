"""Downloads become facts and files."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from milepost.sandbox.downloads import Downloads
from milepost.sandbox.events import DownloadFinished, DownloadStarted, Fact
from milepost.sandbox.files import MAX_BYTES, Workspace
from milepost.sandbox.pool import Pool
from milepost.sandbox.watcher import FileWatcher
from tests.sandbox.conftest import RESPONSES, build_world

BEGIN = {"guid": "g", "url": "http://a.test/r", "suggestedFilename": "r.csv", "frameId": "f"}


def never(guid: str) -> None:
    raise AssertionError(f"{guid} was canceled")


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
    downloads = Downloads(workspace, lambda source, fact: facts.append(fact), cancel=never)
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
    downloads = Downloads(workspace, lambda source, fact: facts.append(fact), cancel=never)
    downloads.on_event("Browser.downloadWillBegin", BEGIN)
    downloads.on_event("Browser.downloadProgress", {"guid": "g", "state": "canceled"})
    await downloads.wait()
    assert facts[-1] == DownloadFinished(url="http://a.test/r", path="", state="canceled")
    assert list((workspace.root / "Downloads").iterdir()) == []


async def test_an_expected_download_is_waited_for_until_it_begins_and_ends(
    workspace: Workspace, facts: list[Fact]
) -> None:
    downloads = Downloads(workspace, lambda source, fact: facts.append(fact), cancel=never)
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


async def test_a_download_without_an_end_is_canceled(workspace: Workspace) -> None:
    canceled: list[str] = []
    downloads = Downloads(workspace, lambda source, fact: None, cancel=canceled.append)
    downloads.on_event("Browser.downloadWillBegin", BEGIN)
    for received in (MAX_BYTES, MAX_BYTES + 1):
        progress = {"guid": "g", "state": "inProgress", "receivedBytes": received, "totalBytes": 0}
        downloads.on_event("Browser.downloadProgress", progress)
    assert canceled == ["g"]


@pytest.mark.browser
async def test_an_empty_download_is_a_file_and_one_without_room_is_none(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.session(
        build_world({"/": "<a href=/empty download>Empty</a><a href=/file>Export</a>"})
    ) as (
        session,
        _,
    ):
        monkeypatch.setitem(RESPONSES, "/empty", ("text/csv", "", 'attachment; filename="nothing.csv"'))
        view = await session.step('click("1")')
        assert [(file.path, file.size) for file in view.files] == [("Downloads/nothing.csv", 0)]
        monkeypatch.setattr("milepost.sandbox.files.MAX_BYTES", 4)
        view = await session.step('click("2")')
        assert [file.path for file in view.files] == ["Downloads/nothing.csv"]
        ends = [e.fact for e in session.log.events if isinstance(e.fact, DownloadFinished)]
        assert [(end.path, end.state) for end in ends] == [
            ("Downloads/nothing.csv", "completed"),
            ("", "refused"),
        ]
