import io
from typing import Any

from rich.console import Console

from milepost.training.display import (
    LiveDisplay,
    PlainDisplay,
    describe,
    format_duration,
    make_display,
    render_tasks,
    show_score,
)

TASKS = {
    "Demo-v0": {"success": 0.5, "return": 0.75, "turns": 4.0, "reach": {"opened": 1.0, "saved": 0.5}},
}
ITERATION: dict[str, Any] = {
    "kind": "iteration",
    "iteration": 3,
    "iterations": 10,
    "elapsed_s": 75.0,
    "eta_s": 3700.0,
    "success": 0.5,
    "return": 0.75,
    "tasks": TASKS,
    "staleness": {"mean": 0.5, "max": 1.0},
    "time": {
        "steps_per_s": 101.4,
        "tokens_per_s": 1500.0,
        "engine_busy": 0.803,
        "browser_busy": 0.5,
        "learner_busy": 0.1,
    },
}
EVALUATION: dict[str, Any] = {
    "kind": "evaluation",
    "phase": "test-end",
    "iteration": 3,
    "elapsed_s": 80.0,
    "success": 0.9,
    "return": 0.95,
    "proportion": {"n": 30, "low": 0.74, "high": 0.97},
    "tasks": TASKS,
}


def make_console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_durations_are_written_as_on_a_clock() -> None:
    assert [format_duration(s) for s in (0.4, 75, 3725)] == ["0:00", "1:15", "1:02:05"]


def test_an_iteration_is_one_line() -> None:
    assert describe(ITERATION) == (
        "[1:15] iteration 3/10: success 0.50 return 0.75 | Demo 0.50 | 101 steps/s 1500 tokens/s | "
        "busy: engine 80% browser 50% learner 10%, at most 1 behind | 1:01:40 left"
    )


def test_an_evaluation_is_one_line_with_its_interval() -> None:
    assert describe(EVALUATION) == (
        "[1:20] test-end: success 0.90 return 0.95 (n=30, 95% 0.74-0.97) | Demo 0.50"
    )


def test_imitation_is_one_line() -> None:
    record = {
        "kind": "imitation",
        "elapsed_s": 5.0,
        "examples": 40,
        "steps": 2,
        "loss_first": 3.0,
        "loss_last": 1.0,
    }
    assert describe(record) == "[0:05] imitation: 40 turns, 2 steps, loss 3.000 -> 1.000"


def test_without_a_terminal_there_are_plain_lines() -> None:
    console = make_console(terminal=False)
    display = make_display(console)
    assert isinstance(display, PlainDisplay)
    display.begin("rollouts", 3)
    display.advance()
    display.show(ITERATION)
    display.say("[not] markup")
    display.close()
    assert text_of(console).splitlines() == [describe(ITERATION), "[not] markup"]


def test_on_a_terminal_the_table_shows_tasks_milestones_and_what_is_going_on() -> None:
    console = make_console(terminal=True)
    display = make_display(console)
    assert isinstance(display, LiveDisplay)
    display.show(ITERATION)
    display.show(EVALUATION)
    display.begin("iteration 4: rollouts", 8)
    display.advance()
    display.close()
    shown = text_of(console)
    for words in (
        "iteration 3/10",
        "held-out 0.90",
        "opened 100%",
        "saved 50%",
        "iteration 4: rollouts",
        "1/8",
    ):
        assert words in shown


def test_a_table_without_an_evaluation_leaves_the_held_out_column_empty() -> None:
    console = make_console(terminal=False)
    console.print(render_tasks(ITERATION, None))
    assert "Demo-v0" in text_of(console)


def test_alarms_about_tiers_are_lines_of_their_own() -> None:
    console = make_console(terminal=False)
    PlainDisplay(console).show({**ITERATION, "drift": ["route judge went"]})
    assert text_of(console).splitlines()[-1] == "route judge went"


def test_an_evaluation_says_who_decided_what_rules_left_open_and_only_then() -> None:
    own = {"n": 2, "low": 0.34, "high": 1.0}
    task = {"success": 1.0, "proportion": own, "return": 0.5, "turns": 4.0, "routes": {"judge": 3}}
    for routes in ({"judge": 3, "unscored": 1}, {}):
        console = Console(file=io.StringIO(), width=120)
        record = {"success": 1.0, "unscored": 1, "routes": routes, "tasks": {"Demo-v0": task}}
        show_score(console, record)
        said = console.file.getvalue()  # type: ignore[attr-defined]
        assert "0.34 to 1.00" in said
        assert said.endswith("mean over tasks 1.00; without a score 1\n")
        assert ("decided by: judge 3, unscored 1" in said, "judge 3" in said) == (bool(routes), bool(routes))
