package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seawall/internal/testenv"
)

// How many processes are killed. `make soak` does the full count.
const (
	fewKills  = 12
	manyKills = 240
)

func kills() int {
	if os.Getenv("SEAWALL_SOAK") != "" {
		return manyKills
	}
	return fewKills
}

// witness notes every token that reached a client in a file of its own, durably, before it goes on. What is in the file
// was released: no crash of seawall can take that back.
type witness struct {
	mu    sync.Mutex
	file  *os.File
	count atomic.Int64
}

func (w *witness) note(words ...any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := fmt.Fprintln(w.file, words...); err != nil {
		return err
	}
	w.count.Add(1)
	return w.file.Sync()
}

// load asks for tokens with several clients at once until stop is closed.
func load(t *testing.T, w *world, seen *witness, stop <-chan struct{}) *sync.WaitGroup {
	t.Helper()
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := w.ask()
				if err != nil || a.status != http.StatusOK {
					time.Sleep(5 * time.Millisecond) // it is being killed
					continue
				}
				if err := seen.note(jtiOf(t, a.member("access_token"))); err != nil {
					t.Errorf("noting a token: %v", err)
					return
				}
			}
		})
	}
	return &clients
}

// storm kills random processes of s under the load of clients.
func storm(t *testing.T, s *testenv.Seawall, w *world, kills int) (*testenv.Seawall, string) {
	t.Helper()
	return stormUnder(t, s, kills, 10, func(seen *witness, stop <-chan struct{}) *sync.WaitGroup { return load(t, w, seen, stop) })
}

// stormUnder kills random processes of s, the supervisor too, each after so many more tokens, and returns the seawall that
// runs afterwards and the file of everything that was released.
func stormUnder(t *testing.T, s *testenv.Seawall, kills, tokens int, load func(*witness, <-chan struct{}) *sync.WaitGroup) (*testenv.Seawall, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "released")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen, stop := &witness{file: file}, make(chan struct{})
	clients := load(seen, stop)
	victims := []string{"house", "signer", "ledger", "supervisor"}
	for i := range kills {
		// Only a seawall that releases tokens can be caught in the act: wait for some, then for a moment of any length.
		waitFor(t, func() bool { return seen.count.Load() >= int64(tokens*(i+1)) })
		time.Sleep(time.Duration(rand.Int64N(int64(30 * time.Millisecond))))
		victim := victims[i%len(victims)]
		if victim == "supervisor" {
			if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			s.Exited()
			s = testenv.Start(t, s.Options)
			continue
		}
		if err := syscall.Kill(s.Child(victim), syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { return seen.count.Load() >= int64(tokens*(kills+1)) })
	close(stop)
	clients.Wait()
	return s, path
}

func waitFor(t *testing.T, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing happened for two minutes")
		}
	}
}

// unrecorded returns the released tokens that the log does not have, and how many were released.
func unrecorded(t *testing.T, s *testenv.Seawall, path string) (missing []string, released int) {
	t.Helper()
	recorded := map[string]bool{}
	for _, e := range search(t, s, "--client", "ci") {
		recorded[e.JTI] = true
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); released++ {
		if jti := strings.TrimSpace(lines.Text()); !recorded[jti] {
			missing = append(missing, jti)
		}
	}
	return missing, released
}

// TestNoReleasedTokenLacksItsEntry: processes are killed at random under load, and every token that a client ever got is
// looked up in the log afterwards.
func TestNoReleasedTokenLacksItsEntry(t *testing.T) {
	s := start(t)
	w := populate(t, s, "acme")
	s, path := storm(t, s, w, kills())
	w.accepted(t, s, w.tokenSoon(t))
	s.Stop()
	if status, out := verify(s); status != 0 {
		t.Fatalf("log verify: status %d, %s", status, out)
	}
	missing, released := unrecorded(t, s, path)
	t.Logf("%d kills, %d tokens released, %d without an entry", kills(), released, len(missing))
	if len(missing) > 0 {
		t.Errorf("%d of %d released tokens have no entry, such as %s", len(missing), released, missing[0])
	}
}
