package validate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
)

// pss demands a salt exactly as long as the hash (RFC 7518 §3.5).
var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}

// verify checks a JWS signature (RFC 7515 §5.2) by a key that fits the algorithm. The standard
// library refuses RSA and Ed25519 signatures of another length than the key's.
func (k *key) verify(w *work) bool {
	signed, sum, sig := w.signed, &w.sum, w.signature
	switch w.header.alg {
	case ES256:
		if len(sig) != 64 {
			return false
		}
		w.der = appendDER(w.der[:0], sig)
		return ecdsa.VerifyASN1(k.ec, sum[:], w.der)
	case RS256:
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, sum[:], sig) == nil
	case PS256:
		return rsa.VerifyPSS(k.rsa, crypto.SHA256, sum[:], sig, pss) == nil
	case EdDSA:
		return ed25519.Verify(k.ed, signed, sig)
	}
	return false
}

// appendDER writes a JWS ECDSA signature, r and s of 32 bytes each (RFC 7518 §3.4), as the ASN.1
// that crypto/ecdsa reads with the fewest allocations.
func appendDER(dst, sig []byte) []byte {
	dst = append(dst, 0x30, 0)
	dst = appendDERInteger(dst, sig[:32])
	dst = appendDERInteger(dst, sig[32:])
	dst[1] = byte(len(dst) - 2)
	return dst
}

func appendDERInteger(dst, n []byte) []byte {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	if n[0]&0x80 != 0 {
		dst = append(dst, 0x02, byte(len(n)+1), 0)
	} else {
		dst = append(dst, 0x02, byte(len(n)))
	}
	return append(dst, n...)
}

// receiptSkew is how far a receipt's time and the token's iat may lie apart, in milliseconds.
const receiptSkew = 60_000

// checkReceipt decides whether the ledger recorded exactly this token. It runs after the token's
// signature was found good, so each of its verdicts speaks about the holder of the issuer's key.
func (set *keySet) checkReceipt(w *work) Code {
	r := &w.receipt
	code := CodeReceiptKey
	for i := range set.receipts {
		k := &set.receipts[i]
		if k.id != r.KeyID {
			continue
		}
		if r.Time/1000 < k.nbf || r.Time/1000 >= k.exp || !near(r.Time, w.claims.iat) {
			code = CodeReceiptTime
			continue
		}
		w.signed = r.AppendInput(w.signed[:0], &w.digest)
		if !ed25519.Verify(k.public, w.signed, r.Signature[:]) {
			return CodeReceiptMismatch
		}
		return ""
	}
	return code
}

// near reports whether milliseconds since 1970 are within receiptSkew of iat, which is below
// endOfTime and not negative.
func near(ms uint64, iat instant) bool {
	if ms > endOfTime*1000 {
		return false
	}
	apart := int64(ms) - (iat.sec*1000 + int64(iat.nsec)/1e6)
	return -receiptSkew <= apart && apart <= receiptSkew
}
