package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"seawall/internal/mint"
)

// testLedger is a small ledger in memory that speaks the wire: it keeps entries, states keys, makes receipts, and checks
// what it is told. Its faults are the ones a real one can have.
type testLedger struct {
	t    *testing.T
	path string // of its socket
	now  func() time.Time

	mu       sync.Mutex
	root     ed25519.PrivateKey
	key      ed25519.PrivateKey
	document mint.Document
	book
	// lose, if set, is asked after something was recorded; true closes the connection instead of answering.
	lose func(typ mint.MsgType) bool
	// refuse, if set, may refuse a message before anything is recorded.
	refuse func(typ mint.MsgType) *mint.Refusal
	// forge, if set, may alter the answer to tokens.
	forge func(body []byte) []byte
	// late is taken off the time of every receipt.
	late  time.Duration
	conns []net.Conn
	seal  *mint.Seal    // of the last connection that said hello
	asked []mint.Digest // the last tokens
	// impostor, if set, signs shares in the root's place.
	impostor ed25519.PrivateKey
}

// book is what a ledger has recorded.
type book struct {
	entries  []*mint.Entry
	head     mint.Head
	steps    map[string]mint.KeyStep
	keys     map[string]mint.Key
	policies map[string]uint64
}

func (b *book) clone() book {
	return book{slices.Clone(b.entries), b.head, maps.Clone(b.steps), maps.Clone(b.keys), maps.Clone(b.policies)}
}

func newTestLedger(t *testing.T, now func() time.Time) *testLedger {
	t.Helper()
	l := &testLedger{t: t, now: now, book: book{steps: map[string]mint.KeyStep{}, keys: map[string]mint.Key{}, policies: map[string]uint64{}}}
	l.found()
	dir, err := os.MkdirTemp("", "ledger") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	l.path = filepath.Join(dir, "s")
	listener, err := net.Listen("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.mu.Lock()
			l.conns = append(l.conns, conn)
			l.mu.Unlock()
			serving.Go(func() { l.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		l.hangUp()
		serving.Wait()
		os.RemoveAll(dir)
	})
	return l
}

// found makes a root and a receipt key, as another ledger would have.
func (l *testLedger) found() {
	_, l.root, _ = ed25519.GenerateKey(nil)
	l.newReceiptKey()
}

func (l *testLedger) newReceiptKey() {
	_, l.key, _ = ed25519.GenerateKey(nil)
	at := l.now().Unix()
	l.document = mint.Document{
		Root: base64.RawURLEncoding.EncodeToString(l.root.Public().(ed25519.PublicKey)),
		ReceiptKeys: []mint.Certificate{
			mint.Certify(l.root, l.key.Public().(ed25519.PublicKey), at-3600, at+400*86400),
		},
	}
}

func (l *testLedger) dial(ctx context.Context) (net.Conn, error) {
	l.mu.Lock()
	path := l.path
	l.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// hangUp ends every connection.
func (l *testLedger) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		conn.Close()
	}
	l.conns = nil
}

// count returns how many entries of a kind there are; of all kinds when it is empty.
func (l *testLedger) count(kind mint.EntryKind) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if kind == "" || e.Kind == kind {
			n++
		}
	}
	return n
}

func (l *testLedger) with(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *testLedger) serve(conn net.Conn) {
	defer conn.Close()
	r, w := mint.NewFrameReader(conn), mint.NewFrameWriter(conn)
	greeted := false
	for {
		f, err := r.Next(false)
		if err != nil {
			return
		}
		if !greeted && f.Type != mint.MsgHello {
			return // nobody is listened to before hello
		}
		greeted = true
		if !l.answer(w, f) {
			return
		}
	}
}

// answer returns false when the connection must end without one.
func (l *testLedger) answer(w *mint.FrameWriter, f mint.Frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		if r := l.refuse(f.Type); r != nil {
			return w.WriteJSON(f.Type, f.ID, nil, r) == nil
		}
	}
	if f.Type == mint.MsgTokens {
		body := l.tokens(f.Body)
		if l.lose != nil && l.lose(f.Type) {
			return false
		}
		if l.forge != nil {
			body = l.forge(body)
		}
		return w.Write(f.Type, f.ID, func(b []byte) []byte { return append(b, body...) }) == nil
	}
	answer, err := l.control(f)
	if err == nil && l.lose != nil && l.lose(f.Type) {
		return false
	}
	return w.WriteJSON(f.Type, f.ID, answer, err) == nil
}

func (l *testLedger) control(f mint.Frame) (any, error) {
	switch f.Type {
	case mint.MsgHello:
		var q mint.HelloQuery
		if err := mint.ReadJSON(f.Body, &q); err != nil {
			return nil, err
		}
		return l.hello(q)
	case mint.MsgKey:
		var q mint.KeyRecords
		if err := mint.ReadJSON(f.Body, &q); err != nil {
			return nil, err
		}
		return l.recordSteps(q)
	case mint.MsgEntries:
		list, err := mint.ReadEntries(f.Body)
		if err != nil {
			return nil, err
		}
		return l.recordEntries(list)
	}
	return nil, mint.Refuse(mint.EntryNotAllowed, "message %d", f.Type)
}

func (l *testLedger) append(e *mint.Entry) uint64 {
	e.Millis = uint64(l.now().UnixMilli())
	l.entries = append(l.entries, e)
	l.head.Size++
	l.head.Millis = e.Millis
	l.head.Batch = sha256.Sum256(append(binary.BigEndian.AppendUint64(l.head.Batch[:], l.head.Size), e.Append(nil)...))
	return l.head.Size - 1
}

func (l *testLedger) hello(q mint.HelloQuery) (*mint.Hello, error) {
	if q.Size > l.head.Size || q.Size == l.head.Size && q.Size > 0 && q.Batch != l.head.Batch.String() {
		return nil, mint.Refuse(mint.StateRolledBack, "the log has %d entries, and %d are remembered", l.head.Size, q.Size)
	}
	h := &mint.Hello{Document: l.document, Size: l.head.Size, Millis: l.head.Millis, Batch: l.head.Batch.String(),
		Policies: l.policies, Now: uint64(l.now().UnixMilli())}
	if q.Share != "" {
		root := l.root
		if l.impostor != nil {
			root = l.impostor
		}
		seal, share, signature, err := mint.AnswerShare(root, q.Share)
		if err != nil {
			return nil, err
		}
		l.seal, h.Share, h.ShareSignature = seal, share, signature
	}
	for _, kid := range slices.Sorted(maps.Keys(l.steps)) {
		h.Keys = append(h.Keys, l.steps[kid])
	}
	return h, nil
}

// before lists the states that a step may come from.
var before = map[mint.EntryKind][]mint.EntryKind{
	mint.KeyStaged:     {""},
	mint.KeyActivated:  {mint.KeyStaged},
	mint.KeyVerifyOnly: {mint.KeyActivated, mint.KeySuspended},
	mint.KeyRetired:    {mint.KeyStaged, mint.KeyVerifyOnly},
	mint.KeySuspended:  {mint.KeyStaged, mint.KeyActivated, mint.KeyVerifyOnly},
	mint.KeyRevoked:    {mint.KeyStaged, mint.KeyActivated, mint.KeyVerifyOnly, mint.KeySuspended},
}

func (l *testLedger) recordSteps(q mint.KeyRecords) (*mint.KeysRecorded, error) {
	saved := l.book.clone()
	answer := &mint.KeysRecorded{Sequence: l.head.Size}
	for i := range q.Steps {
		step := &q.Steps[i]
		k := &step.Key
		was := l.steps[k.KID]
		if !slices.Contains(before[step.Kind], was.State) || k.Epoch != was.Epoch+1 || l.policies[k.Tenant] == 0 {
			l.book = saved
			return nil, mint.Refuse(mint.KeyTransition, "%s of %s from %q at %d", step.Kind, k.KID, was.State, was.Epoch)
		}
		l.steps[k.KID] = mint.KeyStep{Tenant: k.Tenant, Issuer: k.Issuer, KID: k.KID, Epoch: k.Epoch, State: step.Kind}
		l.keys[k.KID] = *k
		l.append(&mint.Entry{Kind: step.Kind, Tenant: k.Tenant, Issuer: k.Issuer, KID: k.KID, Actor: step.Actor})
		answer.Statements = append(answer.Statements, l.state(step.Kind, k))
	}
	if n := l.activeKeys(q.Steps[0].Key.Tenant, q.Steps[0].Key.Family); n > 1 {
		l.book = saved
		return nil, mint.Refuse(mint.KeyTransition, "%d active keys", n)
	}
	answer.Size, answer.Millis, answer.Batch = l.head.Size, l.head.Millis, l.head.Batch.String()
	return answer, nil
}

func (l *testLedger) state(kind mint.EntryKind, k *mint.Key) string {
	if kind == mint.KeyRetired || kind == mint.KeySuspended || kind == mint.KeyRevoked {
		return ""
	}
	thumbprint, _ := base64.RawURLEncoding.DecodeString(k.Thumbprint)
	s := mint.Statement{Issuer: k.Issuer, KID: k.KID, Thumbprint: [32]byte(thumbprint), Alg: k.Alg, Kinds: k.Kinds,
		NotBefore: k.NotBefore, SigningEnds: k.SigningEnds, Expires: k.Expires}
	return s.Sign(l.root)
}

func (l *testLedger) activeKeys(tenant string, family mint.Family) (n int) {
	for kid, step := range l.steps {
		if step.Tenant == tenant && l.keys[kid].Family == family && step.State == mint.KeyActivated {
			n++
		}
	}
	return n
}

func (l *testLedger) recordEntries(list []*mint.Entry) (*mint.Appended, error) {
	for _, e := range list {
		if e.Kind == mint.PolicyChanged {
			i := slices.IndexFunc(e.Detail, func(f mint.Field) bool { return f.Name == "version" })
			version, err := strconv.ParseUint(e.Detail[i].Value, 10, 64)
			if err != nil || version != l.policies[e.Tenant]+1 {
				return nil, mint.Refuse(mint.PolicyVersion, "version %d after %d", version, l.policies[e.Tenant])
			}
			l.policies[e.Tenant] = version
		}
	}
	answer := &mint.Appended{Sequence: l.head.Size}
	for _, e := range list {
		l.append(e)
	}
	answer.Size, answer.Millis, answer.Batch = l.head.Size, l.head.Millis, l.head.Batch.String()
	return answer, nil
}

func (l *testLedger) tokens(body []byte) []byte {
	list, err := mint.ReadTokens(body)
	if err != nil {
		l.t.Errorf("the signer sent tokens that can't be read: %v", err)
		return nil
	}
	id := mint.LedgerKeyID(l.key.Public().(ed25519.PublicKey))
	var digests []mint.Digest
	var recorded []mint.Recorded
	for _, u := range list {
		digest := mint.TokenDigest(u.Header, u.Payload)
		digests = append(digests, digest)
		l.asked = digests
		refusal := l.token(&u, digest)
		if refusal != nil {
			recorded = append(recorded, mint.Recorded{Refusal: refusal})
			continue
		}
		recorded = append(recorded, mint.Recorded{Receipt: mint.NewReceipt(l.key, id, l.head.Size-1, l.head.Millis-uint64(l.late.Milliseconds()), digest)})
	}
	return mint.AppendRecorded(nil, l.seal, id, l.head, digests, recorded)
}

func (l *testLedger) token(u *mint.Unsigned, digest mint.Digest) *mint.Refusal {
	token, err := mint.ReadToken(u.Header, u.Payload)
	if err != nil {
		return mint.Refuse(mint.NotCanonical, "")
	}
	k := l.keys[token.KID]
	switch drift := token.IssuedAt*1000 - l.now().UnixMilli(); {
	case l.steps[token.KID].State != mint.KeyActivated:
		return mint.Refuse(mint.KeyNotActive, "")
	case k.Issuer != token.Issuer || k.Alg != token.Alg || !slices.Contains(k.Kinds, string(token.Kind)):
		return mint.Refuse(mint.KeyMismatch, "")
	case drift > mint.MaxClockDrift || drift < -mint.MaxClockDrift:
		return mint.Refuse(mint.ClockSkew, "")
	case token.IssuedAt >= k.SigningEnds || token.Expires > k.Expires:
		return mint.Refuse(mint.KeyOutlived, "")
	}
	l.append(&mint.Entry{Kind: mint.TokenIssued, Tenant: k.Tenant, Issuer: token.Issuer, Client: token.ClientID,
		Subject: token.Subject, KID: token.KID, TokenKind: string(token.Kind), Audience: token.Audience, JTI: token.JTI,
		IssuedAt: token.IssuedAt, Expires: token.Expires, Digest: digest})
	return nil
}
