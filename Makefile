# The one door. `make` lists what there is; every target does its own set-up and says what it is doing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV   := .venv
BIN    := $(abspath $(VENV))/bin

# Everything slow to build lives outside the checkout, so that a second clean checkout starts in seconds.
export SEALCAST_CACHE   ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sealcast
export CARGO_TARGET_DIR ?= $(SEALCAST_CACHE)/target
BORING_VERSION := $(shell sed -n 's/^boring-sys = "=\(.*\)"/\1/p' Cargo.toml)
export BORING_BSSL_PATH := $(SEALCAST_CACHE)/boringssl-$(BORING_VERSION)-$(shell uname -m)
export BORING_BSSL_ASSUME_PATCHED := 1
export LIBCLANG_PATH = $(shell $(BIN)/python -c 'import clang, pathlib; print(pathlib.Path(clang.__path__[0]) / "native")' 2>/dev/null)
export BINDGEN_EXTRA_CLANG_ARGS = -I$(shell g++ -print-file-name=include)
export PATH := $(BIN):$(PATH)
export PYO3_PYTHON = $(BIN)/python
export PYO3_BUILD_EXTENSION_MODULE := 1

NATIVE := src/sealcast/_core.abi3.so
RUST   := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

.PHONY: demo
demo: machine $(VENV)/.demo $(VENV)/.linked native ## the main job with everything embedded (CHECK=1: without a person, 5 s, exit code)
	@exec $(BIN)/python -m sealcast demo $(if $(CHECK),--check)

.PHONY: test
test: machine-tests $(VENV)/.test $(VENV)/.linked native packages browser-modules lint rust-test python-test ## every test, lint and type check

.PHONY: lint
lint: $(VENV)/.test $(VENV)/.linked native ## format, lint, types, import contracts, stubs
	@echo "==> lint: ruff, mypy, import contracts, stubs, rustfmt, clippy"
	ruff format --check --quiet .
	ruff check --quiet .
	mypy
	MYPYPATH=benches mypy benches/*.py
	lint-imports --verbose 2>&1 | tail -n 25
	python -m mypy.stubtest sealcast._core --ignore-disjoint-bases
	cargo fmt --all --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings

.PHONY: rust-test
rust-test: boringssl
	@echo "==> Rust tests"
	cargo test --quiet --locked --workspace

.PHONY: python-test
python-test: $(VENV)/.test $(VENV)/.linked native browser-modules
	@echo "==> Python tests (journeys, attack, browser, interop, unit, properties), two files at a time"
	pytest --numprocesses 2 --no-loadscope-reorder

.PHONY: bench
bench: $(VENV)/.test $(VENV)/.linked native ## the figures of the README, each with its peer in the same run
	@tools/system-packages bench
	cargo build --quiet --release --locked --examples -p sealcast-tls -p sealcast-srtp
	python benches/run.py

.PHONY: fuzz
fuzz: boringssl ## every fuzz target for FUZZ_SECONDS (60) each; what breaks one is kept as a test
	@tools/fuzz $(TARGET)

.PHONY: docs
docs: $(VENV)/.test $(VENV)/.linked ## renew the pages that are made from tables
	$(BIN)/python -c 'from sealcast.codes import page; print(page(), end="")' > docs/codes.md

.PHONY: test-interop
test-interop: ## like test, with every peer installed and no test skipped
	@REQUIRE_ALL=1 $(MAKE) test

.PHONY: lock
lock: $(VENV)/.build ## renew the pinned Python packages from pyproject.toml
	@pip install -q uv
	for set in build demo test; do
	  groups=""; case $$set in demo) groups="--group demo --extra server";; test) groups="--group demo --group test --extra server --extra pkcs11 --extra acme --extra spiffe";; esac
	  uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes --python-version 3.11 \
	    --group build $$groups pyproject.toml -o requirements/$$set.txt
	done

.PHONY: wheel
wheel: $(VENV)/.build ## a wheel with the native module, in dist/ (what pip install . builds)
	@$(BIN)/pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .

.PHONY: instructions
instructions: $(VENV)/.test counted ## renew the table of instructions per packet that the tests hold
	@tools/system-packages
	python -m tests.instructions.table

.PHONY: clean
clean: ## remove what was built in the checkout (the cache stays)
	@rm -rf $(VENV) $(NATIVE) dist tests/browser/node_modules

# ---- set-up -------------------------------------------------------------------------------------

.PHONY: machine machine-tests packages browser-modules boringssl native
machine:
	@tools/check-machine

machine-tests:
	@tools/check-machine tests

packages:
	@tools/system-packages

browser-modules: tests/browser/node_modules/.stamp
tests/browser/node_modules/.stamp: tests/browser/package-lock.json
	@echo "==> installing the browser driver from npm"
	npm ci --prefix tests/browser --silent --ignore-scripts
	touch $@

$(VENV)/.made: | machine
	@echo "==> making a virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)
	touch $@

define install
	@echo "==> installing pinned Python packages ($(notdir $<))"
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@
endef

$(VENV)/.build: requirements/build.txt $(VENV)/.made
	$(install)
$(VENV)/.demo: requirements/demo.txt $(VENV)/.build
	$(install)
$(VENV)/.test: requirements/test.txt $(VENV)/.build
	$(install)

# The checkout itself is on the environment's path, and `sealcast` is a command in it.
$(VENV)/.linked: $(VENV)/.made
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	echo "$(abspath src)" > "$$site/sealcast-checkout.pth"
	printf '#!%s\nfrom sealcast.cli import main\n\nmain()\n' "$(BIN)/python" > $(BIN)/sealcast
	chmod +x $(BIN)/sealcast
	touch $@

# The programs whose instructions are counted: what users get, so the release profile.
.PHONY: counted
python-test: counted
counted: boringssl
	@echo "==> building the programs whose instructions are counted (release)"
	tools/counted $(CARGO_TARGET_DIR)/counted

boringssl: $(VENV)/.build
	@tools/boringssl $(BORING_BSSL_PATH)

native: boringssl $(NATIVE)
$(NATIVE): $(RUST) $(VENV)/.build | boringssl
	@echo "==> building the native module (release)"
	cargo build --quiet --release --locked -p sealcast-core
	cp $(CARGO_TARGET_DIR)/release/lib_core.so $@
