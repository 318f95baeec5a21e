# `make` alone lists the targets. All it needs is Python 3.11 or newer (with venv), make and git.

PYTHON ?= python3
DATA ?= data
ARGS ?=
EXAMPLES ?= 8000
SEED ?=
FAULTS ?= 20
# Test files run side by side, in their order, so that the longest come first; each process has engines of its own.
AT_ONCE ?= 2
VENV := .venv
BIN := $(VENV)/bin
ENVIRONMENT := $(VENV)/.made-from-requirements-lock
BENCH_ENVIRONMENT := $(VENV)/.made-from-requirements-bench-lock
GRAFANA_VENV := .venv-grafana
GRAFANA_ENVIRONMENT := $(GRAFANA_VENV)/.made-from-requirements-grafana-lock
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env run test lint check format lock bench prediction chaos soak-sink soak-lag soak-edge soak-property drill docs \
	grafana-env grafana-shots test-containers clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

env: $(ENVIRONMENT) ## Make the environment in .venv from requirements.lock.

run: $(ENVIRONMENT) ## Start the whole platform with a live demonstration; Ctrl-C stops it. DATA=folder, ARGS="--port-base 18000".
	@exec $(BIN)/milepost up --demo --data $(DATA) $(ARGS)

test: $(ENVIRONMENT) $(GRAFANA_ENVIRONMENT) ## Run every test this machine can run. ARGS="-k name", AT_ONCE=1 one after the other.
	$(BIN)/pytest --numprocesses $(AT_ONCE) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(ENVIRONMENT) ## Style, types, layers, and whether generated documents are stale.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m milepost.docs --check

check: lint test ## Everything a change must pass: lint and test.

format: $(ENVIRONMENT) ## Bring the sources into shape.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(ENVIRONMENT) ## Regenerate the generated documents.
	$(BIN)/python -m milepost.docs

grafana-env: $(GRAFANA_ENVIRONMENT) ## Make .venv-grafana, in which `milepost grafana push` works.

grafana-shots: $(ENVIRONMENT) ## Screenshots of every dashboard: GRAFANA_URL=http://127.0.0.1:3000, where there is one.
	$(BIN)/python tests/support/grafana_shots.py $(ARGS)

bench: $(BENCH_ENVIRONMENT) ## Measure, beside peers that do the same job; prints a table and JSON.
	cd tests && ../$(BIN)/python -m bench $(ARGS)

prediction: $(ENVIRONMENT) ## How well breaches are foreseen, by a replay that may not look ahead. ARGS="--orders 5000 --seed 3".
	cd tests && PYTHONPATH=support ../$(BIN)/python -m bench.prediction $(ARGS)

soak-sink: $(ENVIRONMENT) ## The store away under load, and back: ARGS="--seconds 600 --rate 1000".
	cd tests && ../$(BIN)/python -m soak sink $(ARGS)

soak-lag: $(ENVIRONMENT) ## Producers faster than the processor: lag grows, memory does not. ARGS="--seconds 60".
	cd tests && ../$(BIN)/python -m soak lag $(ARGS)

soak-edge: $(ENVIRONMENT) ## A flood of three times what the edge takes. ARGS="--seconds 20".
	cd tests && ../$(BIN)/python -m soak edge $(ARGS)

soak-property: $(ENVIRONMENT) ## Generated lives of orders by the thousand against the plain definition. EXAMPLES=8000 a test, ARGS="-k two_workers".
	MILEPOST_TEST_EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/unit/property --hypothesis-show-statistics --timeout 0 $(ARGS)

chaos: $(ENVIRONMENT) ## Faults against the platform under load (as root, or without those of the disk). SEED=1 FAULTS=100 ARGS="--limit 30".
	cd tests && ../$(BIN)/python -m chaos $(if $(SEED),--seed $(SEED)) --faults $(FAULTS) $(ARGS)

drill: $(ENVIRONMENT) ## A hub's collapse through the real platform with the intervals of operation; says how long the page took.
	MILEPOST_TEST_PACE=real $(BIN)/pytest tests/e2e/alerting/test_alert.py -k collapses --capture no $(ARGS)

test-containers: $(ENVIRONMENT) ## The integration tests against containers; skips where there is no engine.
	MILEPOST_TEST_PLATFORM=containers $(BIN)/pytest tests/integration $(ARGS)

lock: $(ENVIRONMENT) ## Choose the newest allowed versions anew and write the lock files.
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) --upgrade pyproject.toml --extra embedded --group dev --group build --output-file requirements.lock
	$(COMPILE) --upgrade pyproject.toml --group bench --constraint requirements.lock --output-file requirements-bench.lock
	$(COMPILE) --upgrade pyproject.toml --extra grafana --group build --constraint requirements.lock --output-file requirements-grafana.lock
	$(BIN)/python -m milepost.embedded.jars
	$(COMPILE) --upgrade pyproject.toml --group build --constraint requirements.lock --output-file requirements-image.lock

clean: ## Remove the environment and what tools have left; not the data.
	rm -rf $(VENV) $(GRAFANA_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(ENVIRONMENT): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Milepost needs Python 3.11 or newer; $$($(PYTHON) --version 2>&1) is what '$(PYTHON)' gives."; \
		echo "Name another with: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module; on Debian: apt install python3-venv"; exit 1; }
	@echo "making the environment in $(VENV) (a minute or two, and again only when requirements.lock changes)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(GRAFANA_ENVIRONMENT): $(ENVIRONMENT) requirements-grafana.lock
	@echo "making $(GRAFANA_VENV) for milepost grafana"
	$(PYTHON) -m venv $(GRAFANA_VENV)
	$(GRAFANA_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-grafana.lock
	$(GRAFANA_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(BENCH_ENVIRONMENT): $(ENVIRONMENT) requirements-bench.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@
