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
	"strings"
	"sync"

	"seawall/internal/fence"
	"seawall/internal/keystore"
	"seawall/internal/keystore/builtin"
	"seawall/internal/link"
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

// bootIDFile names the present boot on Linux.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

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
	Custody string       `json:"custody"`
}

// source gives connections of the house.
type source func(ctx context.Context) (net.Conn, error)

// Run is the process: `seawall signer` and seawall-signer. It returns the exit status: 0 after an orderly end, 1 after a
// failure that a restart may mend, 2 when it was called wrongly, [supervise.ExitRefused] when a restart cannot help.
func Run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "identity" {
		return identity(args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("signer", flag.ContinueOnError)
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
	log := slog.New(slog.NewTextHandler(stderr, nil)).With("process", process)
	if *supervised {
		return runSupervised(ctx, forbidden, log, stderr)
	}
	return runAlone(ctx, *config, *create, log, stdout, stderr)
}

func misused(stderr io.Writer, what string) int {
	fmt.Fprintf(stderr, "seawall signer: %s\nhint: seawall signer --help tells more\n", what)
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

// boot is the name of the present boot, read before the directory that holds it is out of reach.
type boot struct{ id string }

// files lists what must stay readable until it has been read.
func (b *boot) files() []string {
	if _, err := os.Stat(bootIDFile); err != nil {
		return nil
	}
	return []string{bootIDFile}
}

// read never fails: without a name every start counts as a reboot, which the clock guard judges more strictly.
func (b *boot) read() error {
	text, _ := os.ReadFile(bootIDFile)
	b.id = strings.TrimSpace(string(text))
	return nil
}

// runSupervised runs as the child of a supervisor.
func runSupervised(ctx context.Context, forbidden []string, log *slog.Logger, stderr io.Writer) int {
	dir := os.NewFile(supervise.DirFD, "the signer's directory")
	if dir == nil {
		return misused(stderr, "--supervised is for seawall up, which hands over a directory")
	}
	var b boot
	level, err := fence.Enter(fence.Spec{Process: process, Dir: dir, Keep: []int{supervise.ControlFD, supervise.DirFD},
		UID: fence.SignerUID, Forbidden: forbidden, ReadOnly: b.files(), BeforeDrop: b.read})
	if err != nil {
		fmt.Fprintf(stderr, "seawall signer: %v\n", err)
		return supervise.ExitRefused
	}
	member, err := supervise.Join(supervise.ControlFD)
	if err != nil {
		fmt.Fprintf(stderr, "seawall signer: %v\n", err)
		return 1
	}
	refuse := func(err error) int {
		log.Error("the signer does not run", "error", err)
		if err := member.Refuse(err); err != nil {
			log.Error("the supervisor could not be told", "error", err)
		}
		return supervise.ExitRefused
	}
	s, info, err := open(signer.Options{Dir: ".", Clock: signer.SystemClock(b.id), Ledger: member.Link(LedgerLink), Log: log}, true, level)
	if err != nil {
		return refuse(fmt.Errorf("in the signer's directory: %w", err))
	}
	// Orders come over the control socket; signals are for the supervisor alone.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() {
		defer stop()
		select {
		case <-member.Draining():
		case <-member.Gone():
		case <-ctx.Done():
		}
	}()
	if err := member.Ready(info); err != nil {
		log.Error("the supervisor could not be told", "error", err)
		stop()
	}
	err = serve(ctx, s, log, func(ctx context.Context) (net.Conn, error) { return member.Accept(ctx, HouseLink) })
	if errors.Is(err, signer.ErrRefused) {
		return refuse(err)
	}
	return ended(log, err)
}

func ended(log *slog.Logger, err error) int {
	if err != nil {
		log.Error("the signer ended", "error", err)
		return 1
	}
	log.Info("the signer ended")
	return 0
}

// open opens the signer in o.Dir, and makes its key store first if it has never had one and create says so.
func open(o signer.Options, create bool, level *fence.Level) (*signer.Signer, Info, error) {
	store, err := openStore(o.Dir, create)
	if err != nil {
		return nil, Info{}, err
	}
	o.Store, o.Level = store, level.String()
	s, err := signer.Open(o)
	return s, Info{Level: level, Custody: store.Custody()}, err
}

func openStore(dir string, create bool) (keystore.Store, error) {
	driver := builtin.Drivers[0]
	first, err := signer.FirstStart(dir)
	switch {
	case err != nil:
		return nil, err
	case !first:
		return driver.Open(dir)
	case !create:
		return nil, fmt.Errorf("there is no signer in %s: if its disk is not mounted, mount it; to make a new one, start once with --create", dir)
	}
	return driver.Create(dir)
}

// serve runs the signer and answers the house on the connections that next gives, until ctx ends or the signer must not
// go on; then the error is [signer.ErrRefused].
func serve(ctx context.Context, s *signer.Signer, log *slog.Logger, next source) error {
	// The link to the ledger outlives the house's: what was begun is finished with it.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	serving, refuse := context.WithCancel(ctx)
	defer refuse()
	ran := make(chan error, 1)
	go func() {
		ran <- s.Run(running)
		refuse()
	}()
	var conversations sync.WaitGroup
	for {
		conn, err := next(serving)
		if err != nil {
			if serving.Err() == nil {
				log.Error("no further connections can be taken", "error", err)
			}
			break
		}
		conversations.Go(func() {
			if err := s.Serve(serving, conn); err != nil && !errors.Is(err, io.EOF) {
				log.Warn("a connection of the house ended", "error", err)
			}
		})
	}
	refuse()
	conversations.Wait()
	stop()
	return errors.Join(<-ran, s.Close())
}
