"""Carries out the agent's actions: on the tab in view, on the files, and on the episode itself."""

from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from milepost.sandbox.actions import (
    AcceptDialog,
    Action,
    Answer,
    Back,
    Check,
    Clear,
    Click,
    CloseTab,
    Copy,
    Dblclick,
    DeleteFile,
    DismissDialog,
    DragAndDrop,
    Extract,
    Fill,
    Focus,
    FocusTab,
    Forward,
    Goto,
    Hover,
    KeyboardPress,
    KeyboardType,
    ListFiles,
    MouseClick,
    MouseDblclick,
    MouseDragAndDrop,
    MouseMove,
    MoveFile,
    NewTab,
    Noop,
    Paste,
    Press,
    ReadFile,
    Reload,
    ReportInfeasible,
    Scroll,
    ScrollTo,
    SelectOption,
    Type,
    Uncheck,
    UploadFile,
    WriteFile,
)
from milepost.sandbox.clipboard import Clipboard
from milepost.sandbox.events import (
    AnswerGiven,
    Copied,
    InfeasibleReported,
    Source,
    TextExtracted,
)
from milepost.sandbox.files import Workspace, WorkspaceError
from milepost.sandbox.gateway import Gateway
from milepost.sandbox.hand import Hand, withdraw_mouse
from milepost.sandbox.keyboard import KeyNameError
from milepost.sandbox.tabs import Tabs

MAX_NOOP_MS = 10_000


class Actor:
    """Performs actions one by one."""

    def __init__(
        self,
        tabs: Tabs,
        workspace: Workspace,
        *,
        hosts: Collection[str],
        live: Collection[str] = (),
        clipboard: Clipboard,
        on_download: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare an actor.

        Args:
            tabs: the episode's tabs.
            workspace: its files.
            hosts: the episode's own sites.
            live: hosts of the real network that are open, see `gateway`.
            clipboard: the episode's own, which takes the facts too.
            on_download: called when a click is about to begin a download.
        """
        self._tabs = tabs
        self._workspace = workspace
        self._hosts = hosts
        self._gateway = Gateway(hosts=live)
        self._clipboard = clipboard
        self._on_download = on_download
        self._sink = clipboard.note
        self.read_text = ""
        """What the last action read."""
        self.finished = ""
        """Why the agent ended the episode: `answer`, `infeasible`, or empty."""

    async def withdraw(self) -> None:
        """Take the hand off the page: another episode begins."""
        self.read_text = self.finished = ""
        await withdraw_mouse(self._tabs.active)

    async def perform(self, action: Action) -> str:
        """Carry out an action; gives an error text for the agent, empty when it was done."""
        self.read_text = ""
        hand = Hand(self._tabs.active, self._clipboard, on_download=self._on_download)
        try:
            for part in (self._touch, self._press_on, self._browse, self._handle_files):
                error = await part(action, hand)
                if error is not None:
                    return error
            return await self._conclude(action)
        except (WorkspaceError, KeyNameError) as refused:
            return str(refused)

    async def _touch(self, action: Action, hand: Hand) -> str | None:  # noqa: PLR0911, PLR0912, C901 - a case per action
        """Mouse actions; None when it is none."""
        match action:
            case Click(element):
                return await hand.click(element, button=action.button, modifiers=action.modifiers)
            case Dblclick(element):
                return await hand.click(element, button=action.button, modifiers=action.modifiers, times=2)
            case Hover(element):
                return await hand.hover(element)
            case Check(element):
                return await hand.check(element, wanted=True)
            case Uncheck(element):
                return await hand.check(element, wanted=False)
            case DragAndDrop(element, target):
                return await hand.drag(element, target)
            case Scroll(dx, dy):
                return await hand.scroll(dx, dy)
            case ScrollTo(element):
                return await hand.scroll_to(element)
            case MouseMove(x, y):
                return await hand.move(x, y)
            case MouseClick(x, y):
                return await hand.click_point(x, y, button=action.button)
            case MouseDblclick(x, y):
                return await hand.click_point(x, y, button=action.button, times=2)
            case MouseDragAndDrop():
                start, end = (action.from_x, action.from_y), (action.to_x, action.to_y)
                return await hand.drag_points(start, end)
            case _:
                return None

    async def _press_on(self, action: Action, hand: Hand) -> str | None:  # noqa: PLR0911, C901 - a case per action
        """Keyboard actions and controls; None when it is none."""
        match action:
            case Focus(element):
                return await hand.focus(element)
            case Fill(element, text):
                return await hand.fill(element, text)
            case Clear(element):
                return await hand.fill(element, "")
            case Type(element, text):
                return await hand.type(element, text)
            case Press(element, keys):
                return await hand.press(element, keys)
            case KeyboardPress(keys):
                return await hand.press_keys(keys)
            case KeyboardType(text):
                return await hand.type_keys(text)
            case SelectOption(element, option):
                return await hand.select(element, option)
            case Copy(element):
                return await self._copy(hand, element)
            case Paste(element):
                return await hand.fill(element, self._clipboard.text)
            case Extract(element):
                return await self._extract(hand, element)
            case _:
                return None

    async def _browse(self, action: Action, _hand: Hand) -> str | None:  # noqa: PLR0911 - a case per action
        """Tabs, history and dialogs; None when it is none."""
        page = self._tabs.active
        match action:
            case Goto(url):
                return self._check_url(url) or await page.navigate(url)
            case Back():
                return await page.travel(-1)
            case Forward():
                return await page.travel(+1)
            case Reload():
                return await page.reload()
            case NewTab():
                return (action.url and self._check_url(action.url)) or await self._tabs.open(action.url)
            case CloseTab():
                return await self._tabs.close()
            case FocusTab(number):
                return self._tabs.focus(number)
            case AcceptDialog(text):
                return await page.answer_dialog(True, text)
            case DismissDialog():
                return await page.answer_dialog(False, "")
            case _:
                return None

    async def _handle_files(self, action: Action, hand: Hand) -> str | None:
        """Files; None when it is none."""
        workspace = self._workspace
        match action:
            case ListFiles():
                self.read_text = "\n".join(f"{p} {size} B" for p, size in workspace.manifest.items())
            case ReadFile(path):
                self.read_text = workspace.read(path)
            case WriteFile(path, text):
                workspace.write(path, text)
            case MoveFile(path, target):
                workspace.move(path, target)
            case DeleteFile(path):
                workspace.delete(path)
            case UploadFile(element, path):
                return await hand.upload(element, str(workspace.locate(path)))
            case _:
                return None
        return ""

    async def _conclude(self, action: Action) -> str:
        """What remains: waiting, and the end of the episode."""
        match action:
            case Noop(ms):
                if not 0 <= ms <= MAX_NOOP_MS:
                    return f"noop waits 0 to {MAX_NOOP_MS} ms, got {ms}"
                await self._tabs.active.pass_time(ms)
            case Answer(text):
                self.finished = "answer"
                self._sink(Source.AGENT, AnswerGiven(text=text))
            case ReportInfeasible(reason):
                self.finished = "infeasible"
                self._sink(Source.AGENT, InfeasibleReported(reason=reason))
            case _:
                raise AssertionError(f"no case for {action!r}")
        return ""

    def _check_url(self, url: str) -> str:
        """Say what is wrong with a URL; empty when the episode may open it."""
        try:
            parts = urlsplit(url)
            host = parts.netloc
        except ValueError:
            return f"{url[:100]!r} is not a URL"
        if parts.scheme == "http" and host in self._hosts:
            return ""
        if parts.scheme in ("http", "https") and self._gateway.allows(host, scheme=parts.scheme):
            return ""
        known = ", ".join([*(f"http://{name}/" for name in self._hosts), *self._gateway.hosts])
        return f"{url[:100]!r} is not open to this episode; its sites: {known}"

    async def _copy(self, hand: Hand, element: str) -> str:
        error, answer = await hand.extract(element)
        if not error:
            self._sink(Source.SESSION, Copied(tab=self._tabs.active.tab, text=answer["text"]))
        return error

    async def _extract(self, hand: Hand, element: str) -> str:
        error, answer = await hand.extract(element)
        if not error:
            tab = self._tabs.active.tab
            fact = TextExtracted(tab=tab, role=answer["role"], name=answer["name"], text=answer["text"])
            self._sink(Source.SESSION, fact)
            self.read_text = answer["text"]
        return error
