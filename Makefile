# Targets only name commands. Go is all that build, test and demo need.
GO      ?= go
BIN     := bin
MODULES := $(dir $(filter-out ./go.mod,$(shell find . -name go.mod -not -path '*/node_modules/*')))

.PHONY: build enclave-nvml test test-long demo lint bench fuzz contracts contracts-check chain-costs

build: ## the three programs, in ./bin
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/...

enclave-nvml: ## cocoon-enclave for machines with NVIDIA GPUs, in ./bin (needs a C compiler)
	CGO_ENABLED=1 $(GO) build -trimpath -tags nvml -o $(BIN)/ ./cmd/cocoon-enclave

demo: build ## one attested, sealed, receipted, anchored answer
	$(BIN)/cocoon demo

# RACE=1 adds the race detector (needs a C compiler).
test: ## every test, nested modules too
ifeq ($(RACE),1)
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...
	CGO_ENABLED=1 $(GO) vet -tags nvml ./enclave/... ./cmd/cocoon-enclave
	CGO_ENABLED=1 $(GO) test -tags nvml ./enclave/device
else
	CGO_ENABLED=0 $(GO) test ./...
	@set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && CGO_ENABLED=0 $(GO) test ./...); done
endif

test-long: ## exhaustive variants: every bit flip, every vector
	COCOON_LONG=1 CGO_ENABLED=0 $(GO) test -timeout 120m ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

bench: ## figures and their goals: go run ./tools/bench AREA
	$(GO) run ./tools/bench demo
	$(GO) run ./tools/bench attestation
	$(GO) run ./tools/bench chain

FUZZTIME ?= 10s
fuzz: ## every fuzz target for FUZZTIME
	$(GO) run ./tools/fuzz -time $(FUZZTIME)

contracts: ## recompile the contracts (needs Node.js and npm)
	$(GO) run ./tools/contracts build

contracts-check: ## recompile and compare; replay traces in the official emulator; TON clients of others use a dev chain
	$(GO) run ./tools/contracts check

chain-costs: ## gas, fees and yearly storage of every path (ARGS=--json: in nano, an object a line)
	$(GO) run ./tools/bench chain --costs $(ARGS)
