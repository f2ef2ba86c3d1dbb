package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"seawall/internal/tenant"
)

// TestFullDisk fills the disk under a store: acts fail and say so, nothing is half-written, reads go on, and acts work
// again as soon as there is room. The disk is a small one in memory, in a process with a mount namespace of its own;
// where that is forbidden, a limit on the size of files does the same to SQLite's writes.
func TestFullDisk(t *testing.T) {
	if inChild("small disk", func(dir string) {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
			fmt.Println("no mount:", err)
			os.Exit(4)
		}
		ballast := filepath.Join(dir, "ballast")
		fillUp(t, dir, func(free int64) { fill(t, ballast, free) }, func() { _ = os.Remove(ballast) })
	}) {
		return
	}
	if inChild("limited files", func(dir string) {
		signal.Ignore(syscall.SIGXFSZ)
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		most := limit.Max
		set := func(n uint64) {
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: most}); err != nil {
				t.Fatal(err)
			}
		}
		fillUp(t, dir, func(free int64) {
			info, err := os.Stat(filepath.Join(dir, "seawall.db"))
			if err != nil {
				t.Fatal(err)
			}
			set(uint64(info.Size() + free))
		}, func() { set(most) })
	}) {
		return
	}
	cmd := child(t, "small disk", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 4 {
		t.Logf("no small disk here (%v %s): limiting files only", err, out)
	} else if err != nil {
		t.Errorf("small disk: %v\n%s", err, out)
	}
	if out, err := child(t, "limited files", t.TempDir()).CombinedOutput(); err != nil {
		t.Errorf("limited files: %v\n%s", err, out)
	}
}

// fill writes a file until so much of the disk is free.
func fill(t *testing.T, path string, free int64) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(info.Size() - free)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func fillUp(t *testing.T, dir string, full func(free int64), room func()) {
	ctx := context.Background()
	s := openIn(t, dir)
	addTenant(t, s, "acme")
	if _, err := s.CreateAPI(ctx, "uid 7", exampleAPI()); err != nil {
		t.Fatal(err)
	}
	kept, refused := map[string]bool{}, map[string]bool{}
	create := func(id string) error {
		_, err := s.CreateClient(ctx, "uid 7", exampleClient(id))
		if err != nil && !errors.Is(err, tenant.ErrUnwritten) {
			t.Fatalf("%s: %v", id, err)
		}
		return err
	}
	full(0)
	for i := 0; len(refused) == 0; i++ {
		if i > 10_000 {
			t.Fatal("the disk does not fill up")
		}
		id := fmt.Sprint("lone-", i)
		if err := create(id); err != nil {
			wantRefusal(t, err, tenant.ErrUnwritten, "the disk")
			refused[id] = true
		} else {
			kept[id] = true
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range 50 { // sharing commits that fail
		wg.Go(func() {
			id := fmt.Sprint("group-", i)
			err := create(id)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused[id] = true
			} else {
				kept[id] = true
			}
		})
	}
	wg.Wait()
	checkClients(t, s, kept)
	room()
	for id := range refused { // a refused act used up nothing
		if err := create(id); err != nil {
			t.Fatalf("there is room again: %s: %v", id, err)
		}
		kept[id] = true
	}
	checkClients(t, s, kept)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, dir)
	checkClients(t, s, kept)
	full(512 << 10) // less than the log would grow to, if it were not emptied when there is no more room
	for i := range 80 {
		if _, err := s.RotateSecret(ctx, "acme", "lone-0", exampleClient("x").Secrets[0].Hash, 0); err != nil {
			t.Fatalf("rotation %d: %v", i, err)
		}
	}
	fmt.Println(len(refused), "acts refused,", len(kept), "clients kept")
}

func checkClients(t *testing.T, s *Store, want map[string]bool) {
	t.Helper()
	all, err := s.Clients(context.Background(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if !want[c.ID] || len(c.Secrets) != 1 || len(c.APIs) != 1 {
			t.Errorf("client %s is there in part, or was refused", c.ID)
		}
	}
	if len(all) != len(want) {
		t.Errorf("%d clients are there, %d were kept", len(all), len(want))
	}
}
