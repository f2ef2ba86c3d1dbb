package mint

import (
	"context"
	"encoding/binary"
)

// Head is the end of the log as its writer saw it: whoever remembers one can
// tell a shorter log, or another one, from the true one.
type Head struct {
	Size   uint64 `json:"size"` // number of entries
	Millis uint64 `json:"ms"`   // time of the last batch
	Batch  Digest `json:"-"`    // hash of the last batch's trailer
}

func (h Head) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.Size)
	b = binary.BigEndian.AppendUint64(b, h.Millis)
	return append(b, h.Batch[:]...)
}

func (r *reader) head() (h Head) {
	h.Size = binary.BigEndian.Uint64(r.fixed(8, "head"))
	h.Millis = binary.BigEndian.Uint64(r.fixed(8, "head"))
	copy(h.Batch[:], r.fixed(32, "head"))
	return h
}

// HeadSize is the size of a head's binary form.
const HeadSize = 48

// ReadHead reads a head's binary form: u64 size, u64 Unix ms, 32 bytes.
func ReadHead(b []byte) (Head, error) {
	r := reader{b: b}
	h := r.head()
	return h, r.end("head")
}

// Unsigned is a token before its receipt: the exact bytes the signer built.
type Unsigned struct {
	Header  []byte // bare
	Payload []byte
	// Evidence is recorded with the token: what proved the client.
	Evidence [32]byte
}

// AppendTokens writes the body of a [MsgTokens] message.
func AppendTokens(b []byte, list []Unsigned) []byte {
	b = appendUint(b, uint64(len(list)))
	for i := range list {
		b = appendString(b, list[i].Header)
		b = appendString(b, list[i].Payload)
		b = append(b, list[i].Evidence[:]...)
	}
	return b
}

// ReadTokens reads the body of a [MsgTokens] message. The parts are views into
// it.
func ReadTokens(body []byte) ([]Unsigned, error) {
	r := reader{b: body}
	n := r.uint("tokens")
	if n == 0 || n > MaxBatch {
		r.fail("number of tokens")
	}
	list := make([]Unsigned, 0, min(n, MaxBatch))
	for i := uint64(0); i < n && r.err == nil; i++ {
		u := Unsigned{Header: r.bytes(MaxFrame, "header"), Payload: r.bytes(MaxFrame, "payload")}
		copy(u.Evidence[:], r.fixed(32, "evidence"))
		list = append(list, u)
	}
	return list, r.end("tokens")
}

// Recorded is the ledger's word on one token: a receipt, or a refusal.
type Recorded struct {
	Receipt Receipt
	Refusal *Refusal
}

// Ledger answers carry one seal over the whole, so the signer checks one sum per
// message and not one signature per receipt. It binds the digests that the signer
// computed itself, so an answer to another question does not fit.
func answerInput(key KeyID, head Head, digests []Digest, list []Recorded) []byte {
	b := make([]byte, 0, 8+HeadSize+8+len(list)*(len(Digest{})+1+ReceiptSize))
	b = append(b, key[:]...)
	b = head.append(b)
	b = binary.BigEndian.AppendUint64(b, uint64(len(list)))
	for i := range list {
		b = append(b, digests[i][:]...)
		b = list[i].append(b)
	}
	return b
}

func (r *Recorded) append(b []byte) []byte {
	if r.Refusal == nil {
		return append(append(b, 0), r.Receipt[:]...)
	}
	return appendString(appendString(append(b, 1), string(r.Refusal.Code)), r.Refusal.Detail)
}

// AppendRecorded writes the answer to a [MsgTokens] message, sealed for the
// connection it goes to. id is the ledger's receipt key, digests are those of the
// tokens, in order.
func AppendRecorded(b []byte, seal *Seal, id KeyID, head Head, digests []Digest, list []Recorded) []byte {
	b = append(b, id[:]...)
	b = head.append(b)
	b = appendUint(b, uint64(len(list)))
	for i := range list {
		b = list[i].append(b)
	}
	return append(b, seal.sum(answerInput(id, head, digests, list))...)
}

// ReadRecorded reads and verifies the answer to the tokens with these digests.
// known reports whether the root has certified a receipt key.
func ReadRecorded(body []byte, seal *Seal, digests []Digest, known func(KeyID) bool) (Head, []Recorded, error) {
	r := reader{b: body}
	var id KeyID
	copy(id[:], r.fixed(8, "ledger key"))
	head := r.head()
	if n := r.uint("receipts"); n != uint64(len(digests)) {
		r.fail("number of receipts")
	}
	list := make([]Recorded, len(digests))
	for i := 0; i < len(list) && r.err == nil; i++ {
		switch r.byte("receipt") {
		case 0:
			copy(list[i].Receipt[:], r.fixed(ReceiptSize, "receipt"))
		case 1:
			list[i].Refusal = &Refusal{Code: Code(r.string(MaxText, "code")), Detail: r.string(MaxText, "detail")}
		default:
			r.fail("receipt")
		}
	}
	sum := r.fixed(sealSize, "seal")
	if err := r.end("ledger answer"); err != nil {
		return Head{}, nil, err
	}
	if seal == nil || !seal.fits(answerInput(id, head, digests, list), sum) {
		return Head{}, nil, Refuse(Malformed, "the ledger's answer is not sealed for this connection")
	}
	if !known(id) {
		return Head{}, nil, Refuse(Malformed, "the ledger's receipt key is not certified by its pinned root")
	}
	return head, list, nil
}

// Hello is what the ledger tells a writer that has just connected.
type Hello struct {
	Document Document `json:"document"`
	Size     uint64   `json:"size"`
	Millis   uint64   `json:"ms"`
	Batch    string   `json:"batch"` // base64url of Head.Batch
	// Keys holds the last recorded step of every issuer key, by kid (signer only).
	Keys []KeyStep `json:"keys,omitempty"`
	// Policies holds the last recorded policy version of every tenant (signer
	// only, on the first page).
	Policies map[string]uint64 `json:"policies,omitempty"`
	// More says that there are further keys: ask again with it as KeysAfter.
	More string `json:"more,omitempty"`
	Now  uint64 `json:"now"` // the ledger's clock, Unix ms
	// Level is the walls around the ledger's process, as it measured them (house only).
	Level string `json:"level,omitempty"`
	// Share and ShareSignature answer the signer's share; see [Seal].
	Share          string `json:"share,omitempty"`
	ShareSignature string `json:"share_signature,omitempty"`
}

// HelloQuery introduces a writer: the head it remembers. A ledger that is
// behind it, or on another history, refuses with [StateRolledBack]. Until it
// has said hello a writer is refused everything else.
type HelloQuery struct {
	Size      uint64 `json:"size"`
	Batch     string `json:"batch,omitempty"`
	KeysAfter string `json:"keys_after,omitempty"` // the page of keys after this kid
	Share     string `json:"share,omitempty"`      // of a signer that wants tokens recorded; see [Seal]
}

// Hello introduces the writer that remembers head and gathers all pages of the
// answer. A signer offers a share on each new connection; nil: none. The error is
// a *[Refusal] when the ledger refused.
func (c *Caller) Hello(ctx context.Context, head Head, share *Share) (*Hello, error) {
	q := HelloQuery{Size: head.Size}
	if share != nil {
		q.Share = share.Public()
	}
	if head.Size > 0 {
		q.Batch = head.Batch.String()
	}
	whole := new(Hello)
	if err := c.CallJSON(ctx, MsgHello, q, whole); err != nil {
		return nil, err
	}
	for whole.More != "" {
		page := new(Hello)
		q.KeysAfter, q.Share = whole.More, ""
		if err := c.CallJSON(ctx, MsgHello, q, page); err != nil {
			return nil, err
		}
		if page.More <= whole.More && page.More != "" {
			return nil, Refuse(Malformed, "the ledger's pages of keys do not end")
		}
		whole.Keys, whole.More = append(whole.Keys, page.Keys...), page.More
	}
	return whole, nil
}

// Head returns the head that the answer tells.
func (h *Hello) Head() (Head, error) { return answeredHead(h.Size, h.Millis, h.Batch) }

// Head returns the head after the steps.
func (k *KeysRecorded) Head() (Head, error) { return answeredHead(k.Size, k.Millis, k.Batch) }

// Head returns the head after the entries.
func (a *Appended) Head() (Head, error) { return answeredHead(a.Size, a.Millis, a.Batch) }

func answeredHead(size, ms uint64, batch string) (Head, error) {
	h := Head{Size: size, Millis: ms}
	return h, h.Batch.UnmarshalText([]byte(batch))
}

// KeyStep is a recorded transition of an issuer key.
type KeyStep struct {
	Tenant string    `json:"tenant"`
	Issuer string    `json:"issuer"`
	KID    string    `json:"kid"`
	Epoch  uint64    `json:"epoch"`
	State  EntryKind `json:"state"`
}

// MaxSteps is the largest number of transitions in one [KeyRecords].
const MaxSteps = 16

// KeyRecords asks the ledger to record the transitions of keys that belong
// together, in order: all of them or none, in one batch. A rotation is the old
// key's step to verify-only, then the new key's to active.
type KeyRecords struct {
	Steps []KeyRecord `json:"steps"` // 1 to MaxSteps
}

// KeyRecord is one transition of a key. The ledger checks that the step is
// possible, records it and states the key, as it will be, under its root.
//
// Steps are staged → active → verify-only → retired, staged → retired (a spare
// that was never used), anything but retired → suspended and → revoked, and back
// from suspended to verify-only. Suspending, revoking and giving back are also
// stated in the issuer's distrust feed, in the same batch, and need one of the
// feed's reasons. Epoch is 1 when
// staged and grows by 1 with each. Everything else that was stated stays: tenant,
// issuer, family, alg, token kinds, public key and dates. The tenant's policy,
// which binds its issuer, must have been recorded before.
type KeyRecord struct {
	Kind   EntryKind `json:"kind"` // KeyStaged …
	Key    Key       `json:"key"`  // as it will be after the step
	Actor  string    `json:"actor"`
	Reason string    `json:"reason,omitempty"`
}

// KeysRecorded answers [KeyRecords]: everything in it is durable.
type KeysRecorded struct {
	Sequence   uint64   `json:"sequence"`   // of the first step's entry; the others follow it
	Statements []string `json:"statements"` // one per step; empty for a key that may not verify any more
	Size       uint64   `json:"size"`       // the head after it
	Millis     uint64   `json:"ms"`
	Batch      string   `json:"batch"`
}

// Appended answers [MsgEntries].
type Appended struct {
	Sequence uint64 `json:"sequence"` // of the first entry
	Size     uint64 `json:"size"`
	Millis   uint64 `json:"ms"`
	Batch    string `json:"batch"`
}

// AppendEntries writes the body of a [MsgEntries] message.
func AppendEntries(b []byte, list []*Entry) []byte {
	b = appendUint(b, uint64(len(list)))
	for _, e := range list {
		b = appendString(b, e.Append(nil))
	}
	return b
}

// ReadEntries reads the body of a [MsgEntries] message.
func ReadEntries(body []byte) ([]*Entry, error) {
	r := reader{b: body}
	n := r.uint("entries")
	if n == 0 || n > MaxBatch {
		r.fail("number of entries")
	}
	var list []*Entry
	for i := uint64(0); i < n && r.err == nil; i++ {
		raw := r.bytes(MaxFrame, "entry")
		if r.err != nil {
			break
		}
		e, err := ReadEntry(raw)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, r.end("entries")
}
