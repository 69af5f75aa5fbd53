"""Finds an installed Chromium. Nothing is started and nothing is downloaded here.

A headless shell is preferred to a full browser (it starts twice as fast and steps faster), and a real binary
to the wrapper script a distribution puts before it (a signal to the wrapper would leave the browser running).
"""

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

INSTALL_COMMANDS = (
    "playwright install --with-deps --only-shell chromium",
    "apt-get install -y chromium-headless-shell",
    "apt-get install -y chromium",
)
"""Ways to get a browser, best first: any Linux or macOS, Debian, other systems with apt."""


class Kind(StrEnum):
    """What a browser can do."""

    HEADLESS_SHELL = "headless_shell"
    """Chromium's content shell: fastest, cannot show a window."""
    CHROMIUM = "chromium"
    CHROME = "chrome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chromium:
    """An installed browser."""

    path: Path
    kind: Kind
    source: str
    """Where it was found: `MILEPOST_CHROMIUM`, `system`, `PATH`, `playwright` or `applications`."""


class BrowserNotFoundError(RuntimeError):
    """No usable browser is installed; the message lists what was tried and how to install one."""


def find_chromium(
    environment: Mapping[str, str], *, headed: bool = False, root: Path = Path("/")
) -> Chromium:
    """Find the best installed browser.

    Args:
        environment: `MILEPOST_CHROMIUM` (a path that is used or refused, never passed over), `PATH`, `HOME`,
            `XDG_CACHE_HOME` and `PLAYWRIGHT_BROWSERS_PATH` are read.
        headed: whether windows must be shown; headless shells are then passed over.
        root: where the file system begins.

    Raises:
        BrowserNotFoundError: none was found, or the one in `MILEPOST_CHROMIUM` cannot be used.
    """
    if environment.get("MILEPOST_CHROMIUM"):
        return _take_named(Path(environment["MILEPOST_CHROMIUM"]).expanduser(), headed=headed)
    tried: list[str] = []
    for candidate in _candidates(environment, root):
        if headed and candidate.kind is Kind.HEADLESS_SHELL:
            objection = "a headless shell cannot show a window"
        else:
            objection = _object_to(candidate.path)
        if not objection:
            return candidate
        tried.append(f"{candidate.path} ({objection})")
    tried += [f"{cache} (nothing usable in it)" for cache in _playwright_caches(environment)]
    tried.append(f"on PATH: {', '.join(_SHELL_NAMES + _CHROMIUM_NAMES + _CHROME_NAMES)}")
    raise BrowserNotFoundError(_describe_missing(tried, headed=headed))


def _take_named(path: Path, *, headed: bool) -> Chromium:
    kind = _kind_of(path)
    objection = _object_to(path)
    if headed and kind is Kind.HEADLESS_SHELL:
        objection = "a headless shell cannot show a window"
    if objection:
        raise BrowserNotFoundError(
            f"MILEPOST_CHROMIUM names {path}, which cannot be used: {objection}. "
            "Expected the path of a Chromium's executable; unset the variable to look for an installed one."
        )
    return Chromium(path=path, kind=kind, source="MILEPOST_CHROMIUM")


def _kind_of(path: Path) -> Kind:
    name = path.name.lower()
    if "headless" in name:
        return Kind.HEADLESS_SHELL
    return Kind.CHROMIUM if "chromium" in name else Kind.CHROME


_SHELL_NAMES = ("chrome-headless-shell", "headless_shell")
_CHROMIUM_NAMES = ("chromium", "chromium-browser")
_CHROME_NAMES = ("google-chrome", "google-chrome-stable")


def _candidates(environment: Mapping[str, str], root: Path) -> Iterator[Chromium]:
    """Give every place a browser may be in, best first, whether or not there is one."""
    shell, chromium, chrome = Kind.HEADLESS_SHELL, Kind.CHROMIUM, Kind.CHROME
    yield _system(root / "usr/lib/chromium/chromium-headless-shell", shell)
    yield _system(root / "usr/lib64/chromium-browser/headless_shell", shell)
    yield _system(root / "usr/bin/chromium-headless-shell", shell)
    for cache in _playwright_caches(environment):
        yield from _in_playwright(cache, "chromium_headless_shell", _SHELL_PATHS, shell)
    yield from _on_path(environment, _SHELL_NAMES, shell)
    yield _system(root / "usr/lib/chromium/chromium", chromium)
    yield from _on_path(environment, _CHROMIUM_NAMES, chromium)
    for cache in _playwright_caches(environment):
        yield from _in_playwright(cache, "chromium", _CHROMIUM_PATHS, chromium)
    yield _system(root / "opt/google/chrome/chrome", chrome)
    yield from _on_path(environment, _CHROME_NAMES, chrome)
    for name, kind in (("Chromium", chromium), ("Google Chrome", chrome)):
        path = root / f"Applications/{name}.app/Contents/MacOS/{name}"
        yield Chromium(path=path, kind=kind, source="applications")


def _system(path: Path, kind: Kind) -> Chromium:
    return Chromium(path=path, kind=kind, source="system")


def _on_path(environment: Mapping[str, str], names: tuple[str, ...], kind: Kind) -> Iterator[Chromium]:
    for name in names:
        for folder in filter(None, environment.get("PATH", "").split(os.pathsep)):
            path = Path(folder) / name
            if os.access(path, os.F_OK):  # unlike exists(), False for a folder one may not enter
                yield Chromium(path=path, kind=kind, source="PATH")


# Playwright has moved its executables between versions, so both generations of folders are listed.
_SHELL_PATHS = ("chrome-*/chrome-headless-shell", "chrome-*/headless_shell")
_MAC_NAMES = ("Chromium", "Google Chrome for Testing")
_CHROMIUM_PATHS = (
    "chrome-*/chrome",
    *(f"chrome-mac*/{name}.app/Contents/MacOS/{name}" for name in _MAC_NAMES),
)


def _playwright_caches(environment: Mapping[str, str]) -> list[Path]:
    named = environment.get("PLAYWRIGHT_BROWSERS_PATH", "")
    if named == "0":  # Playwright's word for "inside my own package"
        spec = importlib.util.find_spec("playwright")
        folders = list(spec.submodule_search_locations or []) if spec is not None else []
        return [Path(folder) / "driver/package/.local-browsers" for folder in folders]
    if named:
        return [Path(named).expanduser()]
    caches = [Path(environment["XDG_CACHE_HOME"])] if environment.get("XDG_CACHE_HOME") else []
    if environment.get("HOME"):
        caches += [Path(environment["HOME"]) / ".cache", Path(environment["HOME"]) / "Library/Caches"]
    return [cache / "ms-playwright" for cache in caches]


def _in_playwright(cache: Path, name: str, patterns: tuple[str, ...], kind: Kind) -> Iterator[Chromium]:
    """Give a browser of Playwright's cache: complete downloads only, the newest revision first."""
    if not os.access(cache, os.R_OK | os.X_OK):
        return
    revisions = {int(match[1]): folder for folder, match in _revisions(cache, name)}
    for revision in sorted(revisions, reverse=True):
        folder = revisions[revision]
        if not (folder / "INSTALLATION_COMPLETE").exists():
            continue
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                yield Chromium(path=path, kind=kind, source="playwright")


def _revisions(cache: Path, name: str) -> Iterator[tuple[Path, re.Match[str]]]:
    for folder in cache.iterdir():
        match = re.fullmatch(rf"{name}-(\d+)", folder.name)
        if match is not None:
            yield folder, match


_SCRIPT_HEAD_BYTES = 4096


def _object_to(path: Path) -> str:
    """Say why a path cannot be used; empty when it can."""
    if not os.access(path, os.F_OK):
        return "not there"
    if not path.is_file():
        return "not a file"
    if not os.access(path, os.X_OK):
        return "not executable"
    if _is_snap(path):
        return "a snap, which cannot see the profile folder it is given"
    return ""


def _is_snap(path: Path) -> bool:
    """Tell a snap, or the script Ubuntu puts in a browser's place to install one."""
    if path.resolve().name == "snap":
        return True
    if not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        head = file.read(_SCRIPT_HEAD_BYTES)
    return head.startswith(b"#!") and b"/snap/" in head


def _describe_missing(tried: list[str], *, headed: bool) -> str:
    wanted = "a Chromium that can show windows" if headed else "a Chromium"
    commands = INSTALL_COMMANDS[2:] if headed else INSTALL_COMMANDS
    if headed:
        commands = ("playwright install --with-deps chromium", *commands)
    return "\n".join(
        [
            f"expected {wanted}, found none. Tried:",
            *(f"  {line}" for line in tried),
            "Install one with any of:",
            *(f"  {command}" for command in commands),
            "or set MILEPOST_CHROMIUM to the path of an executable.",
        ]
    )
