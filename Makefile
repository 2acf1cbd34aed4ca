# Two commands are all that is needed: `make run` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV   ?= .venv
PIP    := $(VENV)/bin/python -m pip
INSTALL := $(PIP) install --quiet --disable-pip-version-check
LOCKED  := $(INSTALL) --require-hashes --no-deps
# By itself, and without hashes: tools/lock-requirements says why.
TORCH   := $(INSTALL) -c requirements/constraints.txt "$$(grep -o '^torch==[^ ]*' requirements/service.txt)"

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

.PHONY: run
run: $(VENV)/.service  ## set everything up, then run web, worker, MongoDB and Redis on this machine
	@exec $(VENV)/bin/python main.py

.PHONY: test
test: $(VENV)/.service $(VENV)/.test  ## set everything up, then run all tests; make test ARGS="-k name"
	$(VENV)/bin/python -m pytest $(ARGS)

.PHONY: test-docker
test-docker: $(VENV)/.service $(VENV)/.test  ## build and try the whole compose stack; needs a Docker engine
	$(VENV)/bin/python -m pytest -m docker test/deploy $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.service $(VENV)/.test  ## break the service for half an hour and check its promises; make chaos ARGS="--seed 7"
	PYTHONPATH=test $(VENV)/bin/python -m chaos $(ARGS)

.PHONY: lint
lint: $(VENV)/.service $(VENV)/.test $(VENV)/.lint  ## style, types, who imports whom, known vulnerabilities
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m tools.audit

.PHONY: format
format: $(VENV)/.lint  ## put the code into shape
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: audit
audit: $(VENV)/.lint  ## look for known vulnerabilities in what is pinned
	$(VENV)/bin/python -m tools.audit

.PHONY: setup
setup: $(VENV)/.service  ## create the environment without starting anything

.PHONY: lock
lock:  ## pin anew, with hashes, everything that the requirements need in turn
	tools/lock-requirements $(PYTHON)

.PHONY: clean
clean:  ## remove the environment and caches; the data stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './data/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Creating the environment in $(VENV)..."
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python cannot create environments here (on Debian: apt install python3-venv)." >&2; exit 1; }

$(VENV)/.service: requirements/locked/service.txt requirements/locked/local-servers.txt requirements/constraints.txt | $(VENV)/bin/python
	@echo "Installing what the service needs (the first time this takes some minutes)..."
	@$(LOCKED) -r requirements/locked/service.txt
	@$(LOCKED) -r requirements/locked/local-servers.txt
	@$(TORCH)
	@touch $@

$(VENV)/.test: requirements/locked/test.txt | $(VENV)/bin/python
	@echo "Installing what the tests need..."
	@$(LOCKED) -r requirements/locked/test.txt
	@touch $@

$(VENV)/.lint: requirements/locked/lint.txt | $(VENV)/bin/python
	@echo "Installing the linters..."
	@$(LOCKED) -r requirements/locked/lint.txt
	@touch $@
