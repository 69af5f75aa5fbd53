"""How fast environments are: steps, resets, throughput, memory, overhead, observations, and beside the peers.

`python -m benchmarks.env_speed [--parts ...] [--tasks ...] [--rounds 3] [--json] [--markdown docs/benchmarks.md]`

Every part runs in processes of its own, the configurations of a part turn about, round after round:

- `steps`: steps and resets through the public Gymnasium API, event log, file probe and milestones on, no pictures
- `throughput`: steps a second of 1, 4 and 16 contexts of one browser on two cores, resets in the time
- `memory`: the browser's proportional set size with 1, 4 and 16 episodes open
- `bare`: a step beside the bare DevTools calls that it is made of
- `observation`: the text observation of pages of 2,500 and 35,000 elements
- `peers`: the same clicks and fills on four MiniWoB++ pages in milepost, BrowserGym and Farama's MiniWoB++. These are installed in
  environments of their own (`.venv-peers/`), for they pin other versions. Only run when it is asked for.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import venv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.report.markdown import describe_machine, write_section, write_tables  # noqa: E402
from milepost.envs.miniwob.package import find_html  # noqa: E402
from milepost.envs.registry import templates  # noqa: E402
from milepost.sandbox.chromium import find_chromium  # noqa: E402

ENVIRONMENTS = HERE.parent / ".venv-peers"
PINS = {
    "browsergym": ("browsergym-core==0.14.3", "browsergym-miniwob==0.14.3"),
    "farama": ("miniwob==1.1.0",),
}
PAGES = ("click-button", "enter-text", "login-user", "book-flight")
TASKS = (*(f"miniwob.{page}-v1" for page in PAGES), "CatalogSearch-v0", "ExpenseForm-v0", "ReportExport-v0")
PARTS = ("steps", "throughput", "memory", "bare", "observation", "peers")

Times = dict[str, list[float]]
Table = dict[str, dict[str, float]]


def run_script(command: Sequence[object]) -> Any:
    """Run a script in a process of its own; gives its last line, which is JSON."""
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_part(name: str, *arguments: object) -> Any:
    """Run one of our own parts."""
    return run_script([sys.executable, HERE / "parts" / f"{name}.py", *arguments])


def describe(times: Mapping[str, Sequence[float]]) -> Table:
    """Give minimum, median, 99th percentile and count of each list that has any."""
    found: Table = {}
    for name, values in times.items():
        if ordered := sorted(values):
            found[name] = {
                "min": ordered[0],
                "median": statistics.median(ordered),
                "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
                "n": len(ordered),
            }
    return found


# --- The parts ------------------------------------------------------------------------------------------


def measure_steps(tasks: Sequence[str], rounds: int, episodes: int) -> dict[str, Table]:
    """Steps, fresh resets and resets in the page, by task and of all."""
    kinds = {
        "step_ms": "step",
        "fresh_ms": "reset, fresh",
        "emptied_ms": "reset, in an emptied context",
        "in_page_ms": "reset, in the page",
    }
    times: dict[str, Times] = {kind: defaultdict(list) for kind in kinds}
    for number in range(rounds):
        results = run_part(
            "steps", "--tasks", *tasks, "--episodes", episodes, "--first-seed", number * episodes
        )
        for task, measured in results.items():
            for kind in kinds:
                times[kind]["all"] += measured[kind]
                times[kind][task] += measured[kind]
    return {f"{title} (ms)": describe(times[kind]) for kind, title in kinds.items()}


def measure_throughput(rounds: int, seconds: float, tasks: Sequence[str]) -> dict[str, Table]:
    """Steps a second by the number of contexts; each round is one value."""
    rates: Times = defaultdict(list)
    for _ in range(rounds):
        chosen = ("--tasks", *tasks) if tasks else ()
        for row in run_part("throughput", "--cores", 2, "--seconds", seconds, *chosen):
            rates[f"{row['contexts']} contexts"].append(row["per_s"])
    return {"throughput on 2 cores (steps/s)": describe(rates)}


def measure_memory(rounds: int, tasks: Sequence[str]) -> dict[str, Table]:
    """PSS of the browser by the number of episodes, and what each further one adds."""
    weights: Times = defaultdict(list)
    for _ in range(rounds):
        rows = run_part("memory", *(("--tasks", *tasks) if tasks else ()))
        for row in rows:
            weights[f"{row['contexts']} episodes"].append(row["pss_mb"])
        first, last = rows[0], rows[-1]
        more = (last["pss_mb"] - first["pss_mb"]) / (last["contexts"] - first["contexts"])
        weights["each further one"].append(more)
    return {"memory of the browser (MB PSS)": describe(weights)}


def measure_overhead(rounds: int) -> dict[str, Table]:
    """A step beside its bare calls, and their ratio, of the medians of each process."""
    times: Times = {"step": [], "bare DevTools calls": [], "ratio of the medians": []}
    for _ in range(rounds):
        measured = run_part("bare")
        times["step"] += measured["step"]
        times["bare DevTools calls"] += measured["bare"]
        ratio = statistics.median(measured["step"]) / statistics.median(measured["bare"])
        times["ratio of the medians"].append(ratio)
    return {"a step and its bare calls (ms)": describe(times)}


def measure_observation() -> dict[str, Table]:
    """The text observation of large pages."""
    result = run_script([sys.executable, HERE / "observation_speed.py", "--json", "--compact"])
    rows: Table = {}
    for row in result["observation"]:
        rows[f"{row['page']}, {row['elements']:,} elements"] = {
            "min": row["min_ms"],
            "median": row["median_ms"],
            "p99": row["max_ms"],
            "n": row["n"],
        }
    return {"observation (ms; the last of p99 is the slowest)": rows}


def install(peer: str) -> Path:
    """Make a peer's environment unless it is there; gives its Python."""
    home = ENVIRONMENTS / peer
    python = home / "bin" / "python"
    if not python.exists():
        print(f"installing {', '.join(PINS[peer])} ...", file=sys.stderr)
        venv.create(home, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", *PINS[peer]], check=True, stderr=subprocess.DEVNULL
        )
    return python


def plan_peers(episodes: int) -> dict[str, list[object]]:
    """Give the command of every configuration. The slow ones play fewer episodes."""
    chromium, html, folder = find_chromium(os.environ).path, find_html(), HERE / "peers"
    if html is None:
        sys.exit("the pages of MiniWoB++ are not installed: pip install 'milepost[miniwob]'")
    pages, few = (html / "miniwob").as_uri() + "/", max(2, episodes // 5)
    own: list[object] = [sys.executable, folder / "milepost_steps.py"]
    gym = [install("browsergym"), folder / "browsergym_steps.py", chromium, pages]
    runs: dict[str, list[object]] = {
        "BrowserGym, default": [*gym, "default", few],
        "BrowserGym, no waits": [*gym, "tuned", few],
        "milepost text": [*own, "text", episodes],
        "milepost text, reset in the page": [*own, "again", episodes],
        "milepost + 332x214 jpeg": [*own, "jpeg", episodes],
        "milepost + 1280x720 jpeg": [*own, "large", episodes],
    }
    if driver := shutil.which("chromedriver"):
        farama = [install("farama"), folder / "farama_steps.py", chromium, driver]
        runs["Farama, text"] = [*farama, few]
    else:
        print("no chromedriver: Farama's MiniWoB++ is left out", file=sys.stderr)
    return runs


def measure_peers(rounds: int, episodes: int) -> dict[str, Table]:
    """Steps and resets by configuration, and how many times BrowserGym's of the same round each takes."""
    steps: Times = defaultdict(list)
    resets: Times = defaultdict(list)
    faster: Times = defaultdict(list)
    runs = plan_peers(episodes)
    for number in range(rounds):
        medians: dict[str, tuple[float, float]] = {}
        for name, command in runs.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            measured = run_script(command).values()
            more = [value for page in measured for value in page["step_ms"]]
            begun = [value for page in measured for value in page["reset_ms"]]
            steps[name] += more
            resets[name] += begun
            medians[name] = (statistics.median(more), statistics.median(begun))
        for peer in ("BrowserGym, default", "BrowserGym, no waits", "Farama, text"):
            for name in (n for n in medians if n.startswith("milepost") and peer in medians):
                faster[f"step: {name} / {peer}"].append(medians[peer][0] / medians[name][0])
                faster[f"reset: {name} / {peer}"].append(medians[peer][1] / medians[name][1])
    return {
        "step beside the peers (ms)": describe(steps),
        "reset beside the peers (ms)": describe(resets),
        "times as fast, round by round": describe(faster),
    }


def measure(parts: Sequence[str], options: argparse.Namespace) -> dict[str, Table]:
    """Run the parts that were asked for."""
    tasks, rounds, episodes = options.tasks, options.rounds, options.episodes
    if tasks == ["all"]:
        tasks = [t.id for t in templates() if not t.id.startswith("miniwob.")]
    tables: dict[str, Table] = {}
    for part in parts:
        print(f"{part} ...", file=sys.stderr)
        match part:
            case "steps":
                tables |= measure_steps(tasks or TASKS, rounds, episodes)
            case "throughput":
                tables |= measure_throughput(rounds, options.seconds, tasks)
            case "memory":
                tables |= measure_memory(rounds, tasks)
            case "bare":
                tables |= measure_overhead(rounds)
            case "observation":
                tables |= measure_observation()
            case _:
                tables |= measure_peers(rounds, episodes)
    return tables


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS[:-1], help="default: all but peers"
    )
    parser.add_argument("--peers", action="store_true", help="short for --parts peers")
    parser.add_argument("--tasks", nargs="+", default=[], help="task ids; `all`: every built-in one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=5, help="of each task or page, and round")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each throughput measurement")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the section of this benchmark there"
    )
    options = parser.parse_args()
    machine = describe_machine()
    tables = measure(("peers",) if options.peers else options.parts, options)
    command = "python -m benchmarks.env_speed " + " ".join(
        word for word in sys.argv[1:] if not word.endswith(".md") and word != "--markdown"
    )
    text = write_tables(tables, machine, command.strip())
    if options.markdown:
        write_section(options.markdown, "env_speed", "The speed of environments", text)
    print(json.dumps({"machine": machine, "tables": tables}, indent=2) if options.json else text)


if __name__ == "__main__":
    main()
