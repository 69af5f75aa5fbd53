#!/usr/bin/env bash
# Makes everything `make train` and `make test` need: a virtual environment in .venv, the package with its
# extras, and a browser. Safe to repeat: what is complete is left alone, what was interrupted is made anew.
#
# Read from the environment: PYTHON (the interpreter to use), MILEPOST_CHROMIUM (the browser to use),
# MILEPOST_TORCH (`cuda` for the GPU build of torch) and pip's own settings, above all PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS and PIP_NO_INDEX.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV=.venv
readonly OURS=$VENV/milepost-made              # this script made the environment, so it may remove it
readonly UNFINISHED=$VENV/milepost-unfinished  # installing has begun and has not ended
readonly STAMP=$VENV/milepost-setup            # what a complete set-up was made from; written last
readonly BROWSER=$VENV/milepost-browser        # path of the browser that was seen to start
readonly NO_SANDBOX=$VENV/milepost-no-sandbox  # the browser starts only without its own sandbox; the Makefile reads it
readonly CPU_INDEX=https://download.pytorch.org/whl/cpu
readonly NEEDED_MB=3000       # with the CPU build of torch
readonly NEEDED_CUDA_MB=9000  # with the CUDA build and its downloads

say() { printf '\033[1mset-up:\033[0m %s\n' "$*" >&2; }

fail() {
    printf '\033[1;31mset-up failed:\033[0m %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

hash_of() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi | cut -c1-64 | tr '\n' ' '; }

# Runs a command as root: directly, or through sudo, which may ask for a password only on a terminal.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        say "not root, and there is no sudo: cannot run: $*"
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt_install() {
    command -v apt-get >/dev/null || return 1
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 -qq)
    # The package lists of a fresh machine are empty and those of an old one stale: fetch them only then.
    as_root "${apt[@]}" install -y "$@" >/dev/null 2>&1 && return 0
    as_root "${apt[@]}" update >&2 || return 1
    as_root "${apt[@]}" install -y "$@" >&2
}

# --- Python ---------------------------------------------------------------------------------------------

version_of() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Prints the first Python that is recent enough.
find_python() {
    local found=() name version
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        command -v "$name" >/dev/null || continue
        version=$(version_of "$name") || continue
        if is_recent "$name"; then
            command -v "$name"
            return
        fi
        found+=("found $(command -v "$name"), which is Python $version")
    done
    [ ${#found[@]} -gt 0 ] || found=("found none that runs; looked for ${PYTHON:-python3, python3.11 to python3.13 and python}")
    fail "Python 3.11 or newer is needed." "${found[@]}" \
        "Debian 12, Ubuntu 24.04 or newer:  apt-get install -y python3 python3-venv" \
        "elsewhere:                         https://www.python.org/downloads/" \
        "or name one:                       PYTHON=/path/to/python3.12 make train"
}

# --- The virtual environment ----------------------------------------------------------------------------

# What an environment is bound to: its place (its scripts hold absolute paths) and its Python.
foundation() { printf '%s %s\n' "$PWD" "$(version_of "$VENV/bin/python" | cut -d. -f1,2)"; }

ensure_venv() {
    if [ -e "$OURS" ]; then
        if [ -e "$UNFINISHED" ]; then
            say "the last set-up was interrupted; making $VENV anew"
            rm -rf "$VENV"
        elif [ "$(cat "$OURS")" != "$(foundation)" ]; then
            say "$VENV was made at another place or with another Python; making it anew"
            rm -rf "$VENV"
        fi
    elif [ -e "$VENV" ] && ! { is_recent "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null; }; then
        fail "$VENV was not made by this script, and has no Python >= 3.11 with pip." \
            "Move it away or remove it, then run this again:  rm -rf $VENV"
    fi
    if [ -e "$VENV" ]; then return; fi
    check_disk "$NEEDED_MB"
    local python
    python=$(find_python)
    make_venv "$python"
}

check_disk() {
    local free_mb
    free_mb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1000) }')
    [ "$free_mb" -ge "$1" ] || fail "the disk is too full: $free_mb MB are free here, $1 MB are needed."
}

make_venv() {
    local python=$1 version words
    version=$(version_of "$python")
    say "making $VENV with $python (Python $version)"
    mkdir "$VENV"
    touch "$OURS" "$UNFINISHED"
    if ! words=$("$python" -m venv "$VENV" 2>&1); then
        # Debian and Ubuntu keep the half of venv that brings pip in a package of its own.
        say "this Python cannot make environments yet; installing python${version%.*}-venv (needs root)"
        if ! { apt_install "python${version%.*}-venv" && words=$("$python" -m venv "$VENV" 2>&1); } &&
            ! words+=$'\n'$("$python" -m virtualenv -q "$VENV" 2>&1); then
            fail "$python cannot make virtual environments:" "$words" \
                "Debian, Ubuntu:  apt-get install -y python${version%.*}-venv   (as root or with sudo)" \
                "elsewhere:       $python -m pip install --user virtualenv"
        fi
    fi
    foundation >"$OURS"
}

# --- Packages -------------------------------------------------------------------------------------------

can_reach() {
    "$VENV/bin/python" - "$1" 2>/dev/null <<'PY'
import sys
import urllib.request

urllib.request.urlopen(sys.argv[1], timeout=10).close()
PY
}

# Prints a setting of pip, from its configuration or the environment.
pip_setting() {
    "$VENV/bin/python" -m pip config list 2>/dev/null | sed -nE "s/^(global|install|:env:)\.$1='(.*)'$/\2/p" | tail -n 1
}

names_an_index() {
    local setting
    for setting in index-url extra-index-url find-links no-index; do
        [ -z "$(pip_setting "$setting")" ] || return 0
    done
    return 1
}

# PyPI's torch for Linux is the CUDA build, which also runs on a CPU but takes many times the room.
torch_index() {
    if [ "$(uname -s)" != Linux ] || [ "${MILEPOST_TORCH:-cpu}" = cuda ]; then return; fi
    if names_an_index; then
        say "pip has an index of its own set, so torch comes from there"
    elif can_reach "$CPU_INDEX/torch/"; then
        echo "--extra-index-url=$CPU_INDEX"
    else
        say "$CPU_INDEX cannot be reached, so torch comes from the ordinary index: its CUDA build, 4 GB larger"
        check_disk "$NEEDED_CUDA_MB"
    fi
}

torch_requirement() {
    "$VENV/bin/python" - <<'PY'
import tomllib

with open("pyproject.toml", "rb") as file:
    extras = tomllib.load(file)["project"]["optional-dependencies"]
print(next(line for line in extras["train"] if line.startswith("torch=")))
PY
}

pip_install() {
    "$VENV/bin/python" -m pip --disable-pip-version-check install "$@" >&2 && return
    local index
    index=$(pip_setting index-url)
    index=${index:-$("$VENV/bin/python" -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)')}
    if can_reach "${index%/}/pip/"; then
        fail "pip could not install the packages; its own words are above." \
            "A full disk or a broken download are the usual causes. Running this again is safe."
    fi
    fail "no network: the package index $index cannot be reached." \
        "Behind a proxy:   export https_proxy=http://host:port" \
        "With a mirror:    export PIP_INDEX_URL=https://mirror/simple" \
        "With neither:     export PIP_NO_INDEX=1 PIP_FIND_LINKS=/folder/of/wheels" \
        "Then run this again; it is safe to repeat."
}

ensure_packages() {
    local wanted requirement index
    wanted=$(hash_of pyproject.toml scripts/setup.sh)
    if [ -e "$STAMP" ] && [ "$(cat "$STAMP")" = "$wanted" ]; then return; fi
    rm -f "$STAMP"
    # Interrupted pip leaves half-copied packages that it later believes to be there. So an environment of
    # ours is unfinished from here on; one that somebody else made is checked again, but never removed.
    touch "$UNFINISHED"
    say "installing packages (some minutes the first time)"
    index=$(torch_index)
    requirement=$(torch_requirement)
    # Torch alone from the CPU index, so that no other package is ever looked for there.
    pip_install ${index:+"$index"} "$requirement"
    pip_install --editable '.[train,dev]'
    "$VENV/bin/python" -c 'import gymnasium, playwright, torch, transformers, milepost' ||
        fail "the packages are installed but cannot be imported; the reason is above." \
            "To start afresh:  rm -rf $VENV"
    # Else the first of many processes that start at once would each do it.
    "$VENV/bin/python" -m compileall -q milepost benchmarks
    rm -f "$UNFINISHED"
    printf '%s\n' "$wanted" >"$STAMP.new"
    mv "$STAMP.new" "$STAMP"
}

# --- The browser ----------------------------------------------------------------------------------------

# Prints the path of the browser that milepost would use.
find_browser() {
    "$VENV/bin/python" - <<'PY'
import os
import sys

from milepost.sandbox.chromium import BrowserNotFoundError, find_chromium

try:
    print(find_chromium(os.environ).path)
except BrowserNotFoundError as error:
    sys.exit(str(error))
PY
}

# Whether a browser renders a page with these flags, and if not, its last words: a downloaded one may lack libraries.
starts() {
    "$VENV/bin/python" - "$@" <<'PY'
import subprocess
import sys
import tempfile

with tempfile.TemporaryDirectory(prefix="milepost-", ignore_cleanup_errors=True) as profile:
    flags = ["--headless", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    page = ["--dump-dom", "data:text/html,<p id=ok>"]
    command = [*sys.argv[1:], *flags, f"--user-data-dir={profile}", *page]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
    if b'id="ok"' not in done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        sys.exit(words[-1])
PY
}

has_working_browser() {
    local path words
    path=$(find_browser 2>/dev/null) || return 1
    if [ "$(cat "$BROWSER" 2>/dev/null)" = "$path" ]; then return 0; fi
    if ! words=$(starts "$path" --no-sandbox 2>&1); then
        say "$path does not start: $words"
        return 1
    fi
    rm -f "$NO_SANDBOX"
    # Chromium's sandbox needs user namespaces, which some containers and Ubuntu's AppArmor forbid.
    if [ "$(id -u)" -ne 0 ] && ! starts "$path" 2>/dev/null; then
        say "this machine forbids the browser's own sandbox; make runs it without (MILEPOST_NO_SANDBOX=1)"
        touch "$NO_SANDBOX"
    fi
    printf '%s\n' "$path" >"$BROWSER"
    say "browser: $path"
}

ensure_browser() {
    if has_working_browser; then return; fi
    if [ -n "${MILEPOST_CHROMIUM:-}" ]; then
        find_browser >/dev/null || fail "the browser in MILEPOST_CHROMIUM cannot be used; the reason is above."
        fail "MILEPOST_CHROMIUM names $MILEPOST_CHROMIUM, which does not start." \
            "Unset it to have a browser found or installed."
    fi
    say "no working browser is installed; downloading Playwright's own (about 100 MB)"
    local words
    if words=$("$VENV/bin/playwright" install --only-shell chromium 2>&1); then
        if has_working_browser; then return; fi
        say "installing the system libraries it needs (needs root)"
        as_root "$VENV/bin/playwright" install-deps chromium >&2 || true
        if has_working_browser; then return; fi
    else
        say "that failed: $(grep -m 1 Error: <<<"$words" || tail -n 1 <<<"$words")"
    fi
    local package
    for package in chromium-headless-shell chromium; do
        # Ubuntu's packages of that name only install a snap, which cannot be driven.
        if [[ $(apt-cache show "$package" 2>/dev/null) == *snap* ]]; then continue; fi
        say "trying the system package $package (needs root)"
        if apt_install "$package" && has_working_browser; then return; fi
    done
    fail "there is no working browser, and none could be installed. Any one of these brings one:" \
        "$VENV/bin/playwright install --with-deps --only-shell chromium" \
        "apt-get install -y chromium-headless-shell      (Debian)" \
        "apt-get install -y chromium" \
        "as root or with sudo; or set MILEPOST_CHROMIUM to the path of an installed Chromium or Chrome."
}

main() {
    # Two set-ups at once would undo each other: the second waits, then finds everything made.
    if command -v flock >/dev/null; then
        exec 9<pyproject.toml
        flock -n 9 || { say "another set-up is running; waiting for it" && flock 9; }
    fi
    local start=$SECONDS
    ensure_venv
    ensure_packages
    ensure_browser
    if [ $((SECONDS - start)) -ge 5 ]; then say "complete after $((SECONDS - start)) s"; fi
}

main "$@"
