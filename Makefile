# Everything that a contributor runs. `make` alone lists the targets.
#
# Each step leaves a stamp in .venv/.stamps and runs again only when its inputs have changed, so every
# target may simply depend on all that it needs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
TOOLS := .cache/tools
# Without make's jobs: cargo is told of them and cannot reach them.
CARGO := env --unset=MAKEFLAGS cargo
# The lock lets only one step at a time change .venv, also under make --jobs.
LOCKED := flock $(STAMPS)
PIP := $(LOCKED) $(BIN)/python -m pip --quiet --disable-pip-version-check

FUZZ_SECONDS ?= 60
DEMO_PORT ?= 8080
DEMO_SECONDS ?=
BENCH_ARGS ?=
PYTEST_ARGS ?=
SINCE ?=
export DEMO_PORT DEMO_SECONDS FUZZ_SECONDS

# The tools that make compiles, and the folder into which rustup puts cargo: a login shell has that on its
# PATH, but a CI job may not.
export PATH := $(CURDIR)/$(TOOLS)/bin:$(HOME)/.cargo/bin:$(PATH)
export PYTEST_ARGS

# The exact versions that pip installs, here and in the scripts; `make constraints` takes the newest.
CONSTRAINTS := deploy/setup/constraints.txt
export PIP_CONSTRAINT := $(CURDIR)/$(CONSTRAINTS)

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust/core rust/py -name '*.rs' -o -name '*.lua' -o -name Cargo.toml)
PYTHON_PATHS := fscore server tests bench examples docs
SHELL_SCRIPTS := .ci/run $(shell find deploy -name '*.sh')

.PHONY: help build dev demo check check-style check-types check-tests test test-rust test-python test-pythons \
	test-wheel lint lint-python lint-rust lint-files format constraints docs bench fuzz imports docker-check clean

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  DEMO_PORT=8080 DEMO_SECONDS= PYTEST_ARGS= SINCE= BENCH_ARGS= FUZZ_SECONDS=60 change what they do."

# -- build ------------------------------------------------------------------------------------

# The extension in .venv is built either as released or quickly, for `make dev`. Each build replaces the
# other.
PROFILE := release
LIBRARY := $(STAMPS)/library-$(PROFILE)

build: $(LIBRARY) $(STAMPS)/server ## Make .venv with both distributions, the extension as released

dev: ## Build the extension quickly after an edit in Rust, for trying things out and make check
	@$(MAKE) --silent PROFILE=quick build; \
	echo "dev: .venv has the quick build of the extension ($$SECONDS s); make build or test brings back the release"

$(STAMPS)/venv: deploy/setup/prerequisites.sh $(CONSTRAINTS)
	@deploy/setup/prerequisites.sh "$(PYTHON)"
	@test -x $(BIN)/python || "$$(deploy/setup/prerequisites.sh --python "$(PYTHON)")" -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@$(PIP) install --upgrade 'pip>=25.1' setuptools
	@touch $@

# One stamp for each dependency group of pyproject.toml: build, test, lint, bench.
$(STAMPS)/group-%: $(STAMPS)/venv pyproject.toml
	@echo "installing the dependency group '$*'"
	@$(PIP) install --group $*
	@touch $@

$(STAMPS)/library-release $(STAMPS)/library-quick: $(STAMPS)/library-%: $(STAMPS)/group-build $(RUST_SOURCES) pyproject.toml
	@$(if $(filter release,$*),echo "building fscore-core in release (a few minutes)")
	@rm -f $(STAMPS)/library-*
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) PIP_QUIET=1 $(LOCKED) \
		$(BIN)/maturin develop --profile $* --quiet --extras arrow,uvloop >$(STAMPS)/build.log 2>&1 || \
		{ cat $(STAMPS)/build.log; exit 1; }
	@touch $@

# After fscore-core is installed, so that pip does not look for it in an index.
$(STAMPS)/server: server/pyproject.toml | $(LIBRARY)
	@echo "installing fscore-server"
	@$(PIP) install --no-build-isolation --editable server
	@touch $@

# -- run --------------------------------------------------------------------------------------

demo: build ## An online shop's clickstream, defined, loaded, served and queried on an embedded Valkey
	@$(BIN)/fscore demo examples/ecommerce

# -- test -------------------------------------------------------------------------------------

test: test-rust test-python test-wheel ## All tests: the Rust core, the library and server, the installed wheels

test-rust: $(STAMPS)/venv ## The Rust core's tests
	$(CARGO) test --quiet --locked --package fscore-core
	@if [ -d "$$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then \
		$(CARGO) build --quiet --locked --package fscore-core --target wasm32-unknown-unknown; \
		echo "the core builds for wasm32-unknown-unknown"; \
	fi

# Uses the build of the extension that is up to date, or else makes the quick one. tests/touched.py says
# which tests a change touches.
check: $(STAMPS)/group-test $(STAMPS)/group-bench $(STAMPS)/group-lint ## In half a minute: ruff, mypy, tests that a change touches
	@$(MAKE) --question build || $(MAKE) dev
	@deploy/setup/redis.sh
	@$(MAKE) --jobs 3 --output-sync check-style check-types check-tests

check-style:
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .

check-types:
	@$(BIN)/mypy

check-tests:
	@paths=$$($(BIN)/python -m tests.touched $(SINCE)); echo "pytest $$paths"; \
	$(BIN)/python -m pytest --quiet --numprocesses auto --dist worksteal $(PYTEST_ARGS) $$paths

# A process for each core; PYTEST_ARGS="-n 0" runs the tests in one, as a debugger needs it.
test-python: build $(STAMPS)/group-test ## The Python suite against real servers
	@deploy/setup/redis.sh
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(PYTEST_ARGS)

test-pythons: ## The native, definitions and client suites on each Python from 3.11 to 3.14 that is here
	@deploy/setup/redis.sh
	@deploy/setup/pythons.sh | while read -r version python; do \
		echo "Python $$version"; \
		CARGO_TARGET_DIR=$(CURDIR)/.cache/python$$version/target $(MAKE) test-python \
			PYTHON=$$python VENV=.cache/python$$version PROFILE=quick \
			PYTEST_ARGS="tests/native tests/model tests/definitions tests/offline tests/client $(PYTEST_ARGS)" </dev/null; done

test-wheel: build $(STAMPS)/group-test ## Build both wheels and test them installed, outside the checkout
	@deploy/setup/redis.sh
	deploy/setup/test-wheel.sh $(BIN)/python

# -- lint -------------------------------------------------------------------------------------

lint: lint-python lint-rust lint-files ## Every linter and type checker, without changing a file

lint-python: build $(STAMPS)/group-test $(STAMPS)/group-bench $(STAMPS)/group-lint ## ruff, mypy --strict, stubtest, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml fscore._fscore
	$(BIN)/python docs/generate.py --check

lint-rust: $(STAMPS)/venv $(STAMPS)/cargo-deny ## rustfmt, clippy pedantic, cargo deny
	cargo fmt --all --check
	cargo fmt --manifest-path rust/fuzz/Cargo.toml --check
	@for folder in bench/measure/constant_rate bench/peers/rust; do \
		cargo fmt --manifest-path $$folder/Cargo.toml --check && \
		cargo metadata --quiet --locked --format-version 1 --manifest-path $$folder/Cargo.toml >/dev/null || exit 1; done
	$(CARGO) clippy --quiet --locked --workspace --all-targets -- -D warnings
	cargo deny --locked --config rust/deny.toml --log-level error check bans licenses sources

lint-files: $(STAMPS)/group-lint ## shellcheck and hadolint
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/hadolint Dockerfile

# Compiled without optimisation, which saves minutes: it checks our dependencies in a second anyway.
$(STAMPS)/cargo-deny: $(STAMPS)/venv
	@command -v cargo-deny >/dev/null || { \
		echo "compiling cargo-deny into $(TOOLS) (a minute, once)"; \
		$(CARGO) install --quiet --locked --debug --no-default-features --root $(TOOLS) cargo-deny@0.20.2; }
	@touch $@

# -- change -----------------------------------------------------------------------------------

format: $(STAMPS)/group-lint ## Format Python and Rust, apply ruff's safe fixes
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .
	cargo fmt --all
	@for folder in rust/fuzz bench/measure/constant_rate bench/peers/rust; do \
		cargo fmt --manifest-path $$folder/Cargo.toml || exit 1; done

constraints: $(STAMPS)/venv ## Take the newest versions of all that pip installs, on each Python that is here
	$(BIN)/python deploy/setup/constraints.py

docs: build $(STAMPS)/group-test ## Write the tables and notebooks in docs/ that are generated from code
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/notebooks.py

# -- measure ----------------------------------------------------------------------------------

bench: build $(STAMPS)/group-test $(STAMPS)/group-bench ## Compare with other clients and servers; BENCH_ARGS picks
	@deploy/setup/redis.sh
	@deploy/setup/bench.sh
	$(BIN)/python -m bench $(BENCH_ARGS)

fuzz: $(STAMPS)/venv ## Each fuzz target for FUZZ_SECONDS (needs the nightly toolchain)
	@TOOLS=$(TOOLS) deploy/setup/fuzz.sh

imports: $(STAMPS)/venv ## Show the rooms of the library and the server, their floors and circles of imports
	@$(BIN)/python -m tests.import_graph

docker-check: ## The Dockerfile's build steps in a clean folder, without a container engine
	@deploy/docker/check.sh

clean: ## Remove .venv, build results and caches
	rm -rf $(VENV) .cache target rust/fuzz/target dist server/dist fscore/*.so \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
