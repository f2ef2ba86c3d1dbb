package validate

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
)

// Alg is a signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). There are no symmetric ones.
type Alg string

// The algorithms that validate knows. EdDSA means Ed25519.
const (
	ES256 Alg = "ES256"
	RS256 Alg = "RS256"
	PS256 Alg = "PS256"
	EdDSA Alg = "EdDSA"
)

const (
	minModulusBits = 2048
	maxModulusBits = 16384
)

// key is one key of an issuer's set, checked once when its document is loaded. A key with a flaw
// stays in the set, so that a token that names it can be refused for the true reason.
type key struct {
	id     string
	flaw   string // why the key can't be used at all; "" if it can
	issuer pattern
	bound  bool // the key names its issuer
	alg    Alg  // "" if the key does not say
	ec     *ecdsa.PublicKey
	rsa    *rsa.PublicKey
	ed     ed25519.PublicKey

	nbf, exp instant
	hasExp   bool
	revoked  bool
	unpinned bool // the issuer's keys are pinned, and this is none of them

	// What only keys of seawall issuers have.
	kinds       []string
	signingEnds instant
	times       [3]uint64 // nbf, signing_ends, exp as the ledger signed them
	whole       int       // which of them were whole numbers, as bits
	statement   []byte
	unvouched   bool // the ledger's statement is missing or wrong
}

// jwk is a JWK (RFC 7517 §4) as written, before anything in it has been judged.
type jwk struct {
	*key
	kty, crv, x, y, n, e string
	use                  string
	hasUse               bool
}

// newKey reads one JWK of a set. It never fails: what is wrong with the key becomes its flaw.
func newKey(raw []byte) *key { return readKey(raw, true) }

// readKey reads one JWK, which needs a kid if it is to be found by it.
func readKey(raw []byte, named bool) *key {
	j := jwk{key: &key{}}
	var s scanner
	s.reset(raw, false)
	if s.peek() != '{' {
		j.fault("it is not an object")
		return j.key
	}
	for o := s.object(); s.member(&o); {
		j.read(&s, string(o.name))
	}
	if !s.end() {
		return &key{flaw: "it is not strict JSON"}
	}
	if j.hasUse && j.use != "sig" {
		j.fault("its use is not sig")
	}
	if named && j.id == "" {
		j.fault("it has no kid")
	}
	j.material()
	return j.key
}

// fault records the first thing that is wrong.
func (k *key) fault(format string, args ...any) {
	if k.flaw == "" {
		k.flaw = fmt.Sprintf(format, args...)
	}
}

func (j *jwk) read(s *scanner, name string) {
	switch name {
	case "kty":
		j.readString(s, name, &j.kty)
	case "crv":
		j.readString(s, name, &j.crv)
	case "x":
		j.readString(s, name, &j.x)
	case "y":
		j.readString(s, name, &j.y)
	case "n":
		j.readString(s, name, &j.n)
	case "e":
		j.readString(s, name, &j.e)
	case "kid":
		j.readString(s, name, &j.id)
	case "use":
		j.hasUse = true
		j.readString(s, name, &j.use)
	case "alg":
		var alg string
		j.readString(s, name, &alg)
		if j.alg = Alg(alg); alg == "" {
			j.fault("its alg is empty")
		}
	case "key_ops":
		j.readOps(s)
	case "issuer":
		var issuer string
		j.readString(s, name, &issuer)
		j.issuer, j.bound = newPattern(issuer), true
	case "nbf":
		j.nbf = j.readTime(s, name, 0)
	case "exp":
		j.exp, j.hasExp = j.readTime(s, name, 2), true
	case "signing_ends":
		j.signingEnds = j.readTime(s, name, 1)
	case "revoked":
		j.revoked = true // whatever it says: a key is not marked so by accident
		s.skip()
	case "token_kinds":
		j.kinds = readStrings(s)
	case "ledger_statement":
		var spelled string
		j.readString(s, name, &spelled)
		j.statement, _ = appendBase64(nil, spelled)
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
		j.fault("it holds private or symmetric key material")
		s.skip()
	default:
		s.skip()
	}
}

func (j *jwk) readString(s *scanner, name string, to *string) {
	if s.peek() != '"' {
		j.fault("its %s is not a string", name)
		s.skip()
		return
	}
	*to = string(s.text().b)
}

// readOps demands "verify" among the key operations (RFC 7517 §4.3).
func (j *jwk) readOps(s *scanner) {
	for _, op := range readStrings(s) {
		if op == "verify" {
			return
		}
	}
	j.fault("its key_ops lack verify")
}

// readStrings reads an array of strings; anything else gives nil.
func readStrings(s *scanner) (list []string) {
	if s.peek() != '[' {
		s.skip()
		return nil
	}
	sound := true
	for a := s.array(); s.element(&a); {
		if s.peek() != '"' {
			sound = false
			s.skip()
			continue
		}
		list = append(list, string(s.text().b))
	}
	if !sound {
		return nil
	}
	return list
}

// readTime reads a time of a key. A time before 1970 counts as 1970, which changes nothing.
func (j *jwk) readTime(s *scanner, name string, slot int) instant {
	if c := s.peek(); c != '-' && c-'0' > 9 {
		j.fault("its %s is not a number", name)
		s.skip()
		return instant{}
	}
	number := s.number()
	if s.fault {
		return instant{}
	}
	if seconds, ok := wholeNumber(number); ok {
		j.times[slot] = seconds
		j.whole |= 1 << slot
	}
	t, _ := parseInstant(number)
	return t
}

// wholeNumber reads a number of at most eighteen digits that is written as digits alone.
func wholeNumber(number []byte) (n uint64, ok bool) {
	if len(number) > 18 {
		return 0, false
	}
	for _, c := range number {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// material builds the public key and refuses what is weak or impossible.
func (j *jwk) material() {
	switch {
	case j.flaw != "":
	case j.kty == "EC" && j.crv == "P-256":
		j.point()
	case j.kty == "RSA":
		j.modulus()
	case j.kty == "OKP" && j.crv == "Ed25519":
		j.edwards()
	default:
		j.fault("its key type or curve is not supported")
	}
}

// point reads a P-256 key (RFC 7518 §6.2). The standard library refuses points off the curve.
func (j *jwk) point() {
	uncompressed, okX := appendBase64([]byte{4}, j.x)
	okX = okX && len(uncompressed) == 1+32
	uncompressed, okY := appendBase64(uncompressed, j.y)
	if !okX || !okY || len(uncompressed) != 1+64 {
		j.fault("its coordinates are not 32 bytes of base64url each")
		return
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed)
	if err != nil {
		j.fault("its point is not on the curve")
		return
	}
	j.ec = public
}

// modulus reads an RSA key (RFC 7518 §6.3).
func (j *jwk) modulus() {
	n, okN := appendBase64(nil, j.n)
	e, okE := appendBase64(nil, j.e)
	if !okN || !okE {
		j.fault("its modulus or exponent is not base64url")
		return
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch bits := modulus.BitLen(); {
	case bits < minModulusBits:
		j.fault("its modulus has %d bits, fewer than %d", bits, minModulusBits)
	case bits > maxModulusBits:
		j.fault("its modulus has %d bits, more than %d", bits, maxModulusBits)
	case modulus.Bit(0) == 0:
		j.fault("its modulus is even")
	case exponent.BitLen() > 31 || exponent.Bit(0) == 0 || exponent.Int64() < 3:
		j.fault("its exponent is not an odd number of 3 or more in 31 bits")
	default:
		j.rsa = &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
	}
}

// edwards reads an Ed25519 key (RFC 8037 §2).
func (j *jwk) edwards() {
	x, ok := appendBase64(nil, j.x)
	if !ok || len(x) != ed25519.PublicKeySize {
		j.fault("its x is not 32 bytes of base64url")
		return
	}
	if why := weakEdwardsPoint(x); why != "" {
		j.fault("%s", why)
		return
	}
	j.ed = x
}

// fits reports whether the key can check signatures of this algorithm.
func (k *key) fits(alg Alg) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch alg {
	case ES256:
		return k.ec != nil
	case RS256, PS256:
		return k.rsa != nil
	case EdDSA:
		return k.ed != nil
	}
	return false
}

// thumbprint gives the key's RFC 7638 thumbprint, over the one canonical form of its members.
func (k *key) thumbprint() [sha256.Size]byte {
	spell := base64.RawURLEncoding.EncodeToString
	switch {
	case k.ec != nil:
		b, err := k.ec.Bytes()
		if err != nil { // can't be: the key was parsed from such bytes
			return [sha256.Size]byte{}
		}
		return sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + spell(b[1:33]) + `","y":"` + spell(b[33:]) + `"}`))
	case k.rsa != nil:
		e := big.NewInt(int64(k.rsa.E)).Bytes()
		return sha256.Sum256([]byte(`{"e":"` + spell(e) + `","kty":"RSA","n":"` + spell(k.rsa.N.Bytes()) + `"}`))
	default:
		return sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + spell(k.ed) + `"}`))
	}
}
