# The words of this file are the words of CONTRIBUTING.md. `make run` and `make test` are all that a newcomer needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build test soak bench lint setup check

DATA   ?= ./data
LISTEN ?= localhost:8420

# make soak: how long each fuzz target runs, and each that compares validate with another library. make bench: further flags, such as --quick.
FUZZTIME   ?= 60s
DIFFTIME   ?= 10m
BENCHFLAGS ?=

# No cgo and no paths of this machine in what we ship. Whatever needs no race detector is compiled with the same flags,
# so that the largest packages are compiled twice in all: once to ship, once to watch.
SHIP    = CGO_ENABLED=0 GOFLAGS='$(strip $(GOFLAGS) -trimpath -buildvcs=false)'
VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TEST    = go run ./internal/testenv/testrun

# The race detector watches our own rooms; the end-to-end tests drive the release binaries instead.
RACED = $(shell go list work 2>/dev/null | grep -v '^seawall/e2e')

help:
	@echo 'make run     build seawall and start it on $(DATA)'
	@echo 'make build   build every binary into bin/'
	@echo 'make test    everything that must be green before a commit lands'
	@echo 'make soak    the same with full counts: hundreds of kills, long fuzzing'
	@echo 'make bench   measure against the calibrator and print the table'
	@echo 'make lint    staticcheck, and govulncheck where its database can be reached'
	@echo 'make setup   install what the tests need (make test does it by itself)'

run: build
	@exec bin/seawall up --data '$(DATA)' --listen '$(LISTEN)'

build:
	@mkdir -p bin
	@$(SHIP) go build -ldflags='-s -w -X main.versionText=$(VERSION)' -o bin/ ./cmd/...

setup:
	@internal/testenv/setup.sh

# check is what is quick to say: format and vet.
check:
	@bad="$$(git ls-files '*.go' | xargs gofmt -l)"; if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	@$(SHIP) go vet work

test: setup build check
	$(TEST) -race -shuffle=on -timeout 20m $(RACED)
	$(SHIP) $(TEST) -shuffle=on -timeout 20m -count=1 ./e2e/...
	cd grpcauth && $(SHIP) GOWORK=off go vet ./... && $(SHIP) GOWORK=off go test ./...
	cd e2e/browser && $(SHIP) GOWORK=off go vet . && $(SHIP) GOWORK=off go test -count=1 -timeout 20m .
	cd bench && $(SHIP) GOWORK=off go vet ./... && $(SHIP) GOWORK=off go test -count=1 ./... # it reads files of other modules, which the cache does not see
	cd adapters/expvar && $(SHIP) GOWORK=off go vet ./... && $(SHIP) GOWORK=off go test ./...
	cd adapters/prometheus && $(SHIP) GOWORK=off go vet ./... && $(SHIP) GOWORK=off go test ./...

soak: setup build
	$(SHIP) SEAWALL_SOAK=1 $(TEST) -shuffle=on -timeout 120m -count=1 ./e2e/...
	@for pkg in $$(go list work); do \
		for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target for $(FUZZTIME)"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(FUZZTIME)' "$$pkg"; \
		done; \
	done
	@cd bench && for target in $$(GOWORK=off go test -list '^Fuzz' ./internal/differential | grep '^Fuzz'); do \
		echo "$$target for $(DIFFTIME)"; \
		GOWORK=off go test -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(DIFFTIME)' -timeout 0 ./internal/differential; \
	done

bench: build
	cd bench && GOWORK=off go run ./cmd/bench --seawall ../bin/seawall $(BENCHFLAGS)

lint:
	@mkdir -p .work/tools/bin
	@cd tools && GOWORK=off GOBIN='$(CURDIR)/.work/tools/bin' go install honnef.co/go/tools/cmd/staticcheck golang.org/x/vuln/cmd/govulncheck
	.work/tools/bin/staticcheck $$(go list work)
	@set +e; .work/tools/bin/govulncheck $$(go list work) 2>.work/govulncheck.err; code=$$?; \
	if [ $$code != 0 ] && grep -qiE 'no such host|dial tcp|fetching|connect' .work/govulncheck.err; then \
		echo 'govulncheck: its database cannot be reached from here, so nothing was checked against it'; \
	else cat .work/govulncheck.err >&2; exit $$code; fi
