package mint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Contexts of the distrust feed (docs/formats.md).
const (
	contextDistrust = "seawall-distrust-statement-v1\x00"
	contextChain    = "seawall-distrust-chain-v1\x00"
	contextFeedHead = "seawall-distrust-head-v1\x00"
	contextSnapshot = "seawall-distrust-snapshot-v1\x00"
)

// HeadLife is how long the head of a feed counts, in milliseconds: who has heard nothing for longer may have been kept
// from hearing.
const HeadLife = 60_000

// Act is what a statement of a feed does.
type Act string

// The acts.
const (
	ActDistrust Act = "distrust"
	ActRestore  Act = "restore"
)

// DistrustKind is what a statement of a feed names.
type DistrustKind string

// The kinds, and what of a token each is compared with.
const (
	DistrustKey     DistrustKind = "key"     // kid
	DistrustToken   DistrustKind = "token"   // jti
	DistrustSession DistrustKind = "session" // sid
	DistrustSubject DistrustKind = "subject" // sub
	DistrustClient  DistrustKind = "client"  // client_id, azp
)

// Reason is why something is distrusted, or believed again. None of them says anything about a person.
type Reason string

// The reasons.
const (
	KeyCompromise   Reason = "key-compromise"
	LeakedToken     Reason = "leaked-token"
	ProviderHygiene Reason = "provider-hygiene"
	ByAdmin         Reason = "admin"
	ByUser          Reason = "user"
	Mistake         Reason = "mistake"
)

// Reasons lists every reason there is.
func Reasons() []Reason {
	return []Reason{KeyCompromise, LeakedToken, ProviderHygiene, ByAdmin, ByUser, Mistake}
}

// Known reports whether r is one of the reasons.
func (r Reason) Known() bool { return slices.Contains(Reasons(), r) }

// Distrust is one statement of an issuer's feed, as a ledger root makes it. Its JSON form is that of docs/formats.md.
type Distrust struct {
	Issuer    string       `json:"issuer"`
	N         uint64       `json:"n"`
	Prev      Digest       `json:"prev"` // chain of n-1
	Act       Act          `json:"act"`
	Kind      DistrustKind `json:"kind"`
	Value     string       `json:"value"`
	Before    int64        `json:"before"` // Unix seconds; 0: tokens of any time
	Until     int64        `json:"until"`  // Unix seconds
	Undoes    uint64       `json:"undoes"` // of a restore: the statement it takes back
	Reason    Reason       `json:"reason"`
	Millis    uint64       `json:"time"` // Unix milliseconds
	Signature string       `json:"signature"`
}

func appendStr(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

func appendU64(b []byte, list ...uint64) []byte {
	for _, n := range list {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func (d *Distrust) input() []byte {
	b := appendStr([]byte(contextDistrust), d.Issuer)
	b = appendU64(b, d.N)
	b = append(b, d.Prev[:]...)
	b = appendStr(appendStr(appendStr(b, string(d.Act)), string(d.Kind)), d.Value)
	b = appendU64(b, uint64(d.Before), uint64(d.Until), d.Undoes)
	return appendU64(appendStr(b, string(d.Reason)), d.Millis)
}

// Chain returns the chain of n, which the next statement continues.
func (d *Distrust) Chain() Digest {
	return sha256.Sum256(append([]byte(contextChain), d.input()...))
}

// Sign signs d under root.
func (d *Distrust) Sign(root ed25519.PrivateKey) {
	d.Signature = rawURL.EncodeToString(ed25519.Sign(root, d.input()))
}

// Verify reports whether root made the statement.
func (d *Distrust) Verify(root ed25519.PublicKey) bool { return signedBy(root, d.input(), d.Signature) }

// LiveAt reports whether d still concerns any token at a time in Unix milliseconds, leaving aside that a later statement
// may have taken it back.
func (d *Distrust) LiveAt(ms uint64) bool {
	return d.Act == ActDistrust && d.Until > 0 && uint64(d.Until) > ms/1000
}

func signedBy(root ed25519.PublicKey, input []byte, signature string) bool {
	sig, err := decode64(signature)
	return err == nil && len(root) == ed25519.PublicKeySize && ed25519.Verify(root, input, sig)
}

// FeedHead says that an issuer's feed ended with the statement N at a time. Who has it, while it has not expired, and
// every statement up to N, knows that none was held back before that time.
type FeedHead struct {
	Issuer    string `json:"issuer"`
	N         uint64 `json:"n"`
	Chain     Digest `json:"chain"`
	Millis    uint64 `json:"time"`    // Unix milliseconds
	Expires   uint64 `json:"expires"` // Unix milliseconds
	Signature string `json:"signature"`
}

func (h *FeedHead) input() []byte {
	b := appendStr([]byte(contextFeedHead), h.Issuer)
	b = append(appendU64(b, h.N), h.Chain[:]...)
	return appendU64(b, h.Millis, h.Expires)
}

// Sign signs h under root.
func (h *FeedHead) Sign(root ed25519.PrivateKey) {
	h.Signature = rawURL.EncodeToString(ed25519.Sign(root, h.input()))
}

// Verify reports whether root signed h.
func (h *FeedHead) Verify(root ed25519.PublicKey) bool { return signedBy(root, h.input(), h.Signature) }

// Snapshot is a head together with the statements that were live at its time, in the order of their numbers. Its
// signature is its own, and not the head's.
type Snapshot struct {
	Issuer     string     `json:"issuer"`
	N          uint64     `json:"n"`
	Chain      Digest     `json:"chain"`
	Millis     uint64     `json:"time"`
	Expires    uint64     `json:"expires"`
	Statements []Distrust `json:"statements"`
	Signature  string     `json:"signature"`
}

// liveDigest is how the signature of a snapshot covers its statements.
func liveDigest(list []Distrust) Digest {
	h := sha256.New()
	for i := range list {
		input := list[i].input()
		h.Write(appendU64(nil, uint64(len(input))))
		h.Write(input)
	}
	return Digest(h.Sum(nil))
}

func (s *Snapshot) input() []byte {
	b := appendStr([]byte(contextSnapshot), s.Issuer)
	b = append(appendU64(b, s.N), s.Chain[:]...)
	live := liveDigest(s.Statements)
	return appendU64(append(b, live[:]...), s.Millis, s.Expires)
}

// Sign signs s under root.
func (s *Snapshot) Sign(root ed25519.PrivateKey) {
	s.Signature = rawURL.EncodeToString(ed25519.Sign(root, s.input()))
}

// Verify reports whether root signed the snapshot. Whether it signed each statement is another question.
func (s *Snapshot) Verify(root ed25519.PublicKey) bool { return signedBy(root, s.input(), s.Signature) }
