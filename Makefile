# Every command makes its own virtual environment first: Python 3.10+, git and make are all it needs.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 && { echo $$p; break; }; done)
# A python3.10 on the path, or one that pyenv keeps.
PYTHON310 ?= $(shell for p in python3.10 $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python); do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
VENV310 := .venv310
BIN := $(VENV)/bin
# Tests start hundreds of interpreters: compiled modules are kept, even where the shell says otherwise.
export PYTHONDONTWRITEBYTECODE :=
PIP := -m pip --disable-pip-version-check

.PHONY: help lock demo test processes long abuse test310 mutants slow stores browser chromium postgres redis strace soak soak-cluster soak-steady check console \
	check-console format schema bench clean

help:  ## Show what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1	/' | expand -t 16

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "graphwire needs Python 3.10 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "==> virtual environment $(VENV), $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$@ $(PIP) install --quiet --upgrade 'pip>=25.1'

$(VENV)/demo.stamp: $(BIN)/python pyproject.toml
	@echo "==> installing graphwire and its server"
	@$(BIN)/python $(PIP) install --progress-bar on -e '.[server,sqlite,redis]'
	@touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml
	@echo "==> installing graphwire, its server and the development tools"
	@$(BIN)/python $(PIP) install --progress-bar on -e '.[server,langgraph,redis]' --group dev
	@touch $@ $(VENV)/demo.stamp

demo: $(VENV)/demo.stamp  ## Three graphs streaming over one connection, and the console; ONCE=1 ends after the runs, STORE=sqlite keeps them, CLUSTER=1 kills one of two workers
	@$(BIN)/graphwire demo $(if $(ONCE),--once) $(if $(CLUSTER),--cluster) $(if $(filter sqlite,$(STORE)),--store sqlite:///$(VENV)/demo.db)

# WORKERS processes share the tests; one that has finished its own takes over some of the others'. ARGS='-n 0' runs
# them in this process, for a debugger.
WORKERS ?= 2
PYTEST := -m pytest -n $(WORKERS) --dist worksteal

# Debian's Postgres, of which tests start servers of their own. root on Debian, as CI is, gets it installed.
postgres:
	@command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 \
	|| if test "$$(id -u)" = 0 && grep -q '^ID=debian' /etc/os-release 2>/dev/null; then \
		echo "==> installing Postgres"; apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	else \
		echo "no Postgres here, so its tests are skipped: install it ('sudo apt-get install postgresql' on Debian)" >&2; \
	fi

# Debian's Redis, of which tests start servers of their own. root on Debian, as CI is, gets it installed; its own
# service is not wanted, and does not start where policy-rc.d says so.
redis:
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null \
	|| if test "$$(id -u)" = 0 && grep -q '^ID=debian' /etc/os-release 2>/dev/null; then \
		echo "==> installing Redis"; apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends redis-server >/dev/null; \
	else \
		echo "no Redis here, so its tests are skipped: install it ('sudo apt-get install redis-server' on Debian)" >&2; \
	fi

# Debian's strace, with which a test looks at a server's system calls. root on Debian, as CI is, gets it installed.
strace:
	@command -v strace >/dev/null \
	|| if test "$$(id -u)" = 0 && grep -q '^ID=debian' /etc/os-release 2>/dev/null; then \
		echo "==> installing strace"; apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends strace >/dev/null; \
	else \
		echo "no strace here, so its test is skipped: install it ('sudo apt-get install strace' on Debian)" >&2; \
	fi

test: $(VENV)/dev.stamp postgres redis  ## The test-suite, without what has a command of its own
	@$(BIN)/python $(PYTEST) -m 'not abuse and not processes and not long' --ignore=tests/mutants $(ARGS)

processes: $(VENV)/dev.stamp postgres strace  ## The command line, with servers and clients that are processes of their own
	@$(BIN)/python $(PYTEST) -m processes --ignore=tests/mutants $(ARGS)

long: $(VENV)/dev.stamp redis  ## The rest of the test-suite, of which each part takes seconds
	@$(BIN)/python $(PYTEST) -m long --ignore=tests/mutants $(ARGS)

abuse: $(VENV)/dev.stamp  ## Storms of faults, and floods of malformed frames
	@$(BIN)/python $(PYTEST) -m abuse tests/live $(ARGS)

mutants: $(VENV)/dev.stamp  ## Plant bugs in the packages, one at a time: the suites must catch each
	@$(BIN)/python $(PYTEST) tests/mutants $(ARGS)

# Left out are tests whose servers are processes of their own, and those of other people's libraries.
FAST_ONLY := --ignore=tests/live/abuse \
	$(foreach name,command operator projects providers agents mcp redis* cluster* workers*,--ignore-glob='tests/live/test_$(name).py')
slow: $(VENV)/dev.stamp  ## Everything with a socket on a store that takes 5 ms for each append
	@$(BIN)/python $(PYTEST) tests/live --store=delay $(FAST_ONLY) $(ARGS)

stores: $(VENV)/dev.stamp redis  ## Everything with a socket on SQLite, then on Redis, then through gateways; STORE=.. takes one
	@for store in $(or $(STORE),sqlite redis cluster); do \
		echo "==> everything with a socket on a store in $$store"; \
		$(BIN)/python $(PYTEST) tests/live --store=$$store $(FAST_ONLY) $(ARGS) || exit; \
	done

TS := clients/typescript
$(TS)/node_modules/.package-lock.json: $(TS)/package-lock.json $(TS)/test/react18/package-lock.json
	@command -v npm >/dev/null || { echo "the TypeScript client needs Node 20 or newer, with npm" >&2; exit 1; }
	@echo "==> installing the tools of the TypeScript client"
	@cd $(TS) && for folder in . test/react18; do (cd $$folder && npm ci --no-audit --no-fund --loglevel=error) || exit; done
	@touch $@

CONSOLE := clients/console
BUILT := gateway/graphwire_gateway/console
$(CONSOLE)/node_modules/.package-lock.json: $(CONSOLE)/package-lock.json
	@command -v npm >/dev/null || { echo "the console is built with Node 20.19 or newer, with npm" >&2; exit 1; }
	@echo "==> installing the tools of the console"
	@cd $(CONSOLE) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

console: $(CONSOLE)/node_modules/.package-lock.json  ## Build the console into the gateway's package
	@cd $(CONSOLE) && npm run --silent build -- --logLevel warn
	@echo "$(BUILT) is built; commit it with the change of $(CONSOLE) or clients/typescript/src"

# Built files are committed, so that no user needs Node; these are those that the source makes.
check-console: $(TS)/node_modules/.package-lock.json $(CONSOLE)/node_modules/.package-lock.json
	cd $(CONSOLE) && npm run --silent lint
	cd $(CONSOLE) && npm run --silent types
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
	&& (cd $(CONSOLE) && npm run --silent build -- --logLevel warn --outDir "$$folder") \
	&& { diff -rq "$$folder" $(BUILT) || { \
		echo "$(BUILT) is not what $(CONSOLE) builds: run 'make console', and commit what changes" >&2; exit 1; }; }

# Debian's Chromium, which tests drive; test/chromium.ts finds it. root on Debian, as CI is, gets it installed.
chromium:
	@test -n "$$GRAPHWIRE_CHROMIUM$(wildcard $(addprefix /usr/bin/,chromium chromium-browser google-chrome))" \
	|| test -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" \
	|| if test "$$(id -u)" = 0 && grep -q '^ID=debian' /etc/os-release 2>/dev/null; then \
		echo "==> installing Chromium"; apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "the tests in a browser need Chromium: install it ('sudo apt-get install chromium' on Debian), or set GRAPHWIRE_CHROMIUM=/path/to/it" >&2; \
		exit 1; \
	fi

browser: $(VENV)/dev.stamp $(TS)/node_modules/.package-lock.json $(CONSOLE)/node_modules/.package-lock.json chromium  ## The TypeScript client: format, lint, types, size, tests in Node and in Chromium; the console in Chromium
	@cd $(TS) && GRAPHWIRE_PYTHON=$(abspath $(BIN)/python) npm run --silent check
	@$(BIN)/graphwire conformance client -- node $(TS)/test/adapter.mjs
	@cd $(CONSOLE) && GRAPHWIRE_PYTHON=$(abspath $(BIN)/python) npm run --silent --if-present test

$(VENV310)/stamp: pyproject.toml
	@test -n "$(PYTHON310)" || { echo "no python3.10 here; set PYTHON310=/path/to/it" >&2; exit 1; }
	@echo "==> virtual environment $(VENV310), $$($(PYTHON310) --version)"
	@test -x $(VENV310)/bin/python || $(PYTHON310) -m venv $(VENV310)
	@$(VENV310)/bin/python $(PIP) install --quiet --upgrade 'pip>=25.1'
	@$(VENV310)/bin/python $(PIP) install --quiet -e '.[server,langgraph,redis]' --group test
	@touch $@

test310: $(if $(PYTHON310),$(VENV310)/stamp postgres redis)  ## What differs between Pythons, on Python 3.10 where it is installed
	@$(if $(PYTHON310),,echo "no python3.10 here: its tests are left out"; exit 0;) $(VENV310)/bin/python $(PYTEST) tests/protocol tests/runtime tests/client tests/live/test_examples.py tests/live/test_redis*.py $(ARGS)

soak: $(VENV)/dev.stamp  ## 20,000 faults and 10 million events, or SOAK_MINUTES of them
	@$(BIN)/python -m tests.support.faults

soak-cluster: $(VENV)/dev.stamp redis  ## Workers, gateways and Redis, killed, frozen and cut off FAULTS (200) times under RUNS (1,000) runs
	@$(BIN)/python -m tests.support.cluster_soak

soak-steady: $(VENV)/dev.stamp  ## A steady load for half an hour, or SOAK_MINUTES: does anything grow?
	@$(BIN)/python -m tests.benchmarks.steady

check: $(VENV)/dev.stamp check-console  ## Format, lint, types, import contracts, schema, reference, no break of the last release, the console as built
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/graphwire schema --check proto-docs

format: $(VENV)/dev.stamp  ## Rewrite the source in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/dev.stamp $(VENV310)/stamp  ## Write .ci/constraints.txt from what is installed
	@$(BIN)/python .ci/lock.py $(BIN)/python $(VENV310)/bin/python

schema: $(VENV)/dev.stamp  ## Generate proto-docs/schema and proto-docs/reference from the models
	$(BIN)/graphwire schema --write proto-docs

bench: $(VENV)/dev.stamp  ## Measure: ratios of medians within one run
	@$(BIN)/python -m tests.benchmarks

clean:  ## Remove the virtual environments, node_modules and every cache
	rm -rf $(VENV) $(VENV310) $(TS)/node_modules $(TS)/test/react18/node_modules $(TS)/dist $(CONSOLE)/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
