package validate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	defaultProofAge = 300 * time.Second
	maxProofAge     = 24 * time.Hour
	proofType       = "dpop+jwt"
)

// DPoP says how proofs of possession are checked (RFC 9449). The zero value is good: a token that is
// bound to a key needs a fresh proof by that key, and other tokens pass as bearer tokens.
type DPoP struct {
	// Required refuses tokens that are not bound to a key.
	Required bool

	// MaxAge is how old a proof may be. Default 300 seconds, at most a day. Config.Leeway allows
	// for clocks that are ahead of ours.
	MaxAge time.Duration

	// Nonces makes and checks the nonces that proofs must carry (RFC 9449 §9): see RotatingNonces.
	// nil demands none.
	Nonces Nonces

	// Origin is the scheme and host that clients call, such as https://api.example: htu is compared with
	// it and the request's path. Request and Handler refuse the scheme DPoP without it, with
	// CodeDPoPOrigin: the Host header is the sender's choice, so whoever gets hold of a proof that was
	// made for another API could make it fit this one. Whoever calls Presented gives the whole URL.
	Origin string

	// Replays remembers which proofs were used. Default: a memory of this Validator's own, NewReplays.
	// APIs that serve one URL from several processes may share one.
	Replays Replays
}

// proving is a DPoP in use.
type proving struct {
	required bool
	maxAge   time.Duration
	leeway   time.Duration
	keep     time.Duration // how long a proof could be used again
	nonces   Nonces
	origin   string
	replays  Replays
	proven   *[provenKeys]atomic.Pointer[provenKey]
}

// What is kept of clients' keys.
const (
	provenKeys   = 1024
	maxProvenJWK = 1024 // bytes; a longer one is read each time
)

// provenKey is a key that a client has proven possession of, as its proof wrote it. What a JWK comes to
// depends on its bytes alone, so the same bytes need no second reading.
type provenKey struct {
	jwk        string
	key        *key
	thumbprint Thumbprint
}

// newProving checks what was configured and fills in defaults.
func newProving(c *DPoP, leeway time.Duration) (p proving, err error) {
	if c == nil {
		c = &DPoP{}
	}
	p = proving{proven: new([provenKeys]atomic.Pointer[provenKey]), required: c.Required, maxAge: c.MaxAge, leeway: leeway, nonces: c.Nonces, origin: c.Origin, replays: c.Replays}
	if p.maxAge == 0 {
		p.maxAge = defaultProofAge
	}
	if p.maxAge < 0 || p.maxAge > maxProofAge {
		return p, fmt.Errorf("maximal age of proofs %v: it must lie between 0 and %v", p.maxAge, maxProofAge)
	}
	if p.origin != "" {
		u, err := url.Parse(p.origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Scheme+"://"+u.Host != p.origin {
			return p, errors.New("origin: give the scheme and host that clients see, such as https://api.example, without a path")
		}
	}
	if p.replays == nil {
		p.replays = NewReplays(0)
	}
	// A proof is good until its iat + maxAge, and iat is at most leeway ahead of us.
	p.keep = p.maxAge + leeway + time.Second
	return p, nil
}

// proof is what is read of a DPoP proof (RFC 9449 §4.2).
type proof struct {
	alg, typ         []byte
	jwk              []byte
	crit             bool
	htm, htu         []byte
	ath, nonce, jti  []byte
	iat              instant
	hasIat, wrongIat bool
}

// prove decides whether the presentation's one proof is fresh, for this request and this token, and
// by the key that the token is bound to (RFC 9449 §4.3). Replay comes last: only a proof that is
// good in every other way is remembered, so nobody but the key's holder uses up its room.
func (d *proving) prove(ctx context.Context, v *Validator, t *Token, text [sha256.Size]byte, p *Presentation, now time.Time) Code {
	w := works.Get().(*work)
	defer w.release()
	var pr proof
	if code := d.open(w, &pr, p, &text, v.maxBytes, now); code != "" {
		return code
	}
	place := &d.proven[binary.BigEndian.Uint16(t.jkt[:])%provenKeys]
	kept := place.Load()
	k := kept
	if k == nil || k.jwk != string(pr.jwk) {
		k = newProvenKey(pr.jwk)
	}
	switch {
	case !k.key.proves(w.header.alg, now, t.issuer):
		return CodeDPoPKey
	case k.thumbprint != t.jkt:
		return CodeDPoPThumbprint
	case !k.key.signed(w):
		return CodeDPoPSignature
	}
	if k != kept && len(k.jwk) <= maxProvenJWK {
		place.Store(k)
	}
	return d.use(ctx, t.jkt, string(pr.jti), now)
}

// open takes the presentation's one proof apart and compares it with the request, the token's digest
// (nil if the request has no token) and the clock.
func (d *proving) open(w *work, pr *proof, p *Presentation, text *[sha256.Size]byte, maxBytes int, now time.Time) Code {
	switch len(p.Proofs) {
	case 0:
		return CodeDPoPMissing
	case 1:
	default:
		return CodeDPoPMany
	}
	if code := pr.read(w, p.Proofs[0], maxBytes); code != "" {
		return code
	}
	if text != nil && len(pr.ath) == 0 {
		return CodeDPoPForm
	}
	return d.fits(pr, text, p, now)
}

// newProvenKey reads the key that a proof names; whether it proves anything is another question.
func newProvenKey(jwk []byte) *provenKey {
	k := readKey(jwk, false)
	return &provenKey{jwk: string(jwk), key: k, thumbprint: k.thumbprint()}
}

// proves reports whether proofs may be by this key: it is sound and for the proof's algorithm. A key
// that belongs to an issuer proves nothing for the tokens of another.
func (k *key) proves(alg Alg, now time.Time, issuer string) bool {
	return k.state(instantOf(now)) == "" && k.fits(alg) && (!k.bound || k.issuer.text == issuer)
}

// signed reports whether the key made the signature of what was taken apart.
func (k *key) signed(w *work) bool {
	if w.header.alg != EdDSA {
		w.sumSigned()
	}
	return k.verify(w)
}

// use records that the key has used a proof.
func (d *proving) use(ctx context.Context, key Thumbprint, jti string, now time.Time) Code {
	switch d.replays.Use(ctx, key, jti, now, d.keep) {
	case "":
		return ""
	case CodeDPoPReplay:
		return CodeDPoPReplay
	}
	return CodeDPoPFull // also for a code of somebody's own: what was not recorded was not used
}

// read takes a proof apart. It is held to the same form as a token, byte for byte.
func (pr *proof) read(w *work, text string, maxBytes int) Code {
	s, ok := split(text)
	if len(text) > maxBytes || !ok || s.signature == "" {
		return CodeDPoPForm
	}
	if w.headerBytes, ok = appendBase64(w.headerBytes[:0], s.header); !ok || !w.decode(s) {
		return CodeDPoPForm
	}
	if !pr.readHeader(&w.headerScan, w.headerBytes) || !pr.readClaims(&w.payloadScan, w.payloadBytes) {
		return CodeDPoPForm
	}
	if pr.crit || string(pr.typ) != proofType || pr.jwk == nil {
		return CodeDPoPForm
	}
	switch alg := Alg(pr.alg); alg {
	case ES256, RS256, PS256, EdDSA:
		w.header.alg = alg
	default:
		return CodeDPoPAlg
	}
	for _, b := range [][]byte{pr.htm, pr.htu, pr.jti} {
		if len(b) == 0 {
			return CodeDPoPForm
		}
	}
	for _, b := range [][]byte{pr.htm, pr.htu, pr.jti, pr.ath} {
		if hasControl(b) {
			return CodeDPoPForm
		}
	}
	if !pr.hasIat || pr.wrongIat {
		return CodeDPoPForm
	}
	return ""
}

func (pr *proof) readHeader(s *scanner, data []byte) bool {
	s.reset(data, false)
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "alg":
			pr.alg = s.optionalText()
		case "typ":
			pr.typ = s.optionalText()
		case "crit", "b64":
			pr.crit = true
			s.skip()
		case "jwk":
			pr.jwk = s.raw()
		default:
			s.skip()
		}
	}
	return s.end()
}

func (pr *proof) readClaims(s *scanner, data []byte) bool {
	var times claims
	s.reset(data, false)
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "htm":
			pr.htm = s.optionalText()
		case "htu":
			pr.htu = s.optionalText()
		case "ath":
			pr.ath = s.optionalText()
		case "nonce":
			pr.nonce = s.optionalText()
		case "jti":
			pr.jti = s.optionalText()
		case "iat":
			times.readTime(s, &times.iat, hasIat)
		default:
			s.skip()
		}
	}
	pr.iat, pr.hasIat, pr.wrongIat = times.iat, times.has&hasIat != 0, times.has&hasWrong != 0
	return s.end()
}

// fits compares a proof with the request, the token if there is one, and the clock.
func (d *proving) fits(pr *proof, text *[sha256.Size]byte, p *Presentation, now time.Time) Code {
	at := instantOf(now)
	switch {
	case string(pr.htm) != p.Method:
		return CodeDPoPMethod
	case !sameTarget(string(pr.htu), p.URL):
		return CodeDPoPURL
	case text != nil && !spells(pr.ath, *text):
		return CodeDPoPToken
	case pr.iat.after(at.add(d.leeway)) || pr.iat.before(at.add(-d.maxAge)):
		return CodeDPoPTime
	case d.nonces != nil && !d.nonces.Accepts(string(pr.nonce), now):
		return CodeDPoPNonce
	}
	return ""
}

// spells reports whether ath is the base64url of the token's SHA-256 (RFC 9449 §4.2).
func spells(ath []byte, text [sha256.Size]byte) bool {
	var spelled [43]byte
	base64.RawURLEncoding.Encode(spelled[:], text[:])
	return string(ath) == string(spelled[:])
}
