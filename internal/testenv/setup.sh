#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: a C compiler for -race, gdb for the memory tests, curl for the
# README, age, jq and ssh-keygen for break-glass codes, nginx and Caddy for the guard, Chromium for the pages, Apache with
# mod_auth_openidc, and Node.js 20 or newer for the third-party clients. Nothing is installed when nothing is missing.
# Works on Debian and its relatives; elsewhere it says what to install.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=.work/tools

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$1"; shift; for h in "$@"; do printf 'hint: %s\n' "$h" >&2; done; exit 1; }

command -v go >/dev/null || fail "Go is not installed" "seawall needs the Go version named in go.mod"
go version >/dev/null 2>&1 || fail "the installed Go is older than go.mod asks for: $(GOTOOLCHAIN=local go version)" "install the Go version named in go.mod"

missing=()
need() { command -v "$1" >/dev/null || missing+=("${@:2}"); }
need gcc gcc libc6-dev
need gdb gdb
need curl curl
need git git
need age age
need jq jq
need ssh-keygen openssh-client
need unshare util-linux
need setpriv util-linux
need npm npm nodejs
need chromium chromium fonts-dejavu-core
[ -x /usr/sbin/nginx ] || need nginx nginx-light
need caddy caddy
[ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || need mod_auth_openidc apache2 libapache2-mod-auth-openidc

if [ ${#missing[@]} -gt 0 ]; then
	command -v apt-get >/dev/null || fail "missing: ${missing[*]}" "install these with this system's package manager, then run make setup again"
	as_root=()
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null && sudo -n true 2>/dev/null || fail "missing: ${missing[*]}" "run as root: apt-get install -y --no-install-recommends ${missing[*]}"
		as_root=(sudo -n)
	fi
	say "installing ${missing[*]}"
	# Packages of servers would start them. Nothing is to listen here but what a test starts.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
		"${as_root[@]}" chmod +x $policy
		trap '"${as_root[@]}" rm -f $policy' EXIT
	fi
	"${as_root[@]}" apt-get update -qq
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Distributions keep an older Node.js; npm's package named node brings a current one beside it.
recent() { "$1" -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; }
if ! recent node && ! recent "$tools/node/node_modules/node/bin/node"; then
	say "installing Node.js 22 from npm into $tools/node"
	mkdir -p "$tools/node"
	npm install --silent --no-audit --no-fund --no-save --prefix "$tools/node" node@22
	recent "$tools/node/node_modules/node/bin/node" || fail "npm's node package did not give a working Node.js" "install Node.js 20 or newer and put it on the PATH"
fi
