package validate_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
	"seawall/validate/validatetest"
)

const itemsURL = "https://api.example/items"

// still is a clock that stands at a full minute.
func still() *validatetest.Clock { return validatetest.NewClock(time.Unix(1790000000, 0)) }

// answer sends a request through a handler that requires what is needed, and gives the answer.
func answer(v *validate.Validator, r *http.Request, needs ...validate.Requirement) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }), needs...).ServeHTTP(w, r)
	return w
}

// The whole way of RFC 9449 through HTTP: a proof is good once, and an empty first header hides no
// second one.
func TestHandlerDPoP(t *testing.T) {
	clock := still()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	prover := validatetest.NewProver("", clock)
	v := newValidator(t, issuer, func(c *validate.Config) { c.DPoP = &validate.DPoP{Origin: "https://api.example"} })
	token := issuer.Token(validatetest.Claims{"aud": audience, "cnf": prover.Confirmation()})
	plain := issuer.Token(validatetest.Claims{"aud": audience})
	request := func(change func(*http.Request)) *http.Request {
		r := httptest.NewRequest("GET", "https://api.example/items?page=2", nil)
		r.TLS = nil // a proxy ends TLS, so only Origin tells what the client called
		r.Host = "10.0.0.7:8080"
		prover.Sign(r, token)
		if change != nil {
			change(r)
		}
		return r
	}
	good := request(nil)
	if w := answer(v, good); w.Code != 204 || w.Header().Get("DPoP-Nonce") != "" {
		t.Fatalf("a good request: %d %v", w.Code, w.Header())
	}
	const dpop, bearer = `DPoP realm="https://api.example", algs="ES256 RS256 PS256 EdDSA"`, `Bearer realm="https://api.example"`
	said := func(scheme, word, code string) []string {
		return []string{scheme + `, error="` + word + `", error_description="` + code + `"`}
	}
	for name, c := range map[string]struct {
		r    *http.Request
		want []string
	}{
		"again":        {good, said(dpop, "invalid_dpop_proof", "dpop_replay")},
		"as bearer":    {request(func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }), said(dpop, "invalid_token", "dpop_scheme")},
		"no proof":     {request(func(r *http.Request) { r.Header.Del("DPoP") }), said(dpop, "invalid_dpop_proof", "dpop_missing")},
		"empty first":  {request(func(r *http.Request) { r.Header["Dpop"] = []string{"", r.Header.Get("DPoP")} }), said(dpop, "invalid_dpop_proof", "dpop_many")},
		"two proofs":   {request(func(r *http.Request) { r.Header.Add("DPoP", prover.Proof(token, "GET", itemsURL)) }), said(dpop, "invalid_dpop_proof", "dpop_many")},
		"other method": {request(func(r *http.Request) { r.Method = "POST" }), said(dpop, "invalid_dpop_proof", "dpop_method")},
		"other path":   {request(func(r *http.Request) { r.RequestURI = "/orders" }), said(dpop, "invalid_dpop_proof", "dpop_url")},
		"unbound":      {request(func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+plain) }), said(dpop, "invalid_token", "dpop_unbound")},
		"expired": {request(func(r *http.Request) {
			r.Header.Set("Authorization", "DPoP "+issuer.Token(validatetest.Claims{"aud": audience}, validatetest.Expired))
		}), said(dpop, "invalid_token", "expired")},
		"nothing":        {httptest.NewRequest("GET", "/", nil), []string{dpop, bearer}},
		"bearer garbage": {request(func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }), said(bearer, "invalid_token", "malformed")},
	} {
		w := answer(v, c.r)
		if w.Code != 401 || !reflect.DeepEqual(w.Header()["Www-Authenticate"], c.want) {
			t.Errorf("%s: %d %q, want %q", name, w.Code, w.Header()["Www-Authenticate"], c.want)
		}
		if all := fmt.Sprint(w.Header(), w.Body); strings.Contains(all, token[:24]) || strings.Contains(all, good.Header.Get("DPoP")[:24]) {
			t.Errorf("%s: the answer holds a part of what was sent", name)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+plain)
	if w := answer(v, r); w.Code != 204 {
		t.Errorf("a plain token where DPoP is possible: %d", w.Code)
	}
	must := newValidator(t, issuer, func(c *validate.Config) { c.DPoP = &validate.DPoP{Required: true} })
	if w := answer(must, r); w.Code != 401 || !reflect.DeepEqual(w.Header()["Www-Authenticate"], said(dpop, "invalid_token", "dpop_required")) {
		t.Errorf("a plain token where DPoP is required: %d %q", w.Code, w.Header()["Www-Authenticate"])
	}
	if w := answer(must, httptest.NewRequest("GET", "/", nil)); !reflect.DeepEqual(w.Header()["Www-Authenticate"], []string{dpop}) {
		t.Errorf("nothing where DPoP is required: %q", w.Header()["Www-Authenticate"])
	}
}

// What a client called is Origin and the path as it came over the wire. The Host header says nothing, or a proof that
// was made for one API would be good at every other that has the same path.
func TestRequestURL(t *testing.T) {
	clock := still()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	prover := validatetest.NewProver(validate.EdDSA, clock)
	v := newValidator(t, issuer, func(c *validate.Config) { c.DPoP = &validate.DPoP{Origin: "https://api.example"} })
	token := issuer.Token(validatetest.Claims{"aud": audience, "cnf": prover.Confirmation()})
	for name, c := range map[string]struct {
		url, requested string // "" is what url says
		host           string // likewise
		want           validate.Code
	}{
		"as it is":              {"https://api.example/a%2Fb?x", "", "", ""},
		"at another address":    {"https://api.example/a%2Fb", "", "10.0.0.7", ""},
		"made for another API":  {"https://elsewhere.example/a%2Fb", "", "", validate.CodeDPoPURL},
		"made for plain HTTP":   {"http://api.example/a%2Fb", "", "", validate.CodeDPoPURL},
		"made for another port": {"https://api.example:8443/a%2Fb", "", "", validate.CodeDPoPURL},
		"made for another path": {"https://api.example/a/b", "/a%2Fb", "", validate.CodeDPoPURL},
	} {
		r := httptest.NewRequest("GET", c.url, nil)
		prover.Sign(r, token)
		if c.requested != "" {
			r.RequestURI = c.requested
		}
		if c.host != "" {
			r.Host = c.host
		}
		if _, err := v.Request(r); c.want == "" && err != nil || c.want != "" && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	r := httptest.NewRequest("GET", "https://api.example/a%2Fb", nil)
	prover.Sign(r, token)
	r.RequestURI = "" // as a program that serves by hand may leave it
	if _, err := v.Request(r); err != nil {
		t.Errorf("without RequestURI: %v", err)
	}
}

// An API that was not told its origin takes no proof, and tells whoever looks after it so. It still takes bearer tokens.
func TestNoOrigin(t *testing.T) {
	clock := still()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	prover := validatetest.NewProver("", clock)
	v := newValidator(t, issuer)
	r := httptest.NewRequest("GET", itemsURL, nil)
	prover.Sign(r, issuer.Token(validatetest.Claims{"aud": audience, "cnf": prover.Confirmation()}))
	w := answer(v, r)
	if want := `Bearer realm="https://api.example", error="invalid_token", error_description="dpop_origin"`; w.Code != 401 || w.Header().Get("WWW-Authenticate") != want {
		t.Errorf("%d %q", w.Code, w.Header()["Www-Authenticate"])
	}
	r = httptest.NewRequest("GET", itemsURL, nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(validatetest.Claims{"aud": audience}))
	if w := answer(v, r); w.Code != 204 {
		t.Errorf("a bearer token: %d", w.Code)
	}
}

func TestNonces(t *testing.T) {
	clock := still()
	nonces, err := validate.RotatingNonces(nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	prover := validatetest.NewProver("", clock)
	v := newValidator(t, issuer, func(c *validate.Config) { c.DPoP = &validate.DPoP{Origin: "https://api.example", Nonces: nonces} })
	token := issuer.Token(validatetest.Claims{"aud": audience, "cnf": prover.Confirmation(), "exp": clock.Now().Unix() + 3000})
	send := func(changes ...validatetest.Claims) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", itemsURL, nil)
		prover.Sign(r, token, changes...)
		return answer(v, r)
	}
	w := send()
	first := w.Header().Get("DPoP-Nonce")
	if w.Code != 401 || first == "" || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
		t.Fatalf("without a nonce: %d %v", w.Code, w.Header())
	}
	if w := send(validatetest.Claims{"nonce": first}); w.Code != 204 || w.Header().Get("DPoP-Nonce") != first {
		t.Errorf("with the nonce: %d %v", w.Code, w.Header())
	}
	clock.Advance(time.Minute)
	w = send(validatetest.Claims{"nonce": first})
	second := w.Header().Get("DPoP-Nonce")
	if w.Code != 204 || second == "" || second == first {
		t.Errorf("with the nonce of the period before: %d %v", w.Code, w.Header())
	}
	clock.Advance(time.Minute)
	if w := send(validatetest.Claims{"nonce": first}); w.Code != 401 || !strings.Contains(w.Header().Get("WWW-Authenticate"), "use_dpop_nonce") {
		t.Errorf("with a nonce of two periods ago: %d %v", w.Code, w.Header())
	}
	clock.Advance(-2 * time.Minute)
	if w := send(validatetest.Claims{"nonce": second}); w.Code != 204 {
		t.Errorf("with a nonce of a machine whose clock is ahead: %d %v", w.Code, w.Header())
	}
	for _, forged := range []string{"", "x", first[:len(first)-1], first + "A", strings.Repeat("A", len(first))} {
		if nonces.Accepts(forged, clock.Now()) {
			t.Errorf("the nonce %q is accepted", forged)
		}
	}
	secret := []byte(strings.Repeat("s", 32))
	one, _ := validate.RotatingNonces(secret, 0)
	two, _ := validate.RotatingNonces(secret, 0)
	if !two.Accepts(one.Nonce(clock.Now()), clock.Now()) || two.Accepts(first, clock.Now()) {
		t.Error("a shared secret does not give shared nonces, or another's do")
	}
	if _, err := validate.RotatingNonces(secret[1:], 0); err == nil {
		t.Error("a short secret was taken")
	}
	if _, err := validate.RotatingNonces(nil, time.Millisecond); err == nil {
		t.Error("nonces that change all the time were taken")
	}
}

func TestRequestMTLS(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer, func(c *validate.Config) { c.RequireMTLS = true })
	mine, others := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("another")}
	sum := validate.CertificateThumbprint(mine)
	token := issuer.Token(validatetest.Claims{"aud": audience, "cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}})
	plain := issuer.Token(validatetest.Claims{"aud": audience})
	for name, c := range map[string]struct {
		token string
		tls   *tls.ConnectionState
		want  validate.Code
	}{
		"mine":       {token, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{mine, others}}, ""},
		"another":    {token, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{others, mine}}, validate.CodeMTLSMismatch},
		"none":       {token, &tls.ConnectionState{}, validate.CodeMTLSMissing},
		"no TLS":     {token, nil, validate.CodeMTLSMissing},
		"not bound":  {plain, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{mine}}, validate.CodeMTLSRequired},
		"no request": {plain, nil, validate.CodeMTLSRequired},
	} {
		r := httptest.NewRequest("GET", itemsURL, nil)
		r.TLS = c.tls
		r.Header.Set("Authorization", "Bearer "+c.token)
		if _, err := v.Request(r); c.want == "" && err != nil || c.want != "" && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A memory that is full refuses whoever filled it, and nobody else: also when there are many such.
func TestReplayMemoryIsFair(t *testing.T) {
	const room, keep = 1000, time.Minute
	start := time.Unix(1790000000, 0)
	key := func(n int) validate.Thumbprint { return validate.Thumbprint{byte(n), byte(n >> 8)} }
	for _, hogs := range []int{1, 2, 10, 100} {
		memory := validate.NewReplays(room)
		use := func(k validate.Thumbprint, jti string, now time.Time) validate.Code {
			return memory.Use(context.Background(), k, jti, now, keep)
		}
		taken := 0
		for n := range 2 * room {
			for hog := range hogs {
				if use(key(hog), fmt.Sprint(n), start) == "" {
					taken++
				}
			}
		}
		if code := use(key(0), "one more", start); code != validate.CodeDPoPFull || taken > room {
			t.Errorf("%d hogs: %q after %d proofs", hogs, code, taken)
		}
		if code := use(key(5000), "first", start); code != "" {
			t.Errorf("%d hogs: a newcomer is refused: %q", hogs, code)
		}
		if code := use(key(0), "0", start); code != validate.CodeDPoPReplay {
			t.Errorf("%d hogs: a full memory forgot a proof: %q", hogs, code)
		}
		if code := use(key(0), "0", start.Add(keep-1)); code != validate.CodeDPoPReplay {
			t.Errorf("%d hogs: forgotten too early: %q", hogs, code)
		}
		if code := use(key(0), "later", start.Add(keep)); code != "" {
			t.Errorf("%d hogs: no room after the time of all proofs: %q", hogs, code)
		}
	}
}

// With more keys than there is room for, each of them fair, the memory is full and stays within it.
func TestReplayMemoryOfManyKeys(t *testing.T) {
	const room = 100
	memory := validate.NewReplays(room)
	taken := 0
	for n := range 3 * room {
		code := memory.Use(context.Background(), validate.Thumbprint{byte(n), byte(n >> 8)}, "first", time.Unix(1790000000, 0), time.Minute)
		if code == "" {
			taken++
		} else if code != validate.CodeDPoPFull {
			t.Fatalf("key %d: %q", n, code)
		}
	}
	if taken != room {
		t.Errorf("%d proofs in the room of %d", taken, room)
	}
}

// However long it runs, a memory stays within its room.
func TestReplayMemoryIsBounded(t *testing.T) {
	memory := validate.NewReplays(100)
	now := time.Unix(1790000000, 0)
	refusals := 0
	for n := range 100_000 {
		now = now.Add(time.Second)
		k := validate.Thumbprint{byte(n % 7)}
		if code := memory.Use(context.Background(), k, fmt.Sprint(n), now, 50*time.Second); code != "" {
			refusals++
		}
		if code := memory.Use(context.Background(), k, fmt.Sprint(n), now, 50*time.Second); code != validate.CodeDPoPReplay {
			t.Fatalf("proof %d may be used twice: %q", n, code)
		}
	}
	if refusals > 0 {
		t.Errorf("%d of 100,000 proofs were refused though their room was enough", refusals)
	}
}

// brokenMemory is a shared memory that can't be reached.
type brokenMemory struct{}

func (brokenMemory) Use(context.Context, validate.Thumbprint, string, time.Time, time.Duration) validate.Code {
	return "connection refused"
}

// Doubt about replay refuses: 429, and a code of the closed list whatever a memory says.
func TestBrokenReplayMemory(t *testing.T) {
	clock := still()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	prover := validatetest.NewProver("", clock)
	v := newValidator(t, issuer, func(c *validate.Config) {
		c.DPoP = &validate.DPoP{Origin: "https://api.example", Replays: brokenMemory{}}
	})
	r := httptest.NewRequest("GET", itemsURL, nil)
	prover.Sign(r, issuer.Token(validatetest.Claims{"aud": audience, "cnf": prover.Confirmation()}))
	if _, err := v.Request(r); !errors.Is(err, validate.CodeDPoPFull) {
		t.Errorf("got %v", err)
	}
	if w := answer(v, r); w.Code != 429 || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	logouts, err := validate.NewLogoutTokens("shop", validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Now: clock.Now}, brokenMemory{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := logouts.Token(t.Context(), issuer.LogoutToken(validatetest.Claims{"aud": "shop"})); !errors.Is(err, validate.CodeFull) {
		t.Errorf("got %v", err)
	}
}

func TestRequirements(t *testing.T) {
	clock := still()
	now := clock.Now()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	v := newValidator(t, issuer)
	ask := func(c validatetest.Claims, needs ...validate.Requirement) *httptest.ResponseRecorder {
		all := validatetest.Claims{"aud": audience}
		for name, value := range c {
			all[name] = value
		}
		raw := issuer.Token(all)
		r := httptest.NewRequest("GET", itemsURL, nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		w := answer(v, r, needs...)
		if err := accepted(t, v, raw).Meets(now, needs...); (err == nil) != (w.Code == 204) {
			t.Errorf("%v: Meets gives %v, the handler %d", c, err, w.Code)
		}
		return w
	}
	const bearer = `Bearer realm="https://api.example", error="`
	for name, c := range map[string]struct {
		claims validatetest.Claims
		needs  []validate.Requirement
		status int
		want   string
	}{
		"nothing":         {nil, nil, 204, ""},
		"zero":            {nil, []validate.Requirement{{}}, 204, ""},
		"scope":           {validatetest.Claims{"scope": "read write"}, []validate.Requirement{validate.RequireScope("write")}, 204, ""},
		"scopes":          {validatetest.Claims{"scope": "read write"}, []validate.Requirement{validate.RequireScope("write", "read")}, 204, ""},
		"no scope":        {nil, []validate.Requirement{validate.RequireScope("read")}, 403, bearer + `insufficient_scope", error_description="insufficient_scope", scope="read"`},
		"part of a scope": {validatetest.Claims{"scope": "reader"}, []validate.Requirement{validate.RequireScope("read")}, 403, bearer + `insufficient_scope", error_description="insufficient_scope", scope="read"`},
		"one of two": {validatetest.Claims{"scope": "read"}, []validate.Requirement{validate.RequireScope("read"), validate.RequireScope("write")}, 403,
			bearer + `insufficient_scope", error_description="insufficient_scope", scope="read write"`},
		"scope is a list": {validatetest.Claims{"scope": []string{"read"}}, []validate.Requirement{validate.RequireScope("read")}, 403, bearer + `insufficient_scope", error_description="insufficient_scope", scope="read"`},
		"empty scope":     {validatetest.Claims{"scope": "a"}, []validate.Requirement{validate.RequireScope("")}, 403, bearer + `insufficient_scope", error_description="insufficient_scope", scope=""`},
		"acr":             {validatetest.Claims{"acr": "phr"}, []validate.Requirement{validate.RequireACR("phrh", "phr")}, 204, ""},
		"weak acr":        {validatetest.Claims{"acr": "pwd"}, []validate.Requirement{validate.RequireACR("phrh", "phr")}, 401, bearer + `insufficient_user_authentication", error_description="insufficient_acr", acr_values="phrh phr"`},
		"no acr":          {nil, []validate.Requirement{validate.RequireACR("phr")}, 401, bearer + `insufficient_user_authentication", error_description="insufficient_acr", acr_values="phr"`},
		"acr is a list":   {validatetest.Claims{"acr": []string{"phr"}}, []validate.Requirement{validate.RequireACR("phr")}, 401, bearer + `insufficient_user_authentication", error_description="insufficient_acr", acr_values="phr"`},
		"no value of acr": {validatetest.Claims{"acr": "phr"}, []validate.Requirement{validate.RequireACR()}, 401, bearer + `insufficient_user_authentication", error_description="insufficient_acr"`},
		"empty acr":       {nil, []validate.Requirement{validate.RequireACR("")}, 401, bearer + `insufficient_user_authentication", error_description="insufficient_acr", acr_values=""`},
		"just signed in":  {validatetest.Claims{"auth_time": now.Unix() - 300}, []validate.Requirement{validate.MaxAuthAge(5 * time.Minute)}, 204, ""},
		"signed in long ago": {validatetest.Claims{"auth_time": now.Unix() - 301}, []validate.Requirement{validate.MaxAuthAge(time.Hour), validate.MaxAuthAge(5 * time.Minute)}, 401,
			bearer + `insufficient_user_authentication", error_description="auth_too_old", max_age="300"`},
		"sign-in unknown":     {nil, []validate.Requirement{validate.MaxAuthAge(time.Hour)}, 401, bearer + `insufficient_user_authentication", error_description="auth_too_old", max_age="3600"`},
		"sign-in is text":     {validatetest.Claims{"auth_time": "1790000000"}, []validate.Requirement{validate.MaxAuthAge(time.Hour)}, 401, bearer + `insufficient_user_authentication", error_description="auth_too_old", max_age="3600"`},
		"sign-in to come":     {validatetest.Claims{"auth_time": now.Unix() + 301}, []validate.Requirement{validate.MaxAuthAge(time.Hour)}, 401, bearer + `insufficient_user_authentication", error_description="auth_too_old", max_age="3600"`},
		"sign-in, clocks off": {validatetest.Claims{"auth_time": now.Unix() + 60}, []validate.Requirement{validate.MaxAuthAge(time.Hour)}, 204, ""},
		"both of RFC 9470": {validatetest.Claims{"acr": "pwd"}, []validate.Requirement{validate.RequireACR("phr"), validate.MaxAuthAge(0)}, 401,
			bearer + `insufficient_user_authentication", error_description="insufficient_acr", acr_values="phr", max_age="0"`},
	} {
		if w := ask(c.claims, c.needs...); w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.want {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, w.Header().Get("WWW-Authenticate"), c.status, c.want)
		}
	}
}

func TestTokenTellsOfSignIn(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer)
	token := accepted(t, v, issuer.Token(validatetest.Claims{
		"aud": audience, "sid": "s-1", "acr": "phr", "amr": []string{"hwk", "pin"}, "auth_time": 1790000000.5, "act": map[string]any{"sub": "agent", "iss": "https://support.example", "act": map[string]any{"sub": "before"}},
	}))
	at, ok := token.AuthTime()
	if token.SessionID() != "s-1" || token.ACR() != "phr" || !reflect.DeepEqual(token.AMR(), []string{"hwk", "pin"}) || !ok || !at.Equal(time.UnixMilli(1790000000500)) {
		t.Errorf("got %q %q %q %v %v", token.SessionID(), token.ACR(), token.AMR(), at, ok)
	}
	if actor, ok := token.Actor(); !ok || actor != (validate.Actor{Issuer: "https://support.example", Subject: "agent"}) {
		t.Errorf("actor %+v %v", actor, ok)
	}
	token = accepted(t, v, issuer.Token(validatetest.Claims{"aud": audience, "amr": "pwd", "auth_time": -5}))
	_, signedIn := token.AuthTime()
	_, acts := token.Actor()
	if token.SessionID() != "" || token.ACR() != "" || token.AMR() != nil || signedIn || acts {
		t.Errorf("a token that says nothing says %q %q %q %v %v", token.SessionID(), token.ACR(), token.AMR(), signedIn, acts)
	}
	if actor, ok := accepted(t, v, issuer.Token(validatetest.Claims{"aud": audience, "act": "agent"})).Actor(); !ok || actor != (validate.Actor{}) {
		t.Errorf("an actor that can't be read is no actor: %+v %v", actor, ok)
	}
}

// A key that has proven itself is not read again, and everything else about it is looked at each time: whether it is
// over, whether the proof writes it as before, and whether it made the signature.
func TestProvenKey(t *testing.T) {
	clock := still()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	v := newValidator(t, issuer)
	client, other := forge.NewKey("ES256", ""), forge.NewKey("ES256", "")
	thumbprint := client.Thumbprint()
	token := issuer.Token(validatetest.Claims{"aud": audience, "cnf": map[string]any{"jkt": forge.Text(thumbprint[:])}})
	sum := sha256.Sum256([]byte(token))
	over := clock.Now().Unix() + 60
	send := func(signer *forge.Key, members map[string]any) error {
		jwk := client.JWK()
		jwk["exp"] = over
		maps.Copy(jwk, members)
		_, err := v.Presented(t.Context(), token, validate.Presentation{Scheme: "DPoP", Method: "GET", URL: itemsURL, Proofs: []string{signer.Sign(
			forge.JSON(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}),
			forge.JSON(map[string]any{"jti": rand.Text(), "htm": "GET", "htu": itemsURL, "iat": clock.Now().Unix(), "ath": forge.Text(sum[:])}),
		)}})
		return err
	}
	for range 3 {
		if err := send(client, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(other, nil); !errors.Is(err, validate.CodeDPoPSignature) {
		t.Errorf("another signer: %v", err)
	}
	if err := send(client, map[string]any{"d": "AA"}); !errors.Is(err, validate.CodeDPoPKey) {
		t.Errorf("written with a private member: %v", err)
	}
	if err := send(other, other.JWK()); !errors.Is(err, validate.CodeDPoPThumbprint) {
		t.Errorf("another key: %v", err)
	}
	if err := send(client, nil); err != nil {
		t.Errorf("the same key again: %v", err)
	}
	clock.Advance(time.Minute)
	if err := send(client, nil); !errors.Is(err, validate.CodeDPoPKey) {
		t.Errorf("a key that is over: %v", err)
	}
}
