package vault

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"seawall/internal/fence"
	"seawall/internal/mint"
	"seawall/internal/supervise"
	"seawall/internal/testenv"
)

// The tests run true processes: this test binary once more, as a ledger, as a supervisor, or as one of the ledger's writers.
const (
	ledgerWord = "vault-ledger"
	parentWord = "vault-parent"
	writerWord = "vault-writer"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		switch os.Args[1] {
		case ledgerWord:
			syscall.Exit(Run(ctx, os.Args[2:], os.Stdin, os.Stdout, os.Stderr)) // os.Exit would sleep a second under the race detector
		case parentWord:
			syscall.Exit(told(parent(ctx, os.Args[2])))
		case writerWord:
			syscall.Exit(told(writer(ctx)))
		}
	}
	os.Exit(m.Run())
}

func told(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

// parent supervises a ledger and a signer that writes to it all the time.
func parent(ctx context.Context, path string) error {
	data, err := supervise.OpenData(path)
	if err != nil {
		return err
	}
	defer data.Close()
	return supervise.Run(ctx, supervise.Config{
		Data: data,
		Log:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Children: []supervise.Child{
			{Name: "signer", UID: fence.SignerUID, Args: []string{writerWord}},
			{Name: "ledger", UID: fence.LedgerUID, Args: []string{ledgerWord, "--supervised", "--forbidden", data.Path("signer")}},
		},
		Links: []supervise.Link{{Name: SignerLink, Dialler: "signer", Server: "ledger"}},
		Ready: func(child string, info json.RawMessage) { fmt.Printf(`{"child":%q,"info":%s}`+"\n", child, info) },
	})
}

// writer is a signer without its walls: it keeps its key's record, the head and every receipt it was given in its directory.
func writer(ctx context.Context) error {
	dir := os.NewFile(supervise.DirFD, "signer")
	if err := dir.Chdir(); err != nil {
		return err
	}
	m, err := supervise.Join(supervise.ControlFD)
	if err != nil {
		return err
	}
	ctx, stop := m.Serving(ctx)
	defer stop()
	head, err := mint.OpenHeadFile("head")
	if err != nil {
		return err
	}
	defer head.Close()
	receipts, err := os.OpenFile("receipts", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer receipts.Close()
	s := &scribe{caller: mint.NewCaller(ctx, m.Link(SignerLink), nil), head: head}
	if err := m.Ready(os.Getpid()); err != nil {
		return err
	}
	for ctx.Err() == nil {
		list, got, err := s.tokens(ctx, 5)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the ledger is away
			continue
		}
		var line bytes.Buffer
		for i := range got {
			if got[i].Refusal != nil {
				return got[i].Refusal
			}
			fmt.Fprintln(&line, got[i].Receipt.Sequence(), mint.TokenDigest(list[i].Header, list[i].Payload))
		}
		if _, err := receipts.Write(line.Bytes()); err != nil {
			return err
		}
		if err := receipts.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// scribe is the least that a ledger needs as its signer.
type scribe struct {
	caller *mint.Caller
	head   *mint.HeadFile
	key    *mint.Key // recorded as active
	keyOf  func(mint.KeyID) ed25519.PublicKey
	seal   *mint.Seal
}

const scribeIssuer = "https://id.example/acme"

// meet says hello and sees to it that there is an active key.
func (s *scribe) meet(ctx context.Context) error {
	share := mint.NewShare()
	h, err := s.caller.Hello(ctx, s.head.Head(), share)
	if err != nil {
		return err
	}
	root, err := base64.RawURLEncoding.DecodeString(h.Document.Root)
	if err != nil {
		return err
	}
	if s.seal, err = share.Agree(root, h.Share, h.ShareSignature); err != nil {
		return err
	}
	s.keyOf = func(id mint.KeyID) ed25519.PublicKey {
		for _, c := range h.Document.ReceiptKeys {
			if public, err := c.Verify(root); err == nil && mint.LedgerKeyID(public) == id {
				return public
			}
		}
		return nil
	}
	if s.key != nil {
		return nil
	}
	if h.Policies["acme"] == 0 {
		if err := s.entries(ctx, &mint.Entry{Kind: mint.PolicyChanged, Tenant: "acme", Issuer: scribeIssuer, Detail: []mint.Field{
			{Name: "digest", Value: mint.Digest{1}.String()}, {Name: "version", Value: "1"}}}); err != nil {
			return err
		}
	}
	var steps []mint.KeyRecord
	for _, k := range h.Keys {
		if k.State == mint.KeyActivated {
			return s.recall(k)
		}
	}
	k := freshKey()
	for _, kind := range []mint.EntryKind{mint.KeyStaged, mint.KeyActivated} {
		k.Epoch++
		steps = append(steps, mint.KeyRecord{Kind: kind, Key: k, Actor: "signer"})
	}
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.WriteFile("key", text, 0o600); err != nil {
		return err
	}
	recorded := new(mint.KeysRecorded)
	if err := s.caller.CallJSON(ctx, mint.MsgKey, mint.KeyRecords{Steps: steps}, recorded); err != nil {
		return err
	}
	s.key = &k
	return nil
}

func (s *scribe) recall(step mint.KeyStep) error {
	text, err := os.ReadFile("key")
	if err != nil {
		return err
	}
	k := new(mint.Key)
	if err := json.Unmarshal(text, k); err != nil {
		return err
	}
	if k.KID != step.KID {
		return errors.New("the ledger knows another key")
	}
	s.key = k
	return nil
}

func freshKey() mint.Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	x, y := base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	print, now := base64.RawURLEncoding.EncodeToString(sum[:]), time.Now()
	return mint.Key{Tenant: "acme", Issuer: scribeIssuer, KID: print[:16], Family: mint.FamilyAccess, Alg: "ES256", Kinds: mint.FamilyAccess.Kinds(),
		JWK: map[string]string{"kty": "EC", "crv": "P-256", "x": x, "y": y}, Thumbprint: print,
		NotBefore: now.Add(-time.Minute).Unix(), SigningEnds: now.Add(time.Hour).Unix(), Expires: now.Add(2 * time.Hour).Unix()}
}

func (s *scribe) entries(ctx context.Context, list ...*mint.Entry) error {
	body, err := s.caller.Call(ctx, mint.MsgEntries, func(b []byte) []byte { return mint.AppendEntries(b, list) })
	if err != nil {
		return err
	}
	return mint.ReadJSONAnswer(body, new(mint.Appended))
}

// tokens asks for n receipts, after a hello: the connection may be a new one.
func (s *scribe) tokens(ctx context.Context, n int) ([]mint.Unsigned, []mint.Recorded, error) {
	if err := s.meet(ctx); err != nil {
		return nil, nil, err
	}
	var list []mint.Unsigned
	var digests []mint.Digest
	for range n {
		now := time.Now().Unix()
		tok := mint.Token{Alg: s.key.Alg, KID: s.key.KID, Kind: mint.AccessToken, Issuer: scribeIssuer, Subject: "ci", Audience: []string{"https://api.example"},
			ClientID: "ci", JTI: mint.NewJTI(), IssuedAt: now, Expires: now + 60}
		u := mint.Unsigned{Header: tok.Header(nil), Payload: tok.Payload(nil)}
		list, digests = append(list, u), append(digests, mint.TokenDigest(u.Header, u.Payload))
	}
	body, err := s.caller.Call(ctx, mint.MsgTokens, func(b []byte) []byte { return mint.AppendTokens(b, list) })
	if err != nil {
		return nil, nil, err
	}
	head, got, err := mint.ReadRecorded(body, s.seal, digests, func(id mint.KeyID) bool { return s.keyOf(id) != nil })
	if err != nil {
		return nil, nil, err
	}
	return list, got, s.head.Remember(head)
}

// user is somebody that processes are started as.
type user struct {
	name string
	uid  int
}

func users() []user {
	if uid := os.Geteuid(); uid != 0 {
		return []user{{"user", uid}}
	}
	return []user{{"root", 0}, {"user", 65534}}
}

// base makes a directory of a user, in which a ledger may find its own.
func base(t *testing.T, as user) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vault")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chown(dir, as.uid, as.uid))
	return dir
}

// own gives everything beneath path to a user.
func own(t *testing.T, path string, uid int) {
	t.Helper()
	must(t, filepath.Walk(path, func(p string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, uid, uid)
	}))
}

// running is a process and what it has said.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}

	said, errors testenv.Transcript // what it says on its two streams
}

func start(t *testing.T, as user, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command("/proc/self/exe", args...), done: make(chan struct{})}
	r.cmd.Args[0] = os.Args[0]
	r.cmd.Dir = "/"
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.errors
	if os.Geteuid() == 0 && as.uid != 0 {
		r.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.uid)}}
	}
	must(t, r.cmd.Start())
	go func() {
		r.cmd.Wait()
		close(r.done)
	}()
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		<-r.done
	})
	return r
}

// exit waits for the end and returns the status.
func (r *running) exit() int {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		r.t.Fatalf("it goes on:\n%s\n%s", r.said.String(), r.errors.String())
	}
	return r.cmd.ProcessState.ExitCode()
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scribeOver makes a scribe that talks over connections from dial, and keeps what it must in a directory of its own.
func scribeOver(t *testing.T, ctx context.Context, dial func(context.Context) (net.Conn, error)) *scribe {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	head, err := mint.OpenHeadFile(filepath.Join(dir, "head"))
	must(t, err)
	t.Cleanup(func() { head.Close() })
	return &scribe{caller: mint.NewCaller(ctx, dial, nil), head: head}
}
