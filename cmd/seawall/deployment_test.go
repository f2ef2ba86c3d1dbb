package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestADataDirectoryIsMadeAndFoundAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "data")
	first, err := openData(path)
	if err != nil {
		t.Fatal(err)
	}
	if !first.fresh || first.ID == "" || first.Format != dataFormat {
		t.Errorf("new: %+v", first.deployment)
	}
	if err := first.recordBase("https://id.example"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(first.path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := openData(path); err == nil || !strings.Contains(err.Error(), "runs on the data directory") {
		t.Errorf("a second one on the same directory: %v", err)
	}
	first.Close()
	again, err := openData(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.fresh || again.ID != first.ID || again.Base != "https://id.example" || !again.Created.Equal(first.Created) {
		t.Errorf("found %+v, wrote %+v", again.deployment, first.deployment)
	}
}

func TestDataDirectoriesThatAreRefused(t *testing.T) {
	for name, one := range map[string]struct {
		files map[string]string
		mode  os.FileMode
		want  string
	}{
		"foreign":    {map[string]string{"letters": "x", "pictures": "y"}, 0o700, "is not seawall's: it holds other files (letters, pictures) and no seawall.json"},
		"newer":      {map[string]string{deploymentFile: `{"format":2,"shape":"round"}`}, 0o700, "was written by a newer seawall (format 2, and this one knows 1)"},
		"cut":        {map[string]string{deploymentFile: `{"format":1,"depl`}, 0o700, "is damaged"},
		"empty file": {map[string]string{deploymentFile: ""}, 0o700, "is damaged"},
		"unknown":    {map[string]string{deploymentFile: `{"format":1,"deployment":"x","created":"2026-01-01T00:00:00Z","color":"red"}`}, 0o700, "is damaged"},
		"shared":     {map[string]string{deploymentFile: `{"format":1,"deployment":"x","created":"2026-01-01T00:00:00Z"}`}, 0o720, "can be written by others (mode 0720)"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, one.mode)); err != nil { // whatever the umask
			t.Fatal(err)
		}
		for file, text := range one.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := openData(dir)
		if err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%s: %v, want …%s…", name, err, one.want)
			continue
		}
		for file, text := range one.files {
			if now, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(now) != text {
				t.Errorf("%s: %s is now %q, %v", name, file, now, err)
			}
		}
	}
}

func TestAFileIsNoDataDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openData(path); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("%v", err)
	}
}

// TestAnInterruptedStartIsFinished: what a crash before the rename left behind is nobody else's.
func TestAnInterruptedStartIsFinished(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, deploymentTemp), []byte(`{"for`), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := openData(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !d.fresh {
		t.Error("it was taken for an old one")
	}
	if _, err := os.Stat(filepath.Join(dir, deploymentTemp)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

func TestAFullDiskIsSaid(t *testing.T) {
	err := explainData(&os.PathError{Op: "write", Path: "/d/seawall.json", Err: syscall.ENOSPC})
	var out strings.Builder
	if finish(&out, err); out.String() != "seawall: data directory: /d/seawall.json: no space left on device\nhint: make room on the disk, then start again: nothing was left half-written\n" {
		t.Errorf("%q", out.String())
	}
}

func TestBaseURLs(t *testing.T) {
	for _, one := range []struct {
		listen, base, recorded string
		tls                    bool
		want                   string // base URL
		refused                string
	}{
		{listen: "127.0.0.1:8420", want: "http://127.0.0.1:8420"},
		{listen: "[::1]:8420", want: "http://[::1]:8420"},
		{listen: "localhost:8420", tls: true, want: "https://localhost:8420"},
		{listen: "127.0.0.1:8420", base: "https://ID.example/", want: "https://id.example"},
		{listen: "127.0.0.1:8420", base: "https://id.example/auth/", want: "https://id.example/auth"},
		{listen: "127.0.0.1:9000", recorded: "https://id.example", want: "https://id.example"},
		{listen: "127.0.0.1:9000", base: "https://id.example", recorded: "https://id.example", want: "https://id.example"},
		{listen: "0.0.0.0:443", base: "https://id.example", tls: true, want: "https://id.example"},
		{listen: "0.0.0.0:8420", base: "https://id.example", want: "https://id.example"},
		{listen: "127.0.0.1:8420", base: "http://localhost:8420", want: "http://localhost:8420"},

		{listen: "0.0.0.0:8420", refused: "in the clear"},
		{listen: ":8420", refused: "in the clear"},
		{listen: "192.0.2.1:8420", refused: "in the clear"},
		{listen: "0.0.0.0:443", tls: true, refused: "under which name"},
		{listen: "0.0.0.0:8420", base: "http://127.0.0.1:8420", refused: "must not leave this machine"},
		{listen: "0.0.0.0:8420", base: "http://id.example", refused: "plain HTTP is for loopback only"},
		{listen: "127.0.0.1:8420", base: "http://127.0.0.1:8420", tls: true, refused: "plain HTTP, and --tls-cert was given"},
		{listen: "127.0.0.1:8420", base: "https://other.example", recorded: "https://id.example", refused: "has the base URL https://id.example"},
		{listen: "127.0.0.1", refused: "it wants HOST:PORT"},
		{listen: "127.0.0.1:0", refused: "from 1 to 65535"},
		{listen: "127.0.0.1:70000", refused: "from 1 to 65535"},
		{listen: "127.0.0.1:8420", base: "id.example", refused: "it wants a URL"},
		{listen: "127.0.0.1:8420", base: "ftp://id.example", refused: "must begin with https://"},
		{listen: "127.0.0.1:8420", base: "https://u:p@id.example", refused: "user name or password"},
		{listen: "127.0.0.1:8420", base: "https://id.example?x=1", refused: "no query"},
		{listen: "127.0.0.1:8420", base: "https://id.example/#", refused: "no query and no fragment"},
		{listen: "127.0.0.1:8420", base: "https://id.example/a/../b", refused: "path must be plain"},
	} {
		a, err := resolveAddress(one.listen, one.base, one.recorded, one.tls)
		if one.refused != "" {
			if err == nil || !strings.Contains(err.Error(), one.refused) {
				t.Errorf("%+v: %v", one, err)
			}
			if err != nil && strings.Contains(err.Error(), "u:p") {
				t.Errorf("the error repeats a password: %v", err)
			}
			continue
		}
		if err != nil || a.base != one.want || a.given != (one.base != "") {
			t.Errorf("%+v: %+v, %v", one, a, err)
		}
	}
}

func FuzzBase(f *testing.F) {
	for _, seed := range []string{"https://id.example", "http://localhost:1/x/", "https://[::1]:8/%2e", "https://a/?", "x", "https://a@b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		base, err := checkBase(text)
		if err != nil {
			return
		}
		again, err := checkBase(base)
		if err != nil || again != base {
			t.Errorf("%q became %q, which becomes %q, %v", text, base, again, err)
		}
	})
}
