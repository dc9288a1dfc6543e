# Every command makes its own virtual environment first; Python 3.10+, git and make are all it needs.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test test310 check format schema bench clean

help:  ## Show what there is
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## /  make \1\t/' | expand -t 20

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "graphwire needs Python 3.10 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "==> virtual environment $(VENV) on $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'

$(VENV)/demo.stamp: $(BIN)/python pyproject.toml
	@echo "==> installing graphwire and its server"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -e '.[server]'
	@touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml
	@echo "==> installing graphwire, its server and the development tools"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on -e '.[server,langgraph]' --group dev
	@touch $@ $(VENV)/demo.stamp

demo: $(VENV)/demo.stamp  ## A gateway with three graphs streaming over one connection (ONCE=1: end after the runs)
	@$(BIN)/graphwire demo $(if $(ONCE),--once)

test: $(VENV)/dev.stamp  ## The whole test-suite
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/dev.stamp  ## Format, lint, types, import contracts, schema
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/graphwire schema --check proto-docs/schema

format: $(VENV)/dev.stamp  ## Rewrite the source in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(VENV)/dev.stamp  ## Generate proto-docs/schema from the models
	$(BIN)/graphwire schema --write proto-docs/schema

bench: $(VENV)/dev.stamp  ## Measure; ratios of medians within one run
	$(BIN)/python -m tests.benchmarks $(ARGS)

clean:  ## Remove the virtual environment and every cache
	rm -rf $(VENV) .venv310 .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
