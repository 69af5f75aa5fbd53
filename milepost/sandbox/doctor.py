"""Examines the machine: whether everything that milepost needs is there, and how to mend what is not.

Optional packages are looked up by their metadata, never imported, so that a broken one cannot break the
examination that should find it.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from milepost.sandbox.browser import Browser, BrowserLaunchError, BrowserOptions
from milepost.sandbox.chromium import BrowserNotFoundError, find_chromium

DISTRIBUTION = "milepost"
LOW_DISK_BYTES = 2_000_000_000
"""Below this a run's episodes and checkpoints may fill the disk."""
MIN_DISK_BYTES = 200_000_000
"""Below this not even a browser profile is safe."""
LOW_MEMORY_BYTES = 4_000_000_000
"""The learner and four browser contexts take about 3 GB."""
LOW_INOTIFY_INSTANCES = 64
"""Each process of a run takes one; other programs of the same user share the limit."""
LOW_INOTIFY_WATCHES = 8192
"""Each folder of an open workspace takes one."""
LOW_POLL_NS = 200_000
"""For so long Linux lets a guest's idle core look for work, unless somebody has set it to less."""


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    """It works, but less well or not for everything."""
    FAIL = "fail"
    """Nothing runs before this is mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    mend: str = ""
    """What to do about it; empty when nothing is to be done."""

    def as_dict(self) -> dict[str, str]:
        """Give the check as plain JSON values."""
        return {"name": self.name, "status": self.status.value, "found": self.found, "mend": self.mend}


async def run_checks(
    environment: Mapping[str, str] = os.environ, *, root: Path = Path("/")
) -> tuple[Check, ...]:
    """Run every check, the launch of a real browser among them (a second or two).

    Args:
        environment: as in `find_chromium`, and `OMP_NUM_THREADS`.
        root: where `/proc` and `/sys` are.
    """
    return (
        check_python(sys.version_info[:3]),
        *check_packages(installed_requirements(DISTRIBUTION)),
        check_torch(_version_of("torch"), has_gpu=(root / "proc/driver/nvidia/version").exists()),
        await check_browser(environment),
        check_loopback(),
        check_inotify(root),
        check_disk(Path(tempfile.gettempdir())),
        check_processors(
            len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1, root
        ),
        check_idling(root),
        check_memory(root),
    )


def describe_checks(checks: Sequence[Check]) -> str:
    """Give the checks as text, one a line, each with what to do about it beneath."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.status:<4}  {check.name:<{width}}  {check.found}")
        lines += [f"{'':<4}  {'':<{width}}  -> {line}" for line in check.mend.splitlines()]
    return "\n".join(lines)


# --- Python and packages ---


def check_python(version: tuple[int, int, int]) -> Check:
    """Check the interpreter's version."""
    shown = f"{'.'.join(map(str, version))} at {sys.executable} on {platform.platform(terse=True)}"
    if version < (3, 11, 0):
        return Check(name="python", status=Status.FAIL, found=shown, mend="install Python 3.11 or newer")
    return Check(name="python", status=Status.OK, found=shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A package that milepost asks for."""

    name: str
    extra: str
    """The extra that asks for it; empty for what is always needed."""
    version: str
    """What is installed; empty when it is not."""


_REQUIREMENT = re.compile(r"""^(?P<name>[\w.-]+)(?:.*extra\s*==\s*["'](?P<extra>[\w-]+)["'])?""")


def installed_requirements(distribution: str) -> tuple[Requirement, ...]:
    """List what a distribution asks for, with the installed versions; nothing when it is not installed."""
    lines = importlib.metadata.requires(distribution) if _version_of(distribution) else None
    matches = (_REQUIREMENT.match(line) for line in lines or ())
    return tuple(
        Requirement(name=match["name"], extra=match["extra"] or "", version=_version_of(match["name"]))
        for match in matches
        if match is not None
    )


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def check_packages(requirements: Sequence[Requirement]) -> tuple[Check, ...]:
    """Check the packages that are always needed, and those of the `train` extra."""
    if not requirements:
        mend = "pip install --editable . (in the project's folder)"
        return (Check(name="packages", status=Status.FAIL, found="milepost is not installed", mend=mend),)
    return (
        _check_group(
            "packages", [r for r in requirements if not r.extra], Status.FAIL, "pip install milepost"
        ),
        _check_group(
            "training packages",
            [r for r in requirements if r.extra == "train"],
            Status.WARN,
            "needed to train: pip install 'milepost[train]'",
        ),
    )


def _check_group(name: str, requirements: Sequence[Requirement], status: Status, mend: str) -> Check:
    missing = [r.name for r in requirements if not r.version]
    if missing:
        return Check(name=name, status=status, found=f"missing: {', '.join(missing)}", mend=mend)
    return Check(name=name, status=Status.OK, found=", ".join(f"{r.name} {r.version}" for r in requirements))


def check_torch(version: str, *, has_gpu: bool) -> Check:
    """Check whether torch is there and fits the machine.

    Args:
        version: torch's version, such as `2.13.0+cpu`; empty when it is not installed.
        has_gpu: whether an NVIDIA driver is loaded.
    """
    if not version:
        mend = "needed to train: pip install 'milepost[train]'"
        return Check(name="torch", status=Status.WARN, found="not installed", mend=mend)
    if has_gpu and version.endswith("+cpu"):
        mend = "to train on the GPU: remove .venv, then MILEPOST_TORCH=cuda make setup"
        return Check(
            name="torch", status=Status.WARN, found=f"{version}, a CPU build, beside a GPU", mend=mend
        )
    threads = os.environ.get("OMP_NUM_THREADS") or f"{os.cpu_count()}, one a core"
    return Check(name="torch", status=Status.OK, found=f"{version}; threads: {threads}")


# --- The browser and the network ---


async def check_browser(environment: Mapping[str, str]) -> Check:
    """Check that a browser is installed and starts the way a run starts it."""
    try:
        chromium = find_chromium(environment)
    except BrowserNotFoundError as error:
        head, _, rest = str(error).partition("\n")
        return Check(name="browser", status=Status.FAIL, found=head, mend=rest or "make setup")
    start = time.monotonic()
    try:
        browser = await Browser.launch(BrowserOptions(executable=str(chromium.path)))
    except BrowserLaunchError as error:
        head, _, rest = str(error).partition("\n")
        return Check(name="browser", status=Status.FAIL, found=head, mend=rest)
    version = browser.version
    took_ms = (time.monotonic() - start) * 1000
    await browser.close()
    found = f"{chromium.kind} {version} from {chromium.source}, {chromium.path}; started in {took_ms:.0f} ms"
    return Check(name="browser", status=Status.OK, found=found)


def check_loopback() -> Check:
    """Check that a loopback port can be opened and reached: every episode's sites live on one."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError as error:
        mend = "allow programs to listen on 127.0.0.1 (firewall, container or security policy)"
        return Check(name="loopback", status=Status.FAIL, found=str(error), mend=mend)
    return Check(name="loopback", status=Status.OK, found=f"port {port} opened and reached")


# --- The machine ---


def check_inotify(root: Path) -> Check:
    """Check the limits under which file workspaces are watched (Linux only)."""
    folder = root / "proc/sys/fs/inotify"
    if not folder.exists():
        return Check(name="inotify", status=Status.OK, found="not used on this system")
    instances = int((folder / "max_user_instances").read_text())
    watches = int((folder / "max_user_watches").read_text())
    found = f"{instances} instances, {watches} watches"
    if instances < LOW_INOTIFY_INSTANCES or watches < LOW_INOTIFY_WATCHES:
        mend = "sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=65536   (as root)"
        return Check(name="inotify", status=Status.WARN, found=found, mend=mend)
    return Check(name="inotify", status=Status.OK, found=found)


def check_disk(folder: Path, *, low_bytes: int = LOW_DISK_BYTES, min_bytes: int = MIN_DISK_BYTES) -> Check:
    """Check that temporary files can be written, and that there is room for them."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"milepost")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        mend = "make the folder writable, or set TMPDIR to one that is"
        return Check(name="temporary files", status=Status.FAIL, found=str(error), mend=mend)
    found = f"{folder} is writable, {free / 1e9:.1f} GB free"
    if free >= low_bytes:
        return Check(name="temporary files", status=Status.OK, found=found)
    status = Status.WARN if free >= min_bytes else Status.FAIL
    return Check(name="temporary files", status=status, found=found, mend="free some room, or set TMPDIR")


def check_processors(count: int, root: Path) -> Check:
    """Check how many cores this process may use, a container's quota included.

    Args:
        count: cores the scheduler would use.
        root: where `/sys` is.
    """
    quota = _read_quota(root / "sys/fs/cgroup/cpu.max")
    usable = min(float(count), quota)
    found = f"{usable:g} usable" + (f" of {count} (container quota)" if usable < count else "")
    if usable < 2:
        return Check(
            name="cores",
            status=Status.WARN,
            found=found,
            mend="with fewer than two, browser and learner take turns; expect half the speed",
        )
    return Check(name="cores", status=Status.OK, found=found)


def _read_quota(path: Path) -> float:
    """Read a container's CPU quota in cores; infinite when there is none."""
    if not path.exists():
        return float("inf")
    quota, period = path.read_text().split()
    return float("inf") if quota == "max" else int(quota) / int(period)


def check_idling(root: Path) -> Check:
    """Check that a virtual machine keeps its idle cores for a moment.

    A step is some dozens of messages between processes, each of which wakes a core that had nothing to do. A Linux guest
    that does not poll hands such a core back to its host at once and waits until it is given again.
    """
    governor = root / "sys/devices/system/cpu/cpuidle/current_governor"
    polling = root / "sys/module/haltpoll/parameters/guest_halt_poll_ns"
    if not polling.exists() or not governor.exists() or governor.read_text().strip() != "haltpoll":
        return Check(name="idle cores", status=Status.OK, found="nothing to set on this system")
    nanoseconds = int(polling.read_text())
    found = f"kept for {nanoseconds / 1e6:g} ms after their work"
    if nanoseconds < LOW_POLL_NS:
        mend = f"steps can be 1.7 times as fast with: echo {LOW_POLL_NS} > /{polling.relative_to(root)}   (as root)"
        return Check(name="idle cores", status=Status.WARN, found=found, mend=mend)
    return Check(name="idle cores", status=Status.OK, found=found)


def check_memory(root: Path) -> Check:
    """Check how much memory this process may use, a container's limit included."""
    meminfo = root / "proc/meminfo"
    if not meminfo.exists():
        return Check(name="memory", status=Status.OK, found="unknown on this system")
    match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
    available = int(match[1]) * 1024 if match else 0
    limit = root / "sys/fs/cgroup/memory.max"
    if limit.exists() and limit.read_text().strip() != "max":
        available = min(available, int(limit.read_text()))
    found = f"{available / 1e9:.1f} GB available"
    if available < LOW_MEMORY_BYTES:
        mend = "close other programs, or run fewer episodes at once"
        return Check(name="memory", status=Status.WARN, found=found, mend=mend)
    return Check(name="memory", status=Status.OK, found=found)
