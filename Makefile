# Guildhall needs Go and make to run, and nothing else. `make` lists what there
# is to do. Go modules, Redis, PostgreSQL and Node.js, which some targets need,
# are fetched or installed by those targets themselves.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := $(CURDIR)/.bin
DEPS := $(CURDIR)/.deps
BUF := $(BIN)/buf
# Tools live outside the workspace, so that what they need never decides the
# version of what we ship.
TOOLS_GO := GOWORK=off GOBIN=$(BIN) go

MODULES := proto pkg gateway services/identity services/permission \
	services/groupchat services/feedback services/all
SERVICES := identity permission groupchat feedback gateway all

DATA ?= data
ARGS ?=
RUN ?= .
PKG ?= work
FUZZTIME ?= 10s
BENCHTIME ?= 1s
BASE ?=

##@ Use it

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## "; print "usage: make TARGET [NAME=value]" } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the all-in-one binary into .bin/guildhall
	go build -o $(BIN)/guildhall ./services/all/cmd/guildhall

.PHONY: run
run: build ## Serve everything from one process, data under ./data (ARGS=… adds flags)
	@mkdir -p $(DATA)
	exec $(BIN)/guildhall serve --data=$(DATA) $(ARGS)

.PHONY: images
images: ## Build one container image per service
	@for s in $(SERVICES); do docker build --build-arg SERVICE=$$s -t guildhall/$$s .; done

.PHONY: secrets
secrets: ## Write the secret files that docker-compose.yml needs, once
	tools/secrets.sh

##@ Test it

.PHONY: test
test: ## Install what tests need, then run all of them with the race detector
	tools/deps.sh
	go test -race -timeout 30m -run '$(RUN)' $(PKG)
	@# Go's test cache does not see files of other modules change; these read them.
	go test -count=1 ./services/all/repotest
	$(TOOLS_GO) -C tools test ./...

.PHONY: e2e
e2e: ## Run the end-to-end tests only: one process, many processes, both stores
	tools/deps.sh
	go test -race -count=1 -run '$(RUN)' ./services/all/e2e/...

.PHONY: bench-check bench-directory
bench-check: build ## Measure permission checks beside an empty call (GUILDHALL_STORE=postgres://…, ARGS=--help)
bench-directory: build ## Measure how customers are found, up to a million (likewise)
bench-check bench-directory:
	$(BIN)/guildhall $(subst -, ,$@) $(ARGS)

.PHONY: bench-login
bench-login: build ## Measure logins beside the bare password hash (GUILDHALL_STORE=postgres://…, ARGS=--help)
	$(BIN)/guildhall bench login $(ARGS)

.PHONY: bench
bench: ## Run the benchmarks (RUN=regexp, PKG=./pkg/kv/..., BENCHTIME=1s)
	go test -run '^$$' -bench '$(RUN)' -benchtime $(BENCHTIME) -benchmem $(PKG)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each (10s)
	FUZZTIME=$(FUZZTIME) tools/fuzz.sh

##@ Change it

.PHONY: generate
generate: $(BUF) $(BIN)/.tools $(DEPS)/proto ## Generate Go, gateway and OpenAPI from the protos
	rm -rf $(DEPS)/openapi
	$(BUF) generate
	$(BIN)/openapiv3-merge $$(find $(DEPS)/openapi -name '*.json' | LC_ALL=C sort) > $(DEPS)/openapi.json
	$(BIN)/openapi -base proto/openapi/base.json < $(DEPS)/openapi.json > $(DEPS)/openapi.out
	mv $(DEPS)/openapi.out proto/openapi/guildhall.openapi.json

.PHONY: lint
lint: $(BUF) $(BIN)/.tools $(DEPS)/proto ## Check formatting, go vet, staticcheck and the protos
	@unformatted=$$(gofmt -l $(MODULES) tools | grep -v '^proto/gen/' || true); \
	  if [ -n "$$unformatted" ]; then \
	    echo "not gofmt'ed: $$unformatted" >&2; exit 1; fi
	go vet work
	$(TOOLS_GO) -C tools vet ./...
	$(BIN)/staticcheck work
	$(BUF) lint
	$(BUF) format proto --diff --exit-code

.PHONY: format
format: $(BUF) $(DEPS)/proto ## Format Go and protos in place
	gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go' ':!proto/gen')
	$(BUF) format proto --write

.PHONY: breaking
breaking: $(BUF) $(DEPS)/proto ## Check that the protos break no client (BASE=commit to compare with)
	BASE='$(BASE)' tools/breaking.sh

.PHONY: tidy
tidy: ## Tidy every go.mod and bring their versions into line
	go work sync
	@for m in $(MODULES); do echo "go mod tidy: $$m"; GOWORK=off go -C $$m mod tidy; done
	@echo "go mod tidy: tools"; $(TOOLS_GO) -C tools mod tidy

.PHONY: alone
alone: ## Build each service the way its image does: without the workspace
	@for m in $(MODULES); do echo "GOWORK=off go build: $$m"; GOWORK=off go -C $$m build ./...; done

.PHONY: vulncheck
vulncheck: $(BIN)/.tools ## Look for known vulnerabilities in what we call (needs the network)
	@for m in $(MODULES); do echo "govulncheck: $$m"; (cd $$m && $(BIN)/govulncheck ./...); done

.PHONY: deps
deps: $(BUF) $(BIN)/.tools $(DEPS)/proto ## Build the tools and write the imported protos
	tools/deps.sh

.PHONY: clean
clean: ## Remove what the targets built; leaves data alone
	rm -rf $(BIN) $(DEPS)

# The files below are rebuilt when the versions that tools/go.mod pins change.

$(BUF): tools/buf/go.mod tools/buf/go.sum
	$(TOOLS_GO) -C tools/buf install tool
	@touch $@

$(BIN)/.tools: tools/go.mod tools/go.sum $(wildcard tools/openapi/*.go)
	$(TOOLS_GO) -C tools install tool ./openapi
	@touch $@

$(DEPS)/proto: tools/go.mod tools/go.sum $(wildcard tools/protodeps/*.go)
	$(TOOLS_GO) -C tools run ./protodeps -out $@
	@touch $@
