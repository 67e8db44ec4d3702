# Every step that needs something makes it first: `make run` and `make test`
# work in a fresh clone with Go, make and gcc.

GO      ?= go
TOOL     = $(GO) tool -modfile=$(CURDIR)/internal/tools/go.mod
BIN      = $(CURDIR)/bin
SOURCES  = $(shell find cmd exporter extension internal processor receiver -name '*.go' -not -name '*_test.go' 2>/dev/null)
FUZZTIME ?= 30s
# The binding of NVML calls what newer headers call deprecated.
export CGO_CFLAGS ?= -g -O2 -Wno-deprecated-declarations

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: $(BIN)/otelcol-vmusage $(BIN)/vmusagectl ## build bin/otelcol-vmusage and bin/vmusagectl

$(BIN)/otelcol-vmusage: builder-config.yaml go.mod go.sum $(SOURCES)
	@mkdir -p $(BIN) build/distribution
	$(TOOL) builder --config builder-config.yaml --skip-strict-versioning=false
	cp build/distribution/otelcol-vmusage $@

$(BIN)/vmusagectl: go.mod go.sum $(SOURCES)
	$(GO) build -trimpath -o $@ ./cmd/vmusagectl

.PHONY: run
run: build ## meter this machine: embedded Kafka, collector and a live view of the events
	$(BIN)/vmusagectl up --config otelcol-config.yaml

.PHONY: test
test: build ## all tests, with the race detector, and the short end-to-end run of the binary
	$(GO) vet ./...
	VMUSAGE_BIN=$(BIN) $(GO) test -race -timeout 15m ./...
	cd internal/interop && $(GO) test -mod=mod ./...

.PHONY: e2e
e2e: build ## the end-to-end tests at full length
	VMUSAGE_BIN=$(BIN) VMUSAGE_E2E=full $(GO) test -count=1 -timeout 40m -v ./internal/e2e/...
	VMUSAGE_E2E=full $(GO) test -count=1 -timeout 30m -v -run '^TestTenHoursOfOutage$$' ./receiver/vmusagereceiver

.PHONY: test-gpu
test-gpu: ## known load on a real NVIDIA GPU, beside what is metered of it; skips without one
	VMUSAGE_GPU=1 $(GO) test -count=1 -timeout 15m -v -run '^TestARealGPU$$' ./receiver/vmusagereceiver/internal/gpu/accuracy

.PHONY: bench
bench: ## all hot paths, beside a peer and the floor
	$(GO) test -run '^$$' -bench . -benchmem ./...
	cd bench && $(GO) test -mod=mod -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

.PHONY: lint
lint: $(BIN)/golangci-lint ## golangci-lint, and the example configurations
	$(BIN)/golangci-lint run ./...

$(BIN)/golangci-lint: internal/tools/go.mod
	@mkdir -p $(BIN)
	$(GO) build -modfile=$(CURDIR)/internal/tools/go.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: generate
generate: ## mdatagen: metrics, self-telemetry and their documentation
	$(GO) generate ./...
	$(TOOL) gofumpt -l -w $$(find . -name 'generated_*.go' -not -path './build/*')

.PHONY: clean
clean: ## remove what was built and the data of `make run`
	rm -rf bin build data
