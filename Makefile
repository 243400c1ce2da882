# Redress: everything a developer types. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
KAFKA_LIBS := .local/kafka/libs
SUPPLY := .local/supply
KEYCLOAK := .local/keycloak
NPM := .local/npm
CLIENTS := .local/clients
OPENAPI := .local/openapi
CLUSTER := .local/cluster

# The one list of services is services.toml. By awk: the Python that can read it may not be there yet.
SERVICES := $(shell awk -F '"' '/^name = / { print $$2 }' services.toml)
PACKAGES := libs/events libs/spine libs/chassis $(SERVICES:%=services/%) cli deploy/local
SOURCES := $(foreach package,$(PACKAGES),$(wildcard $(package)/redress_*))
# One mypy run per folder of tests: pytest imports them by path, so two folders may both have a test_api.py, and mypy refuses that.
# Tests are checked inside, but need not say "-> None" a thousand times.
MYPY_TESTS := --no-error-summary --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls
TESTS := $(wildcard $(PACKAGES:%=%/tests) deploy/helm/tests tests benchmarks)
DOMAINS := $(shell awk -F '"' '/^package = / { print $$2 ".domain" }' services.toml)
COVERAGE ?= 100
PYTEST ?=
# Most tests with servers wait: three processes keep two processors busy. A file's tests stay in one process, for they share its system.
PROCESSES ?= 3
# Of the spine: what publishes our events' schemas and what the services' tests begin with. The projector still has three sentences of its own.
SPEAK_OF_COMPLAINTS := asyncapi.py compatibility.py golden.py testing.py
ONLY ?=
QUICK ?=
AGAINST ?=
MINUTES ?= 20
SEED ?=
NAME ?=
REDOCLY = REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(NPM)/node_modules/.bin/redocly

.PHONY: help check setup demo run test clients test-identity test-cluster lint redocly pages bench soak format schemas folds permissions dashboards chart service services requirements sbom audit clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## Say what this machine lacks, and how to get it
	@deploy/local/preflight

setup: check $(STAMPS)/packages $(STAMPS)/kafka ## Make the virtual environment and fetch Kafka

demo: setup ## Start the whole system, take complaints from registration to closed, show what happened, stop
	@$(BIN)/redress demo

run: setup ## Start the whole system and stay; Ctrl-C stops it
	@$(BIN)/redress up --foreground

test: lint $(STAMPS)/clients ## Lint, types and every test, against the real Kafka and the real PostgreSQL
	@$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile $(DOMAINS:%=--cov=%) --cov-report=term-missing:skip-covered --cov-fail-under=$(COVERAGE) $(PYTEST)

clients: setup redocly $(STAMPS)/clients ## Run clients of others against the running system: generated from OpenAPI, and those of Kafka, CloudEvents, AsyncAPI and Prometheus
	@$(BIN)/python -m pytest tests/e2e/test_generated_clients.py tests/e2e/test_ready_made_clients.py tests/e2e/test_openapi.py $(PYTEST)

test-identity: setup $(STAMPS)/keycloak ## The journey of a complaint with the tokens of a real Keycloak: keys that change, a provider that is away
	@KEYCLOAK=$(CURDIR)/$(KEYCLOAK) $(BIN)/python -m pytest tests/identity $(PYTEST)

test-cluster: setup $(STAMPS)/chart $(STAMPS)/cluster ## The Helm chart on a real API server with real controllers, on nodes that are on paper alone; the first time Kubernetes is built, some ten minutes
	@CLUSTER_PROGRAMS=$(CURDIR)/$(CLUSTER) $(BIN)/python -m pytest tests/cluster $(PYTEST)

lint: setup $(STAMPS)/chart $(STAMPS)/npm ## Style, format, types, import contracts, schemas, the OpenAPI documents, the Helm chart, and files that match services.toml, Dockerfile and docker-compose.yml
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(SOURCES) deploy/helm/redress_chart $(wildcard conftest.py)
	@for tests in $(TESTS); do [ -n "$$(find $$tests -name '*.py' -print -quit)" ] || continue; echo "mypy $$tests"; MYPYPATH=$$tests $(BIN)/mypy $(MYPY_TESTS) $$tests; done
	@$(BIN)/lint-imports --no-logo
	@! grep -rniI complaint libs/chassis/redress_chassis || { echo "The chassis knows no complaint: it says subject, and takes the kinds from the service's aggregates." >&2; exit 1; }
	@! grep -rniI complaint libs/spine/redress_spine $(SPEAK_OF_COMPLAINTS:%=--exclude=%) || { echo "The spine knows no complaint: it says subject." >&2; exit 1; }
	@$(BIN)/python -m redress_local.derived --check
	@$(BIN)/python -m redress_local.gateway --check
	@$(BIN)/python -m redress_spine.schemas --check
	@$(BIN)/python -m redress_local.interface --check
	@$(MAKE) redocly
	@$(BIN)/python -m redress_local.dashboards --check
	@PYTHONPATH=deploy/helm $(BIN)/python -m redress_chart --check
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/docker-compose --file docker-compose.yml config --quiet # by the compose specification, without an engine

redocly: setup $(STAMPS)/npm
	@$(BIN)/python -m redress_local.interface --to $(OPENAPI)
	@$(REDOCLY) lint --config deploy/local/redocly.yaml $(OPENAPI)/*.json deploy/gateway/openapi.json >$(OPENAPI)/findings 2>&1 && ! grep -q '^You have' $(OPENAPI)/findings || { cat $(OPENAPI)/findings >&2; exit 1; }

pages: setup ## Follow each page about a change to its end, lint and tests too: about forty minutes
	@PAGES_TO_THE_END=1 $(BIN)/python -m pytest tests/docs/test_changes.py $(PYTEST)

bench: setup $(STAMPS)/bench ## Measure how fast it is, and compare: about twenty minutes; ONLY=front_door for one, QUICK=1 for a rough look, ONLY=capacity AGAINST=DIR beside another checkout
	@PYTHONPATH=benchmarks $(BIN)/python -m redress_bench --only "$(ONLY)" $(if $(QUICK),--quick) $(if $(AGAINST),--against "$(AGAINST)")

soak: setup ## Random faults under load, then every check: MINUTES=20 SEED=1 ONLY=takeover,endless; it prints the seed, and writes down a run of 20 minutes
	@PYTHONPATH=benchmarks:tests/e2e/support $(BIN)/python -m redress_soak --minutes "$(MINUTES)" --seed "$(SEED)" --only "$(ONLY)"

format: setup ## Format the code with ruff
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

schemas: setup ## Regenerate the JSON Schemas, AsyncAPI documents and golden files
	@$(BIN)/python -m redress_spine.schemas

folds: setup ## Record the result of each fold on the golden log, after its number was raised in main.py
	@PYTHONPATH=tests/walk/support $(BIN)/python -m golden_log

permissions: setup ## Regenerate docs/permissions.md from the services' tables of permissions, and the table in docs/kafka-rights.md
	@PYTHONPATH=tests/docs/support $(BIN)/python -m permission_page
	@PYTHONPATH=tests/docs/support $(BIN)/python -m rights_page

dashboards: setup ## Regenerate Grafana's dashboards from deploy/monitoring/dashboards.yml
	@$(BIN)/python -m redress_local.dashboards

chart: setup $(STAMPS)/chart ## Regenerate the parts of the Helm chart that follow from services.toml, the code and its own values, and its rendered examples
	@PYTHONPATH=deploy/helm $(BIN)/python -m redress_chart

service: setup ## Make an empty service that starts and folds, and list it: NAME=notifier (docs/add-a-service.md)
	@$(BIN)/python -m redress_local.new_service "$(NAME)"
	@$(BIN)/ruff check --quiet --fix services/$(NAME)
	@$(BIN)/ruff format --quiet services/$(NAME)
	@$(MAKE) services schemas folds permissions chart

services: setup ## Regenerate what other files say about the services, after services.toml, a route or a body was changed
	@$(BIN)/python -m redress_local.derived
	@$(BIN)/python -m redress_local.gateway
	@$(BIN)/python -m redress_local.interface

requirements: setup ## Pin the newest versions that requirements/*.in allow, with hashes
	@cd requirements && for each in runtime dev bench chart clients supply; do ../$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --python-version 3.11 --custom-compile-command "make requirements" \
		$$each.in -o $$each.txt; done
	@cd requirements/npm && npm update --save --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund --silent
	@! grep -nE '://|file:' requirements/*.txt || { echo "A requirement file names a host." >&2; exit 1; }

sbom: $(STAMPS)/supply ## List all that the services run on, as CycloneDX: dist/redress.cdx.json
	@mkdir -p dist
	@$(SUPPLY)/bin/cyclonedx-py requirements requirements/runtime.txt --output-reproducible --validate --of JSON -o dist/redress.cdx.json
	@echo "dist/redress.cdx.json lists $$(grep -c '"purl"' dist/redress.cdx.json) libraries"

audit: $(STAMPS)/supply ## Check each library against the public database of known vulnerabilities; needs a network, and fails without an answer
	@$(SUPPLY)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements/runtime.txt

clean: ## Stop the local stack, and remove everything that was generated here
	@if [ -x $(BIN)/redress ]; then $(BIN)/redress down || true; fi
	@rm -rf $(VENV) .local .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@echo "Making the virtual environment"
	@[ -x $(BIN)/python ] || "$$(deploy/local/preflight --python)" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# --no-deps: the files name everything. Without it pip sees `coverage[toml]` of a dependency as unpinned, once a newer coverage is out.
$(STAMPS)/requirements: requirements/dev.txt | $(STAMPS)/venv
	@echo "Installing the pinned requirements"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

$(STAMPS)/bench: requirements/bench.txt $(STAMPS)/requirements
	@echo "Installing what the benchmarks compare with"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt
	@touch $@

# In an environment of its own: what it needs must not decide about what we run.
$(STAMPS)/supply: requirements/supply.txt | $(STAMPS)/venv
	@echo "Installing what lists and audits the libraries"
	@[ -x $(SUPPLY)/bin/python ] || $(BIN)/python -m venv $(SUPPLY)
	@$(SUPPLY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/supply.txt
	@touch $@

$(STAMPS)/clients: requirements/clients.txt | $(STAMPS)/venv
	@echo "Installing what makes clients of the OpenAPI documents, and clients of Kafka: some 170 MB"
	@[ -x $(CLIENTS)/bin/python ] || $(BIN)/python -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/clients.txt
	@touch $@

$(STAMPS)/chart: requirements/chart.txt $(STAMPS)/requirements
	@echo "Installing what checks the Helm chart: some 100 MB"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/chart.txt
	@touch $@

$(STAMPS)/packages: $(STAMPS)/requirements $(PACKAGES:%=%/pyproject.toml)
	@echo "Installing the packages of this repository"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(PACKAGES:%=-e %)
	@touch $@

# No package may run a script of its own. Registry and proxy are those of the machine's npm.
$(STAMPS)/npm: requirements/npm/package.json requirements/npm/package-lock.json | $(STAMPS)/venv
	@command -v npm >/dev/null || { echo "The OpenAPI documents are checked by redocly, and there is no npm. Debian, Ubuntu: apt-get install nodejs npm, 20.19 or newer." >&2; exit 1; }
	@echo "Installing what reads and checks the OpenAPI and AsyncAPI documents: some 120 MB"
	@mkdir -p $(NPM) && cp requirements/npm/package.json requirements/npm/package-lock.json $(NPM)
	@npm ci --prefix $(NPM) --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# Without Maven a Docker engine is there (preflight saw to that), and Kafka comes as an image.
$(STAMPS)/kafka: deploy/local/pom.xml | $(STAMPS)/venv
	@if command -v mvn >/dev/null; then echo "Fetching Kafka"; rm -rf $(KAFKA_LIBS); mvn --batch-mode --quiet -f deploy/local/pom.xml dependency:copy-dependencies; fi
	@touch $@

$(STAMPS)/cluster: tests/cluster/programs/go.mod tests/cluster/programs/go.sum tests/cluster/programs/definitions tests/cluster/programs/build | $(STAMPS)/venv
	@tests/cluster/programs/build $(CURDIR)/$(CLUSTER)
	@touch $@

$(STAMPS)/keycloak: deploy/local/keycloak-pom.xml | $(STAMPS)/venv
	@command -v mvn >/dev/null || { echo "Keycloak is fetched by Maven, and there is no mvn. Debian, Ubuntu: apt-get install maven." >&2; exit 1; }
	@echo "Fetching Keycloak, 157 MiB"; rm -rf $(KEYCLOAK); mvn --batch-mode --quiet -f $< dependency:unpack
	@touch $@
