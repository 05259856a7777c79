# Shorthands; every one of them is a plain command that can be typed instead.
PYTHON ?= python3
BIN := .venv/bin
BENCHMARKS := $(filter-out benchmarks/soak_% benchmarks/flood.py,$(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help demo install check lint types test explore lock bench soak clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

demo: ## set up, then show the whole path on a generated market, offline
	$(PYTHON) -m venv .venv && $(BIN)/pip install --quiet . && $(BIN)/cq demo

install: ## set up for development, with the locked versions
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .

check: install lint types test ## everything that must pass: set-up, lint, types, tests

lint: ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: ## mypy --strict
	$(BIN)/mypy

test: ## pytest on all cores
	$(BIN)/pytest --numprocesses auto --dist worksteal

explore: ## pytest over random cases that no run before has tried
	$(BIN)/pytest --numprocesses auto --dist worksteal --hypothesis-profile explore

lock: ## write requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --no-header \
		--python-version 3.11 --all-extras --output-file requirements.lock

bench: ## compare with other systems, side by side
	for file in $(BENCHMARKS); do $(BIN)/python $$file || exit 1; done

soak: ## rehearse for an hour: faults, kill -9, rate limits, the lake against a dict
	for file in benchmarks/soak_*.py; do $(BIN)/python $$file || exit 1; done

clean: ## remove what can be made again
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
