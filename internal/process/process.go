// Package process is what signer and ledger are alike in as processes: how they are called, what the configuration file of
// one that runs alone says about itself, and the way behind the walls and to a supervisor.
//
// [Vault.Run] reads the command line and goes one of two ways. Alone loads a configuration with [Load] and raises its walls
// with [Own.Enter]; Supervised does it with [Call.Join], whose [Child] then knows how to report and to end. What lies
// between is the vault's own: packages signer/vault and ledger/vault. [Log] is the log of the house, too.
package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime"

	"seawall/internal/link"
	"seawall/internal/secret"
	"seawall/internal/supervise"
)

// Vault is one of the two.
type Vault struct {
	Name  string // signer or ledger: its subcommand, and its name in messages and in the measured level
	Makes string // what --create makes
	// Supervised and Alone run it, and return the exit status.
	Supervised, Alone func(context.Context, Call) int
}

// Call is how a vault was called.
type Call struct {
	Log       *slog.Logger
	Stdout    io.Writer
	Config    string   // alone: the path of the configuration file
	Create    bool     // alone: make what is not there yet
	Forbidden []string // supervised: directories that must be out of reach

	vault  Vault
	stderr io.Writer
}

// usage has the name and what --create makes.
const usage = `usage: seawall %[1]s --config FILE [--create]
       seawall %[1]s identity --certificate FILE --key FILE
       seawall %[1]s --supervised [--forbidden DIR]…   (started by seawall up)

  --config FILE     run alone with this configuration
  --create          make a new %[2]s in the empty directory first
  --supervised      run as the child of a supervisor
  --forbidden DIR   a directory that must be out of reach; tried at the start

identity makes a key and a certificate for a link and prints the fingerprint to give to the other side.
`

// Run is the process. It returns the exit status: 0 after an orderly end, 1 after a failure that a restart may mend, 2 when
// it was called wrongly, [supervise.ExitRefused] when a restart cannot help.
func (v Vault) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := Call{Stdout: stdout, vault: v, stderr: stderr}
	if len(args) > 0 && args[0] == "identity" {
		return c.identity(args[1:])
	}
	flags := flag.NewFlagSet(v.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Config, "config", "", "")
	flags.BoolVar(&c.Create, "create", false, "")
	supervised := flags.Bool("supervised", false, "")
	flags.Func("forbidden", "", func(path string) error { c.Forbidden = append(c.Forbidden, path); return nil })
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, usage, v.Name, v.Makes)
		return 0
	case err != nil:
		return c.misused(err.Error())
	case flags.NArg() > 0:
		return c.misused(fmt.Sprintf("'%s' is one argument too many", flags.Arg(0)))
	case *supervised == (c.Config != ""):
		return c.misused("needs either --config or --supervised")
	case *supervised && c.Create:
		return c.misused("--create is for a " + v.Name + " that runs alone")
	}
	c.Log = Log(stderr, v.Name)
	if *supervised {
		return v.Supervised(ctx, c)
	}
	return v.Alone(ctx, c)
}

func (c Call) misused(what string) int {
	clean, _ := secret.Redact([]byte(what)) // whatever was on the command line, it may be a credential
	fmt.Fprintf(c.stderr, "seawall %[1]s: %[2]s\nhint: seawall %[1]s --help tells more\n", c.vault.Name, clean)
	return 2
}

func (c Call) identity(args []string) int {
	flags := flag.NewFlagSet(c.vault.Name+" identity", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	certificate := flags.String("certificate", "", "")
	key := flags.String("key", "", "")
	if err := flags.Parse(args); err != nil || *certificate == "" || *key == "" || flags.NArg() > 0 {
		return c.misused("identity needs --certificate FILE and --key FILE")
	}
	fingerprint, err := link.CreateIdentity(*certificate, *key, "seawall "+c.vault.Name)
	if err != nil {
		return c.Fail(err)
	}
	fmt.Fprintln(c.Stdout, fingerprint)
	return 0
}

// Fail tells whoever started the process why it ends, and returns the exit status.
func (c Call) Fail(err error) int {
	fmt.Fprintf(c.stderr, "seawall %s: %v\n", c.vault.Name, err)
	return status(err)
}

// Refused marks an error that no restart mends. It reads as before.
func Refused(err error) error { return refused{err} }

type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

func status(err error) int {
	if errors.As(err, new(refused)) {
		return supervise.ExitRefused
	}
	return 1
}

// share leaves half of the processors to the other processes of this machine. A vault's work comes in short bursts, and a
// Go process with idle processors wakes threads that look for more work and find none: on two cores that cost several
// percent of a token.
func share() { runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2)) }
