package signer

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/mint"
)

const (
	rootFile     = "ledger-root"
	documentFile = "ledger-document"
	headFile     = "head"
	// ledgerTime bounds one call of the ledger. It is long: a disk may take its time, and an answer that was not waited
	// for leaves a step in doubt.
	ledgerTime = 10 * time.Second
)

var errLedgerAway = mint.Refuse(mint.Unavailable, "the ledger is restarting or unreachable; try again in a second")

// errNoAnswer reports a question that may have been acted on, for nobody knows: its answer never came.
var errNoAnswer = errors.New("no answer")

var rawURL = base64.RawURLEncoding.Strict()

// link is the way to the ledger, and what the signer believes of it: one root, pinned at the first contact, the receipt
// keys which that root certified, and the head.
type link struct {
	log  *slog.Logger
	disk *disk
	head *mint.HeadFile
	dial mint.Dial
	now  func() time.Time

	root     ed25519.PublicKey // nil before the first contact; set once, before anything that reads it
	trusted  atomic.Pointer[trusted]
	seal     atomic.Pointer[mint.Seal] // of the present connection, once hello was said on it
	caller   *mint.Caller
	greet    chan struct{} // capacity 1: there is a new connection, say hello
	newWords func()        // told when the document has changed

	mu      sync.Mutex
	dialled uint64        // number of the present connection
	ready   bool          // hello was said on it and everything fits
	up      chan struct{} // closed while ready
	greeted bool
	apart   time.Duration // the ledger's clock minus ours, at the last hello
}

// trusted is the ledger's document, checked.
type trusted struct {
	document mint.Document
	keys     map[mint.KeyID]receiptKey
}

type receiptKey struct {
	public   ed25519.PublicKey
	nbf, exp int64 // Unix seconds
}

// openLink reads what is remembered of the ledger.
func openLink(d *disk, dial mint.Dial, now func() time.Time, log *slog.Logger) (*link, error) {
	l := &link{log: log, disk: d, dial: dial, now: now, greet: make(chan struct{}, 1), up: make(chan struct{})}
	root, err := d.read(rootFile)
	if err == nil {
		l.root, err = readRoot(strings.TrimSpace(string(root)))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, refused("the pinned ledger root cannot be read: %w; restore %s from a backup", err, d.path(rootFile))
	}
	var document mint.Document
	if l.root != nil {
		err := d.readJSON(documentFile, &document)
		if err == nil {
			err = l.trust(document)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, refused("the remembered ledger document cannot be used: %w; remove %s, the ledger will tell it again", err, d.path(documentFile))
		}
	}
	if l.head, err = mint.OpenHeadFile(d.path(headFile)); err != nil {
		return nil, refused("%w", err)
	}
	return l, nil
}

func readRoot(text string) (ed25519.PublicKey, error) {
	root, err := rawURL.DecodeString(text)
	if err != nil || len(root) != ed25519.PublicKeySize || rawURL.EncodeToString(root) != text {
		return nil, errors.New("not an Ed25519 public key")
	}
	return root, nil
}

// trust checks a document under the pinned root and takes over its receipt keys.
func (l *link) trust(document mint.Document) error {
	root, err := readRoot(document.Root)
	if err != nil {
		return fmt.Errorf("ledger document: %w", err)
	}
	if !root.Equal(l.root) {
		return fmt.Errorf("ledger document: the root is %s, and %s was pinned at the first contact", mint.Pin(root), mint.Pin(l.root))
	}
	next := &trusted{document: document, keys: map[mint.KeyID]receiptKey{}}
	for i := range document.ReceiptKeys {
		c := &document.ReceiptKeys[i]
		public, err := c.Verify(root)
		if err != nil {
			return err
		}
		next.keys[mint.LedgerKeyID(public)] = receiptKey{public, c.NotBefore, c.Expires}
	}
	if len(next.keys) == 0 {
		return errors.New("ledger document: no receipt key")
	}
	l.trusted.Store(next)
	return nil
}

// stated reports whether the pinned root stated exactly this key.
func (l *link) stated(k *mint.Key) bool {
	thumbprint, err := rawURL.DecodeString(k.Thumbprint)
	if l.root == nil || err != nil || len(thumbprint) != 32 {
		return false
	}
	statement := mint.Statement{Issuer: k.Issuer, KID: k.KID, Thumbprint: [32]byte(thumbprint), Alg: k.Alg, Kinds: k.Kinds,
		NotBefore: k.NotBefore, SigningEnds: k.SigningEnds, Expires: k.Expires}
	return statement.Verify(l.root, k.Statement)
}

// start connects for as long as ctx lasts. Each new connection counts for nothing before hello was said on it.
func (l *link) start(ctx context.Context) {
	dial := func(ctx context.Context) (net.Conn, error) {
		l.unready()
		return l.dial(ctx)
	}
	l.caller = mint.NewCaller(ctx, dial, func() {
		select {
		case l.greet <- struct{}{}:
		default:
		}
	})
}

// connection numbers the present connection, so that a hello counts only for the one it was said on.
func (l *link) connection() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dialled
}

// setReady lets everybody use the connection, if it is still the one with this number.
func (l *link) setReady(connection uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if connection == l.dialled && !l.ready {
		l.ready = true
		close(l.up)
	}
}

// unready begins a time without a usable connection.
func (l *link) unready() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dialled++
	if l.ready {
		l.ready = false
		l.up = make(chan struct{})
	}
}

// isReady reports whether the ledger can be asked now.
func (l *link) isReady() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready
}

// await waits until the ledger can be asked, at most [mint.Patience].
func (l *link) await(ctx context.Context) error {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	select {
	case <-up:
		return nil
	default:
	}
	timer := time.NewTimer(mint.Patience)
	defer timer.Stop()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return errLedgerAway
}

// doubt ends the connection: what the ledger knows must be asked again.
func (l *link) doubt() {
	l.unready()
	l.caller.Break()
}

// ask says hello, checks what the answer says about the ledger itself, and returns it. What it says about keys and
// policies is for [Signer.reconcile]. On a connection that is new, share is given, and the seal of its answers agreed on.
func (l *link) ask(ctx context.Context, share *mint.Share) (*mint.Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTime)
	defer cancel()
	asked := l.now()
	hello, err := l.caller.Hello(ctx, l.head.Head(), share)
	if err != nil {
		if refusal := (*mint.Refusal)(nil); errors.As(err, &refusal) && refusal.Code == mint.StateRolledBack {
			return nil, refused("the ledger is not the one this signer remembers: %s; do not go on with a log that lost entries: restore the newest copy of the ledger's directory, and check it with `seawall log verify`", refusal.Detail)
		}
		return nil, err
	}
	if err := l.introduce(hello.Document); err != nil {
		return nil, err
	}
	if share != nil {
		seal, err := share.Agree(l.root, hello.Share, hello.ShareSignature)
		if err != nil {
			l.log.Error("alarm: whoever answers is not the ledger that was pinned", "error", err)
			return nil, err
		}
		l.seal.Store(seal)
	}
	if hello.Size > 0 {
		head, err := hello.Head()
		if err != nil {
			return nil, err
		}
		if err := l.remember(head); err != nil {
			return nil, err
		}
	}
	answered := l.now()
	l.mu.Lock()
	// Two clocks can be compared only in a conversation that was short: this host may have slept in the middle of it.
	l.greeted = answered.Sub(asked).Abs() < ledgerTime
	l.apart = time.UnixMilli(int64(hello.Now)).Sub(answered)
	l.mu.Unlock()
	return hello, nil
}

// introduce pins the root at the first contact and refuses every other afterwards.
func (l *link) introduce(document mint.Document) error {
	before := l.trusted.Load()
	if before != nil && sameDocument(&before.document, &document) {
		return nil
	}
	if l.root == nil {
		root, err := readRoot(document.Root)
		if err != nil {
			return refused("the ledger's root: %w", err)
		}
		if err := l.disk.write(rootFile, []byte(document.Root+"\n")); err != nil {
			return err
		}
		l.root = root
		l.log.Info("ledger root pinned", "pin", mint.Pin(root))
	}
	if err := l.trust(document); err != nil {
		l.log.Error("alarm: the ledger is not the one that was pinned", "error", err)
		return refused("%w; somebody put another ledger in its place: find out who before you go on", err)
	}
	if err := l.disk.writeJSON(documentFile, document); err != nil {
		return err
	}
	if l.newWords != nil {
		l.newWords()
	}
	return nil
}

func sameDocument(a, b *mint.Document) bool {
	return a.Root == b.Root && slices.Equal(a.ReceiptKeys, b.ReceiptKeys)
}

// remember notes a head. An error means that the signer can't go on: the log was replaced, or its own disk fails.
func (l *link) remember(head mint.Head) error {
	err := l.head.Remember(head)
	if err == nil {
		return nil
	}
	l.log.Error("alarm: the ledger's head cannot be remembered", "error", err)
	return refused("%w", err)
}

// call sends a message on the present connection and waits for its answer. Unlike [mint.Caller.Call] it does not wait for
// another connection: on that, hello comes first.
func (l *link) call(ctx context.Context, typ mint.MsgType, fill func([]byte) []byte) ([]byte, error) {
	type answer struct {
		body []byte
		err  error
	}
	answered := make(chan answer, 1)
	l.caller.Go(typ, fill, func(body []byte, err error) {
		answered <- answer{slices.Clone(body), err}
	})
	timer := time.NewTimer(ledgerTime)
	defer timer.Stop()
	select {
	case a := <-answered:
		if a.err == nil {
			return a.body, nil
		}
	case <-ctx.Done():
	case <-timer.C:
	}
	return nil, fmt.Errorf("%w: %w", errNoAnswer, errLedgerAway)
}

// unsure reports whether after err nobody knows if the ledger did what it was asked. A refusal is an answer.
func unsure(err error) bool {
	refusal := (*mint.Refusal)(nil)
	return errors.Is(err, errNoAnswer) || !errors.As(err, &refusal)
}

// notNow reports whether err is a refusal that may be none a little later.
func notNow(err error) bool {
	return errors.Is(err, mint.Refuse(mint.Unavailable, "")) || errors.Is(err, mint.Refuse(mint.Busy, ""))
}

// control asks the ledger something in JSON and remembers the head that the answer tells.
func (l *link) control(ctx context.Context, typ mint.MsgType, fill func([]byte) []byte, answer interface{ Head() (mint.Head, error) }) error {
	if !l.isReady() {
		return errLedgerAway
	}
	body, err := l.call(ctx, typ, fill)
	if err != nil {
		return err
	}
	if err := mint.ReadJSONAnswer(body, answer); err != nil {
		return err
	}
	head, err := answer.Head()
	if err != nil {
		return err
	}
	return l.remember(head)
}

// recordSteps has steps of keys recorded, all or none.
func (l *link) recordSteps(ctx context.Context, steps []mint.KeyRecord) (*mint.KeysRecorded, error) {
	question, err := json.Marshal(mint.KeyRecords{Steps: steps})
	if err != nil {
		return nil, err
	}
	recorded := new(mint.KeysRecorded)
	if err := l.control(ctx, mint.MsgKey, func(b []byte) []byte { return append(b, question...) }, recorded); err != nil {
		return nil, err
	}
	if len(recorded.Statements) != len(steps) {
		return nil, fmt.Errorf("%w: the ledger made %d statements for %d steps", mint.ErrMalformed, len(recorded.Statements), len(steps))
	}
	return recorded, nil
}

// recordEntry has one of the signer's own entries recorded and returns its number.
func (l *link) recordEntry(ctx context.Context, e *mint.Entry) (uint64, error) {
	recorded := new(mint.Appended)
	fill := func(b []byte) []byte { return mint.AppendEntries(b, []*mint.Entry{e}) }
	if err := l.control(ctx, mint.MsgEntries, fill, recorded); err != nil {
		return 0, err
	}
	return recorded.Sequence, nil
}

// recordTokens has tokens recorded and returns the ledger's word on each, verified: digests are those this signer
// computed itself.
func (l *link) recordTokens(ctx context.Context, list []mint.Unsigned, digests []mint.Digest) (mint.Head, []mint.Recorded, error) {
	body, err := l.call(ctx, mint.MsgTokens, func(b []byte) []byte { return mint.AppendTokens(b, list) })
	if err != nil {
		return mint.Head{}, nil, err
	}
	return l.readRecorded(body, digests)
}

// recordSoon is recordTokens for callers that do not wait: done is called once, on the goroutine that reads the ledger's
// answers or on that of a timer.
func (l *link) recordSoon(list []mint.Unsigned, digests []mint.Digest, done func(mint.Head, []mint.Recorded, error)) {
	var answered atomic.Bool
	timer := time.AfterFunc(ledgerTime, func() {
		if !answered.Swap(true) {
			done(mint.Head{}, nil, fmt.Errorf("%w: %w", errNoAnswer, errLedgerAway))
		}
	})
	l.caller.Go(mint.MsgTokens, func(b []byte) []byte { return mint.AppendTokens(b, list) }, func(body []byte, err error) {
		if answered.Swap(true) {
			return
		}
		timer.Stop()
		if err != nil {
			l.doubt() // the next message waits for the next connection instead of failing on this one
			done(mint.Head{}, nil, fmt.Errorf("%w: %w", errNoAnswer, errLedgerAway))
			return
		}
		done(l.readRecorded(body, digests))
	})
}

func (l *link) readRecorded(body []byte, digests []mint.Digest) (mint.Head, []mint.Recorded, error) {
	keys := l.trusted.Load().keys
	certified := func(id mint.KeyID) bool { return keys[id].public != nil }
	head, recorded, err := mint.ReadRecorded(body, l.seal.Load(), digests, certified)
	if err != nil {
		l.doubt() // another document, perhaps: hello tells it
		return head, nil, err
	}
	return head, recorded, l.remember(head)
}

// receiptFits reports whether a receipt is one that a validator would accept for a token issued at iat: by a certified
// key, inside that key's window, within a minute, and part of the log up to head.
func (l *link) receiptFits(r *mint.Receipt, iat int64, head mint.Head) bool {
	key, ok := l.trusted.Load().keys[r.Key()]
	ms := int64(r.Millis())
	return ok && ms >= key.nbf*1000 && ms < key.exp*1000 && r.Sequence() < head.Size &&
		ms-iat*1000 <= mint.MaxClockDrift && iat*1000-ms <= mint.MaxClockDrift
}

// clocks returns the time of the ledger's last entry and, as of the last hello, what its clock shows now; 0 for unknown.
func (l *link) clocks(now time.Time) (last, theirs uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.greeted {
		theirs = uint64(now.Add(l.apart).UnixMilli())
	}
	return l.head.Head().Millis, theirs
}
