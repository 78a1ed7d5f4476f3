# The commands of the project. `make demo` and `make test` work on a machine with Python 3.11 or newer and make.

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN  := $(VENV)/bin
# The first Python that runs and is new enough; 3.11 is the version that everything is tested on.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; exit; }; done)

REPORT_OUT  ?= build/report
REPORT_LANG ?= en
# Tests run in as many processes as there are cores; each starts its own servers.
JOBS ?= auto
RUN_TESTS = $(BIN)/pytest --numprocesses $(JOBS) --no-loadscope-reorder
CODE = stream_app tests docs $(wildcard benchmarks) $(wildcard grafana)
LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' --quiet $(if $(UPGRADE),--upgrade)

.PHONY: help demo report test unit lint format dashboards docs site pictures acceptance stack-test bench lock clean env env-dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: env ## a simulated shop in the terminal, on the real services: no server, no Docker (DEMO='--lang zh --seconds 300')
	@$(BIN)/stream-app demo $(DEMO)

report: env ## simulate a shop, replay its log, write a report (REPORT_LANG=zh for Chinese)
	@mkdir -p $(REPORT_OUT)
	@$(BIN)/stream-app simulate --customers 5000 --days 365 --seed 1 --out $(REPORT_OUT)/shop.jsonl
	@$(BIN)/stream-app replay $(REPORT_OUT)/shop.jsonl --format jsonl --horizon 60d --active-window 180d --decide-every 7d \
		--capacity 5 --zone Asia/Shanghai --currency CNY --lang $(REPORT_LANG) --out $(REPORT_OUT)/report

test: lint ## everything that must hold: lint, then tests and doctests with coverage
	@$(RUN_TESTS) --cov $(PYTEST)

unit: env-dev ## the tests and doctests that need no server, without coverage
	@$(RUN_TESTS) tests/unit stream_app grafana README.md docs $(PYTEST)

lint: env-dev ## style, types and the contracts between the parts
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo

format: env-dev ## put the code into shape
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

dashboards: env-dev ## write the dashboards that Grafana is provisioned with
	@$(BIN)/python -m grafana.build

docs: env ## write the pages of docs/ that are made from the code
	@$(BIN)/python docs/generate.py

site: $(VENV)/.site ## build the documentation as a searchable site in build/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

pictures: env-dev ## take new pictures of the demo and its messages (needs Chromium; ten minutes)
	@$(BIN)/python docs/pictures.py

acceptance: env-dev ## the slow tests: the figures to reach on the recorded logs
	@$(RUN_TESTS) --slow -m slow --durations 0 $(PYTEST)

stack-test: env-dev ## every service of docker-compose.yml as a process, on real servers
	@$(BIN)/pytest --slow tests/unit/test_compose_file.py tests/acceptance/test_compose_stack.py $(PYTEST)

bench: env-dev ## speed and scale
	@$(BIN)/python -m benchmarks

lock: $(VENV)/.bootstrapped ## resolve requirements/*.txt again (UPGRADE=1 for newer versions)
	@$(LOCK) --extra replay --extra demo --output-file requirements/runtime.txt
	@$(LOCK) --extra replay --extra demo --group dev --constraints requirements/runtime.txt --output-file requirements/dev.txt
	@$(subst compile pyproject.toml,compile,$(LOCK)) --group site --constraints requirements/dev.txt \
		--output-file requirements/site.txt
	@$(subst compile pyproject.toml,compile,$(LOCK)) --group bootstrap --constraints requirements/dev.txt \
		--output-file requirements/bootstrap.txt

clean: ## remove the environment and everything that was built
	@rm -rf $(VENV) build dist .coverage* .hypothesis .*_cache *.egg-info

# The environment: a stamp file says what it holds, so that a second run is instant. Only hashed files are installed from.
env: $(VENV)/.runtime ## make the environment in .venv, with everything that a user needs
env-dev: $(VENV)/.dev ## the same, with the tools for development and tests

INSTALL = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
SELF    = $(INSTALL) --no-deps --no-build-isolation --offline --editable .

$(VENV)/.bootstrapped: requirements/bootstrap.txt
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found. Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments." \
		"On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making the environment in $(VENV) with $$("$(PYTHON)" --version) ..."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bootstrap.txt
	@touch $@

$(VENV)/.runtime: $(VENV)/.bootstrapped requirements/runtime.txt pyproject.toml
	@$(INSTALL) --require-hashes --requirement requirements/runtime.txt
	@$(SELF)
	@touch $@

$(VENV)/.dev: $(VENV)/.bootstrapped requirements/dev.txt pyproject.toml
	@$(INSTALL) --require-hashes --requirement requirements/dev.txt
	@$(SELF)
	@touch $@ $(VENV)/.runtime

$(VENV)/.site: $(VENV)/.bootstrapped requirements/site.txt
	@$(INSTALL) --require-hashes --requirement requirements/site.txt
	@touch $@
