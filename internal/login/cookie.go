package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// secretSize is the size of a cookie's value: 256 random bits.
const secretSize = 32

func newSecret() secret.Text {
	var b [secretSize]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return secret.New(base64.RawURLEncoding.EncodeToString(b[:]))
}

// The two cookies of a tenant. One has the session, the other binds a ceremony to the browser that began it. The
// underscore is in no tenant's id, so no tenant's name can read like another's.
const (
	sessionCookie = "seawall_session_"
	browserCookie = "seawall_browser_"
)

// cookieName is a cookie's name at a tenant. Over HTTPS it begins with __Host-: browsers take such a cookie from this very
// host and for all of it only, so that neither a sibling domain nor plain HTTP can plant one (RFC 6265bis §4.1.3.2).
// Plain HTTP is for loopback, where browsers do not all allow that.
func (d *Door) cookieName(kind, tenantID string) string {
	if d.secure {
		return "__Host-" + kind + tenantID
	}
	return kind + tenantID
}

// cookie returns a cookie's value, if there is exactly one such cookie and it has the form of ours. Two of a name mean
// that somebody else set one, and there is no telling which.
func (d *Door) cookie(r *http.Request, kind, tenantID string) (secret.Text, bool) {
	found := r.CookiesNamed(d.cookieName(kind, tenantID))
	if len(found) != 1 {
		return secret.Text{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(found[0].Value)
	return secret.New(found[0].Value), err == nil && len(raw) == secretSize
}

// setCookie gives the browser a cookie for as long as it is open. Lax lets the session come along when a link leads here;
// state never changes on such a request. What finishes a ceremony comes from our own pages only.
func (d *Door) setCookie(w http.ResponseWriter, kind, tenantID string, value secret.Text) {
	site := http.SameSiteLaxMode
	if kind == browserCookie {
		site = http.SameSiteStrictMode
	}
	http.SetCookie(w, &http.Cookie{Name: d.cookieName(kind, tenantID), Value: value.Reveal(), Path: "/", Secure: d.secure, HttpOnly: true, SameSite: site})
}

func (d *Door) clearCookie(w http.ResponseWriter, kind, tenantID string) {
	http.SetCookie(w, &http.Cookie{Name: d.cookieName(kind, tenantID), Path: "/", MaxAge: -1, Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// session returns the live session of a browser and its person, or [ErrNobody].
func (d *Door) session(r *http.Request, t *tenant.Tenant) (tenant.Session, tenant.Person, error) {
	value, ok := d.cookie(r, sessionCookie, t.ID)
	if !ok {
		return tenant.Session{}, tenant.Person{}, ErrNobody
	}
	s, p, err := d.Store.Session(r.Context(), t.ID, value.Hash())
	if errors.Is(err, tenant.ErrNotFound) {
		err = ErrNobody
	}
	return s, p, err
}

// replaced is the hash of the session that a browser shows, whatever it is worth: the next one takes its place.
func (d *Door) replaced(v *visit) (hash secret.Hash) {
	if old, ok := d.cookie(v.Request, sessionCookie, v.tenant.ID); ok {
		hash = old.Hash()
	}
	return hash
}

// FormToken is what a form has to send back that a browser was shown in its session at a tenant: derived from the cookie's
// value, so that it is another one in every session and nobody who reads our database can make it. Empty: no session.
func (d *Door) FormToken(r *http.Request, t *tenant.Tenant) string {
	value, ok := d.cookie(r, sessionCookie, t.ID)
	if !ok {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(value.Reveal()))
	mac.Write([]byte("seawall form token 1"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// DraftKey is a key that only this browser can bring back, also after it has signed in anew: derived from the cookie that binds
// ceremonies to it. Nil: it has none yet.
func (d *Door) DraftKey(r *http.Request, t *tenant.Tenant) []byte {
	value, ok := d.cookie(r, browserCookie, t.ID)
	if !ok {
		return nil
	}
	mac := hmac.New(sha256.New, []byte(value.Reveal()))
	mac.Write([]byte("seawall draft key 1"))
	return mac.Sum(nil)
}

// browser returns what binds a ceremony to this browser, and gives the browser one if it has none.
func (d *Door) browser(v *visit) secret.Hash {
	value, ok := d.cookie(v.Request, browserCookie, v.tenant.ID)
	if !ok {
		value = newSecret()
		d.setCookie(v.w, browserCookie, v.tenant.ID, value)
	}
	return value.Hash()
}
