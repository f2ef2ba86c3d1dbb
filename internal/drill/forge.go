package drill

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

var b64 = base64.RawURLEncoding

// claims of a forged token: everything a real one has.
func forgedClaims(r *Range, jti string) []byte {
	now := r.Now().Unix()
	body, err := json.Marshal(map[string]any{
		"iss": r.Enterprise.URL, "sub": "chief-executive", "aud": r.Audience, "client_id": "mail", "scope": "mail.read",
		"jti": jti, "iat": now, "exp": now + int64((5 * time.Minute).Seconds()),
	})
	if err != nil {
		panic("encoding forged claims") // strings and integers only
	}
	return body
}

// forgedLogin says that somebody important signed in a moment ago.
func forgedLogin(r *Range, audience, jti string) []byte {
	now := r.Now().Unix()
	body, err := json.Marshal(map[string]any{
		"iss": r.Enterprise.URL, "sub": "chief-executive", "aud": audience, "auth_time": now - 5, "acr": "phrh", "amr": []string{"hwk", "user"},
		"jti": jti, "iat": now, "exp": now + int64((5 * time.Minute).Seconds()),
	})
	if err != nil {
		panic("encoding a forged sign-in") // strings and integers only
	}
	return body
}

func header(kid string) []byte { return typedHeader("at+jwt", kid) }

func typedHeader(typ, kid string) []byte {
	return fmt.Appendf(nil, `{"alg":"ES256","typ":%q,"kid":%q}`, typ, kid)
}

// sign makes a compact JWS (RFC 7515 §7.1) with an ES256 key.
func sign(head, payload []byte, key crypto.Signer) (string, error) {
	input := b64.EncodeToString(head) + "." + b64.EncodeToString(payload)
	sum := sha256.Sum256([]byte(input))
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing a forgery: %w", err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return "", fmt.Errorf("reading an ECDSA signature: %w", err)
	}
	return input + "." + b64.EncodeToString(join(rs.R, rs.S)), nil
}

func join(r, s *big.Int) []byte {
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return sig
}

// parts takes a compact JWS apart.
func parts(token string) (head, payload, sig []byte, err error) {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		return nil, nil, nil, errors.New("a captured token does not have three parts")
	}
	var out [3][]byte
	for i, s := range segments {
		if out[i], err = b64.DecodeString(s); err != nil {
			return nil, nil, nil, errors.New("a captured token is not base64url")
		}
	}
	return out[0], out[1], out[2], nil
}

// otherForm rewrites an ECDSA signature (r, s) as (r, n-s): anybody can.
func otherForm(token string, public *ecdsa.PublicKey) (string, error) {
	_, _, sig, err := parts(token)
	if err != nil {
		return "", err
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(public.Curve.Params().N, s)
	cut := strings.LastIndexByte(token, '.')
	return token[:cut+1] + b64.EncodeToString(join(new(big.Int).SetBytes(sig[:32]), s)), nil
}

const receiptSuffix = len(`,"rcpt":""}`) + 119

// receiptOf returns the receipt text at the end of a genuine header.
func receiptOf(head []byte) (string, error) {
	if len(head) < receiptSuffix {
		return "", errors.New("the captured token has no receipt")
	}
	return string(head[len(head)-2-119 : len(head)-2]), nil
}

func withReceipt(bare []byte, rcpt string) []byte {
	return append(bare[:len(bare)-1:len(bare)-1], `,"rcpt":"`+rcpt+`"}`...)
}

// foreignReceipt is a well-made receipt by a ledger key that nobody vouched for.
func foreignReceipt(bare, payload []byte, now time.Time) (string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	str := func(b, v []byte) []byte {
		return append(binary.BigEndian.AppendUint64(b, uint64(len(v))), v...)
	}
	digest := sha256.Sum256(str(str([]byte("seawall-receipt-v1\x00"), bare), payload))
	id := sha256.Sum256(append([]byte("seawall-ledger-key-v1\x00"), public...))
	rcpt := append([]byte{1}, id[:8]...)
	rcpt = binary.BigEndian.AppendUint64(rcpt, 4711)
	rcpt = binary.BigEndian.AppendUint64(rcpt, uint64(now.UnixMilli()))
	input := append(append([]byte("seawall-receipt-signature-v1\x00"), rcpt...), digest[:]...)
	return b64.EncodeToString(append(rcpt, ed25519.Sign(private, input)...)), nil
}
