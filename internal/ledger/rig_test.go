package ledger

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seawall/internal/mint"
)

// testClock is a clock that tests turn.
type testClock struct{ offset atomic.Int64 }

func (c *testClock) now() time.Time           { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *testClock) set(offset time.Duration) { c.offset.Store(int64(offset)) }

// testLog is what operators would see.
type testLog struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *testLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// rig is a ledger in a directory of its own.
type rig struct {
	t      testing.TB
	dir    string
	clock  *testClock
	log    *testLog
	disk   disk
	limits limits
	l      *Ledger
	ctx    context.Context // of the connections
	stop   context.CancelFunc
	serve  sync.WaitGroup
}

func newRig(t testing.TB) *rig {
	r := prepareRig(t)
	r.create()
	r.open()
	return r
}

func prepareRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), clock: new(testClock), log: new(testLog)}
	if err := os.Chmod(r.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func (r *rig) config() Config {
	return Config{Dir: r.dir, Log: slog.New(slog.NewTextHandler(r.log, nil)), Clock: r.clock.now, disk: r.disk, limits: r.limits}
}

func (r *rig) create() {
	r.t.Helper()
	if err := Create(r.config()); err != nil {
		r.t.Fatalf("Create: %v", err)
	}
}

func (r *rig) open() {
	r.t.Helper()
	if err := r.tryOpen(); err != nil {
		r.t.Fatalf("Open: %v", err)
	}
}

func (r *rig) tryOpen() (err error) {
	r.l, err = Open(r.config())
	return err
}

// close closes the ledger as a drained process would.
func (r *rig) close() {
	if r.l == nil {
		return
	}
	if r.stop != nil {
		r.stop()
		r.serve.Wait()
		r.stop = nil
	}
	if err := r.l.Close(); err != nil && r.l.Err() == nil {
		r.t.Errorf("Close: %v", err)
	}
	r.l = nil
}

// dial connects a writer.
func (r *rig) dial(role Role) *peer {
	r.t.Helper()
	ours, theirs := socketpair(r.t)
	if r.stop == nil {
		r.ctx, r.stop = context.WithCancel(context.Background())
		r.t.Cleanup(r.stop)
	}
	ctx := r.ctx
	l := r.l
	r.serve.Go(func() { l.Serve(ctx, theirs, role) })
	p := &peer{t: r.t, conn: ours, w: mint.NewFrameWriter(ours), r: mint.NewFrameReader(ours)}
	r.t.Cleanup(func() { ours.Close() })
	return p
}

func socketpair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "pair")
		if conns[i], err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return conns[0], conns[1]
}

// peer is a writer that asks one thing at a time.
type peer struct {
	t    testing.TB
	conn net.Conn
	w    *mint.FrameWriter
	r    *mint.FrameReader
	id   uint64
	seal *mint.Seal // once it has said hello
}

func (p *peer) ask(typ mint.MsgType, body []byte) ([]byte, error) {
	p.id++
	if err := p.w.Write(typ, p.id, func(b []byte) []byte { return append(b, body...) }); err != nil {
		return nil, err
	}
	f, err := p.r.Next(true)
	if err != nil {
		return nil, err
	}
	if f.ID != p.id || f.Type != typ {
		return nil, fmt.Errorf("answer %d %d to question %d %d", f.Type, f.ID, typ, p.id)
	}
	return f.Body, nil
}

// refused asks for what should be refused and returns the refusal.
func (p *peer) refused(typ mint.MsgType, body []byte) error {
	answer, err := p.ask(typ, body)
	if err != nil {
		return err
	}
	return mint.ReadJSONAnswer(answer, &struct{}{})
}

func (p *peer) askJSON(typ mint.MsgType, question, answer any) error {
	q, err := json.Marshal(question)
	if err != nil {
		return err
	}
	body, err := p.ask(typ, q)
	if err != nil {
		return err
	}
	return mint.ReadJSONAnswer(body, answer)
}

func (p *peer) hello(head mint.Head) (*mint.Hello, error) {
	share := mint.NewShare()
	q := mint.HelloQuery{Size: head.Size, Share: share.Public()}
	if head.Size > 0 {
		q.Batch = head.Batch.String()
	}
	h := new(mint.Hello)
	if err := p.askJSON(mint.MsgHello, q, h); err != nil || h.Share == "" {
		return h, err
	}
	root, err := base64.RawURLEncoding.DecodeString(h.Document.Root)
	if err != nil {
		return h, err
	}
	p.seal, err = share.Agree(root, h.Share, h.ShareSignature)
	return h, err
}

func (p *peer) mustHello() *mint.Hello {
	p.t.Helper()
	h, err := p.hello(mint.Head{})
	if err != nil {
		p.t.Fatalf("hello: %v", err)
	}
	return h
}

func (p *peer) entries(list ...*mint.Entry) (*mint.Appended, error) {
	body, err := p.ask(mint.MsgEntries, mint.AppendEntries(nil, list))
	if err != nil {
		return nil, err
	}
	a := new(mint.Appended)
	return a, mint.ReadJSONAnswer(body, a)
}

func (p *peer) steps(steps ...mint.KeyRecord) (*mint.KeysRecorded, error) {
	a := new(mint.KeysRecorded)
	return a, p.askJSON(mint.MsgKey, mint.KeyRecords{Steps: steps}, a)
}

// tokens asks for receipts and checks the answer as a signer does.
func (p *peer) tokens(l *Ledger, list ...mint.Unsigned) (mint.Head, []mint.Recorded, error) {
	body, err := p.ask(mint.MsgTokens, mint.AppendTokens(nil, list))
	if err != nil {
		return mint.Head{}, nil, err
	}
	return mint.ReadRecorded(body, p.seal, digestsOf(list), certified(l.Document()))
}

func digestsOf(list []mint.Unsigned) []mint.Digest {
	digests := make([]mint.Digest, len(list))
	for i := range list {
		digests[i] = mint.TokenDigest(list[i].Header, list[i].Payload)
	}
	return digests
}

// certified is what a signer knows receipt keys by.
func certified(d mint.Document) func(mint.KeyID) bool {
	keyOf := keyOfDocument(d)
	return func(id mint.KeyID) bool { return keyOf(id) != nil }
}

func keyOfDocument(d mint.Document) func(mint.KeyID) ed25519.PublicKey {
	root, err := decode(d.Root)
	if err != nil {
		panic(err)
	}
	return func(id mint.KeyID) ed25519.PublicKey {
		for _, c := range d.ReceiptKeys {
			if c.ID == id.String() {
				public, _ := c.Verify(root)
				return public
			}
		}
		return nil
	}
}

// issuer is a tenant with an active key, as the signer has it.
type issuer struct {
	tenant, url string
	key         mint.Key
	idKey       mint.Key // of ID tokens, if it has any
}

func policyEntry(tenant, url string, version int) *mint.Entry {
	return &mint.Entry{Kind: mint.PolicyChanged, Tenant: tenant, Issuer: url, Actor: "uid:0", Detail: []mint.Field{
		{Name: "digest", Value: hash{1}.String()}, {Name: "version", Value: fmt.Sprint(version)}}}
}

// newKey makes the public record of a key that was never staged.
func newKey(t testing.TB, tenant, url string, now time.Time) mint.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	k := mint.Key{Tenant: tenant, Issuer: url, Family: mint.FamilyAccess, Alg: "ES256", Kinds: mint.FamilyAccess.Kinds(),
		JWK:       map[string]string{"kty": "EC", "crv": "P-256", "x": rawURL.EncodeToString(point[1:33]), "y": rawURL.EncodeToString(point[33:])},
		NotBefore: now.Add(-time.Minute).Unix(), SigningEnds: now.Add(30 * 24 * time.Hour).Unix(), Expires: now.Add(31 * 24 * time.Hour).Unix()}
	sum, err := thumbprint(k.Alg, k.JWK)
	if err != nil {
		t.Fatal(err)
	}
	k.Thumbprint = rawURL.EncodeToString(sum[:])
	k.KID = k.Thumbprint[:16]
	return k
}

// step returns the next step of k, and k after it.
func step(k *mint.Key, kind mint.EntryKind) mint.KeyRecord {
	k.Epoch++
	return mint.KeyRecord{Kind: kind, Key: *k, Actor: "signer"}
}

// issuer records a tenant with an active key.
func (p *peer) issuer(tenant string, now time.Time) *issuer {
	p.t.Helper()
	i := &issuer{tenant: tenant, url: "https://id.example/" + tenant}
	if _, err := p.entries(policyEntry(tenant, i.url, 1)); err != nil {
		p.t.Fatalf("policy: %v", err)
	}
	i.key = newKey(p.t, tenant, i.url, now)
	if _, err := p.steps(step(&i.key, mint.KeyStaged), step(&i.key, mint.KeyActivated)); err != nil {
		p.t.Fatalf("steps: %v", err)
	}
	return i
}

// token returns the bytes of a token as a signer builds them.
func (i *issuer) token(now time.Time, change ...func(*mint.Token)) mint.Unsigned {
	tok := mint.Token{Alg: i.key.Alg, KID: i.key.KID, Kind: mint.AccessToken, Issuer: i.url, Subject: "ci", Audience: []string{"https://api.example"},
		ClientID: "ci", Scope: "read", JTI: mint.NewJTI(), IssuedAt: now.Unix(), Expires: now.Unix() + 300}
	for _, c := range change {
		c(&tok)
	}
	return mint.Unsigned{Header: tok.Header(nil), Payload: tok.Payload(nil), Evidence: [32]byte{7}}
}

// forPeople records an active key for ID tokens of an issuer.
func (p *peer) forPeople(i *issuer, now time.Time) {
	p.t.Helper()
	i.idKey = newKey(p.t, i.tenant, i.url, now)
	i.idKey.Family, i.idKey.Kinds = mint.FamilyID, mint.FamilyID.Kinds()
	if _, err := p.steps(step(&i.idKey, mint.KeyStaged), step(&i.idKey, mint.KeyActivated)); err != nil {
		p.t.Fatalf("steps: %v", err)
	}
}

var someSignIn = mint.SignIn{ACR: "phr", AMR: []string{"hwk", "user"}, Session: "session-7"}

// idToken returns the bytes of an ID token as a signer builds them.
func (i *issuer) idToken(now time.Time, change ...func(*mint.Token)) mint.Unsigned {
	tok := mint.Token{Alg: i.idKey.Alg, KID: i.idKey.KID, Kind: mint.IDToken, Issuer: i.url, Subject: "ada", Audience: []string{"web"},
		Nonce: "n-1", SignIn: someSignIn, JTI: mint.NewJTI(), IssuedAt: now.Unix(), Expires: now.Unix() + 300}
	tok.AuthTime = now.Unix() - 60
	for _, c := range change {
		c(&tok)
	}
	return mint.Unsigned{Header: tok.Header(nil), Payload: tok.Payload(nil), Evidence: [32]byte{7}}
}

// personToken returns the bytes of an access token of somebody who signed in.
func (i *issuer) personToken(now time.Time, change ...func(*mint.Token)) mint.Unsigned {
	return i.token(now, append([]func(*mint.Token){func(tok *mint.Token) {
		tok.Subject, tok.ClientID, tok.SignIn, tok.AuthTime = "ada", "web", someSignIn, now.Unix()-60
		tok.KeyThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	}}, change...)...)
}

// ready is a rig with a signer's connection and one issuer.
func ready(t testing.TB) (*rig, *peer, *issuer) {
	t.Helper()
	r := newRig(t)
	p := r.dial(Signer)
	p.mustHello()
	return r, p, p.issuer("acme", r.clock.now())
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func isRefusal(err error, code mint.Code) bool {
	var r *mint.Refusal
	return errors.As(err, &r) && r.Code == code
}

// nthEntry reads one entry from the log of a rig with a real disk.
func nthEntry(t *testing.T, r *rig, n uint64) (raw []byte) {
	t.Helper()
	firsts, err := segments(r.l.disk)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openSegment(r.l.disk, firsts[segmentOf(firsts, n)])
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for c := new(chunk); ; {
		if err := s.read(c); err != nil {
			t.Fatalf("entry %d: %v", n, err)
		}
		for i := range c.batches {
			b := &c.batches[i]
			if n < b.end() {
				b.each(func(at int, entry []byte) error {
					if b.first+uint64(at) == n {
						raw = append([]byte(nil), entry...)
					}
					return nil
				})
				return raw
			}
		}
	}
}

func removeFile(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
