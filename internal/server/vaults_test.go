package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
)

var b64 = base64.RawURLEncoding

// fakeVaults are a signer and a ledger that can be made to misbehave. They sign for real, so that what they issue stands
// up to package validate.
type fakeVaults struct {
	t   testing.TB
	now func() time.Time

	mu         sync.Mutex
	signerAway bool
	ledgerAway bool
	conns      []net.Conn
	root       ed25519.PrivateKey
	receiptKey ed25519.PrivateKey
	document   mint.Document
	generation uint64
	keys       []mint.Key
	private    map[string]*ecdsa.PrivateKey // by kid
	policies   map[string]mint.Policy
	applied    []mint.Policy
	entries    []*mint.Entry
	size       uint64
	refuse     map[mint.MsgType]*mint.Refusal
	rolledBack bool
	frozen     string
	young      map[mint.Family]bool       // whose spare can't take over yet
	feeds      map[string][]mint.Distrust // by issuer
	stated     uint64                     // in all of them
	forge      func(*mint.Feed)           // what a ledger in the wrong hands does to its answers
	minted     int
	asked      atomic.Int64 // mint messages that have come in
}

func newFakeVaults(t testing.TB, now func() time.Time) *fakeVaults {
	v := &fakeVaults{t: t, now: now, private: map[string]*ecdsa.PrivateKey{}, policies: map[string]mint.Policy{}, refuse: map[mint.MsgType]*mint.Refusal{}, feeds: map[string][]mint.Distrust{}, generation: 1, size: 1}
	v.newLedger()
	return v
}

// newLedger gives the vaults another root.
func (v *fakeVaults) newLedger() {
	v.root, v.receiptKey = newEd25519(), newEd25519()
	nbf := v.now().Add(-time.Hour).Unix()
	cert := mint.Certify(v.root, v.receiptKey.Public().(ed25519.PublicKey), nbf, nbf+365*86400)
	v.document = mint.Document{Root: b64.EncodeToString(v.root.Public().(ed25519.PublicKey)), ReceiptKeys: []mint.Certificate{cert}}
}

func newEd25519() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func (v *fakeVaults) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

// hangUp breaks every connection.
func (v *fakeVaults) hangUp() {
	v.mu.Lock()
	conns := v.conns
	v.conns = nil
	v.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

func (v *fakeVaults) dial(away *bool, serve func(mint.Frame, *mint.FrameWriter)) mint.Dial {
	return func(ctx context.Context) (net.Conn, error) {
		for {
			v.mu.Lock()
			gone := *away
			v.mu.Unlock()
			if !gone {
				break
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		near, far := net.Pipe()
		v.set(func() { v.conns = append(v.conns, near) })
		go func() {
			defer far.Close()
			r, w := mint.NewFrameReader(far), mint.NewFrameWriter(far)
			for {
				f, err := r.Next(true)
				if err != nil {
					return
				}
				serve(f, w)
			}
		}()
		return near, nil
	}
}

func (v *fakeVaults) signer() mint.Dial { return v.dial(&v.signerAway, v.serveSigner) }
func (v *fakeVaults) ledger() mint.Dial { return v.dial(&v.ledgerAway, v.serveLedger) }

func (v *fakeVaults) head() mint.Head {
	return mint.Head{Size: v.size, Millis: uint64(v.now().UnixMilli()), Batch: sha256.Sum256([]byte{byte(v.size), byte(v.size >> 8)})}
}

func (v *fakeVaults) serveSigner(f mint.Frame, w *mint.FrameWriter) {
	if f.Type == mint.MsgMint {
		v.asked.Add(1)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if f.Type == mint.MsgMint {
		v.mintAll(f, w)
		return
	}
	answer, refusal := any(nil), v.refuse[f.Type]
	if refusal == nil {
		answer, refusal = v.control(f)
	}
	var err error
	if refusal != nil {
		err = refusal
	}
	_ = w.WriteJSON(f.Type, f.ID, answer, err)
}

func (v *fakeVaults) control(f mint.Frame) (any, *mint.Refusal) {
	switch f.Type {
	case mint.MsgHealth:
		return mint.Health{Level: "test", Custody: "memory", Frozen: v.frozen, Ledger: !v.ledgerAway}, nil
	case mint.MsgKeys:
		var q mint.KeysQuery
		_ = json.Unmarshal(f.Body, &q)
		if q.After == v.generation {
			return mint.Keys{Generation: v.generation, Frozen: v.frozen}, nil
		}
		return mint.Keys{Generation: v.generation, Ledger: v.document, Keys: v.keys, Frozen: v.frozen}, nil
	case mint.MsgPolicy:
		var p mint.Policy
		_ = json.Unmarshal(f.Body, &p)
		if p.Version != v.policies[p.Tenant].Version+1 {
			return nil, mint.Refuse(mint.PolicyVersion, "%d is not the next version", p.Version)
		}
		v.policies[p.Tenant] = p
		v.applied = append(v.applied, p)
		for _, family := range mint.Families() {
			if _, known := v.keyOf(p.Tenant, family); !known && (family == mint.FamilyAccess || len(p.Clients) > 0) {
				v.newKey(p, family)
			}
		}
		return mint.PolicyApplied{Version: p.Version}, nil
	case mint.MsgRotate:
		var q mint.Rotate
		_ = json.Unmarshal(f.Body, &q)
		if v.young[q.Family] {
			return nil, mint.Refuse(mint.SpareTooYoung, "the spare is too young")
		}
		return mint.Rotated{From: "old-" + string(q.Family), To: "new-" + string(q.Family)}, nil
	case mint.MsgClock:
		return mint.ClockAccepted{Was: v.frozen}, nil
	}
	return nil, mint.Refuse(mint.Malformed, "unknown message")
}

// keyOf returns the key of a tenant that signs a family's tokens.
func (v *fakeVaults) keyOf(tenant string, family mint.Family) (mint.Key, bool) {
	i := slices.IndexFunc(v.keys, func(k mint.Key) bool { return k.Tenant == tenant && k.Family == family })
	if i < 0 {
		return mint.Key{}, false
	}
	return v.keys[i], true
}

func (v *fakeVaults) newKey(p mint.Policy, family mint.Family) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		v.t.Error(err)
		return
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		v.t.Error(err)
		return
	}
	x, y := b64.EncodeToString(point[1:33]), b64.EncodeToString(point[33:])
	thumbprint := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	now := v.now()
	k := mint.Key{Tenant: p.Tenant, Issuer: p.Issuer, KID: b64.EncodeToString(thumbprint[:9]), Family: family, Alg: "ES256", Kinds: family.Kinds(),
		JWK: map[string]string{"kty": "EC", "crv": "P-256", "x": x, "y": y}, Thumbprint: b64.EncodeToString(thumbprint[:]),
		PublishedAt: now.Unix(), ActivatedAt: now.Unix(), Epoch: 2}
	k.NotBefore, k.SigningEnds, k.Expires = keyring.Windows(keyring.Rules{Rotation: keyring.DefaultRotation, MaxLifetime: time.Hour}, now)
	v.state(&k, thumbprint)
	v.keys, v.private[k.KID] = append(slices.Clone(v.keys), k), private
	v.generation++
}

func (v *fakeVaults) state(k *mint.Key, thumbprint [32]byte) {
	s := mint.Statement{Issuer: k.Issuer, KID: k.KID, Thumbprint: thumbprint, Alg: k.Alg, Kinds: k.Kinds, NotBefore: k.NotBefore, SigningEnds: k.SigningEnds, Expires: k.Expires}
	k.Statement = s.Sign(v.root)
}

func (v *fakeVaults) mintAll(f mint.Frame, w *mint.FrameWriter) {
	list, err := mint.ReadRequests(f.Body)
	if err != nil {
		v.t.Error(err)
		return
	}
	answers := make([]mint.Answer, len(list))
	for i, encoded := range list {
		answers[i].Request = mint.RequestDigest(encoded)
		q, err := mint.ReadRequest(encoded)
		if err != nil {
			v.t.Error(err)
			return
		}
		if answers[i].Refusal = v.refuse[mint.MsgMint]; answers[i].Refusal == nil {
			answers[i].Token = v.token(q)
		}
	}
	head := v.head()
	_ = w.Write(f.Type, f.ID, func(b []byte) []byte { return mint.AppendAnswers(b, head, answers) })
}

func (v *fakeVaults) token(q *mint.Request) []byte {
	family, _ := q.Kind.Family()
	key, _ := v.keyOf(q.Tenant, family)
	now, t := v.now(), q.Token()
	t.Alg, t.KID, t.IssuedAt, t.Expires = "ES256", key.KID, now.Unix(), now.Unix()+q.Lifetime
	bare, payload := t.Header(nil), t.Payload(nil)
	receipt := mint.NewReceipt(v.receiptKey, mint.LedgerKeyID(v.receiptKey.Public().(ed25519.PublicKey)), v.size, uint64(now.UnixMilli()), mint.TokenDigest(bare, payload))
	v.size++
	v.minted++
	b := b64.AppendEncode(nil, mint.WithReceipt(nil, bare, &receipt))
	b = b64.AppendEncode(append(b, '.'), payload)
	return v.sign(b, key.KID)
}

// sign adds an ES256 signature (RFC 7518 §3.4): r and s side by side.
func (v *fakeVaults) sign(b []byte, kid string) []byte {
	sum := sha256.Sum256(b)
	r, s, err := ecdsa.Sign(rand.Reader, v.private[kid], sum[:])
	if err != nil {
		v.t.Error(err)
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return b64.AppendEncode(append(b, '.'), sig[:])
}

// state adds to an issuer's feed.
func (v *fakeVaults) stateFeed(q mint.StateQuery) mint.Distrust {
	list := v.feeds[q.Issuer]
	now := v.now()
	d := mint.Distrust{Issuer: q.Issuer, N: uint64(len(list) + 1), Act: q.Act, Kind: q.Kind, Value: q.Value, Before: q.Before, Until: now.Unix() + 3600,
		Undoes: q.Undoes, Reason: q.Reason, Millis: uint64(now.UnixMilli())}
	if q.Act == mint.ActRestore {
		old := list[q.Undoes-1]
		d.Kind, d.Value, d.Before, d.Until = old.Kind, old.Value, old.Before, old.Until
	}
	if len(list) > 0 {
		d.Prev = list[len(list)-1].Chain()
	}
	d.Sign(v.root)
	v.feeds[q.Issuer] = append(list, d)
	v.size++
	v.stated++
	return d
}

// feed answers as a ledger does that remembers only the last 100 statements.
func (v *fakeVaults) feed(q mint.FeedQuery) *mint.Feed {
	list := v.feeds[q.Issuer]
	ms := uint64(v.now().UnixMilli())
	a := &mint.Feed{Statements: []mint.Distrust{}, Head: mint.FeedHead{Issuer: q.Issuer, N: uint64(len(list)), Millis: ms, Expires: ms + mint.HeadLife}}
	if len(list) > 0 {
		a.Head.Chain = list[len(list)-1].Chain()
	}
	live := alive(follow(nil, list), ms)
	if live == nil {
		live = []mint.Distrust{}
	}
	from := list
	if q.Live {
		from = live
	} else if a.Gap = uint64(len(list)) > q.After+100; a.Gap {
		return a
	}
	for _, d := range from {
		if d.N > q.After {
			if a.More = len(a.Statements) == 40; a.More {
				break
			}
			a.Statements = append(a.Statements, d)
		}
	}
	a.Head.Sign(v.root)
	s := mint.Snapshot{Issuer: q.Issuer, N: a.Head.N, Chain: a.Head.Chain, Millis: ms, Expires: a.Head.Expires, Statements: live}
	s.Sign(v.root)
	a.Snapshot = s.Signature
	return a
}

// watch answers when a feed has grown.
func (v *fakeVaults) watch(f mint.Frame, w *mint.FrameWriter) {
	var q mint.WatchQuery
	_ = json.Unmarshal(f.Body, &q)
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		v.mu.Lock()
		n := v.stated + 1
		v.mu.Unlock()
		if n != q.Since || time.Now().After(end) {
			_ = w.WriteJSON(f.Type, f.ID, mint.Watched{Next: n, All: n != q.Since, Issuers: []string{}}, nil)
			return
		}
	}
}

func (v *fakeVaults) serveLedger(f mint.Frame, w *mint.FrameWriter) {
	if f.Type == mint.MsgWatch {
		go v.watch(f, w)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	answer, refusal := any(nil), v.refuse[f.Type]
	switch {
	case refusal != nil:
	case f.Type == mint.MsgHello:
		if v.rolledBack {
			refusal = mint.Refuse(mint.StateRolledBack, "shorter")
			break
		}
		h := v.head()
		answer = mint.Hello{Document: v.document, Size: h.Size, Millis: h.Millis, Batch: h.Batch.String(), Now: h.Millis}
	case f.Type == mint.MsgEntries:
		list, err := mint.ReadEntries(f.Body)
		if err != nil {
			refusal = mint.Refuse(mint.Malformed, "entries")
			break
		}
		first := v.size
		v.entries = append(v.entries, list...)
		v.size += uint64(len(list))
		h := v.head()
		answer = mint.Appended{Sequence: first, Size: h.Size, Millis: h.Millis, Batch: h.Batch.String()}
	case f.Type == mint.MsgState:
		var q mint.StateQuery
		_ = json.Unmarshal(f.Body, &q)
		d := v.stateFeed(q)
		h := v.head()
		answer = mint.Stated{Statement: d, Size: h.Size, Millis: h.Millis, Batch: h.Batch.String()}
	case f.Type == mint.MsgFeed:
		var q mint.FeedQuery
		_ = json.Unmarshal(f.Body, &q)
		a := v.feed(q)
		if v.forge != nil {
			v.forge(a)
		}
		answer = a
	case f.Type == mint.MsgCount:
		answer = mint.Counted{Tokens: 3, Clients: map[string]uint64{"ci": 3}, APIs: map[string]uint64{ordersAPI: 3}, Subjects: []string{"a"}, Last: v.now().Unix() + 60}
	default:
		refusal = mint.Refuse(mint.EntryNotAllowed, "")
	}
	var err error
	if refusal != nil {
		err = refusal
	}
	_ = w.WriteJSON(f.Type, f.ID, answer, err)
}

// recorded returns the entries of one kind.
func (v *fakeVaults) recorded(kind mint.EntryKind) (list []*mint.Entry) {
	v.set(func() {
		for _, e := range v.entries {
			if e.Kind == kind {
				list = append(list, e)
			}
		}
	})
	return list
}
