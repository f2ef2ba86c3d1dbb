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
	"seawall/internal/ledger"
	"seawall/internal/link"
	"seawall/internal/secret"
	"seawall/internal/supervise"
)

// The names of the links that a supervisor makes, and the parts of a configuration.
const (
	SignerLink = "signer-ledger" // the signer dials
	HouseLink  = "house-ledger"  // the house dials
)

// process names this process in messages and in the measured level.
const process = "ledger"

const usage = `usage: seawall ledger --config FILE [--create]
       seawall ledger identity --certificate FILE --key FILE
       seawall ledger --supervised [--forbidden DIR]…   (started by seawall up)

  --config FILE     run alone with this configuration
  --create          make a new ledger in the empty directory first
  --supervised      run as the child of a supervisor
  --forbidden DIR   a directory that must be out of reach; tried at the start

identity makes a key and a certificate for a link and prints the fingerprint to give to the other side.
`

// Info is what a supervised ledger reports when it is ready.
type Info struct {
	Level *fence.Level `json:"level"`
	Pin   string       `json:"pin"`
	Size  uint64       `json:"size"` // entries in the log
}

// source gives connections of one writer.
type source func(ctx context.Context) (net.Conn, error)

// Run is the process: `seawall ledger` and seawall-ledger. It returns the exit status: 0 after an orderly end, 1 after a
// failure that a restart may mend, 2 when it was called wrongly, [supervise.ExitRefused] when a restart cannot help.
func Run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "identity" {
		return identity(args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("ledger", flag.ContinueOnError)
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
		return misused(stderr, "--create is for a ledger that runs alone")
	}
	log := slog.New(secret.NewLogHandler(slog.NewJSONHandler(stderr, nil))).With("process", process)
	if *supervised {
		return runSupervised(ctx, forbidden, log, stderr)
	}
	return runAlone(ctx, *config, *create, log, stdout, stderr)
}

func misused(stderr io.Writer, what string) int {
	clean, _ := secret.Redact([]byte(what)) // whatever was on the command line, it may be a credential
	fmt.Fprintf(stderr, "seawall ledger: %s\nhint: seawall ledger --help tells more\n", clean)
	return 2
}

// paths is a flag that may be given several times.
type paths []string

func (p *paths) String() string     { return strings.Join(*p, " ") }
func (p *paths) Set(v string) error { *p = append(*p, v); return nil }

func identity(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("ledger identity", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	certificate := flags.String("certificate", "", "")
	key := flags.String("key", "", "")
	if err := flags.Parse(args); err != nil || *certificate == "" || *key == "" || flags.NArg() > 0 {
		return misused(stderr, "identity needs --certificate FILE and --key FILE")
	}
	fingerprint, err := link.CreateIdentity(*certificate, *key, "seawall "+process)
	if err != nil {
		fmt.Fprintf(stderr, "seawall ledger: %v\n", err)
		return 1
	}
	fmt.Fprintln(stdout, fingerprint)
	return 0
}

// runSupervised runs as the child of a supervisor.
func runSupervised(ctx context.Context, forbidden []string, log *slog.Logger, stderr io.Writer) int {
	dir := os.NewFile(supervise.DirFD, "the ledger's directory")
	if dir == nil {
		return misused(stderr, "--supervised is for seawall up, which hands over a directory")
	}
	level, err := fence.Enter(fence.Spec{Process: process, Dir: dir, Keep: []int{supervise.ControlFD, supervise.DirFD},
		UID: fence.LedgerUID, Forbidden: forbidden})
	if err != nil {
		fmt.Fprintf(stderr, "seawall ledger: %v\n", err)
		return supervise.ExitRefused
	}
	share()
	member, err := supervise.Join(supervise.ControlFD)
	if err != nil {
		fmt.Fprintf(stderr, "seawall ledger: %v\n", err)
		return 1
	}
	refuse := func(err error) int {
		log.Error("the ledger does not start", "error", err)
		if err := member.Refuse(err); err != nil {
			log.Error("the supervisor could not be told", "error", err)
		}
		return supervise.ExitRefused
	}
	l, err := open(".", true, log)
	if err != nil {
		return refuse(fmt.Errorf("in the ledger's directory: %w", err))
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
	if err := member.Ready(Info{Level: level, Pin: l.Pin(), Size: l.Head().Size}); err != nil {
		log.Error("the supervisor could not be told", "error", err)
		stop()
	}
	return serve(ctx, l, log, map[ledger.Role]source{
		ledger.Signer: func(ctx context.Context) (net.Conn, error) { return member.Accept(ctx, SignerLink) },
		ledger.House:  func(ctx context.Context) (net.Conn, error) { return member.Accept(ctx, HouseLink) },
	})
}

// open opens the ledger in dir, and makes it first if there is none and create says so.
func open(dir string, create bool, log *slog.Logger) (*ledger.Ledger, error) {
	c := ledger.Config{Dir: dir, Log: log}
	found, err := ledger.Exists(dir)
	if err != nil {
		return nil, err
	}
	if !found {
		if !create {
			return nil, fmt.Errorf("there is no ledger in %s: if its disk is not mounted, mount it; to make a new ledger, start once with --create", dir)
		}
		if err := ledger.Create(c); err != nil {
			return nil, err
		}
		log.Info("a new ledger was made")
	}
	l, err := ledger.Open(c)
	if err != nil {
		return nil, err
	}
	log.Info("the ledger is open", "entries", l.Head().Size, "head", l.Head().Batch.String(), "pin", l.Pin())
	return l, nil
}

// serve answers the writers that the sources give until ctx ends or the ledger stops by itself.
func serve(ctx context.Context, l *ledger.Ledger, log *slog.Logger, sources map[ledger.Role]source) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-l.Done():
			stop()
		case <-ctx.Done():
		}
	}()
	var serving sync.WaitGroup
	for role, next := range sources {
		serving.Go(func() {
			for {
				conn, err := next(ctx)
				if err != nil {
					if ctx.Err() == nil {
						log.Error("no further connections can be taken", "from", string(role), "error", err)
						stop()
					}
					return
				}
				serving.Go(func() {
					if err := l.Serve(ctx, conn, role); err != nil && !errors.Is(err, io.EOF) {
						log.Warn("a connection ended", "from", string(role), "error", err)
					}
				})
			}
		})
	}
	serving.Wait()
	err := l.Close()
	if err != nil {
		log.Error("the ledger ended", "error", err)
		return 1
	}
	log.Info("the ledger ended", "entries", l.Head().Size, "head", l.Head().Batch.String())
	return 0
}

// share leaves half of the processors to the other processes of this machine. A vault's work comes in short bursts, and a
// Go process with idle processors wakes threads that look for more work and find none: on two cores that cost several
// percent of a token.
func share() { runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2)) }
