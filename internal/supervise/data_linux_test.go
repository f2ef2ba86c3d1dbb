package supervise

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"seawall/internal/fence"
)

// ownUID is who a child's directory goes to in this process: another user only if it is root's to give.
func ownUID() int {
	if uid := os.Geteuid(); uid != 0 {
		return uid
	}
	return fence.SignerUID
}

func openData(t *testing.T) *Data {
	t.Helper()
	data, err := OpenData(filepath.Join(t.TempDir(), "data"))
	must(t, err)
	t.Cleanup(func() { data.Close() })
	return data
}

func TestDataIsPrivate(t *testing.T) {
	data := openData(t)
	dir, err := data.claim(t.Context(), "signer", ownUID())
	must(t, err)
	defer dir.Close()
	for path, uid := range map[string]int{data.path: os.Geteuid(), data.Path("signer"): ownUID()} {
		var stat unix.Stat_t
		must(t, unix.Stat(path, &stat))
		if stat.Mode&0o7777 != 0o700 || int(stat.Uid) != uid {
			t.Errorf("%s has mode %04o and belongs to %d, want 0700 and %d", path, stat.Mode&0o7777, stat.Uid, uid)
		}
	}
}

func TestDataThatOthersCanWrite(t *testing.T) {
	path := t.TempDir()
	must(t, os.Chmod(path, 0o770))
	if _, err := OpenData(path); err == nil || !strings.Contains(err.Error(), "can be written by others (mode 0770)") {
		t.Errorf("error %v, want that others can write", err)
	}
}

// TestDirectoryOfAnotherUser uses a directory as one user that another has used before.
func TestDirectoryOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		path := "/"
		if _, err := OpenData(path); err == nil || !strings.Contains(err.Error(), "the data directory / belongs to uid 0") {
			t.Errorf("error %v, want that it belongs to root", err)
		}
		return
	}
	as := identities()[1]
	p := house(t, as)
	must(t, os.Mkdir(p.Data, 0o700))
	r := start(t, as, p)
	if r.exit(); !strings.Contains(r.errors(), "belongs to uid 0 and this is uid 65534: start seawall as that user") {
		t.Errorf("data directory of root: %q", r.errors())
	}
	must(t, os.Chown(p.Data, as.uid, as.uid))
	must(t, os.Mkdir(filepath.Join(p.Data, "signer"), 0o700))
	r = start(t, as, p)
	if r.exit(); !strings.Contains(r.errors(), "signer belongs to uid 0 and this is uid 65534: it was used by another user, perhaps root, before") {
		t.Errorf("child's directory of root: %q", r.errors())
	}
	if _, err := OpenData(p.Data); err == nil || !strings.Contains(err.Error(), "belongs to uid 65534 and this is uid 0") {
		t.Errorf("root on the data directory of another user: %v", err)
	}
}

// TestHandOver gives a child what was put into its directory, all of it and nothing else.
func TestHandOver(t *testing.T) {
	data := openData(t)
	inside := filepath.Join(data.Path("signer"), "deep", "er")
	must(t, os.MkdirAll(inside, 0o700))
	must(t, os.WriteFile(filepath.Join(inside, "kek"), []byte("sealed"), 0o600))
	must(t, os.Chmod(data.Path("signer"), 0o700))
	dir, err := data.claim(t.Context(), "signer", ownUID())
	must(t, err)
	dir.Close()
	for _, path := range []string{data.Path("signer"), filepath.Dir(inside), inside, filepath.Join(inside, "kek")} {
		var stat unix.Stat_t
		must(t, unix.Lstat(path, &stat))
		if int(stat.Uid) != ownUID() {
			t.Errorf("%s belongs to uid %d, want %d", path, stat.Uid, ownUID())
		}
	}
}

// TestHandOverRefuses plants what could lead root out of a child's directory.
func TestHandOverRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte("not the child's"), 0o600))
	for _, test := range []struct {
		name  string
		plant func(path string) error
		want  string
	}{
		{"symbolic link", func(path string) error { return os.Symlink(outside, path) }, "is neither file nor directory and will not be given"},
		{"symbolic link to a directory", func(path string) error { return os.Symlink("/etc", path) }, "is neither file nor directory"},
		{"hard link", func(path string) error { return os.Link(outside, path) }, "has a second name (a hard link) elsewhere"},
		{"fifo", func(path string) error { return unix.Mkfifo(path, 0o600) }, "is neither file nor directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "signer")
			must(t, os.MkdirAll(filepath.Join(dir, "deep"), 0o700))
			must(t, test.plant(filepath.Join(dir, "deep", "planted")))
			fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			must(t, err)
			defer unix.Close(fd)
			if err := handOver(fd, dir, ownUID()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			var stat unix.Stat_t
			must(t, unix.Stat(outside, &stat))
			if int(stat.Uid) != os.Geteuid() {
				t.Errorf("the file outside was given to uid %d", stat.Uid)
			}
		})
	}
}

func TestClaimRefuses(t *testing.T) {
	data := openData(t)
	must(t, os.Mkdir(data.Path("house"), 0o700))
	must(t, os.Chmod(data.Path("house"), 0o750))
	if _, err := data.claim(t.Context(), "house", ownUID()); err == nil || !strings.Contains(err.Error(), "can be entered by others (mode 0750)") {
		t.Errorf("loose directory: %v", err)
	}
	must(t, os.Symlink(t.TempDir(), data.Path("signer")))
	if _, err := data.claim(t.Context(), "signer", ownUID()); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("symbolic link: %v", err)
	}
	dir, err := data.claim(t.Context(), "ledger", ownUID())
	must(t, err)
	defer dir.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.Canceled)
	if _, err := data.claim(ctx, "ledger", ownUID()); err == nil || !strings.Contains(err.Error(), "locking "+data.Path("ledger")) {
		t.Errorf("locked directory: %v", err)
	}
}
