package grant

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"seawall/internal/tenant"
)

// maxLimited is how many clients, and how many addresses, are remembered at once: about 2 MB when full.
const maxLimited = 16 << 10

// limiter is a bounded set of token buckets, one a key. When it is full the fullest of a few buckets makes room: that
// is a key which has hardly been seen lately.
type limiter[K comparable] struct {
	mu      sync.Mutex
	buckets map[K]*rate.Limiter
}

func newLimiter[K comparable]() *limiter[K] { return &limiter[K]{buckets: map[K]*rate.Limiter{}} }

// take uses one unit of key's bucket, which holds burst and refills with every. It returns 0, or how long it takes until
// there is one.
func (l *limiter[K]) take(key K, every rate.Limit, burst int, now time.Time) time.Duration {
	l.mu.Lock()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxLimited {
			l.evict(now)
		}
		b = rate.NewLimiter(every, burst)
		l.buckets[key] = b
	}
	l.mu.Unlock()
	if b.AllowN(now, 1) {
		return 0
	}
	return missing(b, now)
}

// wait returns 0 while key has something left, or how long it takes until it has. It uses nothing.
func (l *limiter[K]) wait(key K, now time.Time) time.Duration {
	l.mu.Lock()
	b := l.buckets[key]
	l.mu.Unlock()
	if b == nil || b.TokensAt(now) >= 1 {
		return 0
	}
	return missing(b, now)
}

func missing(b *rate.Limiter, now time.Time) time.Duration {
	seconds := (1 - b.TokensAt(now)) / float64(b.Limit())
	return max(time.Millisecond, time.Duration(seconds*float64(time.Second)))
}

// evict forgets one of a handful of keys that the map happens to yield first. Called with mu held.
func (l *limiter[K]) evict(now time.Time) {
	var fullest K
	most, looked := -1e18, 0
	for key, b := range l.buckets {
		if tokens := b.TokensAt(now); tokens > most {
			fullest, most = key, tokens
		}
		if looked++; looked == 16 {
			break
		}
	}
	delete(l.buckets, fullest)
}

// place is an address at a tenant, and who is a client of a tenant.
type (
	place struct {
		tenant string
		from   netip.Prefix
	}
	who struct {
		tenant, client string
		from           netip.Prefix // of a public client, whose name anybody can say
	}
)

// FailureLimit bounds failed authentications: so many a minute from one address at one tenant. An IPv6 network of 64
// bits counts as one address, since whoever has one address of it has them all.
//
// It never locks anybody out. When it is reached, credentials that are known to be good still pass, and all others are
// refused without being looked up: many clients may share an address with one that is misconfigured.
type FailureLimit struct {
	perMinute int
	places    *limiter[place]
}

// NewFailureLimit makes a limit of perMinute failures.
func NewFailureLimit(perMinute int) *FailureLimit {
	return &FailureLimit{perMinute, newLimiter[place]()}
}

// Wait returns 0 while another failure from r's address is allowed, or how long it takes until one is.
func (l *FailureLimit) Wait(tenant string, r *http.Request, now time.Time) time.Duration {
	return l.places.wait(place{tenant, network(r.RemoteAddr)}, now)
}

// Failed counts a failure.
func (l *FailureLimit) Failed(tenant string, r *http.Request, now time.Time) {
	l.places.take(place{tenant, network(r.RemoteAddr)}, rate.Limit(l.perMinute)/60, l.perMinute, now)
}

// network is the address of a peer, an IPv6 one cut to 64 bits. It is the address of the connection, never one that a
// header names.
func network(remote string) netip.Prefix {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{} // not TCP: everybody is one
	}
	addr, bits := peer.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // cannot fail: the bits fit the address
	return prefix
}

// limit uses one of the client's requests. It counts clients that have authenticated, and public ones at each address, so
// nobody can use up another's.
func (h *Handler) limit(r *http.Request, t *tenant.Tenant, c *Client, now time.Time) time.Duration {
	n, key := c.registered.RatePerSecond, who{tenant: t.ID, client: c.registered.ID}
	if c.public() {
		key.from = network(r.RemoteAddr)
	}
	return h.requests.take(key, rate.Limit(n), n, now)
}
