"""A short training run in which a judge has the last word, with a scripted judge on this machine. No model judges.

`python -m benchmarks.judged_run RUN [--task MeantInvoice-v0] [--iterations 6] [--set KEY=VALUE ...]`: serves the script
`compare_quotes` on the loopback, trains the built-in policy on one judged task after a few demonstrations, and prints what
became of the run, who decided what, how many calls the judge got, and what `milepost audit` says of the episodes.
The script finds `met` when what the truth puts in quotes was said: it shows that the parts work together, not that a
judge is any good.
"""

import argparse
import asyncio
import json
import threading
from collections import Counter
from pathlib import Path

from milepost.milestones.audit import audit_run
from milepost.milestones.judge.scripted import ScriptedJudgeServer, compare_quotes
from milepost.training.config import build_config
from milepost.training.metrics import read_metrics
from milepost.training.trainer import train


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--task", default="MeantInvoice-v0")
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], help="as in `milepost train`")
    given = parser.parse_args()
    server, loop, up = ScriptedJudgeServer(compare_quotes), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        async with server:
            up.set()
            await asyncio.Event().wait()

    threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True).start()
    up.wait(10)
    config = build_config(
        {
            "run": {"threads": 1},
            "tasks": {"ids": [given.task]},
            "rollout": {"group_size": 4, "contexts": 4},
            "reward": {"judge": [f"scripted@{server.url}"]},
            "imitation": {"episodes": 24},
            "train": {"iterations": given.iterations, "tasks_per_iteration": 8},
            "eval": {"episodes": [0, 12], "temperature": 0.0},
        },
        given.set,
    )
    summary = train(config, given.run)
    routes: Counter[str] = Counter()
    for record in read_metrics(given.run):
        routes.update(record.get("routes", {}) if record["kind"] == "iteration" else {})
    report = audit_run(given.run)
    print(summary.describe())
    print(json.dumps({"routes": dict(routes), "calls": len(server.requests), "audit": report.describe()}))


if __name__ == "__main__":
    main()
