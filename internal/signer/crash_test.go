package signer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
)

// crashVariable makes the test binary a signer that kills itself: "what,number of the change on disk,directory,ledger's
// socket,wall clock in Unix seconds,seconds since boot".
const crashVariable = "SEAWALL_TEST_CRASH"

func TestMain(m *testing.M) {
	if plan := os.Getenv(crashVariable); plan != "" {
		if err := crash(strings.Split(plan, ",")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crash is the child: it does one thing, and dies by SIGKILL after the planned change on its disk.
func crash(plan []string) error {
	at, wall, since := must(strconv.Atoi(plan[1])), must(strconv.ParseInt(plan[4], 10, 64)), must(strconv.ParseInt(plan[5], 10, 64))
	clock := &fakeClock{wall: time.Unix(wall, 0), id: "boot-1", since: time.Duration(since)}
	store, err := openStore(plan[2])
	if err != nil {
		return err
	}
	changes := 0
	s, err := Open(Options{
		Dir: plan[2], Store: store, Clock: clock, Level: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Ledger: func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", plan[3]) },
		after: func(string) {
			if changes++; changes == at {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // it is on its way
			}
		},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for !s.link.isReady() {
		time.Sleep(time.Millisecond)
	}
	switch plan[0] {
	case "create":
		_, err = s.ApplyPolicy(ctx, testPolicy())
	case "change":
		p := testPolicy()
		p.Version, p.MaxLifetime = 2, 600
		_, err = s.ApplyPolicy(ctx, p)
	case "people":
		_, err = s.ApplyPolicy(ctx, firstClient())
	case "rotate":
		err = s.tick(ctx)
	case "distrust":
		active := s.tenantByID("acme").signing[mint.FamilyAccess].record.KID
		_, err = s.Distrust(ctx, mint.KeyDistrust{Tenant: "acme", KID: active, Reason: mint.KeyCompromise, Actor: "uid:0"})
	}
	cancel()
	return errors.Join(err, <-ended, s.Close())
}

// run starts the child and reports whether it was killed.
func (b *bench) crash(what string, at int) (killed bool) {
	b.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	_, since := b.clock.Boot()
	child := exec.Command(exe)
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%d,%s,%s,%d,%d", crashVariable, what, at, b.dir, b.ledger.path, b.clock.Now().Unix(), since))
	said, err := child.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		b.t.Fatalf("the child failed: %v\n%s", err, said)
	}
	return false
}

// The signer is killed after each single change on its disk while it does something, and started again. What it did is
// then done or not, never half, and everything goes on.
func TestKilledAtEveryChange(t *testing.T) {
	for _, c := range []struct {
		what   string
		least  int // changes that it takes
		before func(*bench)
		after  func(*bench)
	}{
		{"create", 12, nil, func(b *bench) { b.mustApply(testPolicy()) }},
		{"change", 4, func(b *bench) { b.mustApply(testPolicy()) }, func(b *bench) {
			p := testPolicy()
			p.Version, p.MaxLifetime = 2, 600
			b.mustApply(p)
		}},
		{"people", 14, func(b *bench) { b.mustApply(testPolicy()) }, func(b *bench) { b.mustApply(firstClient()) }},
		{"rotate", 12, func(b *bench) {
			b.mustApply(testPolicy())
			b.clock.pass(30 * day)
		}, nil},
		{"distrust", 10, func(b *bench) {
			b.mustApply(testPolicy())
			b.clock.pass(2 * day)
			b.settled()
		}, func(b *bench) {
			// A spare whose statement was lost on the way is replaced at once.
			if states := b.states("acme"); states != "activated staged" && !strings.HasPrefix(states, "suspended activated ") {
				b.t.Errorf("the keys are %q: neither before nor after", states)
			}
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			for at := 1; ; at++ {
				b := newBench(t)
				b.start()
				if c.before != nil {
					c.before(b)
				}
				if err := b.halt(); err != nil {
					t.Fatal(err)
				}
				killed := b.crash(c.what, at)
				b.start()
				if c.after != nil {
					c.after(b) // the house asks again until it is answered
				}
				if c.what == "people" {
					b.consistentFor("acme", testRequest(), acmeID())
				} else {
					b.consistent()
				}
				if c.what == "rotate" && b.ledger.count(mint.KeyVerifyOnly) != 1 {
					t.Errorf("killed at %d: %d rotations", at, b.ledger.count(mint.KeyVerifyOnly))
				}
				b.noEarlyKey()
				if err := b.halt(); err != nil {
					t.Fatal(err)
				}
				if t.Failed() {
					t.Fatalf("killed at change %d", at)
				}
				if !killed {
					if at <= c.least {
						t.Errorf("it took %d changes, and at least %d were expected", at-1, c.least)
					}
					return
				}
			}
		})
	}
}

// firstClient is acme's policy once somebody can sign in there.
func firstClient() mint.Policy {
	p := testPolicy()
	p.Version, p.Clients = 2, []string{"web"}
	return p
}

// acmeID asks for an ID token of such a client.
func acmeID() *mint.Request {
	q := idRequest()
	q.Tenant, q.Issuer = "acme", testIssuer
	return q
}

// noEarlyKey checks that no key but the first signs before validators could know it, crash or not.
func (b *bench) noEarlyKey() {
	b.t.Helper()
	for i, k := range b.signer.tenantByID("acme").ring(mint.FamilyAccess) {
		if i > 0 && k.ActivatedAt != 0 && k.PublishedAt != 0 && k.ActivatedAt-k.PublishedAt < int64(keyring.PrePublication/time.Second) {
			if b.keys("acme").Keys[0].ActivatedAt == 0 { // the first one was replaced before it ever signed
				continue
			}
			b.t.Errorf("key %s was published for %d s before it signed", k.KID, k.ActivatedAt-k.PublishedAt)
		}
	}
}

// The same between the ledger's entry and its answer: the child dies while the answer is on its way.
func TestKilledBeforeTheAnswer(t *testing.T) {
	for _, typ := range []mint.MsgType{mint.MsgEntries, mint.MsgKey} {
		t.Run(fmt.Sprintf("message %d", typ), func(t *testing.T) {
			b := newBench(t)
			b.start()
			if err := b.halt(); err != nil {
				t.Fatal(err)
			}
			deaf := true
			b.ledger.with(func() {
				b.ledger.lose = func(got mint.MsgType) bool { return got == typ && deaf }
			})
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			_, since := b.clock.Boot()
			child := exec.Command(exe)
			child.Env = append(os.Environ(), fmt.Sprintf("%s=create,0,%s,%s,%d,%d", crashVariable, b.dir, b.ledger.path, b.clock.Now().Unix(), since))
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			kind := mint.PolicyChanged
			if typ == mint.MsgKey {
				kind = mint.KeyStaged
			}
			b.until("the step is recorded", func() bool { return b.ledger.count(kind) > 0 })
			child.Process.Kill()
			child.Wait()
			b.ledger.with(func() { deaf = false })
			b.start()
			b.mustApply(testPolicy())
			b.consistent()
			if n := b.ledger.count(mint.PolicyChanged); n != 1 {
				t.Errorf("%d policy entries", n)
			}
		})
	}
}
