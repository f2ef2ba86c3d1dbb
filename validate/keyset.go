package validate

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"seawall/validate/internal/wire"
)

// maxNotes is how many keys of one document are noted as skipped.
const maxNotes = 20

// keySet is one key document of one issuer, checked and indexed; it never changes.
type keySet struct {
	number   uint64 // of this process; what is remembered of a token names its set by it
	keys     map[string][]*key
	shared   map[string]bool   // names that more than one key has
	literal  map[string]bool   // issuers that some key of the set names literally
	receipts []receiptKey      // certified by the pinned root
	owner    pattern           // what keys call the issuer, where that is not its name
	notes    []string          // what was skipped, and why
	root     ed25519.PublicKey // the pinned ledger's; nil for a foreign issuer
}

// keySets counts the sets that this process has made.
var keySets atomic.Uint64

// receiptKey is a ledger key that may sign receipts in its window, Unix seconds.
type receiptKey struct {
	id       [8]byte
	public   ed25519.PublicKey
	nbf, exp uint64
}

// terms are what a key document must satisfy to count for an issuer.
type terms struct {
	issuer  string
	seawall bool
	pin     string // of the ledger root; seawall issuers only

	// Foreign issuers only.
	keyIssuer string                     // every key must name it; "" if keys need not name anybody
	pinned    map[[sha256.Size]byte]bool // thumbprints of the keys that count; nil for all
}

// owner is what keys call the issuer.
func (t *terms) owner() pattern {
	if t.keyIssuer != "" {
		return newPattern(t.keyIssuer)
	}
	return newPattern(t.issuer)
}

// loadError is why a key document can't be used. It is told to people, and by its code to programs.
type loadError struct {
	code Code
	text string
}

func (e *loadError) Error() string { return e.text }

// orNil keeps a nil *loadError from becoming an error that is not nil.
func (e *loadError) orNil() error {
	if e == nil {
		return nil
	}
	return e
}

// Unwrap lets errors.Is and errors.As find the reason code of a failed load.
func (e *loadError) Unwrap() error { return refuse(e.code) }

func loadErrorf(code Code, format string, args ...any) *loadError {
	return &loadError{code: code, text: fmt.Sprintf(format, args...)}
}

// newKeySet reads a JWK Set (RFC 7517 §5). A key that can't be used is kept aside and never spoils
// the rest; a document that is not the pinned ledger's is refused whole.
func newKeySet(doc []byte, t terms) (*keySet, *loadError) {
	keys, ledger, ok := splitDocument(doc)
	if !ok {
		return nil, loadErrorf(CodeKeysUnavailable, "the key document is not a JWK Set")
	}
	set := &keySet{number: keySets.Add(1), keys: make(map[string][]*key), shared: make(map[string]bool), literal: make(map[string]bool)}
	if t.keyIssuer != t.issuer {
		set.owner = newPattern(t.keyIssuer)
	}
	if !t.seawall && ledger != nil {
		return nil, loadErrorf(CodeLedgerAnnounced, "the key document of %s carries a seawall ledger: configure it with SeawallIssuer and its pin", t.issuer)
	}
	var root ed25519.PublicKey
	if t.seawall {
		var err *loadError
		if root, err = set.pinLedger(ledger, t.pin); err != nil {
			return nil, err
		}
		set.root = root
	}
	for _, raw := range keys {
		k := newKey(raw)
		if t.seawall {
			k.vouch(root)
		} else {
			k.bind(t)
		}
		set.add(k)
	}
	return set, nil
}

// splitDocument cuts a key document into its keys and its ledger, which is nil if there is none.
func splitDocument(doc []byte) (keys [][]byte, ledger []byte, ok bool) {
	var s scanner
	s.reset(doc, true)
	listed := false
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "keys":
			listed = s.peek() == '['
			keys = rawElements(&s)
		case "seawall_ledger":
			ledger = s.raw()
		default:
			s.skip()
		}
	}
	return keys, ledger, s.end() && listed
}

// rawElements cuts an array into its elements without judging them.
func rawElements(s *scanner) (list [][]byte) {
	if s.peek() != '[' {
		s.skip()
		return nil
	}
	for a := s.array(); s.element(&a); {
		list = append(list, s.raw())
	}
	return list
}

func (set *keySet) add(k *key) {
	switch {
	case k.flaw != "":
		set.note("key %.64q skipped: %s", k.id, k.flaw)
	case k.unvouched:
		set.note("key %.64q skipped: the pinned ledger does not vouch for it", k.id)
	case k.unpinned:
		set.note("key %.64q skipped: it is none of the pinned keys", k.id)
	case !k.suited():
		set.note("key %.64q skipped: its alg is unknown, or is none for such a key", k.id)
	}
	if len(set.keys[k.id]) > 0 {
		set.shared[k.id] = true
	}
	set.keys[k.id] = append(set.keys[k.id], k)
	if k.bound && k.issuer.exact() {
		set.literal[k.issuer.text] = true
	}
}

// note keeps what was skipped, for people; thousands of lines would serve nobody.
func (set *keySet) note(format string, args ...any) {
	switch {
	case len(set.notes) < maxNotes:
		set.notes = append(set.notes, fmt.Sprintf(format, args...))
	case len(set.notes) == maxNotes:
		set.notes = append(set.notes, "and more")
	}
}

// usable counts the keys that could verify a token of the issuer, now or later. Without a receipt
// key no token of a seawall issuer can be verified.
func (set *keySet) usable(t terms, now time.Time) (n int) {
	if t.seawall && len(set.receipts) == 0 {
		return 0
	}
	for _, list := range set.keys {
		for _, k := range list {
			over := k.hasExp && !k.exp.after(instantOf(now))
			if k.flaw == "" && !k.revoked && !k.unvouched && !k.unpinned && !over && k.suited() && k.reaches(t.owner()) {
				n++
			}
		}
	}
	return n
}

// suited reports whether some algorithm fits the key.
func (k *key) suited() bool { return k.alg == "" || k.fits(k.alg) }

// reaches reports whether the key may sign for some token of the issuer.
func (k *key) reaches(name pattern) bool {
	switch {
	case !k.bound || k.issuer.text == name.text:
		return true
	case name.exact():
		return k.issuer.resembles([]byte(name.text))
	}
	return k.issuer.exact() && name.resembles([]byte(k.issuer.text))
}

// heed gives the set with those keys out of use that the issuer calls revoked or over in another
// document, whatever else is wrong with that.
func (set *keySet) heed(word *keySet, now instant) *keySet {
	heeded := *set
	heeded.number = keySets.Add(1) // what was remembered under the old set must be judged again
	heeded.keys = maps.Clone(set.keys)
	changed := false
	for id, said := range word.keys {
		for _, w := range said {
			over := !w.unvouched && w.state(now) == CodeKeyExpired
			for n, k := range heeded.keys[id] {
				if (!w.revoked || k.revoked) && (!over || k.state(now) == CodeKeyExpired) {
					continue
				}
				spent := *k
				if spent.revoked = k.revoked || w.revoked; over {
					spent.exp, spent.hasExp = w.exp, true
				}
				heeded.keys[id] = slices.Clone(heeded.keys[id])
				heeded.keys[id][n] = &spent
				changed = true
			}
		}
	}
	if !changed {
		return set
	}
	return &heeded
}

// pinLedger checks that the document's ledger root is the pinned one and keeps the receipt keys that
// the root has certified.
func (set *keySet) pinLedger(raw []byte, pin string) (ed25519.PublicKey, *loadError) {
	root, receipts, ok := readLedger(raw)
	switch {
	case raw == nil:
		return nil, loadErrorf(CodeLedgerPin, "the key document has no seawall ledger")
	case !ok:
		return nil, loadErrorf(CodeLedgerPin, "the key document's ledger is malformed")
	case wire.Pin(root) != pin:
		return nil, loadErrorf(CodeLedgerPin, "the key document's ledger root is %s, but %s is pinned", wire.Pin(root), pin)
	}
	for i, raw := range receipts {
		if k, ok := newReceiptKey(raw, root); ok {
			set.receipts = append(set.receipts, k)
		} else {
			set.note("receipt key %d skipped: the pinned ledger has not certified it", i)
		}
	}
	return root, nil
}

// readLedger reads the ledger of a key document; receipt keys are cut apart and not judged.
func readLedger(raw []byte) (root ed25519.PublicKey, receipts [][]byte, ok bool) {
	var s scanner
	s.reset(raw, false)
	if s.peek() != '{' {
		return nil, nil, false
	}
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "root":
			root = readBytes(&s)
		case "receipt_keys":
			receipts = rawElements(&s)
		default:
			s.skip()
		}
	}
	return root, receipts, s.end() && len(root) == ed25519.PublicKeySize
}

// newReceiptKey reads one receipt key and verifies its certificate.
func newReceiptKey(raw []byte, root ed25519.PublicKey) (k receiptKey, ok bool) {
	var s scanner
	s.reset(raw, false)
	if s.peek() != '{' {
		return k, false
	}
	var id, certificate []byte
	var times int
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "id":
			id = readBytes(&s)
		case "x":
			k.public = readBytes(&s)
		case "certificate":
			certificate = readBytes(&s)
		case "nbf":
			k.nbf = readWhole(&s, &times)
		case "exp":
			k.exp = readWhole(&s, &times)
		default:
			s.skip()
		}
	}
	if !s.end() || times != 2 || len(k.public) != ed25519.PublicKeySize || weakEdwardsPoint(k.public) != "" {
		return k, false
	}
	k.id = wire.LedgerKeyID(k.public)
	return k, string(id) == string(k.id[:]) &&
		ed25519.Verify(root, wire.CertificateInput(k.public, k.nbf, k.exp), certificate)
}

// readBytes reads a string of base64url; anything else gives nil.
func readBytes(s *scanner) []byte {
	if s.peek() != '"' {
		s.skip()
		return nil
	}
	b, ok := appendBase64(nil, s.text().b)
	if !ok {
		return nil
	}
	return b
}

// readWhole reads a whole number and counts it.
func readWhole(s *scanner, count *int) uint64 {
	if s.peek()-'0' > 9 {
		s.skip()
		return 0
	}
	n, ok := wholeNumber(s.number())
	if ok && !s.fault {
		*count++
	}
	return n
}

// bind holds a foreign issuer's key to what is configured about such keys.
func (k *key) bind(t terms) {
	if t.keyIssuer != "" && !k.bound {
		k.bound = true // to nobody: every key of this issuer must name it
	}
	k.unpinned = k.flaw == "" && t.pinned != nil && !t.pinned[k.thumbprint()]
}

// vouch decides whether the ledger root's statement covers the key exactly as the document shows it.
func (k *key) vouch(root ed25519.PublicKey) {
	if k.flaw != "" {
		return
	}
	k.unvouched = true
	if !k.bound {
		k.bound = true // to nobody: a key of a seawall issuer must name it
		return
	}
	if k.alg == "" || len(k.kinds) == 0 || k.whole != 1<<len(k.times)-1 {
		return
	}
	statement := wire.Statement{
		Issuer:      k.issuer.text,
		KeyID:       k.id,
		Thumbprint:  k.thumbprint(),
		Algorithm:   string(k.alg),
		Kinds:       k.kinds,
		NotBefore:   k.times[0],
		SigningEnds: k.times[1],
		Expires:     k.times[2],
	}
	k.unvouched = !ed25519.Verify(root, statement.Input(), k.statement)
}

// find gives the one usable key of this name, or why there is none. The issuer that a key names
// outranks everything else about it, so that a key in the wrong set is called by its true fault.
func (set *keySet) find(c *claims, kid []byte, now instant) (*key, Code) {
	iss := set.nameOf(c)
	var found *key
	reason := CodeKeyUnknown
	for _, k := range set.keys[string(kid)] {
		fault := k.state(now)
		// If any key names this issuer literally, only such keys count: a key for all tenants
		// can't stand in for one that a single issuer keeps for itself.
		if k.flaw == "" && !k.names(iss) && set.literal[string(iss)] {
			fault = CodeKeyIssuer
		}
		switch {
		case fault == "" && found != nil:
			return nil, CodeKeyAmbiguous
		case fault == "":
			found = k
		case k.flaw == "" && k.elsewhere(iss, c.tid.b):
			reason = CodeKeyIssuer
		case reason == CodeKeyUnknown:
			reason = fault
		}
	}
	if found == nil {
		return nil, reason
	}
	if found.elsewhere(iss, c.tid.b) {
		return nil, CodeKeyIssuer
	}
	return found, ""
}

// listed gives the name of a key that the set has, whatever its state, or "".
func (set *keySet) listed(kid []byte) string {
	if set == nil || len(set.keys[string(kid)]) == 0 {
		return ""
	}
	return set.keys[string(kid)][0].id
}

// nameOf gives what a key must call the token's issuer: iss, unless the terms say that the issuer's
// keys call it otherwise.
func (set *keySet) nameOf(c *claims) []byte {
	if set.owner.text == "" {
		return c.iss.b
	}
	return set.owner.fill(c.tid.b)
}

// names reports whether the key is bound to exactly this issuer.
func (k *key) names(iss []byte) bool {
	return k.bound && k.issuer.exact() && k.issuer.text == string(iss)
}

// elsewhere reports whether the key is bound to an issuer other than the token's.
func (k *key) elsewhere(iss, tid []byte) bool {
	return k.bound && !k.issuer.match(iss, tid)
}

// state says why the key can't be used at this moment, or "".
func (k *key) state(now instant) Code {
	switch {
	case k.flaw != "":
		return CodeKeyUnusable
	case k.revoked:
		return CodeKeyRevoked
	case k.nbf.after(now):
		return CodeKeyNotYetValid
	case k.hasExp && !k.exp.after(now):
		return CodeKeyExpired
	case k.unvouched:
		return CodeKeyStatement
	case k.unpinned:
		return CodeKeyNotPinned
	}
	return ""
}
