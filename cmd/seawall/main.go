// Command seawall is the whole of seawall in one binary: the supervisor and its three processes, the administrator's
// commands, and the tools that need no server at all.
//
// Everything here is wiring and words. A subcommand is one line in the table below, and a function that takes its
// arguments and the three streams and returns an exit status: 0 when it did what was asked, 1 when it did not or when
// the answer is no, 2 when it was called wrongly.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	ledgervault "seawall/internal/ledger/vault"
	signervault "seawall/internal/signer/vault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// commands is what seawall can do, in the order of the overview.
func commands() []command {
	return []command{
		{name: "up", help: "start seawall: house, signer and ledger on one data directory", run: adapt("up", runUp)},
		{name: "serve", help: "run the house alone, with the vaults on other machines", run: runServe},
		{name: "signer", help: "run the signer alone, on a machine of its own", run: signervault.Run},
		{name: "ledger", help: "run the ledger alone, on a machine of its own", run: ledgervault.Run},
		{name: "login", help: "log in to a seawall as an administrator, from any machine", run: adapt("login", runLogin)},
		{name: "logout", help: "end that login", run: adapt("logout", runLogout)},
		{name: "whoami", help: "tell who you are to seawall", run: adapt("whoami", runWhoami)},
		{name: "tenant", help: "create, list, show, complete and disable tenants", sub: tenantCommands()},
		{name: "api", help: "register, list, show and disable APIs", sub: apiCommands()},
		{name: "client", help: "register, list, show and disable clients, and rotate their secrets", sub: clientCommands()},
		{name: "person", help: "make people, give them links for passkeys, recover and disable them", sub: personCommands()},
		{name: "access", help: "see, suspend, resume and end what applications have of a person", sub: accessCommands()},
		{name: "break-glass", help: "get in when every other way is shut", sub: breakGlassCommands()},
		{name: "keys", help: "list a tenant's signing keys, rotate and distrust them", sub: keysCommands()},
		{name: "token", help: "revoke tokens, and take that back", sub: tokenCommands()},
		{name: "distrust", help: "list what a tenant's APIs are told not to believe", sub: distrustCommands()},
		{name: "clock", help: "settle a jump of the clock", sub: clockCommands()},
		{name: "log", help: "verify, search and export the ledger's log", sub: logCommands()},
		{name: "issuer", help: "pin an issuer that is not a seawall", sub: issuerCommands()},
		{name: "validate", help: "check a token on standard input, as an API would", run: runValidate},
		{name: "corpus", help: "check recorded tokens on standard input, one verdict a line", run: runCorpus},
		{name: "guard", help: "protect an API that is not written in Go, beside nginx, Caddy, Traefik or Envoy, or as the proxy", run: runGuard},
		{name: "drill", help: "rehearse an attack against a throw-away seawall", sub: drillCommands()},
		{name: "status", help: "tell how seawall is", run: adapt("status", runStatus)},
		{name: "identity", help: "make a key and a certificate for a link between machines", run: adapt("identity", runIdentity)},
		{name: "config", help: "check a configuration file", sub: configCommands()},
		{name: "version", help: "print the version of this binary", run: adapt("version", runVersion)},
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return dispatch(ctx, command{sub: commands()}, args, stdin, stdout, stderr)
}
