"""One episode's world: a fresh browser context, its sites, its files and its log."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from milepost.sandbox.actions import (
    AcceptDialog,
    Action,
    ActionError,
    Answer,
    Back,
    Click,
    DeleteFile,
    DismissDialog,
    Extract,
    Fill,
    Goto,
    ListFiles,
    MoveFile,
    Noop,
    Press,
    ReadFile,
    ReportInfeasible,
    Scroll,
    SelectOption,
    WriteFile,
    parse_action,
    render_action,
)
from milepost.sandbox.browser import Browser
from milepost.sandbox.cdp import CDPError, ConnectionLostError
from milepost.sandbox.differences import compare_readings
from milepost.sandbox.downloads import Downloads
from milepost.sandbox.events import (
    ActionTaken,
    AnswerGiven,
    DialogClosed,
    DialogOpened,
    EpisodeEnded,
    EpisodeStarted,
    Event,
    Failed,
    HistoryNavigated,
    InfeasibleReported,
    NavigationCompleted,
    Source,
    TextExtracted,
)
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.files import FileWatcher, Workspace, WorkspaceError
from milepost.sandbox.hand import Hand
from milepost.sandbox.keyboard import KeyNameError, parse_keys
from milepost.sandbox.log import EventLog
from milepost.sandbox.observation import Dialog, File, Observation, describe_changes
from milepost.sandbox.page import Page, Reading
from milepost.sandbox.referee import consult, open_match
from milepost.sandbox.sites import SiteProxy
from milepost.sandbox.world import Deadlines, World

MAX_NOOP_MS = 10_000
TAB = 0


class Session:
    """A running episode. Open it, step it, close it; all on one event loop."""

    def __init__(self, browser: Browser, world: World, deadlines: Deadlines) -> None:
        self._browser = browser
        self._world = world
        self._goal = world.goal
        self._deadlines = deadlines
        self.log = EventLog()
        self._step = 0
        self._context = ""
        self._page: Page | None = None
        self._proxy = SiteProxy(world.sites, self.log.note, on_attachment=self._expect_download)
        self._workspace: Workspace | None = None
        self._hand: Hand | None = None
        self._downloads: Downloads | None = None
        self._reading = Reading(url="", title="", elements=(), settled=True)
        self._read_text = ""
        self.on_closed: Callable[[], None] = _nothing
        """Called once when the session is closed (a pool takes its place back)."""
        self.settled = True
        """Whether the page had settled when it was last observed."""
        self.finished = ""
        """Why the agent ended the episode: `answer`, `infeasible`, or empty."""

    @classmethod
    async def open(
        cls,
        browser: Browser,
        watcher: FileWatcher,
        name: str,
        world: World,
        deadlines: Deadlines = Deadlines(),
    ) -> tuple["Session", Observation]:
        """Make a fresh world and give its first observation.

        Raises:
            SandboxError: the browser failed or the deadline passed; nothing is left behind.
        """
        session = cls(browser, world, deadlines)
        try:
            async with asyncio.timeout(deadlines.reset_s):
                return session, await session._start(watcher, name)
        except TimeoutError:
            await session.close()
            raise SandboxError(Failure.TIMEOUT, f"reset took longer than {deadlines.reset_s} s") from None
        except (CDPError, OSError) as error:
            await session.close()
            raise SandboxError(Failure.INFRASTRUCTURE, f"reset failed: {error}") from error
        except BaseException:
            await session.close()
            raise

    async def _start(self, watcher: FileWatcher, name: str) -> Observation:
        world, send = self._world, self._browser.connection.send
        port = await self._proxy.open()
        self._context = (
            await send(
                "Target.createBrowserContext",
                {
                    "proxyServer": f"http://127.0.0.1:{port}",
                    "proxyBypassList": "<-loopback>",
                    "disposeOnDetach": True,
                },
            )
        )["browserContextId"]
        self._workspace = Workspace(watcher, name, world.files, self.log.note)
        behaviour = send(
            "Browser.setDownloadBehavior",
            {
                "behavior": "allowAndName",
                "browserContextId": self._context,
                "downloadPath": str(self._workspace.incoming),
                "eventsEnabled": True,
            },
        )
        self._page = await Page.open(
            self._browser, context=self._context, tab=TAB, viewport=world.viewport, sink=self.log.note
        )
        await behaviour
        self._hand = Hand(self._page)
        self._downloads = Downloads(self._workspace, self.log.note)
        self._browser.watch_downloads(self._page.target, self._downloads.on_event)
        error = await self._page.navigate(world.start_url)
        if error:
            raise SandboxError(Failure.TASK, f"the start page {world.start_url} does not open: {error}")
        if world.referee:
            self._goal = await open_match(self._page, world.referee)
        started = EpisodeStarted(task=world.task, seed=world.seed, split=world.split, goal=self._goal)
        self.log.note(Source.SESSION, started)
        return await self._settle("", "")

    # -- stepping -----------------------------------------------------------------------------------

    async def step(self, text: str) -> Observation:
        """Carry out the action in `text` and observe what it caused.

        An action that cannot be parsed or carried out is an error in the observation.

        Raises:
            SandboxError: the browser failed or the deadline passed. The log has the failure; call `close`.
        """
        self._step += 1
        self._read_text = ""
        try:
            async with asyncio.timeout(self._deadlines.step_s):
                shown, error = await self._act(text)
                return await self._settle(shown, error)
        except TimeoutError:
            raise self._fail(
                Failure.TIMEOUT, f"the step took longer than {self._deadlines.step_s} s"
            ) from None
        except ConnectionLostError as lost:
            raise self._fail(Failure.INFRASTRUCTURE, str(lost)) from lost
        except CDPError as refused:
            raise self._fail(Failure.INFRASTRUCTURE, f"the browser refused a command: {refused}") from refused
        except SandboxError as broken:
            raise self._fail(broken.failure, broken.reason) from broken

    def _expect_download(self) -> None:
        if self._downloads is not None:
            self._downloads.expect()

    def _fail(self, failure: Failure, reason: str) -> SandboxError:
        self.log.note(Source.SESSION, Failed(failure=failure.value, reason=reason))
        return SandboxError(failure, reason)

    async def _act(self, text: str) -> tuple[str, str]:
        """Parse and perform; gives the action as shown to the agent, and an error."""
        try:
            action = parse_action(text)
        except ActionError as error:
            shown = text if len(text) <= 200 else text[:197] + "..."
            self._note_action(shown, str(error))
            return shown, str(error)
        try:
            error_text = await self._perform(action)
        except (WorkspaceError, KeyNameError) as refused:
            error_text = str(refused)
        self._note_action(render_action(action), error_text)
        return render_action(action), error_text

    def _note_action(self, action: str, error: str) -> None:
        self.log.note(Source.SESSION, ActionTaken(action=action, error=error))

    async def _perform(self, action: Action) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per action
        page, hand, workspace = self._page, self._hand, self._workspace
        assert page is not None
        assert hand is not None
        assert workspace is not None
        match action:
            case Click():
                return await hand.click(action.element)
            case Fill():
                return await hand.fill(action.element, action.text)
            case Press():
                return await hand.press(action.element, parse_keys(action.keys))
            case SelectOption():
                return await hand.select(action.element, action.option)
            case Scroll():
                return await hand.scroll(action.dx, action.dy)
            case Goto():
                return await self._goto(action.url)
            case Back():
                return await page.back()
            case AcceptDialog():
                return await page.answer_dialog(True, action.text)
            case DismissDialog():
                return await page.answer_dialog(False, "")
            case Extract():
                return await self._extract(hand, action.element)
            case ListFiles():
                self._read_text = "\n".join(f"{p} {size} B" for p, size in workspace.manifest.items())
            case ReadFile():
                self._read_text = workspace.read(action.path)
            case WriteFile():
                workspace.write(action.path, action.text)
            case MoveFile():
                workspace.move(action.path, action.target)
            case DeleteFile():
                workspace.delete(action.path)
            case Answer():
                self.finished = "answer"
                self.log.note(Source.AGENT, AnswerGiven(text=action.text))
            case ReportInfeasible():
                self.finished = "infeasible"
                self.log.note(Source.AGENT, InfeasibleReported(reason=action.reason))
            case Noop():
                if not 0 <= action.ms <= MAX_NOOP_MS:
                    return f"noop waits 0 to {MAX_NOOP_MS} ms, got {action.ms}"
                await asyncio.sleep(action.ms / 1000)
        return ""

    async def _goto(self, url: str) -> str:
        assert self._page is not None
        try:
            parts = urlsplit(url)
            host = parts.netloc
        except ValueError:
            return f"{url[:100]!r} is not a URL"
        if parts.scheme != "http" or host not in self._world.sites:
            known = ", ".join(f"http://{name}/" for name in self._world.sites)
            return f"{url[:100]!r} is not open to this episode; its sites: {known}"
        return await self._page.navigate(url)

    async def _extract(self, hand: Hand, element: str) -> str:
        error, answer = await hand.extract(element)
        if not error:
            fact = TextExtracted(tab=TAB, role=answer["role"], name=answer["name"], text=answer["text"])
            self.log.note(Source.SESSION, fact)
            self._read_text = answer["text"]
        return error

    # -- settling and observing ---------------------------------------------------------------------

    async def _settle(self, action: str, error: str) -> Observation:
        page, workspace, downloads = self._page, self._workspace, self._downloads
        assert page is not None
        assert workspace is not None
        assert downloads is not None
        reading = await self._read(page)
        await downloads.wait()
        before = self._reading
        if reading is not None:
            for source, fact in compare_readings(TAB, before, reading):
                self.log.note(source, fact)
            self._reading = reading
        file_changes = workspace.probe()
        effect = self._effect(before, file_changes)
        self.settled = self._reading.settled
        self.log.commit(self._step)
        return self._observe(before, file_changes, action, effect, error)

    async def _read(self, page: Page) -> Reading | None:
        """Read the settled page; one that keeps score itself has its turn before."""
        reading = await page.read()
        ruling = await consult(page, self._world.referee) if reading and self._world.referee else None
        if ruling is not None and ruling.scored is not None:
            self.log.note(Source.PAGE, ruling.scored)
        return await page.read() if ruling is not None and ruling.moved else reading

    def _effect(self, before: Reading, file_changes: Mapping[str, str]) -> str:
        """Name the most telling consequence of the last action."""
        kinds = {type(fact) for _, fact in self.log.pending}
        if file_changes:
            return "file"
        if DialogOpened in kinds or DialogClosed in kinds:
            return "dialog"
        if kinds & {NavigationCompleted, HistoryNavigated}:
            return "navigation"
        return "none" if _shape(before) == _shape(self._reading) else "dom"

    def _observe(
        self, before: Reading, file_changes: Mapping[str, str], action: str, effect: str, error: str
    ) -> Observation:
        assert self._page is not None
        assert self._workspace is not None
        dialog: Dialog | None = self._page.dialog
        sizes = self._workspace.manifest
        return Observation(
            goal=self._goal,
            url=self._reading.url,
            title=self._reading.title,
            tabs=(f"* {self._reading.title}",),
            elements=self._reading.elements,
            changes=describe_changes(before.elements, self._reading.elements),
            dialog=dialog,
            files=tuple(
                File(path=path, size=size, change=file_changes.get(path, "")) for path, size in sizes.items()
            ),
            last_action=action,
            last_effect=effect if action else "none",
            last_error=error,
            last_text=self._read_text,
        )

    # -- the end ------------------------------------------------------------------------------------

    async def screenshot(self, encoding: str = "png") -> bytes:
        """Capture the page as an encoded image."""
        assert self._page is not None
        async with asyncio.timeout(self._deadlines.step_s):
            return await self._page.screenshot(encoding)

    def end(self, reason: str) -> Sequence[Event]:
        """Write the log's last event: why the episode is over. Facts that came late stand before it."""
        late = self.log.commit(self._step)
        self.log.note(Source.SESSION, EpisodeEnded(reason=reason))
        return [*late, *self.log.commit(self._step)]

    def manifest_path(self) -> Path:
        """Give the folder of the workspace."""
        assert self._workspace is not None
        return self._workspace.root

    async def close(self) -> None:
        """Dispose of the context, the sites and the files; safe to call twice and on a dead browser."""
        if self._page is not None:
            self._browser.unwatch_downloads(self._page.target)
            self._page.detach()
        if self._context:
            with contextlib.suppress(CDPError, TimeoutError):
                async with asyncio.timeout(5):
                    await self._browser.connection.send(
                        "Target.disposeBrowserContext", {"browserContextId": self._context}
                    )
            self._context = ""
        await self._proxy.close()
        if self._workspace is not None:
            self._workspace.close()
        on_closed, self.on_closed = self.on_closed, _nothing
        on_closed()


def _nothing() -> None:
    return


def _shape(reading: Reading) -> tuple[str, ...]:
    return tuple(element.line for element in reading.elements)
