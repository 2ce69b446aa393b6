# make help lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
NPM     ?= npm
TOOL    := $(GO) tool -modfile=tools/go.mod
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w -X main.version=$(VERSION)'

# Go files that people write.
GOFILES = $(shell find . -name '*.go' ! -name '*.gen.go' ! -path './web/node_modules/*')

# The race detector needs a C compiler; a machine without one still runs the
# tests. It looks at code that several goroutines share: not at the rooms that
# have no goroutine (arch_test.go holds that), and not at the SQLite that was
# translated from C, both of which it would make ten times as slow. A package
# that synchronises anything, or inlines what does, must not be among them: its
# copies of generic functions of sync could take the place of the watched ones.
MODULE := github.com/perrondrukte/perrondrukte
UNRACED := modernc.org/sqlite/lib $(addprefix $(MODULE)/,perron counter present yard occupancy/... forecast/... simulate/...)
RACE := $(if $(shell command -v gcc || command -v cc || command -v clang),-race $(foreach p,$(UNRACED),-gcflags=$(p)=-race=false))

# Shows the tests of a go test -json, what took long and what was skipped.
REPORT := $(GO) run ./test/report

# More flags for the demo, like DEMO_FLAGS="--http :8081".
DEMO_FLAGS ?=

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

## What people run

.PHONY: demo
demo: web build ## build everything and run three yards on simulated sensors
	bin/perrondrukte demo $(DEMO_FLAGS)

.PHONY: build
build: ## build bin/perrondrukte and bin/perron-gateway
	$(BUILD) -o bin/ ./cmd/perrondrukte ./cmd/perron-gateway

.PHONY: web
web: web/node_modules/.installed ## build the pages' script
	cd web && $(NPM) run --silent build

web/node_modules/.installed: web/package.json web/package-lock.json
	@command -v $(NPM) >/dev/null || { echo 'npm is missing: install Node 20 or later, or run "go run ./cmd/perrondrukte demo", which does without'; exit 1; }
	cd web && $(NPM) ci
	touch $@

.PHONY: cross
cross: ## build for the devices, into dist/
	GOOS=linux GOARCH=arm64 $(BUILD) -o dist/linux-arm64/ ./cmd/perrondrukte ./cmd/perron-gateway
	GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o dist/linux-armv6/ ./cmd/perrondrukte ./cmd/perron-gateway

# The version of the packages: of the tag v1.2.3, or by the time of the commit.
DEB_VERSION ?= $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//; s/-/+/; s/-/./g' | grep . || TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format='0~%cd.%h' 2>/dev/null || echo 0)
DEB_ARCHES  ?= amd64 arm64 armhf

.PHONY: deb
deb: web ## Debian packages of gateway and server for every architecture, into dist/
	packaging/deb/build.sh dist '$(DEB_VERSION)' $(DEB_ARCHES)

## What keeps it right

.PHONY: test
test: ## everything that the project promises, checked; says how long it took and what it skipped
	@$(REPORT) steps '$(MAKE)' lint types unit score cross system

.PHONY: lint
lint: ## formatting, modules, vet and staticcheck
	@unformatted=$$($(TOOL) gofumpt -l $(GOFILES)); \
	if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	@for dir in . tools tools/influxd; do \
		(cd $$dir && $(GO) mod tidy -diff) || { echo "$$dir/go.mod is not tidy: run go mod tidy there"; exit 1; }; \
	done
	$(GO) vet ./...
	$(TOOL) staticcheck ./...

.PHONY: types
types: web/node_modules/.installed ## the script: its types, and that it says what the server says; whether the style is fresh
	cd web && $(NPM) run --silent check

.PHONY: unit
unit: web ## every package by itself, shuffled and with the race detector
ifeq ($(RACE),)
	@echo 'no C compiler: the tests run without the race detector'
	@[ -z "$${CI:-}" ]
endif
	$(GO) test -json $(RACE) -shuffle=on -timeout 15m -skip '^TestBrowser' $$($(GO) list ./... | grep -Ev '/test(/hil|/faults)?$$|/store/influx') | $(REPORT) tests

.PHONY: score
score: ## the estimates and forecasts have not become worse, in a minute
	$(GO) run ./bench/eval -strict -only limits,drift,bench

.PHONY: system
system: web ## the built binaries: recorded traffic, brokers, stores, browser
	$(GO) test -json -count=1 -timeout 25m $$($(GO) list ./test/... | grep -v '/test/hil$$') | $(REPORT) tests
	$(GO) test -json $(RACE) -count=1 -timeout 15m ./store/influx/... | $(REPORT) tests
	$(GO) test -json -count=1 -timeout 15m -run '^TestBrowser' ./web | $(REPORT) tests

.PHONY: hil
hil: ## the gateway on the kernel's GPIO interface, in a virtual machine
	test/hil/setup.sh
	$(GO) test -count=1 -timeout 20m -v ./test/hil

.PHONY: bench
bench: build ## measure speed and memory against the limits
	cd tools/influxd && CGO_ENABLED=0 $(GO) build -o ../../dist/influxd github.com/influxdata/influxdb/cmd/influxd
	$(GO) run ./bench -influxd dist/influxd

.PHONY: eval
eval: ## score estimates and forecasts against their targets
	$(GO) run ./bench/eval

# How many sequences; a seed repeats one: make faults FAULTS="-seed 17".
FAULTS ?= -n 200

.PHONY: faults
faults: build ## kill, cut, fill and damage: nothing may be lost or doubled
	$(GO) run ./test/faults -bin bin $(FAULTS)

.PHONY: fuzz
fuzz: ## ten seconds for every decoder
	@for pkg in $$($(GO) list ./... | grep -v '/test$$'); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 10s $$pkg; \
		done; \
	done

.PHONY: vuln
vuln: ## known vulnerabilities in what the binaries use; needs the network
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...

## What keeps it going

.PHONY: generate
generate: web/node_modules/.installed ## write what is generated: API server, JSON Schemas, the style
	$(GO) generate ./...
	cd web && $(NPM) run --silent css

.PHONY: fmt
fmt: ## format the Go files
	$(TOOL) gofumpt -w $(GOFILES)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist web/node_modules
	find web/dist -mindepth 1 ! -name .gitkeep -delete
