package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// refusedStart starts a seawall that must not come up, and checks what it says: one line of what and why, and a hint.
func refusedStart(t *testing.T, o testenv.Options, words ...string) string {
	t.Helper()
	o.Binary = program
	s := testenv.Launch(t, o)
	if s.URL != "" {
		t.Fatalf("it is ready:\n%s", s.Output())
	}
	status, out := s.Exited(), s.Output()
	if status != 1 && status != 2 {
		t.Errorf("status %d", status)
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			t.Errorf("it does not say %q:\n%s", word, out)
		}
	}
	if !strings.Contains(out, "seawall: ") {
		t.Errorf("there is no line that says what happened:\n%s", out)
	}
	if strings.Contains(out, "panic") || strings.Contains(out, "goroutine ") {
		t.Errorf("it crashed:\n%s", out)
	}
	return out
}

func TestAForeignDirectoryIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "diary.txt"), []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusedStart(t, testenv.Options{Data: dir}, "is not seawall's", "diary.txt", "hint:")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("it holds %v, %v", entries, err)
	}
}

func TestANewerDirectoryIsLeftAlone(t *testing.T) {
	s := start(t)
	s.Stop()
	path := filepath.Join(s.Data, "seawall.json")
	rewrite(t, path, func(text []byte) []byte { return bytes.Replace(text, []byte(`"format": 1`), []byte(`"format": 9`), 1) })
	refusedStart(t, s.Options, "written by a newer seawall (format 9", "hint:")
}

func TestAPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	data := filepath.Join(testenv.Dir(t, 0), "data")
	refusedStart(t, testenv.Options{Listen: l.Addr().String(), Data: data}, "--listen "+l.Addr().String()+": the address is in use", "hint:")
	if _, err := os.Stat(filepath.Join(data, "signer")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("keys were made for nothing: %v", err)
	}
}

func TestTwoOnOneDirectory(t *testing.T) {
	s := start(t)
	refusedStart(t, testenv.Options{Data: s.Data}, "another seawall", fmt.Sprint(s.PID()))
	populate(t, s, "acme").token(t)
}

func TestPlainHTTPStaysOnTheMachine(t *testing.T) {
	refusedStart(t, testenv.Options{Listen: "0.0.0.0:8420"}, "in the clear", "--tls-cert", "hint:")
}

func TestABaseURLIsRecordedForGood(t *testing.T) {
	s := testenv.Start(t, testenv.Options{Binary: program, Args: []string{"--base", "https://id.example"}})
	var made tenant
	s.JSON(&made, "tenant", "create", "acme", "--class", "production", "--owner", "ops@acme.example", "--contact", "a@acme.example", "--contact", "b@acme.example")
	if made.Issuer != "https://id.example/acme" {
		t.Errorf("the issuer is %s", made.Issuer)
	}
	s.Stop()
	o := s.Options
	o.Args = []string{"--base", "https://other.example"}
	refusedStart(t, o, "has the base URL https://id.example", "hint:")
	o.Args, o.Listen = nil, testenv.FreeAddress(t)
	again := testenv.Start(t, o)
	if again.URL != "https://id.example" {
		t.Errorf("ready at %s", again.URL)
	}
}

// TestKeyFilesThatOthersCanReadAreRefused: each key-encryption key, and the vaults' directories.
func TestKeyFilesThatOthersCanReadAreRefused(t *testing.T) {
	s := start(t)
	populate(t, s, "acme")
	s.Stop()
	for _, name := range []string{"signer", "ledger", "house"} {
		path := filepath.Join(s.Data, name)
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		refusedStart(t, s.Options, path, "chmod")
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"signer/kek", "ledger/kek"} {
		path := filepath.Join(s.Data, name)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		refusedStart(t, s.Options, "kek", "chmod")
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Start(t, s.Options)
}

// TestAFullDisk: on a file system that is too small the message says what to do, whatever was being made when it filled up,
// and nothing is half-made: with room on the same disk it starts.
func TestAFullDisk(t *testing.T) {
	for _, size := range []string{"24k", "96k", "192k"} {
		t.Run(size, func(t *testing.T) {
			mount := testenv.Dir(t, 0)
			drop := "" // somebody who isn't root mounts with capabilities that seawall must not inherit
			if os.Geteuid() != 0 {
				drop = testenv.Tool(t, "setpriv") + " --ambient-caps -all --inh-caps -all "
			}
			up := fmt.Sprintf("%s%s up --data %s/data --listen %s", drop, program, mount, testenv.FreeAddress(t))
			script := fmt.Sprintf("mount -t tmpfs -o size=%[1]s,mode=0700 tmpfs %[2]s && timeout -s TERM 5 %[3]s; echo status $?; mount -o remount,size=64m %[2]s; echo room; timeout -s TERM 5 %[3]s", size, mount, up)
			args := []string{"-m", "sh", "-c", script}
			if os.Geteuid() != 0 {
				args = append([]string{"-U", "--map-current-user", "--keep-caps"}, args...)
			}
			out, _ := testenv.Command(t, testenv.Tool(t, "unshare"), args...).CombinedOutput()
			full, later, ok := strings.Cut(string(out), "\nroom\n")
			refused := containsAny(full, "no space left on device|disk is full") && strings.Contains(full, "hint: make room on the disk") && strings.Contains(full, "status 1")
			waits := strings.Contains(full, "no space left on device") && strings.Contains(full, "status 124") // what it has is safe, and it says why it is not ready
			if !ok || !refused && !waits && !strings.Contains(full, "seawall: ready at") {
				t.Errorf("on the full disk:\n%s", out)
			}
			if !strings.Contains(later, "seawall: ready at") {
				t.Errorf("it does not start on the same disk once there is room:\n%s", out)
			}
		})
	}
}
