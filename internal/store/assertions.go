package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// One in sweepEvery uses removes up to sweepRows expired assertions: two for each new one, so that the table cannot grow
// beyond what is live, and no use ever pays for a long pause before it.
const (
	sweepEvery = 16
	sweepRows  = 2 * sweepEvery
)

// ConsumeAssertion notes the use of a client assertion (RFC 7523 §3, private_key_jwt) and reports whether this was the
// first: of any number of calls with the same tenant, client and jti exactly one wins, across restarts too. The memory
// lasts until the given time, which comes from the caller's policy and never from the assertion alone: it must not be
// earlier than the last moment at which the assertion could be accepted.
func (s *Store) ConsumeAssertion(ctx context.Context, tenantID, client, jti string, until time.Time) (first bool, err error) {
	digest := assertionDigest(tenantID, client, jti)
	err = s.act(ctx, func(x *tx) error {
		first = false
		now := x.now.UnixMilli()
		if until.UnixMilli() <= now {
			return fmt.Errorf("an assertion is to be remembered until %s, which is past", until.UTC().Format(time.RFC3339Nano))
		}
		n, err := x.affected(`insert into used_assertion (digest, expires_at) values ($1, $2)
			on conflict (digest) do update set expires_at = excluded.expires_at where used_assertion.expires_at <= $3`,
			digest[:], until.UnixMilli(), now)
		if err != nil {
			return err
		}
		first = n == 1
		return x.sweep(now)
	})
	return first && err == nil, err
}

// sweep counts in the writer, because a client could choose identifiers that evade any rule about them.
func (x *tx) sweep(now int64) error {
	x.w.uses++
	if x.w.uses%sweepEvery != 0 {
		return nil
	}
	return x.exec(`delete from used_assertion where digest in (select digest from used_assertion where expires_at <= $1 order by expires_at limit $2)`, now, sweepRows)
}

// assertionDigest makes one fixed-length key of the three names. Lengths keep ("a", "bc") and ("ab", "c") apart.
func assertionDigest(names ...string) (digest [sha256.Size]byte) {
	h := sha256.New()
	for _, name := range names {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(name)))
		h.Write(length[:])
		h.Write([]byte(name))
	}
	h.Sum(digest[:0])
	return digest
}
