# `make` alone lists what there is. Every target does its own set-up: all it takes is Python 3.11 or newer, pip and make.
# ARGS is passed on: make demo ARGS="--seed 7 --keep"

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Where it is set, every process of the demo and of the tests would compile anew whatever it imports.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := .tools/bin/uv
COVERAGE := --cov=onejob.stats --cov=onejob.verdict --cov-branch --cov-report=term:skip-covered --cov-fail-under=95
# Tests wait for components now and then: two more at a time than there are cores keep them busy, each with components
# of its own. A worker that is done takes tests from the one that has most left.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 4)
BESIDE := -n $(shell n=$(CORES); echo $$((n > 6 ? 8 : n + 2))) --dist worksteal
# Quick ones that start no component; `make test` runs them all.
UNIT := tests/benchmarks tests/stats tests/test_repository.py \
	$(addprefix tests/verdict/test_,$(addsuffix .py,decide fingerprints frames judge report)) \
	$(addprefix tests/known/test_,$(addsuffix .py,lifecycle templates)) \
	$(addprefix tests/act/test_,$(addsuffix .py,gate limits plan rollout))

JAVASCRIPT := tests/ingest/javascript/node_modules
PROVIDER := tests/access/javascript/node_modules

.PHONY: help demo serve test test-js test-go chaos check bench-verdict bench-rotel fuzz lock sbom docs doors rum clean

help: ## list the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /\1\t/' | expand -t 15

demo: .venv/.demo ## a small shop, four deployments, four verdicts
	@$(BIN)/onejob demo $(ARGS)

serve: .venv/.demo ## the server, on loopback
	@$(BIN)/onejob serve $(ARGS)

check: .venv/.dev ## format, lint, types, imports and unit tests, in a minute or two
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not slow" $(UNIT) $(ARGS)

test: .venv/.dev .venv/.system ## everything, several at a time; without ARGS also the coverage of what decides verdicts
ifdef ARGS
	$(BIN)/pytest $(ARGS)
else
	@covered=$$(mktemp); trap 'kill $$! 2>/dev/null || true; rm -f "$$covered"' EXIT; failed=0; \
	echo 'What decides verdicts is tested beside these, as far as they leave time for it; its report follows.'; \
	nice -n 19 $(BIN)/pytest tests/stats tests/verdict -n 2 -m covering $(COVERAGE) > "$$covered" 2>&1 & \
	$(BIN)/pytest -m alone $$(grep -rl --include='test_*.py' 'mark\.alone' tests) || failed=1; \
	wait $$! || failed=1; cat "$$covered"; exit $$failed
	$(BIN)/pytest $(BESIDE) -m "not alone and not covering"
endif

test-js: .venv/.dev $(JAVASCRIPT)/.package-lock.json $(PROVIDER)/.package-lock.json ## with what npm has: clients (OpenTelemetry, Winston), a certified OpenID provider; needs Node.js
	$(BIN)/pytest tests/ingest/exporters_of_javascript.py tests/access/provider_of_javascript.py $(ARGS)

test-go: .venv/.dev ## with what Go's modules have: the library of Prometheus for remote write 2.0; needs Go 1.26
	@command -v go > /dev/null || { echo "test-go needs Go 1.26 or newer in PATH."; exit 1; }
	$(BIN)/pytest tests/ingest/exporters_of_go.py $(ARGS)

chaos: .venv/.dev ## kill, freeze, fill the disk, damage it, set the clock, 50 times under load; then count. Needs root
	cd tests && ../$(BIN)/python -m ingest.chaos $(ARGS)

bench-verdict: .venv/.dev ## the verdict beside its peers: ARGS=--quick, ARGS="--data DIR"
	$(BIN)/python -m bench.verdict $(ARGS)

bench-%: .venv/.dev ## a benchmark: bench-ingest, bench-pages, bench-harmless, bench-soak
	@test -f bench/$*.py || { echo "There is no bench/$*.py; there are: $$(cd bench && ls *.py | tr '\n' ' ')"; exit 1; }
	$(BIN)/python bench/$*.py $(ARGS)

bench-rotel: .venv-bench/.all ## onejob and rotel on one ClickHouse, per CPU second, and after kill -9: ARGS="--items 50000"
	.venv-bench/bin/python bench/rotel.py $(ARGS)

fuzz: .venv-bench/.all ## random bytes into every reader, random questions to the API: ARGS="--minutes 60"
	cd bench && ../.venv-bench/bin/python -m fuzz $(ARGS)

lock: $(UV) ## the exact versions again, from pyproject.toml: ARGS=--upgrade for newer ones
	scripts/lock.sh $(UV) $(ARGS)

sbom: ## a bill of materials (CycloneDX) of what is installed: ARGS=server without the demo
	@"$(PYTHON)" scripts/sbom.py $(ARGS)

docs: .venv/.dev ## the generated pages again: docs/configuration.md, docs/cli.md, roles in docs/security.md, sizes in docs/deploying.md
	$(BIN)/python scripts/configuration.py
	$(BIN)/python scripts/cli_reference.py
	$(BIN)/python scripts/roles.py
	$(BIN)/python scripts/sizing.py

doors: .venv/.dev .venv/.system $(JAVASCRIPT)/.package-lock.json ## docs/doors.md again, by real clients; needs Node.js and Go
	$(BIN)/pytest -m door --write-doors $$(grep -rl --include='*.py' 'door: Said' tests)

rum: .venv/.dev ## the script for browsers again, from browser/; needs npm
	$(BIN)/python scripts/rum.py

clean: ## everything that was set up
	rm -rf .venv .venv-bench .tools

# --- set-up: stamps in .venv say what was installed from which lock ---

$(UV): requirements/tools.txt
	@scripts/bootstrap.sh "$(PYTHON)"
	@touch $@

.venv/bin/python: | $(UV)
	@$(UV) venv --quiet --python "$(PYTHON)" .venv

# What the demo needs; a .venv that has the developers' tools already keeps them.
.venv/.demo: requirements/demo.txt requirements/dev.txt requirements/build.txt pyproject.toml | .venv/bin/python
	@$(call install,$(if $(wildcard .venv/.dev),dev,demo))
	@touch $@

.venv/.dev: requirements/dev.txt requirements/build.txt pyproject.toml | .venv/bin/python
	@$(call install,dev)
	@touch .venv/.demo $@

# Fuzzers and peers, of which developers need none for anything else.
.venv-bench/.all: requirements/bench.txt requirements/build.txt pyproject.toml | $(UV)
	@$(UV) venv --quiet --clear --python "$(PYTHON)" .venv-bench
	@$(call install,bench,.venv-bench/bin)
	@touch $@

.venv/.system: scripts/system.sh | .venv/.dev
	@scripts/system.sh
	@touch $@

$(JAVASCRIPT)/.package-lock.json $(PROVIDER)/.package-lock.json: %/node_modules/.package-lock.json: %/package-lock.json
	@npm ci --prefix $(@D)/.. --ignore-scripts --no-audit --no-fund --silent
	@touch $@

install = echo "Installing requirements/$1.txt ..." \
	&& $(UV) pip sync --quiet --python $(or $2,$(BIN))/python --require-hashes --build-constraints requirements/build.txt \
		requirements/$1.txt \
	&& $(UV) pip install --quiet --python $(or $2,$(BIN))/python --no-deps --build-constraint requirements/build.txt --editable .
