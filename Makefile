# What a newcomer types: `make run` and `make test`. Everything else is a line or two.

UI      := crates/dashboard-gateway/ui
TRIPLE  := x86_64-unknown-linux-gnu
TARGET  := $(or $(CARGO_TARGET_DIR),target)
BIN     := $(TARGET)/$(TRIPLE)/dist
COMPOSE := $(shell command -v docker-compose >/dev/null 2>&1 && echo docker-compose || echo docker compose)
BINARIES := watchbell watchbell-metrics watchbell-logs watchbell-alerts watchbell-gateway watchbell-agent

.PHONY: run tools ui binaries dist up down logs test check test-rust test-ui e2e bench bench-peers sim deny codegen clean

## Build and start everything in one process on this machine, data in ./data
run: tools ui
	cargo build --profile dist --bin watchbell
	install -D -t dist/bin $(BIN)/watchbell
	dist/bin/watchbell $(ARGS)

tools:
	@sh deploy/check-tools.sh

ui: $(UI)/dist/index.html

# Not `npm ci`: it refuses a lock file without download addresses (npm leaves other platforms' packages out of such a one).
$(UI)/node_modules: $(UI)/package-lock.json
	cd $(UI) && npm install --no-save --no-audit --no-fund && touch node_modules

$(UI)/dist/index.html: $(UI)/node_modules $(shell find $(UI)/src $(UI)/public $(UI)/index.html $(UI)/vite.config.ts -type f)
	cd $(UI) && npm run build

## Static binaries in dist/bin
binaries: tools ui
	cargo build --profile dist --bins
	install -D -t dist/bin $(addprefix $(BIN)/,$(BINARIES))

## A tarball of static binaries with the configuration that ships
dist: binaries
	tar -czf dist/watchbell-$(TRIPLE).tar.gz -C dist bin -C .. conf deploy README.md LICENSE docker-compose.yml .env.example

## The compose deployment from binaries built here
up: binaries
	@test -e .env || { echo "DOCKER_GID=$$(stat -c %g /var/run/docker.sock)"; echo "WATCHBELL_DOCKERFILE=deploy/Dockerfile.prebuilt"; } > .env
	WATCHBELL_DOCKERFILE=deploy/Dockerfile.prebuilt $(COMPOSE) up --build --detach
	@echo "Watchbell: http://localhost:$${WATCHBELL_GATEWAY_PORT:-3000}  user admin, password: $(COMPOSE) logs grafana, or data/grafana/initial-password"

down:
	$(COMPOSE) down

logs:
	$(COMPOSE) logs --follow

## Format, clippy with warnings denied, all Rust and UI tests: needs Rust and Node alone
test: tools check test-rust test-ui

check: ui
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

test-rust: ui
	cargo test --workspace --locked

test-ui: $(UI)/node_modules
	cd $(UI) && npm run check && npm test

## docker-compose, browser and crash tests on real Docker and Chromium
e2e: binaries
	node tests/e2e/run.mjs

bench:
	cargo bench --workspace

## The same load for Debian's prometheus and victoria-metrics and for ours, and the ratios
bench-peers: binaries
	node benches/peers.mjs $(ARGS)

sim:
	SEED=$(SEED) SLOW_TESTS=1 cargo test --release -p wal -p tsdb -p log-store -p alert-manager sim

deny:
	cargo deny check

codegen:
	cargo run --package xtask --features codegen -- codegen

clean:
	cargo clean
	rm -rf $(UI)/dist $(UI)/node_modules dist
