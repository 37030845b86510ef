# A thin front of the CMake presets in CMakePresets.json.
# `make help` lists the targets.

PREFIX ?= /usr/local
DESTDIR ?=
JOBS := $(shell nproc)

.DEFAULT_GOAL := all
.PHONY: all demo test bench fault interop lint fuzz images deb install clean \
    help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' \
	    $(MAKEFILE_LIST)

all: ## build the programs into build/bin
	@scripts/bootstrap build
	@cmake --preset release >/dev/null
	@cmake --build build/release -j $(JOBS)

demo: ## build, start a cluster, run the http connector, show records arriving
	@scripts/bootstrap build demo
	@$(MAKE) --no-print-directory all
	@scripts/demo

test: ## install what is missing, build, run every test
	@scripts/bootstrap build demo test wasm rust images deb
	@scripts/test

bench: ## measure, beside the machine's own limits
	@scripts/bootstrap build wasm
	@$(MAKE) --no-print-directory all
	@bench/run

fault: ## the long fault runs: crash twin, kill -9
	@scripts/bootstrap build demo test wasm
	@scripts/test --long fault

interop: ## build Fluvio's own server (15 minutes, once), run ours against it
	@scripts/bootstrap build test wasm
	@$(MAKE) --no-print-directory all
	@scripts/real-fluvio $(FLUVIO_REPOSITORY)
	@tests/interop/run.sh build/bin cluster

lint: ## formatting, clang-tidy, the include rules, banned functions
	@scripts/bootstrap build lint
	@scripts/lint

fuzz: ## every fuzz harness for FUZZ_SECONDS (60) each
	@scripts/bootstrap build fuzz wasm
	@scripts/fuzz

images: ## one container image per connector, loaded into podman or docker
	@scripts/bootstrap build wasm
	@$(MAKE) --no-print-directory all
	@scripts/images

deb: ## build the Debian packages into build/deb
	@scripts/bootstrap build wasm deb
	@$(MAKE) --no-print-directory all
	@scripts/deb

install: all ## install programs and headers below PREFIX (/usr/local)
	@DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)

clean: ## remove build/
	@rm -rf build
