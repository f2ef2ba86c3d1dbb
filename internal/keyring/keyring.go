// Package keyring knows the life of an issuer's keys: which key signs, which are published, and what happens next.
//
// A keyring is the keys of one issuer and one token family. A key is staged (published, so that validators learn it
// before they need it), then active (it signs; exactly one does), then verify-only (its private part is destroyed, its
// tokens still count), then retired. Suspended and revoked are the ways out for a key that must not be trusted any more;
// a suspended one can be given back, and then goes on as verify-only. One published spare always waits, so an emergency
// rotation is a promotion and not a race.
//
// Everything is a pure function of key records ([mint.Key]) and a time: nothing is stored, no clock is read, and the
// same questions get the same answers in the signer, which takes the steps of [Plan], and in the house, which serves
// what [Published] returns. States are judged at the moment of asking. A list of keys made at the last rotation and
// served from then on would go on publishing a retired key until the next one.
package keyring

import (
	"time"

	"seawall/internal/mint"
)

const (
	// JWKSMaxAge is how long an HTTP cache may keep a JWK Set.
	JWKSMaxAge = 5 * time.Minute

	// PrePublication is how long a key is published before it signs: the longest that validators are expected to cache
	// a JWK Set (24 h), the HTTP caches in front of them, and five minutes for the house to learn of it.
	PrePublication = 24*time.Hour + JWKSMaxAge + 5*time.Minute

	// Skew is how far the clocks of issuer and validator may lie apart.
	Skew = time.Minute

	// Slack is how long past its planned rotation a key may go on signing, so that a rotation missed in a long outage is
	// late and not the end of issuance.
	Slack = 14 * 24 * time.Hour

	// DefaultRotation is how long a key signs unless the tenant's policy says otherwise.
	DefaultRotation = 30 * 24 * time.Hour

	// MinRotation is the shortest rotation: the spare is made when its predecessor becomes active and must be ripe when
	// its own turn comes.
	MinRotation = 2 * 24 * time.Hour

	// grace is added to the life of the last token before its key leaves the JWK Set: validators' clocks, and the five
	// minutes the signer's own clock may be set back without anybody being asked.
	grace = 10 * time.Minute

	// lastCall is when, before the end of an active key, any spare is taken, ripe or not: a validator that does not know
	// the key yet is better than an issuer that cannot sign.
	lastCall = 10 * time.Minute
)

// Rules are what a keyring is planned by.
type Rules struct {
	Algorithm   string        // of new keys, e.g. ES256
	Rotation    time.Duration // how long a key signs; at least [MinRotation]
	MaxLifetime time.Duration // ceiling of any token's life, for new keys
}

// Windows returns the three dates of a key made at created, in Unix seconds: it verifies from nbf, signs nothing at or
// after signingEnds, and nothing it signed outlives exp. They are stated by the ledger and never change, so they leave
// room for a key that waits for one rotation as the spare, signs for another and is replaced late.
func Windows(rules Rules, created time.Time) (nbf, signingEnds, exp int64) {
	ends := created.Add(2*rules.Rotation + Slack)
	return created.Add(-Skew).Unix(), ends.Unix(), ends.Add(rules.MaxLifetime + Skew).Unix()
}

// Lifetime is the longest life of a token under key k. It was fixed when the key was made, because how long the key is
// published after its last token was reckoned with it.
func Lifetime(k *mint.Key) time.Duration {
	return max(0, time.Duration(k.Expires-k.SigningEnds)*time.Second-Skew)
}

// State is what a key may do.
type State string

// The states, in the order in which a key passes through them.
const (
	Staged     State = "staged"      // published, signs nothing yet
	Active     State = "active"      // signs
	VerifyOnly State = "verify-only" // its tokens still count
	Retired    State = "retired"     // not published
	Suspended  State = "suspended"   // not trusted, and may be given back
	Revoked    State = "revoked"     // not trusted, for good
)

// recorded is the state by the last step taken, whatever the time.
func recorded(k *mint.Key) State {
	switch {
	case k.RevokedAt != 0:
		return Revoked
	case k.RetiredAt != 0:
		return Retired
	case k.SuspendedAt != 0:
		return Suspended
	case k.VerifyOnlyAt != 0:
		return VerifyOnly
	case k.ActivatedAt != 0:
		return Active
	}
	return Staged
}

// StateAt returns the state of k at now: that of its last step, or a later one when its dates have passed and the step
// has not been taken yet.
func StateAt(k *mint.Key, now time.Time) State {
	t, state := now.Unix(), recorded(k)
	switch {
	case state == Staged && t >= k.SigningEnds:
		return Retired
	case state == Active && t >= lastToken(k):
		return Retired
	case state == Active && t >= k.SigningEnds:
		return VerifyOnly
	case state == VerifyOnly && t >= lastToken(k):
		return Retired
	}
	return state
}

// lastToken is when every token that k may have signed has expired everywhere.
func lastToken(k *mint.Key) int64 {
	if k.VerifyOnlyAt == 0 {
		return k.Expires
	}
	return min(k.Expires, k.VerifyOnlyAt+int64((Lifetime(k)+grace)/time.Second))
}

// ActiveKey returns the key that is recorded as active, if there is one. Whether it may sign at a given time is for the
// caller to compare with its SigningEnds.
func ActiveKey(keys []mint.Key) (*mint.Key, bool) {
	for i := range keys {
		if recorded(&keys[i]) == Active {
			return &keys[i], true
		}
	}
	return nil, false
}

// Published returns the keys that belong in the JWK Set at now, in the given order: every key that has been staged and
// every key with a token that has not expired, and no key that is retired, suspended or revoked. A key that is not trusted
// is left out rather than shown with a mark: a mark would be understood by our own validators only, who hear of it from the
// distrust feed anyway, and everybody understands a key that is not there.
func Published(keys []mint.Key, now time.Time) []mint.Key {
	var list []mint.Key
	for i := range keys {
		switch StateAt(&keys[i], now) {
		case Staged, Active, VerifyOnly:
			if keys[i].PublishedAt != 0 {
				list = append(list, keys[i])
			}
		}
	}
	return list
}
