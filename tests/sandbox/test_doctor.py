import os
from pathlib import Path

import pytest

from milepost.sandbox.doctor import (
    Check,
    Requirement,
    Status,
    check_browser,
    check_disk,
    check_idling,
    check_inotify,
    check_loopback,
    check_memory,
    check_packages,
    check_processors,
    check_python,
    check_torch,
    describe_checks,
    installed_requirements,
    run_checks,
)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put_inotify(root: Path, *, instances: int, watches: int) -> None:
    put(root / "proc/sys/fs/inotify/max_user_instances", f"{instances}\n")
    put(root / "proc/sys/fs/inotify/max_user_watches", f"{watches}\n")


def test_an_old_python_fails() -> None:
    assert check_python((3, 10, 9)).status is Status.FAIL
    assert check_python((3, 11, 0)).status is Status.OK


def test_a_missing_package_fails_and_a_missing_training_package_warns() -> None:
    needed, training = check_packages(
        [
            Requirement(name="gymnasium", extra="", version=""),
            Requirement(name="numpy", extra="", version="2.4.6"),
            Requirement(name="torch", extra="train", version=""),
            Requirement(name="mypy", extra="dev", version=""),
        ]
    )
    assert (needed.status, needed.found) == (Status.FAIL, "missing: gymnasium")
    assert (training.status, training.found) == (Status.WARN, "missing: torch")


def test_installed_packages_are_listed_with_their_versions() -> None:
    needed, training = check_packages(
        [
            Requirement(name="numpy", extra="", version="2.4.6"),
            Requirement(name="torch", extra="train", version="2.13.0+cpu"),
        ]
    )
    assert (needed.status, needed.found) == (Status.OK, "numpy 2.4.6")
    assert (training.status, training.found) == (Status.OK, "torch 2.13.0+cpu")


def test_requirements_are_read_from_the_metadata_with_their_extras() -> None:
    extras = {requirement.name: requirement.extra for requirement in installed_requirements("gymnasium")}
    assert extras["numpy"] == ""
    assert extras["mujoco"] in ("all", "mujoco")


def test_a_package_that_is_not_installed_is_told_from_one_without_requirements() -> None:
    assert installed_requirements("no-such-distribution") == ()
    (check,) = check_packages(())
    assert (check.status, check.found) == (Status.FAIL, "milepost is not installed")


def test_a_cpu_build_of_torch_beside_a_gpu_warns() -> None:
    assert check_torch("2.13.0+cpu", has_gpu=True).status is Status.WARN
    assert check_torch("2.13.0+cpu", has_gpu=False).status is Status.OK
    assert check_torch("2.13.0", has_gpu=True).status is Status.OK
    assert check_torch("", has_gpu=False).status is Status.WARN


async def test_a_browser_that_is_not_there_fails(tmp_path: Path) -> None:
    check = await check_browser({"MILEPOST_CHROMIUM": str(tmp_path / "nowhere")})
    assert check.status is Status.FAIL
    assert "not there" in check.found


async def test_a_browser_that_does_not_start_fails(tmp_path: Path) -> None:
    broken = tmp_path / "chromium-headless-shell"
    put(broken, "#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    check = await check_browser({**os.environ, "MILEPOST_CHROMIUM": str(broken)})
    assert check.status is Status.FAIL
    assert f"{broken} did not start" in check.found


def test_loopback_works_here() -> None:
    assert check_loopback().status is Status.OK


def test_low_inotify_limits_warn_with_the_command_that_raises_them(tmp_path: Path) -> None:
    put_inotify(tmp_path, instances=8, watches=65536)
    check = check_inotify(tmp_path)
    assert (check.status, check.found) == (Status.WARN, "8 instances, 65536 watches")
    assert "sysctl fs.inotify.max_user_instances=" in check.mend


def test_usual_inotify_limits_are_enough(tmp_path: Path) -> None:
    put_inotify(tmp_path, instances=128, watches=65536)
    assert check_inotify(tmp_path).status is Status.OK


def test_a_system_without_inotify_is_fine(tmp_path: Path) -> None:
    assert check_inotify(tmp_path).found == "not used on this system"


def test_a_disk_is_judged_by_what_is_free(tmp_path: Path) -> None:
    assert check_disk(tmp_path, low_bytes=1, min_bytes=0).status is Status.OK
    assert check_disk(tmp_path, low_bytes=10**18, min_bytes=0).status is Status.WARN
    assert check_disk(tmp_path, low_bytes=10**18, min_bytes=10**18).status is Status.FAIL


def test_a_temporary_folder_that_is_not_there_fails(tmp_path: Path) -> None:
    assert check_disk(tmp_path / "gone").status is Status.FAIL


def test_a_containers_quota_counts_and_not_the_machines_cores(tmp_path: Path) -> None:
    put(tmp_path / "sys/fs/cgroup/cpu.max", "150000 100000\n")
    check = check_processors(8, tmp_path)
    assert (check.status, check.found) == (Status.WARN, "1.5 usable of 8 (container quota)")


@pytest.mark.parametrize("quota", ["max 100000\n", ""])
def test_without_a_quota_all_cores_count(tmp_path: Path, quota: str) -> None:
    if quota:
        put(tmp_path / "sys/fs/cgroup/cpu.max", quota)
    check = check_processors(8, tmp_path)
    assert (check.status, check.found) == (Status.OK, "8 usable")


def put_idling(root: Path, governor: str, nanoseconds: int) -> None:
    put(root / "sys/devices/system/cpu/cpuidle/current_governor", f"{governor}\n")
    put(root / "sys/module/haltpoll/parameters/guest_halt_poll_ns", f"{nanoseconds}\n")


def test_a_guest_that_hands_its_idle_cores_back_at_once_is_told_how_to_keep_them(tmp_path: Path) -> None:
    put_idling(tmp_path, "haltpoll", 0)
    check = check_idling(tmp_path)
    assert (check.status, check.found) == (Status.WARN, "kept for 0 ms after their work")
    assert "echo 200000 > /sys/module/haltpoll/parameters/guest_halt_poll_ns" in check.mend
    put_idling(tmp_path, "haltpoll", 200_000)
    assert check_idling(tmp_path).found == "kept for 0.2 ms after their work"
    assert check_idling(tmp_path).status is Status.OK


def test_where_nothing_polls_there_is_nothing_to_set(tmp_path: Path) -> None:
    assert check_idling(tmp_path).found == "nothing to set on this system"
    put_idling(tmp_path, "menu", 0)
    assert check_idling(tmp_path).status is Status.OK


def test_memory_is_the_smaller_of_what_is_free_and_what_is_allowed(tmp_path: Path) -> None:
    put(tmp_path / "proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable:   8000000 kB\n")
    assert check_memory(tmp_path).found == "8.2 GB available"
    put(tmp_path / "sys/fs/cgroup/memory.max", "2000000000\n")
    check = check_memory(tmp_path)
    assert (check.status, check.found) == (Status.WARN, "2.0 GB available")


def test_checks_are_rendered_with_what_mends_them_beneath() -> None:
    checks = [
        Check(name="python", status=Status.OK, found="3.11.7"),
        Check(name="torch", status=Status.WARN, found="not installed", mend="install it\nor not"),
    ]
    assert describe_checks(checks).splitlines() == [
        "ok    python  3.11.7",
        "warn  torch   not installed",
        "              -> install it",
        "              -> or not",
    ]


def test_a_check_is_plain_json_values() -> None:
    check = Check(name="torch", status=Status.WARN, found="not installed", mend="install it")
    assert check.as_dict() == {
        "name": "torch",
        "status": "warn",
        "found": "not installed",
        "mend": "install it",
    }


@pytest.mark.browser
async def test_this_machine_can_run_milepost() -> None:
    checks = await run_checks()
    assert [check for check in checks if check.status is Status.FAIL] == []
    (browser,) = (check for check in checks if check.name == "browser")
    assert "started in" in browser.found
