# Every target does its own set-up first and is safe to repeat.

CONFIG ?= configs/first-light.toml
OUT ?= runs/first-light
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
VLLM := .venv-vllm
TESTS ?= tests
# Two more than there are cores, half of them here and half there: a test waits half of its time for a browser, a deadline
# or another process.
WORKERS ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores / 2 + 1)))
# By whole files, which share what is dear, in the order in which tests/conftest.py puts them.
PYTEST = OMP_NUM_THREADS=1 MILEPOST_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Tests that do without torch. Every worker imports whatever it may have to run, and torch takes it ten seconds.
WITHOUT_TORCH := tests/sandbox tests/envs tests/milestones tests/test_docs.py tests/test_layout.py tests/test_long_form.py
HALVES := tests-without-torch tests-with-torch
# Each half keeps what failed, and how it ended, in a folder of its own: they run side by side.
run_half = mkdir -p .pytest_cache/$@; $(PYTEST) -o cache_dir=.pytest_cache/$@ $(1); code=$$?; echo $$code >.pytest_cache/$@/code; exit $$code

# Written by the set-up where the browser starts only without its own sandbox.
MILEPOST_NO_SANDBOX ?= $(shell test -e $(VENV)/milepost-no-sandbox && echo 1)
export MILEPOST_NO_SANDBOX

# The tests start dozens of processes, and each would compile all of the package again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup train test tests $(HALVES) test-vllm check static test-fast test-ray format bench view doctor clean distclean

help: ## Show this list
	@echo "milepost: train LLM agents to use computers"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make train CONFIG=my.toml OUT=runs/mine ARGS='--set seed=1'   trains something else"

setup: ## Set everything up, and nothing more: .venv, packages, a browser
	@scripts/setup.sh

train: setup ## Train the built-in policy in a real browser; continues an interrupted run
	$(BIN)/milepost train $(CONFIG) --out $(OUT) $(if $(wildcard $(OUT)),--resume) $(ARGS)

test: setup ## Run every test; a missing browser is a failure
	@$(MAKE) --no-print-directory -j 2 $(if $(filter-out tests,$(TESTS)),tests,$(HALVES))

tests: setup
	$(PYTEST) $(TESTS)

tests-without-torch: setup
	@$(call run_half,$(WITHOUT_TORCH))

tests-with-torch: setup
	@$(call run_half,tests $(WITHOUT_TORCH:%=--ignore=%))

test-fast: setup ## Run the tests that need no browser and take less than five seconds
	$(PYTEST) -m "not browser and not slow and not ray and not vllm" $(TESTS)

test-ray: setup ## Run the tests on a Ray cluster of two nodes, simulated on this machine; `make test` leaves them out
	OMP_NUM_THREADS=1 MILEPOST_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -m ray $(TESTS)

test-vllm: $(VLLM)/milepost-setup ## Run the tests of vLLM itself, in an environment of its own (3.5 GB)
	OMP_NUM_THREADS=1 MILEPOST_REQUIRE_BROWSER=1 $(VLLM)/bin/python -m pytest -m vllm tests/agents/engines tests/training/test_backends.py

$(VLLM)/milepost-setup: pyproject.toml scripts/setup-vllm.sh
	@scripts/setup-vllm.sh $(VLLM)

check: static ## Check format, style, types, imports between folders, and layout
	$(BIN)/python -m pytest -q tests/test_layout.py

static: setup ## Check what needs no test to run: all of `check` but the layout, which `test` checks too
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Measure steps, resets and generation; what needs vLLM is left out
	@for file in $$(grep -l __main__ benchmarks/*.py | grep -v vllm); do name=$$(basename $$file .py); echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

view: $(OUT)/report.html ## Open the report of the last run
	@xdg-open $< 2>/dev/null || open $< 2>/dev/null || echo "open $(abspath $<) in a browser"

$(OUT)/report.html:
	@echo "$(OUT) has no report yet: run \`make train\` first, or name a run: make view OUT=runs/mine" >&2; exit 1

doctor: setup ## Check this machine: Python, packages, browser, ports, disk
	$(BIN)/milepost doctor

clean: ## Remove caches, keep the environment and the runs
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find milepost tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the environments too; runs are kept
	rm -rf $(VENV) $(VLLM)
