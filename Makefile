# One target per gate: people, hooks and continuous integration call these and nothing else. All of them can be repeated.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
CODE := src tests tools $(wildcard demo benchmarks)
PINS := pyproject.toml constraints/versions.txt constraints/model.txt tools/setup.sh
DEMO_READY := $(VENV)/.demo-ready
READY := $(VENV)/.ready
ROUNDS ?= 200
SEEDS ?= 2000
RUNS ?= 3
ONLY ?=

export PYTHON

.PHONY: help setup demo test lint types arch size pins reference check format crash chaos simulate bench soak growth docs clean FORCE

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

# An environment that moved with its checkout is made anew (tools/setup.sh sees to it).
ifneq ($(shell cat $(VENV)/.place 2>/dev/null),$(CURDIR))
$(DEMO_READY): FORCE
endif

$(DEMO_READY): $(PINS)
	@tools/setup.sh $(VENV) embeddings,fast
	@touch $@

$(READY): $(DEMO_READY)
	@tools/setup.sh $(VENV) dev
	@touch $@

setup: $(READY) ## make .venv with everything for tests, and wsaios in it

demo: $(DEMO_READY) ## index Python's standard library and answer three questions
	@$(PY) demo/run.py

test: $(READY) ## run every test
	@tools/postgres.sh
	$(PY) -m pytest tests --numprocesses auto --dist loadfile

lint: $(READY) ## ruff: rules and format
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)

types: $(READY) ## mypy --strict
	$(PY) -m mypy --strict $(CODE)

arch: $(READY) ## import-linter: who may import whom
	$(VENV)/bin/lint-imports --no-logo

size: $(READY) ## files, functions, parameters and public methods stay small
	$(PY) -m tools.size_gate

pins: $(READY) ## constraints name exactly what is installed
	$(PY) -m tools.pins

reference: $(READY) ## docs/reference agrees with the docstrings
	$(PY) -m tools.reference --check

check: lint types arch size pins reference ## every gate

format: $(READY) ## let ruff mend what it can
	$(PY) -m ruff check --fix-only $(CODE)
	$(PY) -m ruff format $(CODE)

crash: $(READY) ## kill a real process ROUNDS times and look for anything lost or done twice; LEDGER=postgres for the other ledger
	$(PY) -m tests.acceptance.crash --rounds $(ROUNDS) --ledger $(or $(LEDGER),sqlite)

chaos: $(READY) ## faults of servers, networks and processes for MINUTES; LEDGER=sqlite or postgres for one ledger alone
	$(PY) -m tests.acceptance.chaos --minutes $(or $(MINUTES),10) --ledger $(or $(LEDGER),both)

simulate: $(READY) ## run SEEDS seeded histories with faults through the scheduler's core
	$(PY) -m tests.simulation --seeds $(SEEDS)

bench: $(READY) ## measure beside the peers and against the floors, RUNS times; ONLY=wsaios or ONLY=huey-redis,celery: some
	$(PY) benchmarks/run.py --runs $(RUNS) $(addprefix --only ,$(ONLY))

soak: $(READY) ## watch a steady load for MINUTES and say whether anything goes on growing; LEDGER=postgres for the other ledger
	$(PY) -m benchmarks.soak --minutes $(or $(MINUTES),30) --ledger $(or $(LEDGER),sqlite)

growth: $(READY) ## measure how a task's cost changes with what waits, lanes, tenants, handlers; SIZES=10000,…,10000000
	$(PY) -m benchmarks.growth --ledger $(or $(LEDGER),sqlite) $(addprefix --sizes ,$(SIZES))

docs: $(READY) ## write the reference from docstrings
	$(PY) -m tools.reference

clean: ## remove what building, checking and the demo left; .venv stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis demo/work benchmarks/results
	find src tests tools $(wildcard demo benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +
