package validate

import (
	"math/big"
	"slices"
)

// The field and the curve constant of Ed25519 (RFC 8032 §5.1).
var (
	edwardsP = func() *big.Int {
		p := new(big.Int).Lsh(big.NewInt(1), 255)
		return p.Sub(p, big.NewInt(19))
	}()
	edwardsD = func() *big.Int {
		d := new(big.Int).ModInverse(big.NewInt(121666), edwardsP)
		d.Mul(d, big.NewInt(-121665))
		return d.Mod(d, edwardsP)
	}()
)

// weakEdwardsPoint says why an encoded Ed25519 key must not be used, or "". With a key of small
// order some signatures verify for many messages, and crypto/ed25519 does not refuse such keys. It
// runs once a key, when a document is loaded; signatures are checked by the standard library alone.
func weakEdwardsPoint(encoded []byte) string {
	littleEndian := slices.Clone(encoded)
	littleEndian[31] &= 0x7f // the sign of x
	slices.Reverse(littleEndian)
	y := new(big.Int).SetBytes(littleEndian)
	if y.Cmp(edwardsP) >= 0 {
		return "its point is not canonically encoded"
	}
	mod := func(n *big.Int) *big.Int { return n.Mod(n, edwardsP) }
	one := big.NewInt(1)
	y2 := mod(new(big.Int).Mul(y, y))

	// x² = (y²-1) / (dy²+1): a point exists if that is a square, and if so then u·v is one too.
	u := new(big.Int).Sub(y2, one)
	v := new(big.Int).Mul(edwardsD, y2)
	v.Add(v, one)
	if big.Jacobi(mod(new(big.Int).Mul(u, v)), edwardsP) == -1 {
		return "its point is not on the curve"
	}

	// Doubling gives y' = (y²+x²) / (2-(y²-x²)). A point is of small order if it reaches the
	// neutral element, where y = 1, within three doublings (the cofactor is 8).
	for range 3 {
		x2 := new(big.Int).ModInverse(mod(v), edwardsP)
		x2 = mod(x2.Mul(x2, mod(u)))
		above := new(big.Int).Add(y2, x2)
		below := new(big.Int).Sub(x2, y2)
		below = mod(below.Add(below, big.NewInt(2)))
		y = mod(above.Mul(above, below.ModInverse(below, edwardsP)))
		y2 = mod(new(big.Int).Mul(y, y))
		u = new(big.Int).Sub(y2, one)
		v = new(big.Int).Mul(edwardsD, y2)
		v.Add(v, one)
	}
	if y.Cmp(one) == 0 {
		return "its point is of small order"
	}
	return ""
}
