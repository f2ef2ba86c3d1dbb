// Package peer configures the libraries that people check tokens with today as well as each can be: the issuer and the
// audience exactly, a list of algorithms, a date of expiry that must be there, the clock of the test, and one verifier
// for each issuer with that issuer's keys and no others. Where a library refuses a whole key set for one bad key it gets
// the set without that key. Whatever a library still accepts that it should not, it accepts although it was asked well.
package peer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Setup is what is demanded of every library.
type Setup struct {
	Issuers    []Issuer
	Audiences  []string
	Algorithms []string
	Leeway     time.Duration
	Now        func() time.Time
}

// Issuer is a trusted issuer. Its name may contain {tenantid}, which stands for the token's tid.
type Issuer struct {
	Name    string
	Tenants []string // nil for all
	JWKS    []byte
}

// Library is one of the libraries.
type Library struct {
	Name  string
	Clock bool // it can be given another clock than the system's
	// verifier makes a verifier of one issuer with a name that is exact.
	verifier func(issuer string, keys []key, s Setup) (verify, error)
}

// verify gives the subject of a token that the library accepts.
type verify func(token string) (subject string, err error)

// key is a key that the library can read: as JSON, and read by go-jose, on which two of the others build.
type key struct {
	raw  []byte
	jose jose.JSONWebKey
}

// Libraries are all that are compared, by the names of their repositories.
func Libraries() []Library {
	return []Library{
		{"golang-jwt", true, golangJWT}, {"go-jose", true, goJOSE}, {"go-oidc", true, goOIDC}, {"jwx", true, jwxLibrary}, {"zitadel", false, zitadelLibrary},
	}
}

// Verifier checks tokens of several issuers by one library.
type Verifier struct {
	library Library
	setup   Setup
	known   map[string]verify // by exact issuer
}

// New configures the library.
func (l Library) New(s Setup) *Verifier {
	return &Verifier{l, s, map[string]verify{}}
}

// Verify gives the subject of a token that the library accepts. The verifier is chosen by what the token says about
// itself, as every program with several issuers has to.
func (v *Verifier) Verify(token string) (subject string, err error) {
	// A library that panics on a token has not accepted it.
	defer func() {
		if r := recover(); r != nil {
			subject, err = "", fmt.Errorf("%s panicked", v.library.Name)
		}
	}()
	issuer, name, err := v.setup.route(token)
	if err != nil {
		return "", err
	}
	check := v.known[name]
	if check == nil {
		if check, err = v.library.verifier(name, issuer.keys(), v.setup); err != nil {
			return "", err
		}
		v.known[name] = check
	}
	return check(token)
}

// Direct gives the library's verifier of one issuer alone, for measuring.
func (v *Verifier) Direct(issuer string) (func(token string) error, error) {
	for _, i := range v.setup.Issuers {
		if i.Name != issuer {
			continue
		}
		check, err := v.library.verifier(issuer, i.keys(), v.setup)
		if err != nil {
			return nil, err
		}
		return func(token string) error {
			_, err := check(token)
			return err
		}, nil
	}
	return nil, fmt.Errorf("no issuer %q", issuer)
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// route finds the issuer that a token names, and its exact name. It reads as leniently as the libraries do: what is
// strict here would count for them.
func (s Setup) route(token string) (Issuer, string, error) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_", "\n", "", "\r", "", " ", "").Replace(payload), "="))
	if err != nil {
		return Issuer{}, "", errors.New("a payload that is not base64")
	}
	var claims map[string]json.RawMessage // a map tells letters' cases apart, as a struct does not
	if err := json.Unmarshal(text, &claims); err != nil {
		return Issuer{}, "", errors.New("a payload that is not JSON")
	}
	var iss, tid string
	_ = json.Unmarshal(claims["iss"], &iss) // what is no text names nobody
	_ = json.Unmarshal(claims["tid"], &tid)
	for _, i := range s.Issuers {
		name := i.Name
		if strings.Contains(name, "{tenantid}") {
			if !uuid.MatchString(tid) {
				continue
			}
			name = strings.ReplaceAll(name, "{tenantid}", tid)
		}
		if name == iss && (i.Tenants == nil || slices.Contains(i.Tenants, tid)) {
			return i, name, nil
		}
	}
	return Issuer{}, "", errors.New("no such issuer")
}

// keys reads the keys that can be read and leaves the others out.
func (i Issuer) keys() []key {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(i.JWKS, &set) != nil {
		return nil
	}
	var list []key
	for _, raw := range set.Keys {
		k := key{raw: raw}
		if k.jose.UnmarshalJSON(raw) == nil && k.jose.Valid() {
			list = append(list, k)
		}
	}
	return list
}

// document gives the keys as a JWK Set again.
func document(keys []key) []byte {
	text := []byte(`{"keys":[`)
	for i, k := range keys {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, k.raw...)
	}
	return append(text, ']', '}')
}

// anyAudience tries the names of the API one after the other, for a library that knows of one only.
func anyAudience(audiences []string, check func(audience string) (string, error)) (subject string, err error) {
	err = errors.New("no audience")
	for _, a := range audiences {
		if subject, err = check(a); err == nil {
			return subject, nil
		}
	}
	return "", err
}
