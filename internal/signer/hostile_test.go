package signer

import (
	"context"
	"encoding/json"
	"math"
	"net"
	"strings"
	"testing"

	"seawall/internal/mint"
)

// hostileHouse is a house in the wrong hands: it has the socket and knows the wire, and sends what no honest one would.
type hostileHouse struct {
	t    *testing.T
	conn net.Conn
	r    *mint.FrameReader
	w    *mint.FrameWriter
	id   uint64
}

func (b *bench) hostile() *hostileHouse {
	b.t.Helper()
	ours, theirs := socketPair(b.t)
	served := make(chan error, 1)
	go func() { served <- b.signer.Serve(context.Background(), theirs) }()
	b.t.Cleanup(func() {
		ours.Close()
		<-served
	})
	return &hostileHouse{t: b.t, conn: ours, r: mint.NewFrameReader(ours), w: mint.NewFrameWriter(ours)}
}

// socketPair returns two joined Unix sockets.
func socketPair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// send sends any body and returns the answer's.
func (h *hostileHouse) send(typ mint.MsgType, body []byte) ([]byte, error) {
	h.id++
	if err := h.w.Write(typ, h.id, func(b []byte) []byte { return append(b, body...) }); err != nil {
		return nil, err
	}
	f, err := h.r.Next(true)
	if err == nil && (f.Type != typ || f.ID != h.id) {
		h.t.Fatalf("the answer to message %d of type %d has number %d and type %d", h.id, typ, f.ID, f.Type)
	}
	return f.Body, err
}

// mint sends one item, whatever its bytes are, and returns the refusal; a token is a failure.
func (h *hostileHouse) mint(item []byte) *mint.Refusal {
	h.t.Helper()
	body, err := h.send(mint.MsgMint, mint.AppendRequests(nil, [][]byte{item}))
	if err != nil {
		h.t.Fatal(err)
	}
	_, answers, err := mint.ReadAnswers(body)
	if err != nil || len(answers) != 1 {
		h.t.Fatalf("%d answers: %v", len(answers), err)
	}
	if answers[0].Request != mint.RequestDigest(item) {
		h.t.Fatal("an answer to another request")
	}
	if answers[0].Refusal == nil {
		h.t.Fatal("a token was made")
	}
	return answers[0].Refusal
}

// with returns a request that is good but for one thing.
func with(change func(*mint.Request)) []byte {
	q := testRequest()
	change(q)
	return q.Append(nil)
}

type hostileRequest struct {
	name string
	item []byte
	want mint.Code
}

// hostileRequests are refused for exactly one reason each.
func hostileRequests() []hostileRequest {
	good := testRequest().Append(nil)
	claim := func(claims ...mint.Claim) []byte { return with(func(q *mint.Request) { q.Custom = claims }) }
	return append(hostilePeople(), []hostileRequest{
		{"raw bytes to sign", []byte("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9"), mint.Malformed},
		{"a digest to sign", make([]byte, 32), mint.Malformed},
		{"nothing", nil, mint.Malformed},
		{"a request of another version", append([]byte{2}, good[1:]...), mint.Malformed},
		{"a request cut short", good[:len(good)-1], mint.Malformed},
		{"a request with bytes after its end", append(append([]byte(nil), good...), 0), mint.Malformed},
		{"a length in another spelling", append([]byte{1, 0x84, 0x00}, good[2:]...), mint.Malformed},
		{"a length beyond the end", append([]byte{1, 0xff, 0x07}, good[2:]...), mint.Malformed},
		{"a request that is too large", with(func(q *mint.Request) { q.Scope = strings.Repeat("r", 4096); q.Custom = bulk(5000) }), mint.Malformed},
		{"claims that are too large", with(func(q *mint.Request) { q.Custom = []mint.Claim{{Name: "dept", List: quotes(7)}} }), mint.Malformed},
		{"a tenant that is not there", with(func(q *mint.Request) { q.Tenant = "nobody" }), mint.TenantUnknown},
		{"no tenant", with(func(q *mint.Request) { q.Tenant = "" }), mint.TenantUnknown},
		{"a path for a tenant", with(func(q *mint.Request) { q.Tenant = "../keys/acme" }), mint.TenantUnknown},
		{"a disabled tenant", with(func(q *mint.Request) { q.Tenant, q.Issuer = "gone", "https://id.example/gone" }), mint.TenantDisabled},
		{"a foreign issuer", with(func(q *mint.Request) { q.Issuer = "https://login.example" }), mint.IssuerMismatch},
		{"someone else's issuer", with(func(q *mint.Request) { q.Issuer = otherPolicy().Issuer }), mint.IssuerMismatch},
		{"someone else's tenant", with(func(q *mint.Request) { q.Tenant = "rival" }), mint.IssuerMismatch},
		{"the issuer with a slash", with(func(q *mint.Request) { q.Issuer += "/" }), mint.IssuerMismatch},
		{"no issuer", with(func(q *mint.Request) { q.Issuer = "" }), mint.IssuerMismatch},
		{"another spelling of an ID token", with(func(q *mint.Request) { q.Kind = "jwt" }), mint.KindUnsupported},
		{"a logout token", with(func(q *mint.Request) { q.Kind = "logout+jwt" }), mint.KindUnsupported},
		{"a security event", with(func(q *mint.Request) { q.Kind = "secevent+jwt" }), mint.KindUnsupported},
		{"another spelling of the kind", with(func(q *mint.Request) { q.Kind = "application/at+jwt" }), mint.KindUnsupported},
		{"no kind", with(func(q *mint.Request) { q.Kind = "" }), mint.KindUnsupported},
		{"no subject", with(func(q *mint.Request) { q.Subject = "" }), mint.SubjectInvalid},
		{"a subject with a line end", with(func(q *mint.Request) { q.Subject = "ci\nadmin" }), mint.SubjectInvalid},
		{"a subject written backwards", with(func(q *mint.Request) { q.Subject = "\u202enimda" }), mint.SubjectInvalid},
		{"a subject that is no text", with(func(q *mint.Request) { q.Subject = "ci\xff" }), mint.SubjectInvalid},
		{"a long subject", with(func(q *mint.Request) { q.Subject = strings.Repeat("s", 256) }), mint.SubjectInvalid},
		{"no client", with(func(q *mint.Request) { q.ClientID = "" }), mint.ClientInvalid},
		{"a client with a control character", with(func(q *mint.Request) { q.ClientID = "ci\x00" }), mint.ClientInvalid},
		{"no audience", with(func(q *mint.Request) { q.Audience = nil }), mint.AudienceMissing},
		{"an empty audience", with(func(q *mint.Request) { q.Audience = []string{testAPI, ""} }), mint.AudienceMissing},
		{"an unregistered audience", with(func(q *mint.Request) { q.Audience = []string{"https://api.example"} }), mint.AudienceUnregistered},
		{"someone else's audience", with(func(q *mint.Request) { q.Audience = []string{"https://api.rival.example"} }), mint.AudienceUnregistered},
		{"a wildcard audience", with(func(q *mint.Request) { q.Audience = []string{"*"} }), mint.AudienceUnregistered},
		{"one audience twice", with(func(q *mint.Request) { q.Audience = []string{testAPI, testAPI} }), mint.AudienceRepeated},
		{"a scope with two spaces", with(func(q *mint.Request) { q.Scope = "read  write" }), mint.ScopeInvalid},
		{"a scope with a quote", with(func(q *mint.Request) { q.Scope = `read"` }), mint.ScopeInvalid},
		{"a scope twice", with(func(q *mint.Request) { q.Scope = "read read" }), mint.ScopeInvalid},
		{"an unregistered scope", with(func(q *mint.Request) { q.Scope = "read admin" }), mint.ScopeUnregistered},
		{"a scope of another API", with(func(q *mint.Request) { q.Scope = "peek" }), mint.ScopeUnregistered},
		{"no lifetime", with(func(q *mint.Request) { q.Lifetime = 0 }), mint.LifetimeInvalid},
		{"a long lifetime", with(func(q *mint.Request) { q.Lifetime = 3601 }), mint.LifetimeTooLong},
		{"a lifetime without end", with(func(q *mint.Request) { q.Lifetime = math.MaxInt64 }), mint.LifetimeTooLong},
		{"a lifetime over that of one API", with(func(q *mint.Request) {
			q.Audience, q.Lifetime = []string{testAPI, "https://brief.acme.example"}, 61
		}), mint.LifetimeTooLong},
		{"a short token id", with(func(q *mint.Request) { q.JTI = "0123456789abcde" }), mint.JTIInvalid},
		{"a token id with a slash", with(func(q *mint.Request) { q.JTI = "0123456789abcdef/" }), mint.JTIInvalid},
		{"a used token id", with(func(q *mint.Request) { q.JTI, q.Subject = "used-used-used-used", "admin" }), mint.JTIReused},
		{"a standard claim", claim(mint.Claim{Name: "sub", Text: "admin"}), mint.ClaimStandard},
		{"a standard claim in capitals", claim(mint.Claim{Name: "Sub", Text: "admin"}), mint.ClaimStandard},
		{"a standard claim with a long s", claim(mint.Claim{Name: "\u017fub", Text: "admin"}), mint.ClaimStandard},
		{"a confirmation claim", claim(mint.Claim{Name: "cnf", Text: "x"}), mint.ClaimStandard},
		{"a receipt for a claim", claim(mint.Claim{Name: "rcpt", Text: "x"}), mint.ClaimStandard},
		{"a standard claim behind a good one", claim(mint.Claim{Name: "dept", Text: "a"}, mint.Claim{Name: "roles", Text: "admin"}), mint.ClaimStandard},
		{"a claim that is not allowed", claim(mint.Claim{Name: "clearance", Text: "top"}), mint.ClaimNotAllowed},
		{"an allowed claim in capitals", claim(mint.Claim{Name: "Dept", Text: "a"}), mint.ClaimNotAllowed},
		{"a claim twice", claim(mint.Claim{Name: "dept", Text: "a"}, mint.Claim{Name: "dept", Text: "b"}), mint.ClaimInvalid},
		{"claims out of order", claim(mint.Claim{Name: "teams", Text: "a"}, mint.Claim{Name: "dept", Text: "b"}), mint.ClaimInvalid},
		{"a claim with a control character", claim(mint.Claim{Name: "dept", Text: "a\x1b[2J"}), mint.ClaimInvalid},
		{"a list with a broken text", claim(mint.Claim{Name: "teams", List: []string{"a", "\xc3"}}), mint.ClaimInvalid},
	}...)
}

// hostilePeople are requests about people, each refused for exactly one reason.
func hostilePeople() []hostileRequest {
	person := func(change func(*mint.Request)) []byte { q := personRequest(); change(q); return q.Append(nil) }
	id := func(change func(*mint.Request)) []byte { q := idRequest(); change(q); return q.Append(nil) }
	tomorrow := newFakeClock().Now().Unix() + 86400
	long := strings.Repeat("x", 256)
	return []hostileRequest{
		{"ID token for no client", id(func(q *mint.Request) { q.Audience = nil }), mint.AudienceMissing},
		{"ID token for a nameless client", id(func(q *mint.Request) { q.Audience = []string{""} }), mint.AudienceMissing},
		{"ID token for two clients", id(func(q *mint.Request) { q.Audience = []string{"web", "spa"} }), mint.AudienceSeveral},
		{"ID token for a client and an API", id(func(q *mint.Request) { q.Audience = []string{"web", peopleAPI} }), mint.AudienceSeveral},
		{"ID token for a client that is not listed", id(func(q *mint.Request) { q.Audience = []string{"ci"} }), mint.ClientUnregistered},
		{"ID token for the client in capitals", id(func(q *mint.Request) { q.Audience = []string{"WEB"} }), mint.ClientUnregistered},
		{"ID token for an API", id(func(q *mint.Request) { q.Audience = []string{peopleAPI} }), mint.ClientUnregistered},
		{"ID token for the UserInfo endpoint", id(func(q *mint.Request) { q.Audience = []string{peopleIssuer + "/userinfo"} }), mint.ClientUnregistered},
		{"ID token of a tenant without people", id(func(q *mint.Request) { q.Tenant, q.Issuer = "acme", testIssuer }), mint.ClientUnregistered},
		{"ID token of another tenant's issuer", id(func(q *mint.Request) { q.Issuer = testIssuer }), mint.IssuerMismatch},
		{"ID token with a client_id", id(func(q *mint.Request) { q.ClientID = "web" }), mint.ClientNotAllowed},
		{"ID token with a scope", id(func(q *mint.Request) { q.Scope = "openid" }), mint.ScopeNotAllowed},
		{"ID token that is bound to a key", id(func(q *mint.Request) { q.KeyThumbprint = personRequest().KeyThumbprint }), mint.BindingNotAllowed},
		{"ID token with a custom claim", id(func(q *mint.Request) { q.Custom = []mint.Claim{{Name: "dept", Text: "a"}} }), mint.CustomNotAllowed},
		{"ID token with a nonce that clears screens", id(func(q *mint.Request) { q.Nonce = "\x1b[2J" }), mint.NonceInvalid},
		{"ID token with a nonce that is no text", id(func(q *mint.Request) { q.Nonce = "n\xff" }), mint.NonceInvalid},
		{"ID token with a nonce over the limit", id(func(q *mint.Request) { q.Nonce = strings.Repeat("n", 513) }), mint.Malformed},
		{"ID token without auth_time", id(func(q *mint.Request) { q.AuthTime = 0 }), mint.AuthTimeMissing},
		{"ID token of a sign-in to come", id(func(q *mint.Request) { q.AuthTime = tomorrow }), mint.AuthTimeInvalid},
		{"ID token about nobody", id(func(q *mint.Request) { q.Subject = "" }), mint.SubjectInvalid},
		{"ID token with a long acr", id(func(q *mint.Request) { q.ACR = long }), mint.ACRInvalid},
		{"ID token with an acr on two lines", id(func(q *mint.Request) { q.ACR = "phr\nphrh" }), mint.ACRInvalid},
		{"ID token with a method twice", id(func(q *mint.Request) { q.AMR = []string{"hwk", "hwk"} }), mint.AMRInvalid},
		{"ID token with an empty method", id(func(q *mint.Request) { q.AMR = []string{"hwk", ""} }), mint.AMRInvalid},
		{"ID token with nine methods", id(func(q *mint.Request) { q.AMR = strings.Fields("a b c d e f g h i") }), mint.Malformed},
		{"ID token with a long session", id(func(q *mint.Request) { q.Session = long }), mint.SessionInvalid},
		{"ID token without a life", id(func(q *mint.Request) { q.Lifetime = 0 }), mint.LifetimeInvalid},
		{"ID token with a long life", id(func(q *mint.Request) { q.Lifetime = 3601 }), mint.LifetimeTooLong},
		{"ID token with a short jti", id(func(q *mint.Request) { q.JTI = "1" }), mint.JTIInvalid},
		{"ID token with the access token's jti", id(func(q *mint.Request) { q.JTI = "people-people-people" }), mint.JTIReused},
		{"access token with a nonce", person(func(q *mint.Request) { q.Nonce = "n-1" }), mint.NonceNotAllowed},
		{"access token for its own client", person(func(q *mint.Request) { q.Audience = []string{"web"}; q.Scope = "" }), mint.AudienceClient},
		{"access token for another client", person(func(q *mint.Request) { q.Audience = []string{peopleAPI, "spa"} }), mint.AudienceClient},
		{"access token for a client that is not listed", person(func(q *mint.Request) { q.ClientID, q.Audience, q.SignIn = "ci", []string{"ci"}, mint.SignIn{} }), mint.AudienceClient},
		{"access token of a sign-in to nobody's client", person(func(q *mint.Request) { q.ClientID = "ci" }), mint.ClientUnregistered},
		{"access token of a sign-in where nobody signs in", with(func(q *mint.Request) { q.ACR = "phrh" }), mint.ClientUnregistered},
		{"access token of a session where nobody signs in", with(func(q *mint.Request) { q.Session = "s" }), mint.ClientUnregistered},
		{"access token for nobody's client", person(func(q *mint.Request) { q.ClientID = "" }), mint.ClientInvalid},
		{"access token bound to 42 characters", person(func(q *mint.Request) { q.KeyThumbprint = q.KeyThumbprint[1:] }), mint.BindingInvalid},
		{"access token bound to other letters", person(func(q *mint.Request) { q.KeyThumbprint = "+" + q.KeyThumbprint[1:] }), mint.BindingInvalid},
		{"access token bound in another spelling", person(func(q *mint.Request) { q.KeyThumbprint = q.KeyThumbprint[:42] + "J" }), mint.BindingInvalid},
		{"access token of a sign-in to come", person(func(q *mint.Request) { q.AuthTime = tomorrow }), mint.AuthTimeInvalid},
		{"access token with a broken acr", person(func(q *mint.Request) { q.ACR = "\xff" }), mint.ACRInvalid},
		{"access token with a broken method", person(func(q *mint.Request) { q.AMR = []string{"a\x00"} }), mint.AMRInvalid},
		{"access token with a broken session", person(func(q *mint.Request) { q.Session = "a\u202eb" }), mint.SessionInvalid},
		{"UserInfo of a tenant without people", with(func(q *mint.Request) { q.Audience, q.Scope = []string{testIssuer + "/userinfo"}, "" }), mint.AudienceUnregistered},
		{"UserInfo of another tenant", person(func(q *mint.Request) { q.Audience = []string{testIssuer + "/userinfo"} }), mint.AudienceUnregistered},
		{"openid without UserInfo", person(func(q *mint.Request) { q.Audience = []string{peopleAPI} }), mint.ScopeUnregistered},
		{"a scope of the API at UserInfo", person(func(q *mint.Request) { q.Audience = []string{peopleIssuer + "/userinfo"} }), mint.ScopeUnregistered},
	}
}

// bulk is a claim of n bytes in strings that are allowed.
func bulk(n int) []mint.Claim {
	c := mint.Claim{Name: "dept", List: []string{}}
	for ; n > 0; n -= 1000 {
		c.List = append(c.List, strings.Repeat("x", 1000))
	}
	return []mint.Claim{c}
}

// quotes are strings that grow when they are written as JSON.
func quotes(n int) (list []string) {
	for range n {
		list = append(list, strings.Repeat(`"`, 1000))
	}
	return list
}

// hostileBench is a signer with an honest past: four tenants, one disabled, one with people, and token ids that were used.
func hostileBench(t *testing.T) *bench {
	b := newBench(t)
	b.start()
	b.befriend()
	return b
}

// befriend gives a signer that past.
func (b *bench) befriend() {
	b.t.Helper()
	b.mustApply(testPolicy())
	b.mustApply(otherPolicy())
	gone := testPolicy()
	gone.Tenant, gone.Issuer, gone.Disabled = "gone", "https://id.example/gone", true
	b.mustApply(gone)
	b.mustApply(peoplePolicy())
	q := testRequest()
	q.JTI = "used-used-used-used"
	if _, err := b.mint(q); err != nil {
		b.t.Fatal(err)
	}
	q = personRequest()
	q.JTI = "people-people-people"
	if _, err := b.mint(q); err != nil {
		b.t.Fatal(err)
	}
}

func TestHostileHouseRequests(t *testing.T) {
	b := hostileBench(t)
	h := b.hostile()
	before := b.ledger.count("")
	codes := map[mint.Code]bool{}
	requests := hostileRequests()
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			if r := h.mint(c.item); r.Code != c.want {
				t.Errorf("got %v, want %s", r, c.want)
			}
		})
		codes[c.want] = true
	}
	if n := b.ledger.count(""); n != before {
		t.Errorf("%d entries more after refusals alone", n-before)
	}
	if len(requests) < 100 || len(codes) < 34 {
		t.Errorf("only %d requests with %d codes", len(requests), len(codes))
	}
	// A refused request leaves nothing behind: its token id is free, and the next good one is served.
	for _, q := range []*mint.Request{testRequest(), personRequest(), idRequest()} {
		if _, err := b.mint(q); err != nil {
			t.Error(err)
		}
	}
}

// One bad request in a message takes nothing from the others, and the ledger hears of the good ones only.
func TestHostileRequestsAmongGoodOnes(t *testing.T) {
	b := hostileBench(t)
	h := b.hostile()
	before := b.ledger.count("")
	var items [][]byte
	var want []mint.Code
	for _, c := range hostilePeople()[:31] { // a message holds 64, and a frame 1 MB
		items, want = append(items, testRequest().Append(nil), c.item), append(want, "", c.want)
	}
	body, err := h.send(mint.MsgMint, mint.AppendRequests(nil, items))
	if err != nil {
		t.Fatal(err)
	}
	_, answers, err := mint.ReadAnswers(body)
	if err != nil || len(answers) != len(items) {
		t.Fatalf("%d answers: %v", len(answers), err)
	}
	for i, a := range answers {
		var got mint.Code
		if a.Refusal != nil {
			got = a.Refusal.Code
		}
		if got != want[i] || a.Request != mint.RequestDigest(items[i]) {
			t.Errorf("item %d: got %q, want %q", i, got, want[i])
		}
	}
	if n := b.ledger.count("") - before; n != len(items)/2 {
		t.Errorf("%d entries for %d good requests", n, len(items)/2)
	}
}

func TestHostileHouseMessages(t *testing.T) {
	b := hostileBench(t)
	before := b.ledger.count("")
	text := func(v any) []byte {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	policy := func(change func(*mint.Policy)) []byte {
		p := testPolicy()
		p.Version = 2
		change(&p)
		return text(p)
	}
	step := mint.KeyRecords{Steps: []mint.KeyRecord{{Kind: mint.KeyRevoked, Key: b.keys("acme").Keys[0], Actor: "house"}}}
	for _, c := range []struct {
		name string
		typ  mint.MsgType
		body []byte
		want mint.Code
	}{
		{"tokens for the ledger", mint.MsgTokens, mint.AppendTokens(nil, []mint.Unsigned{{Header: []byte("{}"), Payload: []byte("{}")}}), mint.Malformed},
		{"an entry for the ledger", mint.MsgEntries, mint.AppendEntries(nil, []*mint.Entry{{Kind: mint.TokenIssued}}), mint.Malformed},
		{"a step of a key", mint.MsgKey, text(step), mint.Malformed},
		{"hello", mint.MsgHello, text(mint.HelloQuery{}), mint.Malformed},
		{"a look into the log", mint.MsgSearch, text(mint.SearchQuery{Limit: 1}), mint.Malformed},
		{"no such message", 200, nil, mint.Malformed},
		{"a policy that is no JSON", mint.MsgPolicy, []byte("policy"), mint.Malformed},
		{"a policy with an unknown field", mint.MsgPolicy, []byte(`{"tenant":"acme","ceiling":0}`), mint.Malformed},
		{"two policies", mint.MsgPolicy, append(policy(func(*mint.Policy) {}), policy(func(*mint.Policy) {})...), mint.Malformed},
		{"a policy beyond the ceilings", mint.MsgPolicy, policy(func(p *mint.Policy) { p.MaxLifetime = 1 << 40 }), mint.PolicyCeiling},
		{"a policy with another algorithm", mint.MsgPolicy, policy(func(p *mint.Policy) { p.Algorithm = "none" }), mint.PolicyCeiling},
		{"a policy with a standard claim", mint.MsgPolicy, policy(func(p *mint.Policy) { p.Claims = []string{"act"} }), mint.PolicyInvalid},
		{"a policy from the past", mint.MsgPolicy, policy(func(p *mint.Policy) { p.Version, p.MaxLifetime = 1, 60 }), mint.PolicyVersion},
		{"a policy from the future", mint.MsgPolicy, policy(func(p *mint.Policy) { p.Version = 9 }), mint.PolicyVersion},
		{"someone else's issuer", mint.MsgPolicy, policy(func(p *mint.Policy) { p.Issuer = otherPolicy().Issuer }), mint.PolicyIssuerTaken},
		{"a path for a tenant", mint.MsgPolicy, policy(func(p *mint.Policy) { p.Tenant = "../../root" }), mint.PolicyInvalid},
		{"a second first key", mint.MsgRotate, text(mint.Rotate{Tenant: "acme", Family: mint.FamilyAccess, Actor: "x"}), mint.SpareTooYoung},
		{"another family", mint.MsgRotate, text(mint.Rotate{Tenant: "acme", Family: "identity", Actor: "x"}), mint.NotFound},
		{"rotation by nobody", mint.MsgRotate, text(mint.Rotate{Tenant: "acme", Family: mint.FamilyAccess}), mint.Malformed},
		{"distrust of no key", mint.MsgDistrust, text(mint.KeyDistrust{Tenant: "acme", KID: "x", Reason: mint.KeyCompromise, Actor: "x"}), mint.NotFound},
		{"distrust of another's key", mint.MsgDistrust, text(mint.KeyDistrust{Tenant: "globex", KID: step.Steps[0].Key.KID, Reason: mint.KeyCompromise, Actor: "x"}), mint.NotFound},
		{"distrust by nobody", mint.MsgDistrust, text(mint.KeyDistrust{Tenant: "acme", KID: step.Steps[0].Key.KID, Reason: mint.KeyCompromise}), mint.Malformed},
		{"distrust without a reason", mint.MsgDistrust, text(mint.KeyDistrust{Tenant: "acme", KID: step.Steps[0].Key.KID, Actor: "x"}), mint.StatedReason},
		{"distrust for a reason of its own", mint.MsgDistrust, text(mint.KeyDistrust{Tenant: "acme", KID: step.Steps[0].Key.KID, Actor: "x", Reason: "user-compromised"}), mint.StatedReason},
		{"distrust with a young spare", mint.MsgDistrust, text(mint.KeyDistrust{Tenant: "acme", KID: step.Steps[0].Key.KID, Reason: mint.KeyCompromise, Actor: "x"}), mint.SpareTooYoung},
		{"a key given back that was not taken", mint.MsgDistrust, text(mint.KeyDistrust{Tenant: "acme", KID: step.Steps[0].Key.KID, Reason: mint.Mistake, Actor: "x", Undo: true}), mint.KeyTransition},
		{"a key given back for good", mint.MsgDistrust, text(mint.KeyDistrust{Tenant: "acme", KID: step.Steps[0].Key.KID, Reason: mint.Mistake, Actor: "x", Undo: true, Final: true}), mint.Malformed},
		{"accepting a clock that is right", mint.MsgClock, text(mint.ClockAccept{Actor: "x"}), mint.NotFound},
		{"keys of nobody", mint.MsgKeys, text(mint.KeysQuery{Tenant: "nobody"}), mint.NotFound},
		{"keys without a question", mint.MsgKeys, nil, mint.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := b.hostile().send(c.typ, c.body)
			if err != nil {
				t.Fatal(err)
			}
			wantCode(t, mint.ReadJSONAnswer(body, new(json.RawMessage)), c.want)
		})
	}
	if n := b.ledger.count(""); n != before {
		t.Errorf("%d entries more", n-before)
	}
}

// Frames that cannot be read end their connection, and no other.
func TestHostileHouseFrames(t *testing.T) {
	b := hostileBench(t)
	before := b.ledger.count("")
	for name, raw := range map[string][]byte{
		"a frame of 4 GB":        {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"a frame without a head": {0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"HTTP":                   []byte("GET / HTTP/1.1\r\nHost: signer\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := socketPair(t)
			served := make(chan error, 1)
			go func() { served <- b.signer.Serve(context.Background(), theirs) }()
			if _, err := ours.Write(raw); err != nil {
				t.Fatal(err)
			}
			if err := <-served; err == nil {
				t.Error("the connection went on")
			}
			ours.Close()
		})
	}
	h := b.hostile()
	for name, c := range map[string]struct {
		body []byte
		n    int
	}{
		"no requests":          {mint.AppendRequests(nil, nil), 1},
		"65 requests":          {mint.AppendRequests(nil, make([][]byte, mint.MaxBatch+1)), 1},
		"a count without them": {[]byte{3}, 1},
		"an empty body":        {nil, 1},
	} {
		body, err := h.send(mint.MsgMint, c.body)
		if err != nil {
			t.Fatal(err)
		}
		_, answers, err := mint.ReadAnswers(body)
		if err != nil || len(answers) != c.n || answers[0].Refusal == nil || answers[0].Refusal.Code != mint.Malformed {
			t.Errorf("%s: %d answers, %v", name, len(answers), err)
		}
	}
	if n := b.ledger.count(""); n != before {
		t.Errorf("%d entries more", n-before)
	}
	if _, err := b.mint(testRequest()); err != nil {
		t.Error(err)
	}
}

// Even inside the signer, a key of one family makes no token of another kind: its record, its sealed file and the
// ledger's statement all say what it is for.
func TestAnAccessKeyMakesNothingElse(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	acme := b.signer.tenantByID("acme")
	for _, kind := range []mint.Kind{"jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "AT+JWT"} {
		q := testRequest()
		q.Kind = kind
		if r := acme.check(q, b.clock.Now().Unix()); r == nil || r.Code != mint.KindUnsupported {
			t.Errorf("%s: %v", kind, r)
		}
	}
	k := *acme.key(acme.signing[mint.FamilyAccess].record.KID)
	if _, err := b.signer.openKey(&k); err != nil {
		t.Fatal(err)
	}
	other := k
	other.Family = mint.FamilyID
	if _, err := b.signer.openKey(&other); err == nil {
		t.Error("the sealed key opened for another family")
	}
	other = k
	other.Kinds = []string{"JWT"}
	if b.signer.link.stated(&other) {
		t.Error("the statement covers another kind of token")
	}
	if err := b.signer.checkRecord(acme, &other); err == nil {
		t.Error("a record with another kind of token was accepted")
	}
}

// Nothing of a token reaches the log.
func TestNoTokenInTheLog(t *testing.T) {
	b := hostileBench(t)
	token, err := b.mint(testRequest())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(token), ".") {
		if strings.Contains(b.log.String(), part) {
			t.Error("a part of a token is in the log")
		}
	}
	if strings.Contains(b.log.String(), "used-used") {
		t.Error("a request is in the log")
	}
}
