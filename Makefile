# The words of this file are the words of CONTRIBUTING.md. `make run` and `make test` are all that a newcomer needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build test soak bench lint setup check

DATA   ?= ./data
LISTEN ?= 127.0.0.1:8420

# make soak: how long each fuzz target runs. make bench: further flags, such as --quick.
FUZZTIME   ?= 60s
BENCHFLAGS ?=

# No cgo and no paths of this machine in what we ship. -s -w leaves out what only a debugger reads.
BUILD = CGO_ENABLED=0 go build -trimpath -ldflags='-s -w'
TEST  = go run ./internal/testenv/testrun

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
	@$(BUILD) -o bin/ ./cmd/...

setup:
	@internal/testenv/setup.sh

# check is what is quick to say: format and vet.
check:
	@bad="$$(git ls-files '*.go' | xargs gofmt -l)"; if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	@go vet work

test: setup check build
	$(TEST) -race -shuffle=on -timeout 20m $(RACED)
	$(TEST) -shuffle=on -timeout 20m -count=1 ./e2e/...
	cd bench && GOWORK=off go vet ./... && GOWORK=off go test ./...

soak: setup build
	SEAWALL_SOAK=1 $(TEST) -shuffle=on -timeout 120m -count=1 ./e2e/...
	@for pkg in $$(go list work); do \
		for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target for $(FUZZTIME)"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(FUZZTIME)' "$$pkg"; \
		done; \
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
