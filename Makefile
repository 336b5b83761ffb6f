# Headgate's chores. `make` alone prints them.
# Everything a target needs is installed by it, into .tools/ (nothing outside the project but Rust's wasm targets).

export PATH := $(CURDIR)/.tools/bin:$(PATH)
export CARGO_TERM_COLOR ?= auto
FUZZ_SECONDS ?= 20
# Where cargo builds; the pruned filter is always target/headgate.wasm.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
export HEADGATE_BIN ?= $(TARGET)/debug/headgate
# The flags of the shell would take the place of those that keep the filter small (.cargo/config.toml).
FILTER := env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS cargo build --profile wasm --target wasm32-wasip1 -p headgate-filter

.DEFAULT_GOAL := help
.PHONY: help demo test lint wasm build bench fuzz docker-test clean

help: ## Print these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: ## Watch a real Envoy divide live traffic between versions, under two minutes, build aside
	@scripts/install rust venv
	@$(MAKE) --no-print-directory wasm
	cargo build -p headgate-demo -p headgate-control
	@echo; $(TARGET)/debug/demo

test: ## Run every test: native, in wasm under Node, and in a real Envoy
	@scripts/install rust venv wasm-bindgen istio airflow prometheus
	@scripts/test

lint: ## Check formatting, clippy, docs, licences, dependencies and scripts
	@scripts/install rust venv
	@scripts/lint

wasm: ## Build the filter, without and with shadows: target/headgate.wasm, target/headgate-shadow.wasm
	@scripts/install rust
	$(FILTER)
	@mkdir -p target
	cargo run -q -p xtask -- prune $(TARGET)/wasm32-wasip1/wasm/headgate_filter.wasm target/headgate.wasm
	@# In a folder of its own: the two would take each other's place.
	$(FILTER) --features shadow --target-dir $(TARGET)/shadow
	cargo run -q -p xtask -- prune $(TARGET)/shadow/wasm32-wasip1/wasm/headgate_filter.wasm target/headgate-shadow.wasm

build: wasm ## Build the filter, and the control program: target/release/headgate
	cargo build --release -p headgate-control

bench: build ## Compare side by side with Envoy's own means: a table on the terminal
	@scripts/install venv statistics
	cargo run --release -p headgate-benches

fuzz: ## Feed random bytes to the parsers, FUZZ_SECONDS (default 20) a target
	@scripts/install rust venv
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz

docker-test: ## Run the demo's checks against the official Envoy image (exit 77: no Docker engine)
	@scripts/docker-test

clean: ## Remove what was built and installed here
	rm -rf target .tools fuzz/target
