"""Certifying many tasks. What certifying one does is tested in `test_certify`."""

import dataclasses
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from milepost.envs import certification
from milepost.envs.certificate import Certificate
from milepost.envs.certification import certify_rows
from milepost.envs.registry import templates
from milepost.envs.task import Template
from milepost.sandbox.chromium import BrowserNotFoundError
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.pool import Pool

FIRST, BROKEN, LAST = templates()[:3]


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Certify by word only: what was asked for; the second task cannot be played."""
    asked: list[tuple[str, int, int]] = []

    async def certify(
        pool: Pool, template: Template, *, seeds: int, solutions: int, on_seed: Callable[[int, int], None]
    ) -> Certificate:
        asked.append((template.id, seeds, solutions))
        on_seed(1, solutions)
        if template.id == BROKEN.id:
            raise SandboxError(Failure.TIMEOUT, "the step took longer than 20 s")
        empty: dict[str, Any] = {f.name: () for f in dataclasses.fields(Certificate)}
        numbers = {"seeds": seeds, "solutions": solutions, "mutants": 0}
        return Certificate(**{**empty, **numbers, "task": template.id, "digest": "d", "adversaries": {}})

    monkeypatch.setattr(certification, "certify", certify)
    monkeypatch.setattr(certification, "locate_certificate", lambda row: tmp_path / row.id)
    return asked


def test_a_task_that_cannot_be_played_does_not_keep_the_others_from_theirs(
    played: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    made: list[str] = []
    with pytest.raises(SandboxError) as failed:
        made.extend(
            certificate.task for certificate in certify_rows((FIRST, BROKEN, LAST), seeds=2, solutions=5)
        )
    assert str(failed.value) == f"{BROKEN.id} was not certified: the step took longer than 20 s"
    assert played == [(row.id, 2, 5) for row in (FIRST, BROKEN, LAST)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([FIRST.id, LAST.id])


def test_each_certificate_is_kept_as_soon_as_it_is_made(
    played: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    made = certify_rows((FIRST, LAST), seeds=1)
    assert next(made).task == FIRST.id
    assert [path.name for path in tmp_path.iterdir()] == [FIRST.id]


def test_each_seed_that_was_played_is_told(played: list[tuple[str, int, int]]) -> None:
    told: list[tuple[str, int, int]] = []
    list(certify_rows((FIRST, LAST), seeds=2, solutions=5, progress=lambda *one: told.append(one)))
    assert told == [(FIRST.id, 1, 5), (LAST.id, 1, 5)]


def test_other_processes_tell_in_order_until_they_have_ended() -> None:
    told: list[tuple[str, int, int]] = []
    with certification.listen_to(queue.Queue(), lambda *one: told.append(one)) as way:
        certification.tell(way, "one", 1, 2)
        certification.tell(way, "one", 2, 2)
    assert told == [("one", 1, 2), ("one", 2, 2)]


def test_without_tasks_nothing_is_started() -> None:
    assert list(certify_rows((), seeds=1, jobs=2)) == []


def test_tasks_side_by_side_are_played_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """They need a browser each; what keeps them from starting one is told as it is."""
    monkeypatch.setenv("MILEPOST_CHROMIUM", "/nonexistent/chromium")
    with pytest.raises(BrowserNotFoundError, match="MILEPOST_CHROMIUM names /nonexistent/chromium") as failed:
        list(certify_rows((FIRST, LAST), seeds=1, jobs=2))
    assert "_RemoteTraceback" in repr(failed.value.__cause__)


ORPHANED = """
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from milepost.envs.certification import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_with_parent)
    sys.stdout.write(str(pool.submit(os.getpid).result()))
    sys.stdout.flush()
    pool.submit(time.sleep, 60)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_goes_on_when_the_one_that_began_it_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "orphaned.py"
    script.write_text(ORPHANED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, env=environment
    )
    assert killed.returncode == -signal.SIGKILL
    worker, end = int(killed.stdout), time.monotonic() + 30
    while _runs(worker) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    """Whether a process runs; one that waits to be buried does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
