"""What judging costs: the fold of one event with its place in the chain checked, and a long log scored from disk.

`python benchmarks/rewards.py [--events 10000] [--rounds 7] [--json]`: the rules are those of the built-in tasks and
one larger set; the log mixes events that rules name with those that none does. No browser takes part. Times are
processor time, so that other work on the machine counts for little.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from milepost.envs.registry import get_template, templates
from milepost.milestones import (
    Goal,
    Spec,
    advance,
    any_of,
    fields,
    forbid,
    milestone,
    number,
    start_progress,
    when,
)
from milepost.milestones.audit import replay
from milepost.sandbox.events import (
    GENESIS,
    ActionTaken,
    AppChanged,
    Clicked,
    ElementAppeared,
    EpisodeEnded,
    Event,
    Fact,
    Filled,
    Requested,
    Responded,
    Source,
    chain,
    is_intact,
)
from milepost.sandbox.log import TRUST_OF, write_log


def make_spec() -> Spec:
    """Make rules that use every operation of the language: eight milestones, three forbidden things."""
    names = [f"Field {index}" for index in range(4)]
    entered = [when("filled", name=name, value=number("48.20")) for name in names]
    saved = when("app_changed", app="shop", change="saved", data=fields(total=number("48.20")))
    press = when("clicked", role="button", name="Save")
    return Spec(
        milestones=(
            milestone("form", reward="0.3", component="form", when=any_of(3, *entered)),
            milestone("split", reward="0.2", component="form", when=entered[0] & entered[1], graded=True),
            milestone("pressed", reward="0.1", component="ui", when=press, after=("form",), by_agent=True),
            milestone("soon", reward="0.1", component="ui", when=press.then(saved, within_steps=2)),
            milestone(
                "kept", reward="0.1", when=saved.undone_by(when("app_changed", change="deleted")), holds=True
            ),
            milestone("often", reward="0.1", when=when("clicked").count(9, distinct="name")),
            milestone("clean", reward="0.1", when=saved & ~when("clicked", name="Help")),
            milestone("saved", reward="0.5", when=saved, after=("pressed",)),
        ),
        forbidden=(
            forbid(
                "twice", when=when("app_changed", app="shop", change="saved").count(2000), effect="cap", cap=1
            ),
            forbid("early", when=press, until=entered[0], effect="cap", cap="1.2"),
            forbid("mail", when=when("app_changed", app="mail")),
        ),
        goal=Goal(when=saved, frame=(when("app_changed", app="shop"),), holds=("form",)),
    )


def make_log(size: int) -> list[Event]:
    """Make a log of so many events, ten a step, as a browsing agent leaves one."""
    events: list[Event] = []
    for index in range(size - 1):
        step = index // 10
        facts: tuple[tuple[Source, Fact], ...] = (
            (Source.SESSION, ActionTaken(action=f'click("{step}")', error="")),
            (Source.INPUT, Clicked(tab=0, role="button", name=("Save", "Next", "Back")[step % 3])),
            (Source.INPUT, Filled(tab=0, role="textbox", name=f"Field {step % 7}", value=f"{step}.20")),
            (Source.PROXY, Requested(method="GET", url=f"http://shop.test/{step}", allowed=True)),
            (Source.PROXY, Responded(method="GET", url=f"http://shop.test/{step}", status=200)),
            (
                Source.SERVER,
                AppChanged(app="shop", change="saved", data={"total": f"{step}.00", "step": step}),
            ),
            (Source.PAGE, ElementAppeared(tab=0, role="row", name=f"Row {step}")),
            (Source.PAGE, ElementAppeared(tab=0, role="status", name="Saved")),
            (Source.PAGE, ElementAppeared(tab=0, role="link", name=f"Item {step}")),
            (Source.PAGE, ElementAppeared(tab=0, role="heading", name="Items")),
        )
        source, fact = facts[index % 10]
        prev = events[-1].hash if events else GENESIS
        events.append(chain(fact, seq=index, step=step, source=source, trust=TRUST_OF[source], prev=prev))
    end = EpisodeEnded(reason="step_limit")
    last = {"seq": size - 1, "step": size // 10, "source": Source.SESSION, "trust": TRUST_OF[Source.SESSION]}
    return [*events, chain(end, prev=events[-1].hash, **last)]  # type: ignore[arg-type]


def time_fold(spec: Spec, events: Sequence[Event], *, check: bool) -> float:
    """Give the microseconds per event of folding a log, with every hash recomputed if wanted."""
    progress, prev = start_progress(spec), GENESIS
    start = time.process_time()
    for event in events:
        if check:
            if event.prev != prev or not is_intact(event):
                raise AssertionError(f"event {event.seq} is broken")
            prev = event.hash
        progress, _ = advance(spec, progress, event)
    return (time.process_time() - start) / len(events) * 1e6


def time_replay(spec: Spec, path: Path) -> float:
    """Give the seconds that scoring a stored log takes: reading, checking every hash, folding, writing the trace."""
    start = time.process_time()
    trace = replay(spec, path)
    trace.to_bytes()
    seconds = time.process_time() - start
    if trace.reason:
        raise AssertionError(trace.reason)
    return seconds


def describe(values: list[float]) -> dict[str, float]:
    """Give minimum, median, maximum and count."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values), "n": len(values)}


def measure(size: int, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure every set of rules; rounds are interleaved."""
    events = make_log(size)
    specs = {"every operation": make_spec()} | {t.id: get_template(t.id).task(0).spec for t in templates()}
    folds: dict[str, list[float]] = {name: [] for name in specs}
    checked: dict[str, list[float]] = {name: [] for name in specs}
    replays: dict[str, list[float]] = {name: [] for name in specs}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        write_log(events, path)
        for _ in range(rounds):
            for name, spec in specs.items():
                folds[name].append(time_fold(spec, events, check=False))
                checked[name].append(time_fold(spec, events, check=True))
                replays[name].append(time_replay(spec, path))
    return {
        name: {
            "fold_us_per_event": describe(folds[name]),
            "fold_with_chain_us_per_event": describe(checked[name]),
            "rescore_s": describe(replays[name]),
        }
        for name in specs
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measured = measure(options.events, options.rounds)
    if options.json:
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        }
        print(json.dumps({"events": options.events, "machine": machine, "rules": measured}, indent=2))
        return
    print(f"{options.events} events, {options.rounds} rounds; median (min to max)")
    print(f"{'rules':20} {'fold us/event':>22} {'with chain us/event':>22} {'re-score s':>24}")
    for name, row in measured.items():
        cells = [f"{d['median']:.3g} ({d['min']:.3g} to {d['max']:.3g})" for d in row.values()]
        print(f"{name:20} {cells[0]:>22} {cells[1]:>22} {cells[2]:>24}")


if __name__ == "__main__":
    main()
