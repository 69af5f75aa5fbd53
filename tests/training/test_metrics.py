from pathlib import Path

import pytest

from milepost.training.metrics import (
    MetricsLog,
    count_steps,
    find_evaluation,
    flatten,
    read_metrics,
    watch_routes,
)


def write(run: Path, *records: dict[str, object], keep_bytes: int | None = None) -> int:
    log = MetricsLog(run)
    if keep_bytes is not None:
        log.cut(keep_bytes)
    for record in records:
        log.append(record)
    size = log.size
    log.close()
    return size


def make_record(iteration: int, **more: object) -> dict[str, object]:
    return {"kind": "iteration", "iteration": iteration, "elapsed_s": 1.0, **more}


def test_records_read_back_in_order(tmp_path: Path) -> None:
    records = [make_record(1, success=0.5), make_record(2, tasks={"A": {"success": 1.0}})]
    write(tmp_path, *records)
    assert read_metrics(tmp_path) == records
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_resumed_log_cuts_off_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    size = write(tmp_path, make_record(1))
    write(tmp_path, make_record(2), keep_bytes=size)
    assert [r["iteration"] for r in read_metrics(tmp_path)] == [1, 2]
    write(tmp_path, make_record(2), keep_bytes=size)
    assert [r["iteration"] for r in read_metrics(tmp_path)] == [1, 2]


def test_steps_are_those_of_training_episodes(tmp_path: Path) -> None:
    assert count_steps(tmp_path) == 0
    evaluation = {"kind": "evaluation", "phase": "test-start", "iteration": 0, "time": {"steps": 50.0}}
    write(tmp_path, evaluation, *(make_record(i, time={"steps": 7.0}) for i in (1, 2)))
    assert count_steps(tmp_path) == 14


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, make_record(1))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "itera')
    assert len(read_metrics(tmp_path)) == 1


def test_a_broken_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{\n{}\n")
    with pytest.raises(ValueError, match="holds a line that is not JSON"):
        read_metrics(tmp_path)


def test_numbers_are_flattened_and_words_left_out() -> None:
    record = make_record(3, success=1, phase="x", statuses={"finished": 2}, note="text")
    assert dict(flatten(record)) == {"elapsed_s": 1.0, "success": 1.0, "statuses/finished": 2.0}


def test_the_newest_evaluation_of_a_phase_is_found(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {"kind": "evaluation", "phase": f"validation-{i:04d}", "iteration": i, "elapsed_s": 0.0}
        for i in (0, 10)
    ]
    write(tmp_path, *records)
    assert find_evaluation(tmp_path, "validation")["iteration"] == 10
    assert find_evaluation(tmp_path, "test-end") == {}


def test_shares_of_tiers_are_compared_with_those_of_earlier_iterations(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.append({"kind": "iteration", "iteration": 1, "routes": {"judge": 40, "unscored": 2}})
    log.append({"kind": "evaluation", "iteration": 1, "phase": "test", "routes": {"unscored": 400}})
    log.append({"kind": "iteration", "iteration": 2})
    log.close()
    assert watch_routes(tmp_path, {}) == []
    assert watch_routes(tmp_path, {"judge": 20, "unscored": 1}) == []
    assert watch_routes(tmp_path, {"unscored": 20}) == [
        "route judge went from 0.952 (n=42) to 0.000 (n=20)",
        "route unscored went from 0.048 (n=42) to 1.000 (n=20)",
    ]
