from pathlib import Path

import pytest

from milepost.sandbox.chromium import BrowserNotFoundError, Chromium, Kind, find_chromium


def put(path: Path, content: bytes = b"\x7fELF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def put_playwright(cache: Path, folder: str, *, complete: bool = True) -> Path:
    path = put(cache / folder / "chrome-headless-shell-linux64/chrome-headless-shell")
    if complete:
        (cache / folder / "INSTALLATION_COMPLETE").touch()
    return path


def test_a_named_browser_wins_over_an_installed_one(tmp_path: Path) -> None:
    put(tmp_path / "usr/lib/chromium/chromium-headless-shell")
    named = put(tmp_path / "mine/google-chrome")
    found = find_chromium({"MILEPOST_CHROMIUM": str(named)}, root=tmp_path)
    assert found == Chromium(path=named, kind=Kind.CHROME, source="MILEPOST_CHROMIUM")


def test_a_named_browser_that_is_not_there_is_refused_although_another_is_installed(tmp_path: Path) -> None:
    put(tmp_path / "usr/lib/chromium/chromium-headless-shell")
    with pytest.raises(BrowserNotFoundError, match=r"MILEPOST_CHROMIUM names .*nowhere.*: not there"):
        find_chromium({"MILEPOST_CHROMIUM": str(tmp_path / "nowhere")}, root=tmp_path)


def test_a_named_browser_that_is_not_executable_is_refused(tmp_path: Path) -> None:
    named = put(tmp_path / "chromium")
    named.chmod(0o644)
    with pytest.raises(BrowserNotFoundError, match="not executable"):
        find_chromium({"MILEPOST_CHROMIUM": str(named)}, root=tmp_path)


def test_the_real_binary_is_preferred_to_its_wrapper_script(tmp_path: Path) -> None:
    put(tmp_path / "usr/bin/chromium-headless-shell", b"#!/bin/sh -e\n")
    real = put(tmp_path / "usr/lib/chromium/chromium-headless-shell")
    assert find_chromium({}, root=tmp_path) == Chromium(path=real, kind=Kind.HEADLESS_SHELL, source="system")


def test_a_wrapper_script_is_taken_where_it_is_all_there_is(tmp_path: Path) -> None:
    wrapper = put(tmp_path / "usr/bin/chromium-headless-shell", b"#!/bin/sh -e\n")
    assert find_chromium({}, root=tmp_path).path == wrapper


def test_a_systems_shell_is_preferred_to_playwrights(tmp_path: Path) -> None:
    put_playwright(tmp_path / "home/.cache/ms-playwright", "chromium_headless_shell-1255")
    system = put(tmp_path / "usr/lib/chromium/chromium-headless-shell")
    assert find_chromium({"HOME": str(tmp_path / "home")}, root=tmp_path).path == system


def test_playwrights_newest_complete_revision_is_taken(tmp_path: Path) -> None:
    cache = tmp_path / "home/.cache/ms-playwright"
    put_playwright(cache, "chromium_headless_shell-999")
    newest = put_playwright(cache, "chromium_headless_shell-1255")
    put_playwright(cache, "chromium_headless_shell-1300", complete=False)
    found = find_chromium({"HOME": str(tmp_path / "home")}, root=tmp_path)
    assert found == Chromium(path=newest, kind=Kind.HEADLESS_SHELL, source="playwright")


def test_playwrights_shell_is_preferred_to_a_full_chromium(tmp_path: Path) -> None:
    put(tmp_path / "usr/lib/chromium/chromium")
    shell = put_playwright(tmp_path / "cache", "chromium_headless_shell-1255")
    found = find_chromium({"PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "cache")}, root=tmp_path)
    assert found.path == shell


def test_playwright_browsers_path_replaces_the_cache_of_the_home(tmp_path: Path) -> None:
    put_playwright(tmp_path / "home/.cache/ms-playwright", "chromium_headless_shell-1255")
    environment = {"HOME": str(tmp_path / "home"), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "empty")}
    with pytest.raises(BrowserNotFoundError, match="empty"):
        find_chromium(environment, root=tmp_path)


def test_a_folder_of_the_path_is_searched(tmp_path: Path) -> None:
    shell = put(tmp_path / "bin/chrome-headless-shell")
    found = find_chromium({"PATH": f"{tmp_path}/none::{tmp_path}/bin"}, root=tmp_path)
    assert found == Chromium(path=shell, kind=Kind.HEADLESS_SHELL, source="PATH")


def test_chrome_is_the_last_choice_on_linux(tmp_path: Path) -> None:
    chrome = put(tmp_path / "opt/google/chrome/chrome")
    assert find_chromium({}, root=tmp_path) == Chromium(path=chrome, kind=Kind.CHROME, source="system")
    chromium = put(tmp_path / "usr/lib/chromium/chromium")
    assert find_chromium({}, root=tmp_path) == Chromium(path=chromium, kind=Kind.CHROMIUM, source="system")


def test_an_application_of_macos_is_found(tmp_path: Path) -> None:
    app = put(tmp_path / "Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    assert find_chromium({}, root=tmp_path) == Chromium(path=app, kind=Kind.CHROME, source="applications")


def test_headed_passes_over_headless_shells(tmp_path: Path) -> None:
    put(tmp_path / "usr/lib/chromium/chromium-headless-shell")
    full = put(tmp_path / "usr/lib/chromium/chromium")
    assert find_chromium({}, headed=True, root=tmp_path).path == full


def test_a_named_headless_shell_cannot_be_headed(tmp_path: Path) -> None:
    named = put(tmp_path / "chromium-headless-shell")
    with pytest.raises(BrowserNotFoundError, match="cannot show a window"):
        find_chromium({"MILEPOST_CHROMIUM": str(named)}, headed=True, root=tmp_path)


def test_the_script_that_stands_in_for_ubuntus_snap_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "bin/chromium-browser", b'#!/bin/sh\nexec /snap/bin/chromium "$@"\n')
    with pytest.raises(BrowserNotFoundError, match=r"chromium-browser \(a snap"):
        find_chromium({"PATH": str(tmp_path / "bin")}, root=tmp_path)


def test_nothing_installed_says_what_was_tried_and_how_to_install(tmp_path: Path) -> None:
    with pytest.raises(BrowserNotFoundError) as caught:
        find_chromium({"HOME": str(tmp_path / "home")}, root=tmp_path)
    message = str(caught.value)
    assert f"{tmp_path}/usr/lib/chromium/chromium-headless-shell (not there)" in message
    assert f"{tmp_path}/home/.cache/ms-playwright (nothing usable in it)" in message
    assert "on PATH: chrome-headless-shell, headless_shell, chromium" in message
    assert "\n  playwright install --with-deps --only-shell chromium\n" in message
    assert "\n  apt-get install -y chromium-headless-shell\n" in message
