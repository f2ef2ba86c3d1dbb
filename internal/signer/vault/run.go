package vault

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"

	"seawall/internal/fence"
	"seawall/internal/keystore/builtin"
	"seawall/internal/link"
	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/signer"
	"seawall/internal/supervise"
)

// The names of the links that a supervisor makes.
const (
	HouseLink  = "house-signer"  // the house dials
	LedgerLink = "signer-ledger" // the signer dials
)

// process names this process in messages and in the measured level.
const process = "signer"

const usage = `usage: seawall signer --config FILE [--create]
       seawall signer identity --certificate FILE --key FILE
       seawall signer --supervised [--forbidden DIR]…   (started by seawall up)

  --config FILE     run alone with this configuration
  --create          make a new key store in the empty directory first
  --supervised      run as the child of a supervisor
  --forbidden DIR   a directory that must be out of reach; tried at the start

identity makes a key and a certificate for a link and prints the fingerprint to give to the other side.
`

// Info is what a supervised signer reports when it is ready.
type Info struct {
	Level   *fence.Level `json:"level"`
	Custody string       `json:"custody"` // where private keys live, in words
}

// Run is the process: `seawall signer` and seawall-signer. It returns the exit status: 0 after an orderly end, 1 after a
// failure that a restart may mend, 2 when it was called wrongly, [supervise.ExitRefused] when a restart cannot help.
func Run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "identity" {
		return identity(args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet(process, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	config := flags.String("config", "", "")
	create := flags.Bool("create", false, "")
	supervised := flags.Bool("supervised", false, "")
	var forbidden paths
	flags.Var(&forbidden, "forbidden", "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		return misused(stderr, err.Error())
	case flags.NArg() > 0:
		return misused(stderr, fmt.Sprintf("'%s' is one argument too many", flags.Arg(0)))
	case *supervised == (*config != ""):
		return misused(stderr, "needs either --config or --supervised")
	case *supervised && *create:
		return misused(stderr, "--create is for a signer that runs alone")
	}
	log := slog.New(secret.NewLogHandler(slog.NewJSONHandler(stderr, nil))).With("process", process)
	if *supervised {
		return runSupervised(ctx, forbidden, log, stderr)
	}
	return runAlone(ctx, *config, *create, log, stdout, stderr)
}

func misused(stderr io.Writer, what string) int {
	clean, _ := secret.Redact([]byte(what)) // whatever was on the command line, it may be a credential
	fmt.Fprintf(stderr, "seawall signer: %s\nhint: seawall signer --help tells more\n", clean)
	return 2
}

// paths is a flag that may be given several times.
type paths []string

func (p *paths) String() string     { return strings.Join(*p, " ") }
func (p *paths) Set(v string) error { *p = append(*p, v); return nil }

func identity(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("signer identity", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	certificate := flags.String("certificate", "", "")
	key := flags.String("key", "", "")
	if err := flags.Parse(args); err != nil || *certificate == "" || *key == "" || flags.NArg() > 0 {
		return misused(stderr, "identity needs --certificate FILE and --key FILE")
	}
	fingerprint, err := link.CreateIdentity(*certificate, *key, "seawall "+process)
	if err != nil {
		fmt.Fprintf(stderr, "seawall signer: %v\n", err)
		return 1
	}
	fmt.Fprintln(stdout, fingerprint)
	return 0
}

// runSupervised runs as the child of a supervisor.
func runSupervised(ctx context.Context, forbidden []string, log *slog.Logger, stderr io.Writer) int {
	dir := os.NewFile(supervise.DirFD, "the signer's directory")
	if dir == nil {
		return misused(stderr, "--supervised is for seawall up, which hands over a directory")
	}
	var boot string
	level, err := fence.Enter(fence.Spec{Process: process, Dir: dir, Keep: []int{supervise.ControlFD, supervise.DirFD},
		UID: fence.SignerUID, Forbidden: forbidden, ReadOnly: bootFiles(), BeforeDrop: func() error { boot = bootID(); return nil }})
	if err != nil {
		fmt.Fprintf(stderr, "seawall signer: %v\n", err)
		return supervise.ExitRefused
	}
	share()
	member, err := supervise.Join(supervise.ControlFD)
	if err != nil {
		fmt.Fprintf(stderr, "seawall signer: %v\n", err)
		return 1
	}
	fail := func(err error) int {
		log.Error("the signer ended", "error", err)
		if !errors.Is(err, signer.ErrRefused) {
			return 1
		}
		if err := member.Refuse(err); err != nil {
			log.Error("the supervisor could not be told", "error", err)
		}
		return supervise.ExitRefused
	}
	s, err := open(setup{driver: builtin.Drivers[0].Name, create: true, boot: boot, level: level, ledger: member.Link(LedgerLink), log: log})
	if err != nil {
		return fail(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		select {
		case <-member.Draining():
		case <-member.Gone():
		case <-ctx.Done():
		}
	}()
	if err := member.Ready(Info{Level: level, Custody: s.Custody()}); err != nil {
		log.Error("the supervisor could not be told", "error", err)
		stop()
	}
	if err := serve(ctx, s, log, func(ctx context.Context) (net.Conn, error) { return member.Accept(ctx, HouseLink) }); err != nil {
		return fail(err)
	}
	return 0
}

// setup is what a signer is opened with.
type setup struct {
	driver string
	create bool // make the key store at a first start
	boot   string
	level  *fence.Level
	ledger mint.Dial
	log    *slog.Logger
}

// open opens the signer in the current directory, which the fence has made its own.
func open(o setup) (*signer.Signer, error) {
	driver, err := builtin.ByName(o.driver)
	if err != nil {
		return nil, refusal(err)
	}
	first, err := signer.FirstStart(".")
	switch {
	case err != nil:
		return nil, err
	case first && !o.create:
		return nil, refusal(errors.New("there is no signer in its directory: if its disk is not mounted, mount it; to make a new signer, start once with --create"))
	}
	makeOrOpen := driver.Open
	if first {
		makeOrOpen = driver.Create
		o.log.Info("a new key store is made", "driver", driver.Name)
	}
	store, err := makeOrOpen(".")
	if err != nil {
		return nil, refusal(err)
	}
	s, err := signer.Open(signer.Options{Dir: ".", Store: store, Clock: signer.SystemClock(o.boot), Ledger: o.ledger,
		Level: o.level.String(), Log: o.log})
	if err != nil {
		return nil, err
	}
	o.log.Info("the signer is open", "custody", s.Custody())
	return s, nil
}

// refusal marks an error that no restart mends.
func refusal(err error) error { return fmt.Errorf("%w: %w", signer.ErrRefused, err) }

// serve answers the house on the connections that next gives until ctx ends or the signer can't go on. What was begun is
// finished before the link to the ledger ends.
func serve(ctx context.Context, s *signer.Signer, log *slog.Logger, next func(context.Context) (net.Conn, error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(running)
		stop()
	}()
	var serving sync.WaitGroup
	var failed error
	for {
		conn, err := next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, supervise.ErrGone) {
				failed = fmt.Errorf("no further connections can be taken: %w", err)
			}
			break
		}
		serving.Go(func() {
			if err := s.Serve(ctx, conn); err != nil {
				log.Warn("a connection of the house ended", "error", err)
			}
		})
	}
	stop()
	serving.Wait()
	end()
	return errors.Join(<-ended, failed, s.Close())
}

// share leaves half of the processors to the other processes of this machine. A vault's work comes in short bursts, and a
// Go process with idle processors wakes threads that look for more work and find none: on two cores that cost several
// percent of a token.
func share() { runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2)) }
