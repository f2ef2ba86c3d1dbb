package grant

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// PepperSize is how many bytes a pepper has.
const PepperSize = 32

// Pepper is the secret of the house that refresh tokens are made with. It lies in a file and never in the database, so that
// who has the database, or a backup of it, can neither make a refresh token nor open what is sealed there.
//
// A refresh token says which family and which generation it is of, and has 256 random bits and a MAC under the pepper. So a
// genuine token of an older generation is known for what it is although nothing of it is kept, and nobody can bring a
// family under suspicion by guessing.
type Pepper struct {
	mac, seal [32]byte
}

// NewPepper takes what is in the file.
func NewPepper(raw []byte) (*Pepper, error) {
	if len(raw) != PepperSize {
		return nil, fmt.Errorf("a pepper has %d bytes, and this one %d", PepperSize, len(raw))
	}
	p := new(Pepper)
	for use, key := range map[string]*[32]byte{"seawall-refresh-mac-v1": &p.mac, "seawall-refresh-seal-v1": &p.seal} {
		made, err := hkdf.Key(sha256.New, raw, nil, use, len(key))
		if err != nil {
			return nil, err
		}
		copy(key[:], made)
	}
	return p, nil
}

// Format keeps the pepper out of anything printed.
func (*Pepper) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, secret.Redacted) }

// Parts of a refresh token's payload: id of the family, generation, random bits, MAC.
const (
	afterID         = 16
	afterGeneration = afterID + 8
	afterRandom     = afterGeneration + 32
)

// refreshToken is a refresh token that is genuine.
type refreshToken struct {
	text       secret.Text
	family     tenant.FamilyID
	generation uint64
}

// make returns a new token of a family.
func (p *Pepper) make(t *tenant.Tenant, family tenant.FamilyID, generation uint64) (made refreshToken, random [32]byte) {
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return p.assemble(t, family, generation, random), random
}

func (p *Pepper) assemble(t *tenant.Tenant, family tenant.FamilyID, generation uint64, random [32]byte) refreshToken {
	var payload secret.Payload
	copy(payload[:], family[:])
	binary.BigEndian.PutUint64(payload[afterID:], generation)
	copy(payload[afterGeneration:], random[:])
	copy(payload[afterRandom:], p.sum(t, payload[:afterRandom]))
	return refreshToken{secret.Carry(secret.RefreshToken, t.Class.Env(), payload), family, generation}
}

// sum is the MAC of what a token says, as long as there is room for.
func (p *Pepper) sum(t *tenant.Tenant, said []byte) []byte {
	mac := hmac.New(sha256.New, p.mac[:])
	mac.Write([]byte(t.ID + "\x00"))
	mac.Write(said)
	return mac.Sum(nil)[:len(secret.Payload{})-afterRandom]
}

// open takes a token apart, and reports whether it is a genuine one of this tenant.
func (p *Pepper) open(t *tenant.Tenant, text secret.Text) (r refreshToken, genuine bool) {
	payload, env, err := text.Payload(secret.RefreshToken)
	if err != nil || env != t.Class.Env() || !hmac.Equal(payload[afterRandom:], p.sum(t, payload[:afterRandom])) {
		return r, false
	}
	return refreshToken{text, tenant.FamilyID(payload[:afterID]), binary.BigEndian.Uint64(payload[afterID:])}, true
}

var errSealed = errors.New("the successor of a refresh token can't be opened with that token and this house's pepper")

// sealSuccessor keeps the random bits of the token that follows on r, so that only r and the pepper together give them.
func (p *Pepper) sealSuccessor(r refreshToken, random [32]byte) ([]byte, error) {
	aead, err := p.successorKey(r)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, random[:], r.binding()), nil
}

// successor returns the token that follows on r, out of what sealSuccessor kept.
func (p *Pepper) successor(t *tenant.Tenant, r refreshToken, sealed []byte) (next refreshToken, err error) {
	aead, err := p.successorKey(r)
	if err != nil {
		return next, err
	}
	random, err := aead.Open(nil, nil, sealed, r.binding())
	if err != nil || len(random) != 32 {
		return next, errSealed
	}
	return p.assemble(t, r.family, r.generation+1, [32]byte(random)), nil
}

// successorKey is good for what follows on one token. Two who use one token at the same time seal different successors
// under it, so the nonce is random.
func (p *Pepper) successorKey(r refreshToken) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(r.text.Reveal()), p.seal[:], "seawall-refresh-successor-v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (r *refreshToken) binding() []byte {
	return binary.BigEndian.AppendUint64(r.family[:], r.generation)
}
