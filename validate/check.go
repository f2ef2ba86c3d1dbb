package validate

import (
	"context"
	"crypto/sha256"
	"hash"
	"strings"
	"sync"
	"time"

	"seawall/validate/internal/wire"
)

// work holds the buffers of one validation. They are used again, so that a refused token costs no
// memory and an accepted one only what it is returned in.
type work struct {
	header  header
	claims  claims
	receipt wire.Receipt
	sum     [sha256.Size]byte // of the signing input
	digest  [sha256.Size]byte

	headerScan  scanner
	payloadScan scanner
	ruleScan    scanner

	headerBytes  []byte
	bare         []byte // the header without its receipt; nil until that is cut
	unkept       unkept
	payloadBytes []byte
	signature    []byte
	der          []byte // the same as ASN.1, for ES256
	signed       []byte // the signing input; then room for the ledger's

	text    [sha256.Size]byte // of the token as it was sent, if hasText
	hasText bool
	hash    hash.Hash // SHA-256
	hashed  int       // how much of the token it has read, from the beginning
	rest    []byte

	counted counted // at the end of the work before
}

var works = sync.Pool{New: func() any { return &work{hash: sha256.New()} }}

// maxKept is how large a work's buffers may be to be kept.
const maxKept = 64 << 10

// release gives the buffers back.
func (w *work) release() {
	if cap(w.signed) <= maxKept {
		works.Put(w)
	}
}

// Token decides whether raw, a token in JWS compact form as a client sent it, is good here and now as
// a plain bearer token. On any doubt it gives nil and an error that wraps *Error with the one reason.
// The context bounds the wait for keys, which happens only at the very start or when a token names
// an unknown key.
func (v *Validator) Token(ctx context.Context, raw string) (*Token, error) {
	return v.Presented(ctx, raw, Presentation{})
}

// Presented decides as Token does, and holds the way in which the token was presented to what the
// token is bound to (RFC 7800 §3): a DPoP key, a client certificate, or both.
func (v *Validator) Presented(ctx context.Context, raw string, p Presentation) (*Token, error) {
	w := works.Get().(*work)
	e := Event{Kind: TokenAccepted}
	now := v.now()
	t, code := v.judge(ctx, w, raw, now, &e)
	if code == "" {
		code = v.sender(ctx, w, t, raw, &p, now)
	}
	return v.conclude(w, t, code, &e)
}

// conclude ends the work on a token: it tells what became of it and gives it, or the reason.
func (v *Validator) conclude(w *work, t *Token, code Code, e *Event) (*Token, error) {
	if code != "" {
		e.Kind, e.Code = TokenRefused, code
	}
	v.tell(e, &w.counted)
	w.release()
	if code != "" {
		return nil, refuse(code)
	}
	return t, nil
}

// judge decides about a token by itself, whoever presents it. A token that was accepted before needs
// no second look at its signature and its JSON; everything else is looked at every time.
func (v *Validator) judge(ctx context.Context, w *work, raw string, now time.Time, e *Event) (*Token, Code) {
	w.hasText, w.hashed = false, 0
	place := v.memory.place(raw)
	if known := place.find(w, raw); known != nil {
		if t, code, ok := v.again(ctx, known, now, e); ok {
			return t, code
		}
	}
	d, code := v.check(ctx, w, raw, now, e)
	if code != "" {
		return nil, code
	}
	if code := v.standing(ctx, d, now); code != "" {
		return nil, code
	}
	place.keep(w, raw, d, now)
	return &d.token, ""
}

// check is the order of all checks of a token that can have one outcome only: cheap ones first, then
// the signature, then the receipt.
func (v *Validator) check(ctx context.Context, w *work, raw string, now time.Time, e *Event) (*verdict, Code) {
	if code := v.parse(w, raw); code != "" {
		e.Algorithm, e.Type = w.header.alg, w.header.kind
		return nil, code
	}
	e.Algorithm, e.Type = w.header.alg, w.header.kind
	e.Audience = w.claims.audience
	in, code := v.issuerOf(&w.claims)
	if in != nil {
		e.Issuer = in.terms.issuer
	}
	if code != "" {
		return nil, code
	}
	if code := in.admits(w); code != "" {
		return nil, code
	}
	if code := v.checkClaims(&w.header, &w.claims, now); code != "" {
		return nil, code
	}
	if in.feed != nil && in.feed.rules.Load().hasKey(w.header.kid) {
		return nil, CodeKeyDistrusted // whatever else is wrong with the key or its set
	}
	set, k, code := in.key(ctx, w, now)
	if code != "" {
		e.KeyID = set.listed(w.header.kid)
		return nil, code
	}
	e.KeyID = k.id
	if !k.fits(w.header.alg) {
		return nil, CodeKeyAlg
	}
	if !in.terms.seawall {
		code = verifyForeign(w, k)
	} else if code = verifySeawall(w, set, k); code == CodeReceiptKey && in.remote != nil {
		// The ledger may have a new key. Only who holds the issuer's key can get here.
		if fresh, none := in.remote.early(ctx, now); none == "" {
			code = fresh.checkReceipt(w)
		}
	}
	if code != "" {
		return nil, code
	}
	w.unkept.keep(w.header)
	d := &verdict{issuer: in, key: k, audience: w.claims.audience, kind: w.header.kind, alg: w.header.alg}
	if !set.shared[k.id] {
		d.set = set.number // else which of its keys counts may change with the clock
	}
	d.token.read(w, k, in.terms.seawall)
	return d, ""
}

// parse takes a token apart: form, header, signature, payload, in this order. Each is decoded when it
// is looked at, so that garbage costs little.
func (v *Validator) parse(w *work, raw string) Code {
	w.header, w.bare, w.unkept = header{}, nil, unkept{}
	if len(raw) > v.maxBytes {
		return CodeTooLarge
	}
	if raw == "" {
		return CodeMissing
	}
	s, ok := split(raw)
	if !ok {
		return CodeMalformed
	}
	if w.headerBytes, ok = appendBase64(w.headerBytes[:0], s.header); !ok {
		return CodeEncoding
	}
	if code := v.readHeader(w); code != "" {
		return code
	}
	if s.signature == "" { // looked for after the header, so that an unsecured token is called by its name
		return CodeMalformed
	}
	if !w.decode(s) {
		return CodeEncoding
	}
	if !v.scanClaims(&w.claims, &w.payloadScan, w.payloadBytes) {
		return CodeJSON
	}
	return ""
}

// segments are the parts of a JWS in compact form (RFC 7515 §7.1), as they were sent.
type segments struct {
	signed                     string // header, dot, payload
	header, payload, signature string // only the signature may be empty
}

func split(raw string) (s segments, ok bool) {
	first := strings.IndexByte(raw, '.')
	if first <= 0 {
		return s, false
	}
	second := first + 1 + strings.IndexByte(raw[first+1:], '.')
	if second <= first+1 || strings.IndexByte(raw[second+1:], '.') >= 0 {
		return s, false
	}
	return segments{signed: raw[:second], header: raw[:first], payload: raw[first+1 : second], signature: raw[second+1:]}, true
}

// decode decodes what comes after the header.
func (w *work) decode(s segments) bool {
	var okPayload, okSignature bool
	w.payloadBytes, okPayload = appendBase64(w.payloadBytes[:0], s.payload)
	w.signature, okSignature = appendBase64(w.signature[:0], s.signature)
	w.signed = append(w.signed[:0], s.signed...)
	return okPayload && okSignature
}

// issuerOf finds the one issuer that the token names and checks the tenant. An issuer of exactly
// that name comes before one with a place for tenants.
func (v *Validator) issuerOf(c *claims) (*issuer, Code) {
	if in := v.issuers[string(c.iss.b)]; in != nil {
		if !in.tenantAllowed(c) {
			return in, CodeTenant
		}
		return in, ""
	}
	code := CodeIssuer
	for _, in := range v.templates {
		if in.name.match(c.iss.b, c.tid.b) {
			if !in.tenantAllowed(c) {
				return in, CodeTenant
			}
			return in, ""
		}
		if in.name.resembles(c.iss.b) {
			code = CodeTenant
		}
	}
	return nil, code
}

// current gives the issuer's keys as they are now, and the time to judge them by: see anchor.
func (i *issuer) current(ctx context.Context, now time.Time) (*keySet, time.Time, Code) {
	if i.remote != nil {
		return i.remote.set(ctx, now)
	}
	return i.static, now, ""
}

// key gives the key that the token names, from the issuer's own set, and that set.
func (i *issuer) key(ctx context.Context, w *work, now time.Time) (*keySet, *key, Code) {
	set, now, code := i.current(ctx, now)
	if code != "" {
		return nil, nil, code
	}
	k, code := set.find(&w.claims, w.header.kid, instantOf(now))
	if code == CodeKeyUnknown && i.remote != nil {
		if set, code = i.remote.early(ctx, now); code != "" {
			return nil, nil, code
		}
		k, code = set.find(&w.claims, w.header.kid, instantOf(now))
	}
	return set, k, code
}

// sumSigned takes the digest of the signing input, and stays where it is in the token's text, so that
// textSum need not read it again.
func (w *work) sumSigned() {
	w.hash.Reset()
	w.hash.Write(w.signed)
	w.hash.Sum(w.sum[:0])
	w.hashed = len(w.signed)
}

// verifyForeign checks the signature of a token without a receipt. The digest that identifies the
// token is that of its signing input, because anybody can rewrite an ECDSA signature.
func verifyForeign(w *work, k *key) Code {
	w.sumSigned()
	w.digest = w.sum
	if !k.verify(w) {
		return CodeSignature
	}
	return ""
}

// verifySeawall holds the key to what the ledger said about it, checks the signature, and then that
// the ledger recorded these very bytes.
func verifySeawall(w *work, set *keySet, k *key) Code {
	if code := k.covers(&w.header, &w.claims); code != "" {
		return code
	}
	if w.header.receipts > 0 && w.bare == nil && (w.header.receipts > 1 || !w.cutReceipt()) {
		return CodeReceiptForm
	}
	if w.header.alg != EdDSA {
		w.sumSigned()
	}
	if !k.verify(w) {
		return CodeSignature
	}
	if w.bare == nil {
		return CodeReceiptMissing
	}
	w.signed = wire.AppendDigestInput(w.signed[:0], w.bare, w.payloadBytes)
	w.digest = sha256.Sum256(w.signed)
	return set.checkReceipt(w)
}

// covers holds a token to its key's kinds and times.
func (k *key) covers(h *header, c *claims) Code {
	kind := false
	for _, allowed := range k.kinds {
		kind = kind || equalFold([]byte(allowed), h.kind)
	}
	switch {
	case !kind:
		return CodeKeyKind
	case !k.signingEnds.after(c.iat):
		return CodeKeySigningEnded
	case c.exp.after(k.exp):
		return CodeKeyOutlived
	}
	return ""
}
