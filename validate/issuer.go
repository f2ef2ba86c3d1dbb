package validate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"seawall/validate/internal/wire"
)

// Issuer is a trusted issuer. Make one with [SeawallIssuer] or [ForeignIssuer]; the zero Issuer is
// refused by [New].
type Issuer struct {
	terms      terms
	tenants    []string
	keys       KeySource
	types      []string // nil for Config.Types
	algorithms []Alg    // nil for Config.Algorithms
	claims     []ClaimRule
	access     []ClaimRule // of access tokens besides
	flaw       error       // why it can't be used; a preset's or a pin's
	feed       *Feed
}

// SeawallIssuer trusts the seawall issuer at url, whose ledger root has the given pin (swl1-…, shown
// by "seawall api create"). Every token needs a receipt by a ledger key that the pinned root has
// certified, and every key a statement by that root; nothing that is served anywhere can lower
// this. Keys come from {url}/jwks unless WithKeys says otherwise.
//
// The url is compared with iss exactly. It must be https, or http on a loopback address.
func SeawallIssuer(url, pin string) Issuer {
	return Issuer{
		terms: terms{issuer: url, seawall: true, pin: pin},
		keys:  RemoteKeys(url + "/jwks"),
	}
}

// ForeignConfig describes an issuer that is not a seawall.
type ForeignConfig struct {
	// Issuer is compared with iss exactly. It may contain {tenantid}, which stands for the token's
	// tid; tid must then be a lower-case UUID.
	Issuer string

	// Tenants are the tids that are accepted. nil accepts every tenant of the issuer; an empty list
	// that is not nil accepts none.
	Tenants []string

	// Keys is where the issuer's keys come from. Required: nothing is discovered by itself.
	Keys KeySource

	// Types are the values of typ that this issuer's tokens may have, in the place of Config.Types,
	// so that a type which only this issuer uses for access tokens opens no door to another
	// issuer's ID tokens. Untyped stands for a header without typ. nil means Config.Types.
	Types []string

	// Algorithms narrows Config.Algorithms for this issuer. nil leaves them as they are.
	Algorithms []Alg

	// Claims are demanded of every token. An issuer that signs for anybody needs one that says who.
	Claims []ClaimRule

	// AccessClaims are demanded of access tokens besides: what tells them from the issuer's ID tokens
	// where typ does not.
	AccessClaims []ClaimRule

	// KeyIssuer, if set, is what the member issuer of every key must say; a key without it is
	// refused. It may contain {tenantid} if Issuer does. Set it for a key document that serves
	// several issuers, and leave it empty for one whose keys name nobody.
	KeyIssuer string

	// Thumbprints are the keys that count (RFC 7638, SHA-256, base64url); all others are refused
	// with CodeKeyNotPinned. nil accepts every key of the issuer; an empty list that is not nil
	// accepts none. A pinned key has to be replaced here before the issuer replaces it there.
	Thumbprints []string
}

// ForeignIssuer trusts an issuer that gives no receipts. Its keys are still bound to it, and a key
// that names an issuer signs for that issuer only.
//
// An issuer that does have a seawall ledger is refused ([CodeLedgerAnnounced]): where keys are
// remote, its OAuth and OpenID metadata are looked at too. That guards against a mistake, not
// against an attacker; protection comes from configuring the issuer with [SeawallIssuer].
func ForeignIssuer(c ForeignConfig) Issuer {
	i := Issuer{
		terms:      terms{issuer: c.Issuer, keyIssuer: c.KeyIssuer},
		tenants:    slices.Clone(c.Tenants),
		keys:       c.Keys,
		types:      slices.Clone(c.Types),
		algorithms: slices.Clone(c.Algorithms),
		claims:     slices.Clone(c.Claims),
		access:     slices.Clone(c.AccessClaims),
	}
	i.terms.pinned, i.flaw = thumbprints(c.Thumbprints)
	return i
}

// thumbprints reads the thumbprints of pinned keys.
func thumbprints(spelled []string) (map[[sha256.Size]byte]bool, error) {
	if spelled == nil {
		return nil, nil
	}
	pinned := make(map[[sha256.Size]byte]bool)
	for _, s := range spelled {
		sum, ok := appendBase64(nil, s)
		if !ok || len(sum) != sha256.Size {
			return nil, fmt.Errorf("%q is not a key's thumbprint; \"seawall issuer pin\" shows them", s)
		}
		pinned[[sha256.Size]byte(sum)] = true
	}
	return pinned, nil
}

// WithKeys gives the same issuer with keys from another place: a mirror, or a document at hand. What
// is demanded of the keys stays as it is.
func (i Issuer) WithKeys(k KeySource) Issuer {
	i.keys = k
	return i
}

// KeySource says where an issuer's keys come from. Make one with [StaticKeys] or [RemoteKeys].
type KeySource struct {
	doc       []byte
	url       string
	transport http.RoundTripper
	spread    func(time.Duration) time.Duration // of the pauses between loads; nil for jitter
}

// StaticKeys takes keys from a JWK Set (RFC 7517 §5), which for a seawall issuer holds its ledger
// too. They are never refreshed; the windows of the keys are honoured all the same, by Config.Now.
func StaticKeys(jwks []byte) KeySource { return KeySource{doc: slices.Clone(jwks)} }

// RemoteKeys loads keys from a URL, which must be https, or http on a loopback address. They are
// refreshed in the background as the answer's cache headers say (RFC 9111 §4.2), but at most twice a
// minute and at least hourly; after a failure, a second later, then two, four … up to a minute.
//
// An answer that is not a whole key document with a usable key in it never replaces good keys, and
// neither does an older copy from some cache; redirects are not followed. Only what such a document
// says against a key, that it is revoked or over, counts at once. Keys go on serving until they are
// 24 hours old, counted from when they left the issuer (RFC 9111 §4.2.3). Then every token is
// refused with [CodeKeysStale].
//
// A token that names an unknown key causes an early load, at most two at once and one more every ten
// seconds; no number of them delays the schedule. A bad signature never causes one.
//
// Setting the wall clock back makes no key young again: what the processor's clock says counts too,
// until the issuer's Date agrees with the wall clock to a minute.
func RemoteKeys(url string) KeySource { return KeySource{url: url} }

// WithTransport gives the same source with its HTTP requests sent through t, for example one that
// knows a private certificate authority. Limits on time and size hold as before.
func (k KeySource) WithTransport(t http.RoundTripper) KeySource {
	k.transport = t
	return k
}

// issuer is an Issuer in use.
type issuer struct {
	terms      terms
	name       pattern
	tenants    []string
	anyone     bool     // every tenant is accepted
	types      []string // as Config.Types are kept, or Untyped
	algorithms []Alg    // nil for all
	demands    demand
	static     *keySet
	remote     *remote
	feed       *feed // nil if none is configured
}

// check finds what is wrong with an Issuer before anything is made of it.
func (i Issuer) check() error {
	name := i.terms.issuer
	if i.flaw != nil {
		return i.flaw
	}
	if name == "" {
		return errors.New("an issuer has no name: use SeawallIssuer(url, pin) or ForeignIssuer(config)")
	}
	if hasControl([]byte(name)) {
		return fmt.Errorf("issuer %q contains control characters", name)
	}
	if i.terms.seawall {
		if err := checkURL(name); err != nil {
			return fmt.Errorf("seawall issuer: %w", err)
		}
		if strings.HasSuffix(name, "/") || strings.Contains(name, tenantMark) {
			return fmt.Errorf("seawall issuer %q: give the issuer exactly as the seawall shows it, without a slash at the end", name)
		}
		if !validPin(i.terms.pin) {
			return fmt.Errorf("seawall issuer %q: %q is not a ledger pin; \"seawall api create\" shows it (swl1-…)", name, i.terms.pin)
		}
	}
	if !newPattern(i.terms.keyIssuer).exact() && newPattern(name).exact() {
		return fmt.Errorf("issuer %q: keys that name any tenant of %q say nothing about this one issuer", name, i.terms.keyIssuer)
	}
	for _, t := range i.tenants {
		if t == "" || !newPattern(name).exact() && !isUUID([]byte(t)) {
			return fmt.Errorf("issuer %q: tenant %q is not a lower-case UUID, so it would never match", name, t)
		}
	}
	if i.feed != nil {
		if err := i.feed.check(i.terms); err != nil {
			return fmt.Errorf("distrust feed of issuer %q: %w", name, err)
		}
	}
	switch {
	case i.keys.doc != nil:
		return nil
	case i.keys.url == "":
		return fmt.Errorf("issuer %q has no keys: give StaticKeys or RemoteKeys", name)
	}
	if err := checkURL(i.keys.url); err != nil {
		return fmt.Errorf("keys of issuer %q: %w", name, err)
	}
	return nil
}

// validPin reports whether a pin has the one form a pin can have.
func validPin(pin string) bool {
	spelled, ok := strings.CutPrefix(pin, wire.PinPrefix)
	sum, canonical := appendBase64(nil, spelled)
	return ok && canonical && len(sum) == 32
}

// checkURL demands https, or http on a loopback address, and nothing unusual.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return errors.New("it is not a plain URL of a host and a path")
	case u.User != nil:
		return errors.New("its URL holds credentials: take them out")
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q must be https; http is for loopback addresses only", text)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tenantAllowed reports whether the token's tenant is on the issuer's list.
func (i *issuer) tenantAllowed(c *claims) bool {
	return i.anyone || slices.Contains(i.tenants, string(c.tid.b))
}
