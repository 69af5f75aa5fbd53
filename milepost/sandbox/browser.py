"""A warm Chromium: launched by Playwright, driven over our own DevTools connection.

This file and `driver` are the only ones that import Playwright. Playwright finds, launches and reaps the browser (also when
our own process is killed); contexts and pages are made over our connection, which takes two thirds of the
CPU time of Playwright's (decision record 0003).
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser as PlaywrightBrowser
from playwright.async_api import Error as PlaywrightError

from milepost.sandbox.cdp import CDPConnection, CDPError
from milepost.sandbox.chromium import Chromium, find_chromium
from milepost.sandbox.driver import Driver, take_driver

DISABLED_FEATURES = (
    "AcceptCHFrame",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "BackForwardCache",
    # Holds page tasks until the next frame after every trusted input: 16 ms a step for nothing.
    "DeferRendererTasksAfterInput",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "OptimizationHints",
    "PaintHolding",
    # Makes a new frame host, and often a compositor, for every document of a page: a third of a navigation's CPU time.
    "RenderDocument",
    "SpareRendererForSitePerProcess",
    "ThirdPartyStoragePartitioning",
    "Translate",
)

FLAGS = (
    "--disable-features=" + ",".join(DISABLED_FEATURES),
    # A process less to ask, and to keep in memory.
    "--enable-features=NetworkServiceInProcess2",
    "--disable-quic",
    "--dns-prefetch-disable",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--mute-audio",
    "--enable-automation",
    "--remote-debugging-port=0",
    "--num-raster-threads=1",
    # What could go around the proxy: WebRTC's UDP and the resolver.
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)

UNDRAWN_FLAGS = ("--disable-threaded-compositing",)
"""The headless shell has no frames without the thread that composes them."""

UNGUARDED_FLAG = "--disable-ipc-flooding-protection"
"""Playwright sets it. Without it a page that calls `history.pushState` in a loop is slowed down, not the whole browser."""

LAUNCH_DEADLINE_S = 30.0
SCRATCH_PREFIX = "milepost-"


class BrowserLaunchError(RuntimeError):
    """Chromium did not start; carries what it printed and how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserOptions:
    """How the browser is started."""

    headed: bool = False
    """Show windows (needs a display and a full Chromium)."""
    executable: str = ""
    """Path of the browser; empty finds one."""
    drawn: bool = True
    """Whether pages are drawn. Undrawn ones cost a third less CPU time, but `requestAnimationFrame` never fires, no
    observer of sizes or intersections does, and there are no screenshots: for sites that are known to need none of it."""


class Browser:
    """A running Chromium and our connection to it."""

    def __init__(
        self,
        driver: Driver,
        browser: PlaywrightBrowser,
        connection: CDPConnection,
        chromium: Chromium,
        *,
        drawn: bool = True,
    ) -> None:
        self._driver: Driver | None = driver
        self._browser = browser
        self.connection = connection
        self.chromium = chromium
        self.drawn = drawn
        """Whether its pages have frames, see `BrowserOptions`."""
        self._downloads: dict[str, Callable[[str, Mapping[str, Any]], None]] = {}
        self._download_owner: dict[str, str] = {}
        self._tab_handlers: dict[str, Callable[[str, Mapping[str, Any]], None]] = {}
        self._context_of: dict[str, str] = {}
        sweep_scratch()
        self._lock: int | None
        self.scratch, self._lock = make_scratch()
        connection.on("", self._on_browser_event)

    @classmethod
    async def launch(cls, options: BrowserOptions = BrowserOptions()) -> "Browser":
        """Start a Chromium.

        Raises:
            BrowserNotFoundError: none is installed.
            BrowserLaunchError: it did not start within the deadline, or died.
        """
        environment = dict(os.environ)
        if options.executable:
            environment["MILEPOST_CHROMIUM"] = options.executable
        chromium = find_chromium(environment, headed=options.headed)
        driver = await take_driver()
        again, browser = driver.proven, None
        try:
            browser = await driver.run(
                driver.playwright.chromium.launch(
                    executable_path=str(chromium.path),
                    headless=not options.headed,
                    args=[*FLAGS, *(() if options.drawn else UNDRAWN_FLAGS)],
                    ignore_default_args=[UNGUARDED_FLAG],
                    chromium_sandbox=_wants_sandbox(environment),
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                    timeout=LAUNCH_DEADLINE_S * 1000,
                )
            )
            connection = await asyncio.wait_for(_connect(driver, browser), LAUNCH_DEADLINE_S)
        except BaseException as error:
            await driver.give_up(browser)
            if not isinstance(error, PlaywrightError | OSError | TimeoutError | KeyError | CDPError):
                raise
            if again:
                # The driver that others use may have died; one of its own shows whose fault it is.
                return await cls.launch(options)
            raise BrowserLaunchError(_launch_message(chromium, environment, error)) from error
        driver.proven = True
        return cls(driver, browser, connection, chromium, drawn=options.drawn)

    @property
    def version(self) -> str:
        """Chromium's version."""
        return self._browser.version

    @property
    def alive(self) -> bool:
        """Whether commands can still be sent."""
        return not self.connection.closed

    def watch_downloads(self, frame: str, handler: Callable[[str, Mapping[str, Any]], None]) -> None:
        """Deliver the download events of a page (by its main frame) to `handler`."""
        self._downloads[frame] = handler

    def unwatch_downloads(self, frame: str) -> None:
        """Stop to deliver a page's download events."""
        self._downloads.pop(frame, None)
        self._download_owner = {guid: owner for guid, owner in self._download_owner.items() if owner != frame}

    def watch_tabs(self, context: str, handler: Callable[[str, Mapping[str, Any]], None]) -> None:
        """Deliver a context's `Target.targetCreated` and `Target.targetDestroyed` to `handler`."""
        self._tab_handlers[context] = handler

    def unwatch_tabs(self, context: str) -> None:
        """Stop to deliver a context's tab events."""
        self._tab_handlers.pop(context, None)
        self._context_of = {target: owner for target, owner in self._context_of.items() if owner != context}

    def _on_tab(self, method: str, params: Mapping[str, Any]) -> None:
        if method == "Target.targetCreated":
            info = params["targetInfo"]
            context = info.get("browserContextId", "")
            if context in self._tab_handlers:
                self._context_of[info["targetId"]] = context
        else:
            context = self._context_of.pop(params["targetId"], "")
        handler = self._tab_handlers.get(context)
        if handler is not None:
            handler(method, params)

    def _on_browser_event(self, method: str, params: Mapping[str, Any]) -> None:
        if method in ("Target.targetCreated", "Target.targetDestroyed"):
            self._on_tab(method, params)
            return
        if method == "Browser.downloadWillBegin":
            self._download_owner[params["guid"]] = params["frameId"]
        elif method != "Browser.downloadProgress":
            return
        handler = self._downloads.get(self._download_owner.get(params["guid"], ""))
        if handler is not None:
            handler(method, params)

    async def measure_memory(self) -> int:
        """Give the bytes of memory that the browser's processes take, shared pages shared out; 0 where unknown.

        Raises:
            CDPError: the browser is gone.
        """
        processes = (await self.connection.send("SystemInfo.getProcessInfo"))["processInfo"]
        return sum(_read_pss(process["id"]) for process in processes)

    async def close(self) -> None:
        """Stop the browser and remove its scratch space; safe to call twice."""
        await self.connection.close()
        if self._driver is not None:
            driver, self._driver = self._driver, None
            with contextlib.suppress(PlaywrightError):
                await driver.run(self._browser.close())
            await driver.release()
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _read_pss(pid: int) -> int:
    """Read a process's proportional share of memory in bytes; 0 when it is gone, or this is not Linux."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def make_scratch() -> tuple[Path, int]:
    """Make a browser's scratch folder; the lock in it is held while its process lives."""
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
    # It gets its name when it is held already: another process that sweeps never finds it free.
    lock = os.open(folder / "lock.new", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (folder / "lock.new").rename(folder / "lock")
    return folder, lock


def sweep_scratch() -> None:
    """Remove scratch folders whose process was killed before it could: their locks are free."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except OSError:
            # Being made this instant, somebody else's, or not ours at all.
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(lock)


def _wants_sandbox(environment: Mapping[str, str]) -> bool:
    """Chromium's own sandbox cannot run as root; elsewhere it stays on unless it is switched off."""
    return os.geteuid() != 0 and environment.get("MILEPOST_NO_SANDBOX", "") != "1"


async def _find_profile(browser: PlaywrightBrowser) -> Path:
    session = await browser.new_browser_cdp_session()
    line = (await session.send("Browser.getBrowserCommandLine"))["arguments"]
    await session.detach()
    return Path(next(a.split("=", 1)[1] for a in line if a.startswith("--user-data-dir=")))


async def _connect(driver: Driver, browser: PlaywrightBrowser) -> CDPConnection:
    profile = await driver.run(_find_profile(browser))
    port, path = await _read_port(profile / "DevToolsActivePort")
    connection = await CDPConnection.open(f"ws://127.0.0.1:{port}{path}")
    # Tabs that pages open are nobody's until we hear of them.
    await connection.send("Target.setDiscoverTargets", {"discover": True, "filter": [{"type": "page"}]})
    return connection


async def _read_port(file: Path) -> tuple[str, str]:
    """Read the DevTools port; the browser writes it shortly after its pipe is up, and tells nobody when."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            lines = file.read_text().split()
            if len(lines) == 2:
                return lines[0], lines[1]
        await asyncio.sleep(0.005)


def _launch_message(chromium: Chromium, environment: Mapping[str, str], error: Exception) -> str:
    message = f"{chromium.path} did not start: {error}"
    if _wants_sandbox(environment):
        message += (
            "\nIf this machine forbids user namespaces (some containers do), set MILEPOST_NO_SANDBOX=1."
        )
    return message + "\n`milepost doctor` checks the browser on its own."
