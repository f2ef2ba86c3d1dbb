package validate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
)

// Nonces makes and checks the nonces that DPoP proofs must carry (RFC 9449 §9). With them a proof
// can't be made ahead of its use. It is safe for use by many goroutines.
type Nonces interface {
	// Nonce gives the nonce that a client should use from now on.
	Nonce(now time.Time) string

	// Accepts reports whether a proof with this nonce is still good; "" is what a proof without one has.
	Accepts(nonce string, now time.Time) bool
}

const (
	defaultNonceTime = 2 * time.Minute
	minNonceTime     = time.Second
	minNonceSecret   = 32
)

// RotatingNonces gives nonces that change after every period and that nothing is stored for: they
// are a MAC over the number of the period. The nonce of the period before is accepted too, so that
// no client loses a request to a change, and that of the next, for machines whose clocks are ahead.
//
// Machines that serve one API share a secret of at least 32 random bytes; nil makes one for this
// process. A period of 0 means two minutes.
func RotatingNonces(secret []byte, period time.Duration) (Nonces, error) {
	if secret == nil {
		secret = make([]byte, minNonceSecret)
		rand.Read(secret)
	}
	if len(secret) < minNonceSecret {
		return nil, fmt.Errorf("validate: the secret for nonces has %d bytes, and needs %d", len(secret), minNonceSecret)
	}
	if period == 0 {
		period = defaultNonceTime
	}
	if period < minNonceTime {
		return nil, fmt.Errorf("validate: nonces that change after %v: give at least %v", period, minNonceTime)
	}
	return &rotatingNonces{secret: append([]byte(nil), secret...), period: period}, nil
}

type rotatingNonces struct {
	secret []byte
	period time.Duration
	recent atomic.Pointer[nonces]
}

// nonces are those of one period, the one before and the one after.
type nonces struct {
	period                  int64
	previous, current, next string
}

func (r *rotatingNonces) Nonce(now time.Time) string { return r.at(now).current }

func (r *rotatingNonces) Accepts(nonce string, now time.Time) bool {
	n := r.at(now)
	return same(nonce, n.current) || same(nonce, n.previous) || same(nonce, n.next)
}

func (r *rotatingNonces) at(now time.Time) *nonces {
	period := now.UnixNano() / int64(r.period)
	if n := r.recent.Load(); n != nil && n.period == period {
		return n
	}
	n := &nonces{period: period, previous: r.make(period - 1), current: r.make(period), next: r.make(period + 1)}
	r.recent.Store(n)
	return n
}

func (r *rotatingNonces) make(period int64) string {
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte("seawall dpop nonce\x00"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(period)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}
