package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// The contexts of the distrust feed.
const (
	contextDistrust      = "seawall-distrust-statement-v1\x00"
	contextDistrustChain = "seawall-distrust-chain-v1\x00"
	contextDistrustHead  = "seawall-distrust-head-v1\x00"
	contextDistrustShot  = "seawall-distrust-snapshot-v1\x00"
)

// Chain ties a statement of the distrust feed to all that came before it.
type Chain = [sha256.Size]byte

// Distrust is one statement of an issuer's distrust feed: what must not be believed any more, or may
// be believed again.
type Distrust struct {
	Issuer string
	N      uint64 // from 1, without a gap
	Prev   Chain  // of the statement before; zero for the first
	Act    string // distrust or restore
	Kind   string // key, token, session, subject or client
	Value  string // the name of the one it is about
	Before uint64 // Unix seconds; only tokens whose iat is lower. 0 for all
	Until  uint64 // Unix seconds; no token that it concerns is good at or after this time
	Undoes uint64 // for restore: the n of what it takes back
	Reason string
	Time   uint64 // Unix milliseconds
}

// AppendInput appends what the root signs.
func (d *Distrust) AppendInput(b []byte) []byte {
	b = appendStr(append(b, contextDistrust...), d.Issuer)
	b = binary.BigEndian.AppendUint64(b, d.N)
	b = append(b, d.Prev[:]...)
	b = appendStr(b, d.Act)
	b = appendStr(b, d.Kind)
	b = appendStr(b, d.Value)
	b = binary.BigEndian.AppendUint64(b, d.Before)
	b = binary.BigEndian.AppendUint64(b, d.Until)
	b = binary.BigEndian.AppendUint64(b, d.Undoes)
	b = appendStr(b, d.Reason)
	return binary.BigEndian.AppendUint64(b, d.Time)
}

// ChainOf gives the chain at a statement from the statement's signed input.
func ChainOf(input []byte) Chain {
	return sha256.Sum256(append([]byte(contextDistrustChain), input...))
}

// DistrustHead says how far the feed reaches. Times are Unix milliseconds.
type DistrustHead struct {
	Issuer  string
	N       uint64
	Chain   Chain
	Time    uint64
	Expires uint64
}

// Input gives what the root signs for a head.
func (h *DistrustHead) Input() []byte {
	b := h.position(contextDistrustHead)
	b = binary.BigEndian.AppendUint64(b, h.Time)
	return binary.BigEndian.AppendUint64(b, h.Expires)
}

// SnapshotInput gives what the root signs for a snapshot: this head with the live statements, of
// which live is the digest.
func (h *DistrustHead) SnapshotInput(live [sha256.Size]byte) []byte {
	b := append(h.position(contextDistrustShot), live[:]...)
	b = binary.BigEndian.AppendUint64(b, h.Time)
	return binary.BigEndian.AppendUint64(b, h.Expires)
}

func (h *DistrustHead) position(context string) []byte {
	b := appendStr([]byte(context), h.Issuer)
	b = binary.BigEndian.AppendUint64(b, h.N)
	return append(b, h.Chain[:]...)
}

// Live reckons the digest of a snapshot's live statements while they pass by, in the order of n.
type Live struct{ sum hash.Hash }

// NewLive begins without any statement.
func NewLive() *Live { return &Live{sum: sha256.New()} }

// Add takes the signed input of the next live statement.
func (l *Live) Add(input []byte) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(input)))
	l.sum.Write(size[:])
	l.sum.Write(input)
}

// Sum gives the digest of the statements so far.
func (l *Live) Sum() (digest [sha256.Size]byte) {
	l.sum.Sum(digest[:0])
	return digest
}
