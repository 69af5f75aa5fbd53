"""A browser is launched, answers on our connection, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from milepost.sandbox.browser import Browser, BrowserLaunchError, BrowserOptions, make_scratch, sweep_scratch
from milepost.sandbox.cdp import CDPError, ConnectionLostError

pytestmark = pytest.mark.browser


async def test_commands_go_over_our_own_connection() -> None:
    browser = await Browser.launch()
    version = await browser.connection.send("Browser.getVersion")
    assert browser.version in version["product"]
    with pytest.raises(CDPError, match="wasn't found"):
        await browser.connection.send("Browser.teleport")
    await browser.close()
    assert not browser.alive
    with pytest.raises(ConnectionLostError):
        await browser.connection.send("Browser.getVersion")
    await browser.close()


async def test_a_program_that_is_no_browser_is_a_launch_error(tmp_path: Path) -> None:
    fake = tmp_path / "chromium"
    fake.write_text("#!/bin/sh\necho I am no browser >&2; exit 3\n")
    fake.chmod(0o755)
    with pytest.raises(BrowserLaunchError, match="did not start"):
        await Browser.launch(BrowserOptions(executable=str(fake)))


def test_a_killed_parent_leaves_no_browser_running(tmp_path: Path) -> None:
    script = (
        "import asyncio\n"
        "from milepost.sandbox.browser import Browser\n"
        "async def main():\n"
        "    browser = await Browser.launch()\n"
        "    info = await browser.connection.send('SystemInfo.getProcessInfo')\n"
        "    print(next(p['id'] for p in info['processInfo'] if p['type'] == 'browser'), flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        browser = int(parent.stdout.readline())
        assert _is_running(browser)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        end = time.monotonic() + 20
        while _is_running(browser) and time.monotonic() < end:
            time.sleep(0.05)
    assert not _is_running(browser)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def test_scratch_folders_of_killed_processes_are_swept_and_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "milepost-left"
    left.mkdir()
    (left / "lock").touch()
    strange = tmp_path / "milepost-strange"
    strange.mkdir()
    live, lock = make_scratch()
    sweep_scratch()
    assert sorted(tmp_path.iterdir()) == sorted([strange, live])
    assert lock is not None
    os.close(lock)
    sweep_scratch()
    assert list(tmp_path.iterdir()) == [strange]
