package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// childDir names the environment variable that tells a test process to write into a store until it is killed.
const childDir = "SEAWALL_STORETEST_DIR"

const (
	killRounds  = 3
	killWriters = 24
)

// testKill lets a process write from many goroutines, kills it in the middle, and looks up everything that it had
// acknowledged. The same directory is used for all rounds, so that recovery is itself interrupted and continued.
func testKill(t *testing.T, open Open) {
	dir := t.TempDir()
	total := 0
	for round := range killRounds {
		acked := runAndKill(t, dir, fmt.Sprint(round), 20+rand.IntN(400))
		total += len(acked)
		checkAcknowledged(t, open, dir, acked)
	}
	if total < killRounds*20 {
		t.Errorf("only %d acts were acknowledged in %d rounds", total, killRounds)
	}
	t.Logf("%d acts were acknowledged in %d killed processes", total, killRounds)
}

// runAndKill returns the lines that the process wrote whole.
func runAndKill(t *testing.T, dir, round string, after int) (acked []string) {
	t.Helper()
	top, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+top+"$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, "SEAWALL_STORETEST_ROUND="+round)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	hold, err := cmd.StdinPipe() // the child ends when we do
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break // what follows the last line end was never acknowledged
		}
		if line, isAck := strings.CutPrefix(line, "ack "); isAck {
			acked = append(acked, strings.TrimSuffix(line, "\n"))
		}
		if len(acked) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the writing process ended by itself after %d acts: %v", len(acked), err)
	}
	return acked
}

func checkAcknowledged(t *testing.T, open Open, dir string, acked []string) {
	t.Helper()
	s := open(t, dir, nil)
	defer s.Close()
	ctx := t.Context()
	for _, ack := range acked {
		kind, name, _ := strings.Cut(ack, " ")
		var err error
		switch kind {
		case "tenant":
			_, err = s.Tenant(ctx, name)
		case "client":
			_, err = s.Client(ctx, "acme", name)
		case "jti":
			var first bool
			if first, err = s.ConsumeAssertion(ctx, "acme", "ci", name, time.Now().Add(time.Hour)); first {
				err = errors.New("not remembered")
			}
		default:
			err = errors.New("an unknown kind of act")
		}
		if err != nil {
			t.Errorf("acknowledged and lost: %s: %v", ack, err)
		}
	}
	checkWhole(t, s)
}

// checkWhole checks that acts which were not acknowledged happened wholly or not at all.
func checkWhole(t *testing.T, s Store) {
	t.Helper()
	ctx := t.Context()
	for _, c := range ok(s.Clients(ctx, "acme"))(t) {
		if len(c.Secrets) != 1 || len(c.APIs) != 1 {
			t.Errorf("client %s is half-written: %d secrets, %d APIs", c.ID, len(c.Secrets), len(c.APIs))
		}
	}
	pending := map[string]bool{}
	for {
		page := ok(s.PendingPolicies(ctx))(t)
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			pending[p.Tenant] = true
			if err := s.PolicyApplied(ctx, p.Tenant, p.Version); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, kept := range ok(s.Tenants(ctx))(t) {
		if !pending[kept.ID] && kept.PolicyApplied == 0 {
			t.Errorf("tenant %s is half-written: it has no policy", kept.ID)
		}
	}
}

// writeUntilKilled is the process that is killed. It says "ack" after an act was acknowledged, and nothing before.
func writeUntilKilled(t *testing.T, open Open, dir string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3) // the parent is gone
	}()
	s := open(t, dir, nil)
	ctx, round := context.Background(), os.Getenv("SEAWALL_STORETEST_ROUND")
	if _, err := s.Tenant(ctx, "acme"); err != nil {
		ok(s.CreateTenant(ctx, "uid 7", newTenant("acme")))(t)
		ok(s.CreateAPI(ctx, "uid 7", newAPI("acme", audience)))(t)
	}
	failed := make(chan error)
	for w := range killWriters {
		go func() {
			for i := 0; ; i++ {
				if err := writeOne(ctx, s, w, fmt.Sprintf("r%s-w%d-%d", round, w, i)); err != nil {
					failed <- err
				}
			}
		}()
	}
	t.Fatal(<-failed)
}

func writeOne(ctx context.Context, s Store, writer int, name string) (err error) {
	kind := []string{"tenant", "client", "jti"}[writer%3]
	switch kind {
	case "tenant":
		_, err = s.CreateTenant(ctx, "uid 7", newTenant(name))
	case "client":
		_, err = s.CreateClient(ctx, "uid 7", newClient("acme", name))
	case "jti":
		_, err = s.ConsumeAssertion(ctx, "acme", "ci", name, time.Now().Add(time.Hour))
	}
	if err == nil {
		_, err = fmt.Fprintf(os.Stdout, "ack %s %s\n", kind, name) // one write, so never half a line of another
	}
	return err
}
