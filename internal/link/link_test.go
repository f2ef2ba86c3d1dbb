package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

type side struct{ certificate, key, fingerprint string }

func newSide(t *testing.T, name string) side {
	t.Helper()
	dir := t.TempDir()
	s := side{certificate: filepath.Join(dir, name+".crt"), key: filepath.Join(dir, name+".key")}
	var err error
	if s.fingerprint, err = CreateIdentity(s.certificate, s.key, name); err != nil {
		t.Fatal(err)
	}
	return s
}

// refusals collects why strangers were sent away.
type refusals struct {
	mu   sync.Mutex
	list []error
	some chan struct{}
}

func newRefusals() *refusals { return &refusals{some: make(chan struct{}, 64)} }

func (r *refusals) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, err)
	r.some <- struct{}{}
}

func (r *refusals) wait(t *testing.T, want string) {
	t.Helper()
	select {
	case <-r.some:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was refused")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.list[len(r.list)-1]; !strings.Contains(last.Error(), want) {
		t.Fatalf("refused with %q, want %q", last, want)
	}
}

// listen starts an echo behind a listener.
func listen(t *testing.T, e End) (address string, r *refusals) {
	t.Helper()
	r = newRefusals()
	l, err := Listen(e, r.add)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		group.Wait()
	})
	return "tcp:" + l.Addr().String(), r
}

// echo reports whether the other side talks.
func echo(conn net.Conn) error {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("ahoy")); err != nil {
		return err
	}
	var b [4]byte
	_, err := io.ReadFull(conn, b[:])
	return err
}

func dial(t *testing.T, e End) error {
	t.Helper()
	d, err := Dialer(e)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d(context.Background())
	if err != nil {
		return err
	}
	return echo(conn)
}

func TestTCPKnowsBothEnds(t *testing.T) {
	ledger, signer, stranger := newSide(t, "ledger"), newSide(t, "signer"), newSide(t, "stranger")
	address, refused := listen(t, End{Address: "tcp:127.0.0.1:0", Certificate: ledger.certificate, Key: ledger.key, Peer: signer.fingerprint})

	if err := dial(t, End{Address: address, Certificate: signer.certificate, Key: signer.key, Peer: ledger.fingerprint}); err != nil {
		t.Fatalf("the right two: %v", err)
	}
	if err := dial(t, End{Address: address, Certificate: stranger.certificate, Key: stranger.key, Peer: ledger.fingerprint}); err == nil {
		t.Error("a stranger's certificate was accepted")
	}
	refused.wait(t, "not the pinned one")
	err := dial(t, End{Address: address, Certificate: signer.certificate, Key: signer.key, Peer: stranger.fingerprint})
	if err == nil || !strings.Contains(err.Error(), "not the pinned one") {
		t.Errorf("a server that is not the pinned one: %v", err)
	}
	<-refused.some // the server heard of it too

	// Someone who has copied the public certificate and not its key.
	if _, err := loadIdentity(signer.certificate, stranger.key); err == nil {
		t.Error("a certificate was taken with another key")
	}
	tcp := strings.TrimPrefix(address, "tcp:")
	for name, config := range map[string]*tls.Config{
		"no certificate": {InsecureSkipVerify: true},
		"TLS 1.2":        {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
	} {
		conn, err := tls.Dial("tcp", tcp, config)
		if err == nil {
			err = echo(conn)
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		<-refused.some
	}
	plain, err := net.Dial("tcp", tcp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Write([]byte("GET / HTTP/1.1\r\nHost: ledger\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := echo(plain); err == nil {
		t.Error("plain bytes were echoed")
	}
}

// TestStrangersDoNotBlock holds connections open without a handshake: the peer still gets through.
func TestStrangersDoNotBlock(t *testing.T) {
	ledger, signer := newSide(t, "ledger"), newSide(t, "signer")
	address, _ := listen(t, End{Address: "tcp:127.0.0.1:0", Certificate: ledger.certificate, Key: ledger.key, Peer: signer.fingerprint})
	for range strangers - 1 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(address, "tcp:"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if err := dial(t, End{Address: address, Certificate: signer.certificate, Key: signer.key, Peer: ledger.fingerprint}); err != nil {
		t.Fatal(err)
	}
}

func TestUnixKnowsTheUser(t *testing.T) {
	dir, err := os.MkdirTemp("", "link") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	me, other := os.Getuid(), os.Getuid()+1
	_, refused := listen(t, End{Address: "unix:" + path, PeerUID: &other})
	if err := dial(t, End{Address: "unix:" + path, PeerUID: &me}); err == nil {
		t.Error("another user was accepted")
	}
	refused.wait(t, "the process at the other end is of user")

	path2 := filepath.Join(dir, "t")
	listen(t, End{Address: "unix:" + path2, PeerUID: &me})
	if err := dial(t, End{Address: "unix:" + path2, PeerUID: &me}); err != nil {
		t.Errorf("the right user: %v", err)
	}
	err = dial(t, End{Address: "unix:" + path2, PeerUID: &other})
	if err == nil || !strings.Contains(err.Error(), "is of user") {
		t.Errorf("the dialler accepted another user's server: %v", err)
	}
}

func TestStaleSocketsAreReplaced(t *testing.T) {
	dir, err := os.MkdirTemp("", "link")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	me := os.Getuid()
	e := End{Address: "unix:" + filepath.Join(dir, "s"), PeerUID: &me}
	for range 2 { // the first leaves its file behind, as a killed process does
		l, err := Bind(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Bind(e); err == nil || !strings.Contains(err.Error(), "another process listens") {
			t.Errorf("a socket in use was taken: %v", err)
		}
		l.Close()
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Bind(End{Address: "unix:" + file, PeerUID: &me}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file was replaced: %v", err)
	}
}

func TestCheck(t *testing.T) {
	uid := 7
	good := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		end  End
		want string
	}{
		"no network":        {End{Address: "127.0.0.1:1"}, "neither tcp:HOST:PORT nor unix:/PATH"},
		"empty":             {End{}, "neither"},
		"no port":           {End{Address: "tcp:localhost"}, "missing port"},
		"tcp without pin":   {End{Address: "tcp:localhost:1", Certificate: "c", Key: "k"}, "needs certificate, key and peer"},
		"tcp without own":   {End{Address: "tcp:localhost:1", Peer: good}, "needs certificate, key and peer"},
		"tcp with uid":      {End{Address: "tcp:localhost:1", Certificate: "c", Key: "k", Peer: good, PeerUID: &uid}, "peer_uid is for unix"},
		"short fingerprint": {End{Address: "tcp:localhost:1", Certificate: "c", Key: "k", Peer: "sha256:abcd"}, "is no fingerprint"},
		"relative path":     {End{Address: "unix:s", PeerUID: &uid}, "absolute"},
		"unclean path":      {End{Address: "unix:/a/../b", PeerUID: &uid}, "clean"},
		"unix without uid":  {End{Address: "unix:/s"}, "needs peer_uid"},
		"unix with pin":     {End{Address: "unix:/s", PeerUID: &uid, Peer: good}, "certificates are for tcp"},
	} {
		if err := c.end.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, form := range []string{good, "sha256:" + good, strings.ToUpper(strings.TrimSuffix(strings.Repeat("ab:", 32), ":"))} {
		e := End{Address: "tcp:localhost:1", Certificate: "c", Key: "k", Peer: form}
		if err := e.Check(); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
}

func TestIdentity(t *testing.T) {
	s := newSide(t, "ledger")
	if got, err := Fingerprint(s.certificate); err != nil || got != s.fingerprint {
		t.Errorf("Fingerprint is %s, %v; want %s", got, err, s.fingerprint)
	}
	if _, err := CreateIdentity(s.certificate, s.key, "again"); !errors.Is(err, os.ErrExist) {
		t.Errorf("an identity was overwritten: %v", err)
	}
	if err := os.Chmod(s.key, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := Dialer(End{Address: "tcp:127.0.0.1:1", Certificate: s.certificate, Key: s.key, Peer: s.fingerprint})
	if err == nil || !strings.Contains(err.Error(), "chmod 600 "+s.key) {
		t.Errorf("a key that others can read: %v", err)
	}
}

func FuzzFingerprint(f *testing.F) {
	f.Add("sha256:" + strings.Repeat("0f", 32))
	f.Add("")
	f.Add("sha256:::")
	f.Fuzz(func(t *testing.T, text string) {
		sum, err := parseFingerprint(text)
		if err == nil {
			if again, err := parseFingerprint(fingerprintPrefix + strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(text, fingerprintPrefix), ":", ""))); err != nil || again != sum {
				t.Fatalf("%q reads as %x and then %x, %v", text, sum, again, err)
			}
		}
	})
}
