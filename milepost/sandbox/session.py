"""One episode's world: a fresh browser context, its sites, its files and its log."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from milepost.sandbox.actor import Actor
from milepost.sandbox.browser import Browser
from milepost.sandbox.camera import capture_view, take_screenshot
from milepost.sandbox.cdp import CDPError
from milepost.sandbox.clipboard import Clipboard
from milepost.sandbox.clock import PageTime
from milepost.sandbox.dialect import ActionError, parse_action, parse_actions, render_action
from milepost.sandbox.differences import compare_readings, name_effect
from milepost.sandbox.downloads import Downloads, cancel_download, receive_downloads
from milepost.sandbox.elision import shorten_elements, shorten_lines
from milepost.sandbox.events import ActionTaken, EpisodeEnded, EpisodeStarted, Event, Fact, Failed, Source
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.files import Workspace
from milepost.sandbox.log import EventLog
from milepost.sandbox.observation import Dialog, File, Observation, describe_changes
from milepost.sandbox.referee import consult, open_match, read_in_turn
from milepost.sandbox.renewal import MAX_RENEWALS, find_opening
from milepost.sandbox.settle import Reading
from milepost.sandbox.sites import SiteProxy
from milepost.sandbox.steady import write_steady
from milepost.sandbox.storage import StorageState, collect_storage, find_origins, restore_storage
from milepost.sandbox.tabs import NOTHING, Tabs
from milepost.sandbox.traffic import Traffic
from milepost.sandbox.vacancy import (
    MAX_TENANTS,
    Vacancy,
    clear_context,
    dispose_context,
    is_lettable,
    leaves_nothing,
    make_context,
)
from milepost.sandbox.watcher import FileWatcher
from milepost.sandbox.world import Deadlines, World


class Session:
    """A running episode. Open it, step it, close it; all on one event loop."""

    def __init__(
        self, browser: Browser, world: World, deadlines: Deadlines, vacancy: Vacancy | None = None
    ) -> None:
        self._browser = browser
        self._world = world
        self._goal = world.goal
        self._deadlines = deadlines
        self.log = EventLog()
        self._step = 0
        self._vacancy = vacancy
        self._context = "" if vacancy is None else vacancy.context
        self._tabs: Tabs | None = None
        if vacancy is None:
            self._proxy = SiteProxy(
                world.sites,
                self._note,
                live=world.live,
                traffic=Traffic() if world.traffic else None,
                on_attachment=self._expect_download,
            )
        else:
            self._proxy = vacancy.proxy
            self._proxy.let(world.sites, self._note, on_attachment=self._expect_download)
        self._workspace: Workspace | None = None
        self._actor: Actor | None = None
        self._downloads: Downloads | None = None
        self._reading = NOTHING
        self._renewals = 0
        self.on_closed: Callable[[], None] = lambda: None
        """Called once when the session is closed (a pool takes its place back)."""
        self.on_vacated: Callable[[Vacancy], None] | None = None
        """Takes the context when the session is closed, if another may begin in it; None has it disposed of."""
        self.settled = True
        """Whether the page had settled when it was last observed."""
        self.faults = self._proxy.faults
        """What the world's sites raised, each once."""

    @property
    def traffic(self) -> Traffic | None:
        """What passed the proxy, if the world keeps it."""
        return self._proxy.traffic

    @property
    def finished(self) -> str:
        """Why the agent ended the episode: `answer`, `infeasible`, or empty."""
        return self._actor.finished if self._actor is not None else ""

    @classmethod
    async def open(
        cls,
        browser: Browser,
        watcher: FileWatcher,
        name: str,
        world: World,
        deadlines: Deadlines = Deadlines(),
        vacancy: Vacancy | None = None,
    ) -> tuple["Session", Observation]:
        """Make a world and give its first observation: in a fresh context, or in one that another has left.

        Raises:
            SandboxError: the browser failed or the deadline passed; nothing is left behind.
        """
        session = cls(browser, world, deadlines, vacancy)
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
        world, connection = self._world, self._browser.connection
        if self._vacancy is None:
            self._context = await make_context(connection, await self._proxy.open())
        self._workspace = Workspace(watcher, name, world.files, self._note)
        receiving = receive_downloads(connection, self._context, self._workspace.incoming)
        cancel = partial(cancel_download, connection, self._context)
        self._downloads = Downloads(self._workspace, self._note, cancel=cancel)
        clipboard = Clipboard(self._note)
        step_ms = world.page_time_ms
        time = None if step_ms is None else PageTime(step_ms=step_ms, instant_ms=world.instant_ms)
        self._tabs = Tabs(
            self._browser,
            context=self._context,
            viewport=world.viewport,
            sink=clipboard.note,
            on_download=self._downloads.on_event,
            steady=write_steady(world.seed, world.instant_ms, page_time=time is not None),
            time=time,
        )
        self._actor = Actor(
            self._tabs,
            self._workspace,
            hosts=world.sites,
            live=world.live,
            clipboard=clipboard,
            on_download=self._expect_download,
        )
        await asyncio.gather(
            receiving, self._tabs.open() if self._vacancy is None else self._tabs.adopt(self._vacancy.page)
        )
        if world.storage is not None:
            await restore_storage(self._browser.connection, self._context, world.storage)
        error = await self._tabs.active.navigate(world.start_url)
        if error:
            raise SandboxError(Failure.TASK, f"the start page {world.start_url} does not open: {error}")
        if world.referee:
            self._goal = await open_match(self._tabs.active, world.referee)
        return await self._begin()

    async def _begin(self) -> Observation:
        world = self._world
        started = EpisodeStarted(task=world.task, seed=world.seed, split=world.split, goal=self._goal)
        self._note(Source.SESSION, started)
        return await self._settle("", "")

    def _note(self, source: Source, fact: Fact) -> None:
        self.log.note(source, fact)

    async def renew(self, world: World) -> Observation | None:
        """Begin another episode in this one's page, if it can begin there; the log is a new one.

        None when it cannot, or nothing answers in time: then this session is only good to be closed.
        """
        opening = find_opening(self.log, self._world, world)
        fit = self._tabs is not None and self._tabs.untouched and self._browser.alive
        if opening is None or not fit or self._renewals >= MAX_RENEWALS:
            return None
        try:
            async with asyncio.timeout(self._deadlines.reset_s):
                return await self._begin_again(world, opening)
        except (TimeoutError, CDPError, SandboxError):
            return None

    async def _begin_again(self, world: World, opening: Sequence[tuple[Source, Fact]]) -> Observation | None:
        tabs, actor = self._tabs, self._actor
        assert tabs is not None
        assert actor is not None
        await actor.withdraw()
        self.log, self._world, self._step, self._reading = EventLog(), world, 0, NOTHING
        self._renewals += 1
        self._proxy.build(world.sites)
        for source, fact in opening:
            self._note(source, fact)
        tabs.forget()
        ruling, _ = await asyncio.gather(consult(tabs.active, world.again), tabs.active.call("forget"))
        if ruling is None:
            return None
        self._goal = ruling.goal
        return await self._begin()

    # -- stepping -----------------------------------------------------------------------------------

    async def step(self, text: str) -> Observation:
        """Carry out the action in `text` and observe what it caused.

        An action that cannot be parsed or carried out is an error in the observation.

        Raises:
            SandboxError: the browser failed or the deadline passed. The log has the failure; call `close`.
        """
        self._step += 1
        # A lone surrogate is no text: no page takes it, and no log could hold it.
        text = text.encode("utf-8", "replace").decode()
        try:
            async with self._guard("the step"):
                shown, error = await self._act(text)
                return await self._settle(shown, error)
        except SandboxError as broken:
            self._note(Source.SESSION, Failed(failure=broken.failure.value, reason=broken.reason))
            raise

    def _expect_download(self) -> None:
        if self._downloads is not None:
            self._downloads.expect()

    async def _act(self, text: str) -> tuple[str, str]:
        """Parse and perform; gives the action as shown to the agent, and an error."""
        assert self._actor is not None
        self._actor.read_text = ""
        try:
            limit = self._world.actions_per_step
            actions = parse_actions(text, limit=limit) if limit > 1 else (parse_action(text),)
        except ActionError as error:
            shown = text if len(text) <= 200 else text[:197] + "..."
            self._note_action(shown, str(error))
            return shown, str(error)
        done, problem = list[str](), ""
        for action in actions:
            if done:
                await self._catch_up()
            problem = await self._actor.perform(action)
            done.append(render_action(action))
            self._note_action(done[-1], problem)
            if problem or self.finished:
                break
        return " ".join(done), problem

    def _note_action(self, action: str, error: str) -> None:
        self.log.note(Source.SESSION, ActionTaken(action=action, error=error))

    # -- settling and observing ---------------------------------------------------------------------

    async def _settle(self, action: str, error: str) -> Observation:
        workspace = self._workspace
        assert workspace is not None
        seen = self._reading
        await self._catch_up()
        file_changes = workspace.probe()
        kinds = {type(fact) for _, fact in self.log.pending}
        effect = "file" if file_changes else name_effect(kinds, seen, self._reading)
        self.settled = self._reading.settled
        self.log.commit(self._step)
        return self._observe(seen, file_changes, action, effect, error)

    async def _catch_up(self) -> None:
        """Wait until tabs and downloads have come to rest, and note what changed on the page."""
        tabs, downloads = self._tabs, self._downloads
        assert tabs is not None
        assert downloads is not None
        sight = await read_in_turn(tabs, self._world.referee, self.log)
        await downloads.wait()
        if sight.after is not None:
            for source, fact in compare_readings(sight.tab, sight.before, sight.after):
                self.log.note(source, fact)
            self._reading = sight.after

    def _observe(
        self, before: Reading, file_changes: Mapping[str, str], action: str, effect: str, error: str
    ) -> Observation:
        assert self._tabs is not None
        assert self._workspace is not None
        assert self._actor is not None
        dialog: Dialog | None = self._tabs.active.dialog
        sizes, budget = self._workspace.manifest, self._world.max_tokens
        elements = self._reading.elements
        changes = describe_changes(before.elements, elements)
        if budget is not None:
            elements, changes = shorten_elements(elements, budget), shorten_lines(changes, budget)
        return Observation(
            goal=self._goal,
            url=self._reading.url,
            title=self._reading.title,
            tabs=self._tabs.titles,
            elements=elements,
            changes=changes,
            dialog=dialog,
            files=tuple(
                File(path=path, size=size, change=file_changes.get(path, "")) for path, size in sizes.items()
            ),
            last_action=action,
            last_effect=effect if action else "none",
            last_error=error,
            last_text=self._actor.read_text,
        )

    # -- the end ------------------------------------------------------------------------------------

    async def screenshot(self, encoding: str = "png", *, marks: bool = False) -> bytes:
        """Capture the tab in view as an encoded image (`png`, `jpeg` or `webp`), with numbered marks if wanted.

        Raises:
            ValueError: the browser draws no pages.
            SandboxError: the browser failed or the deadline passed.
        """
        assert self._tabs is not None
        if not self._browser.drawn:
            raise ValueError(
                "this browser draws no pages, so there is nothing to take a picture of; make the environment with "
                'render_mode="rgb_array", or the pool with BrowserOptions(drawn=True)'
            )
        async with self._guard("the screenshot"):
            return await take_screenshot(self._tabs.active, encoding, marks=marks)

    async def capture(self, kind: str) -> str:
        """Capture Chromium's own view of the tab as JSON: `axtree` or `dom`.

        Raises:
            SandboxError: the browser failed or the deadline passed.
        """
        assert self._tabs is not None
        async with self._guard("the capture"):
            return await capture_view(self._tabs.active, kind)

    async def collect_storage(self) -> StorageState:
        """Read the cookies, and the local storage of every origin that was asked for anything or began with some.

        Raises:
            SandboxError: the browser failed or the deadline passed.
        """
        origins = find_origins((event.fact for event in self.log.events), self._world.storage)
        async with self._guard("reading the storage"):
            return await collect_storage(self._browser.connection, self._context, origins)

    @contextlib.asynccontextmanager
    async def _guard(self, what: str) -> AsyncIterator[None]:
        """Give what the browser is asked a deadline, and its failures a type."""
        try:
            async with asyncio.timeout(self._deadlines.step_s):
                yield
        except TimeoutError:
            reason = f"{what} took longer than {self._deadlines.step_s} s"
            raise SandboxError(Failure.TIMEOUT, reason) from None
        except CDPError as error:
            raise SandboxError(Failure.INFRASTRUCTURE, f"{what} failed: {error}") from error

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
        """End the world; its context is left to another or disposed of. Safe to call twice and on a dead browser."""
        context, self._context = self._context, ""
        vacancy = await self._vacate(context) if context else None
        if self._tabs is not None:
            self._tabs.detach()
        if vacancy is None:
            if context:
                await dispose_context(self._browser.connection, context)
            await self._proxy.close()
        if self._workspace is not None:
            self._workspace.close()
        if vacancy is not None and self.on_vacated is not None:
            self.on_vacated(vacancy)
        on_closed, self.on_closed = self.on_closed, lambda: None
        on_closed()

    async def _vacate(self, context: str) -> Vacancy | None:
        """Empty the context for another episode; None when it is only good to be disposed of."""
        tabs, tenants = self._tabs, 1 + (self._vacancy.tenants if self._vacancy is not None else 0)
        if self.on_vacated is None or tabs is None or tenants >= MAX_TENANTS or not self._browser.alive:
            return None
        if not (is_lettable(self._world) and tabs.untouched and leaves_nothing(self.log)):
            return None
        page = tabs.active
        cleared = await clear_context(self._browser.connection, context, page, self._proxy, self.log)
        if not cleared:
            return None
        return Vacancy(context=context, page=page, proxy=self._proxy, tenants=tenants)
