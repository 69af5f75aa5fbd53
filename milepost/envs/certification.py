"""Certifying many tasks: one after the other, or side by side in processes that have a browser each."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from typing import Any

from milepost.envs.certificate import Certificate, locate_certificate
from milepost.envs.certify import certify
from milepost.envs.registry import Row, get_template
from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.pool import Pool

EPISODES_AT_A_TIME = 4
"""In one browser: while one waits for its page to settle, others go on."""


Progress = Callable[[str, int, int], None]
"""Is told of each seed that was played: of which task, how many there are now, and how many there will be."""


def certify_rows(
    rows: Sequence[Row],
    *,
    seeds: int,
    solutions: int = 0,
    jobs: int = 1,
    progress: Progress = lambda task, done, of: None,
) -> Iterator[Certificate]:
    """Certify tasks and keep each certificate beside its task as soon as it is made.

    Args:
        rows: which tasks.
        seeds: on how many seeds each is played by everybody, at least 1.
        solutions: on how many seeds its oracle and alternatives are played, if more.
        jobs: how many tasks at a time; more than one are played in processes of their own.
        progress: told of each seed that was played, from another thread if there are several jobs.

    Yields:
        Certificates, in the order of the rows with one job and as they are made with more.

    Raises:
        SandboxError: episodes of some tasks could not be played; raised when all the others are certified.
    """
    failed: list[str] = []
    for made in _certify_all(rows, seeds, solutions, jobs, progress):
        if isinstance(made, str):
            failed.append(made)
        else:
            yield made
    if failed:
        raise SandboxError(Failure.INFRASTRUCTURE, "\n".join(failed))


def _certify_all(
    rows: Sequence[Row], seeds: int, solutions: int, jobs: int, progress: Progress
) -> Iterator[Certificate | str]:
    if jobs == 1 or len(rows) <= 1:
        for row in rows:
            yield _certify_row(row, seeds, solutions, progress)
        return
    # A forked child would hold our browsers' connections and our event loops.
    spawned = multiprocessing.get_context("spawn")
    with (
        spawned.Manager() as manager,
        listen_to(manager.Queue(), progress) as told,
        ProcessPoolExecutor(min(jobs, len(rows)), spawned, end_with_parent) as pool,
    ):
        work = [pool.submit(_certify_row, row, seeds, solutions, partial(tell, told)) for row in rows]
        try:
            for done in as_completed(work):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """End this process when the one that began it is gone, however it ended: what is asked already is for nobody then."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def tell(queue: Any, task: str, done: int, of: int) -> None:
    """Tell another process of a seed that was played."""
    queue.put((task, done, of))


@contextlib.contextmanager
def listen_to(queue: Any, progress: Progress) -> Iterator[Any]:
    """Pass on what other processes tell, until the block ends."""

    def listen() -> None:
        while (told := queue.get()) is not None:
            progress(*told)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield queue
    finally:
        queue.put(None)
        listener.join()


def _certify_row(row: Row, seeds: int, solutions: int, progress: Progress) -> Certificate | str:
    """Certify a task and keep its certificate; gives what went wrong as text, for errors do not travel well."""
    try:
        made = asyncio.run(_play(row, seeds, solutions, progress))
    except SandboxError as error:
        return f"{row.id} was not certified: {error}"
    locate_certificate(row).write_bytes(made.to_bytes())
    return made


async def _play(row: Row, seeds: int, solutions: int, progress: Progress) -> Certificate:
    template = get_template(row.id)
    pool = Pool(contexts=EPISODES_AT_A_TIME, options=BrowserOptions(drawn=template.frames))
    try:
        return await certify(
            pool,
            template,
            seeds=seeds,
            solutions=solutions,
            on_seed=lambda done, of: progress(row.id, done, of),
        )
    finally:
        await pool.close()
