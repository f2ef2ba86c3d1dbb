package signer

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"seawall/internal/mint"
)

func TestPolicyIsHeldAgainstRulesAndCeilings(t *testing.T) {
	long := strings.Repeat("x", 2000)
	many := make([]mint.Audience, 1001)
	for i := range many {
		many[i].ID = "https://api.example/" + strings.Repeat("a", i+1)[:i%900+1] + string(rune('a'+i%26)) + strings.Repeat("b", i/26)
	}
	for name, c := range map[string]struct {
		change func(*mint.Policy)
		want   mint.Code
	}{
		"no tenant":                     {func(p *mint.Policy) { p.Tenant = "" }, mint.PolicyInvalid},
		"a path for a tenant":           {func(p *mint.Policy) { p.Tenant = "../../etc" }, mint.PolicyInvalid},
		"a dot in the tenant":           {func(p *mint.Policy) { p.Tenant = "acme.pending" }, mint.PolicyInvalid},
		"capitals in the tenant":        {func(p *mint.Policy) { p.Tenant = "Acme" }, mint.PolicyInvalid},
		"a long tenant":                 {func(p *mint.Policy) { p.Tenant = strings.Repeat("a", 64) }, mint.PolicyInvalid},
		"no issuer":                     {func(p *mint.Policy) { p.Issuer = "" }, mint.PolicyInvalid},
		"issuer without host":           {func(p *mint.Policy) { p.Issuer = "https:///acme" }, mint.PolicyInvalid},
		"issuer with a port only":       {func(p *mint.Policy) { p.Issuer = "https://:443/acme" }, mint.PolicyInvalid},
		"issuer over plain http":        {func(p *mint.Policy) { p.Issuer = "http://id.example/acme" }, mint.PolicyInvalid},
		"issuer with query":             {func(p *mint.Policy) { p.Issuer += "?a=b" }, mint.PolicyInvalid},
		"issuer with empty query":       {func(p *mint.Policy) { p.Issuer += "?" }, mint.PolicyInvalid},
		"issuer with fragment":          {func(p *mint.Policy) { p.Issuer += "#a" }, mint.PolicyInvalid},
		"issuer with empty fragment":    {func(p *mint.Policy) { p.Issuer += "#" }, mint.PolicyInvalid},
		"issuer with user":              {func(p *mint.Policy) { p.Issuer = "https://u@id.example/acme" }, mint.PolicyInvalid},
		"issuer with final slash":       {func(p *mint.Policy) { p.Issuer += "/" }, mint.PolicyInvalid},
		"issuer in another spelling":    {func(p *mint.Policy) { p.Issuer = "HTTPS://id.example/acme" }, mint.PolicyInvalid},
		"issuer with a space":           {func(p *mint.Policy) { p.Issuer = "https://id.example/a cme" }, mint.PolicyInvalid},
		"a long issuer":                 {func(p *mint.Policy) { p.Issuer = "https://id.example/" + long }, mint.PolicyInvalid},
		"another class":                 {func(p *mint.Policy) { p.Class = "Production" }, mint.PolicyInvalid},
		"version 0":                     {func(p *mint.Policy) { p.Version = 0 }, mint.PolicyInvalid},
		"no algorithm":                  {func(p *mint.Policy) { p.Algorithm = "" }, mint.PolicyInvalid},
		"alg none":                      {func(p *mint.Policy) { p.Algorithm = "none" }, mint.PolicyCeiling},
		"alg HS256":                     {func(p *mint.Policy) { p.Algorithm = "HS256" }, mint.PolicyCeiling},
		"no lifetime":                   {func(p *mint.Policy) { p.MaxLifetime = 0 }, mint.PolicyInvalid},
		"a negative lifetime":           {func(p *mint.Policy) { p.MaxLifetime = -1 }, mint.PolicyInvalid},
		"a lifetime over the ceiling":   {func(p *mint.Policy) { p.MaxLifetime = 86401 }, mint.PolicyCeiling},
		"rotation in a day":             {func(p *mint.Policy) { p.RotationDays = 1 }, mint.PolicyInvalid},
		"rotation before it began":      {func(p *mint.Policy) { p.RotationDays = -30 }, mint.PolicyInvalid},
		"rotation over the ceiling":     {func(p *mint.Policy) { p.RotationDays = 91 }, mint.PolicyCeiling},
		"no actor":                      {func(p *mint.Policy) { p.Actor = "" }, mint.PolicyInvalid},
		"an actor that clears screens":  {func(p *mint.Policy) { p.Actor = "root\x1b[2J" }, mint.PolicyInvalid},
		"a nameless audience":           {func(p *mint.Policy) { p.Audiences[0].ID = "" }, mint.PolicyInvalid},
		"an audience twice":             {func(p *mint.Policy) { p.Audiences[1].ID = p.Audiences[0].ID }, mint.PolicyInvalid},
		"a long audience":               {func(p *mint.Policy) { p.Audiences[0].ID = long }, mint.PolicyInvalid},
		"an audience with line ends":    {func(p *mint.Policy) { p.Audiences[0].ID = "a\nb" }, mint.PolicyInvalid},
		"too many audiences":            {func(p *mint.Policy) { p.Audiences = many }, mint.PolicyCeiling},
		"an audience that lives longer": {func(p *mint.Policy) { p.Audiences[0].MaxLifetime = 3601 }, mint.PolicyInvalid},
		"an audience that never lives":  {func(p *mint.Policy) { p.Audiences[0].MaxLifetime = -1 }, mint.PolicyInvalid},
		"a scope with a space":          {func(p *mint.Policy) { p.Audiences[0].Scopes = []string{"a b"} }, mint.PolicyInvalid},
		"an empty scope":                {func(p *mint.Policy) { p.Audiences[0].Scopes = []string{""} }, mint.PolicyInvalid},
		"a scope twice":                 {func(p *mint.Policy) { p.Audiences[0].Scopes = []string{"a", "a"} }, mint.PolicyInvalid},
		"a long scope":                  {func(p *mint.Policy) { p.Audiences[0].Scopes = []string{long} }, mint.PolicyInvalid},
		"too many scopes":               {func(p *mint.Policy) { p.Audiences[0].Scopes = make([]string, 257) }, mint.PolicyInvalid},
		"a nameless client":             {func(p *mint.Policy) { p.Clients = []string{""} }, mint.PolicyInvalid},
		"a client twice":                {func(p *mint.Policy) { p.Clients = []string{"web", "web"} }, mint.PolicyInvalid},
		"clients out of order":          {func(p *mint.Policy) { p.Clients = []string{"web", "spa"} }, mint.PolicyInvalid},
		"a client that clears screens":  {func(p *mint.Policy) { p.Clients = []string{"\x1b[2J"} }, mint.PolicyInvalid},
		"a long client":                 {func(p *mint.Policy) { p.Clients = []string{long} }, mint.PolicyInvalid},
		"a client that is an API":       {func(p *mint.Policy) { p.Clients = []string{p.Audiences[1].ID, p.Audiences[0].ID + "x"} }, mint.PolicyInvalid},
		"too many clients":              {func(p *mint.Policy) { p.Clients = make([]string, 5001) }, mint.PolicyInvalid},
		"a standard claim":              {func(p *mint.Policy) { p.Claims = []string{"sub"} }, mint.PolicyInvalid},
		"a standard claim in capitals":  {func(p *mint.Policy) { p.Claims = []string{"SUB"} }, mint.PolicyInvalid},
		"a claim with a long s":         {func(p *mint.Policy) { p.Claims = []string{"\u017fub"} }, mint.PolicyInvalid},
		"claims that differ in case":    {func(p *mint.Policy) { p.Claims = []string{"dept", "Dept"} }, mint.PolicyInvalid},
		"an empty claim":                {func(p *mint.Policy) { p.Claims = []string{""} }, mint.PolicyInvalid},
		"a claim with quotes":           {func(p *mint.Policy) { p.Claims = []string{`a"b`} }, mint.PolicyInvalid},
		"too many claims":               {func(p *mint.Policy) { p.Claims = make([]string, 65) }, mint.PolicyInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			p, ceilings := testPolicy(), DefaultCeilings()
			c.change(&p)
			if r := checkPolicy(&p, &ceilings); r == nil || r.Code != c.want {
				t.Errorf("got %v, want %s", r, c.want)
			}
		})
	}
	p, ceilings := testPolicy(), DefaultCeilings()
	for _, issuer := range []string{"https://id.example", "http://localhost:8080/acme", "http://127.0.0.1:8080/acme", "http://[::1]:1/a"} {
		p.Issuer = issuer
		if r := checkPolicy(&p, &ceilings); r != nil {
			t.Errorf("%s: %v", issuer, r)
		}
	}
	ceilings.IssuerPrefix = "https://id.example/"
	if r := checkPolicy(&p, &ceilings); r == nil || r.Code != mint.PolicyCeiling {
		t.Errorf("an issuer outside the prefix: %v", r)
	}
}

func TestPolicyVersions(t *testing.T) {
	b := newBench(t)
	b.start()
	refused := func(p mint.Policy, code mint.Code) {
		t.Helper()
		before := b.ledger.count("")
		_, err := b.apply(p)
		wantCode(t, err, code)
		if n := b.ledger.count(""); n != before {
			t.Fatalf("%d entries more after a refusal", n-before)
		}
	}
	p := testPolicy()
	p.Version = 2
	refused(p, mint.PolicyVersion) // a tenant begins with 1
	first := b.mustApply(testPolicy())
	if again := b.mustApply(testPolicy()); again != first {
		t.Errorf("repeated: %+v, first %+v", again, first)
	}
	p = testPolicy()
	p.MaxLifetime = 60
	refused(p, mint.PolicyVersion) // the same version with other content
	p.Version = 3
	refused(p, mint.PolicyVersion) // a gap
	p.Version = 2
	b.mustApply(p)
	refused(testPolicy(), mint.PolicyVersion) // back to the first
	_, err := b.mint(testRequest())
	wantCode(t, err, mint.LifetimeTooLong)

	p.Version, p.Issuer = 3, "https://id.example/other"
	refused(p, mint.PolicyIssuerTaken)
	rival := otherPolicy()
	rival.Issuer = testIssuer
	refused(rival, mint.PolicyIssuerTaken)

	if n := b.ledger.count(mint.PolicyChanged); n != 2 {
		t.Errorf("%d policy entries, want 2", n)
	}
	if n := b.ledger.count(mint.KeyStaged); n != 2 {
		t.Errorf("%d staged keys, want 2", n)
	}
}

func TestDisabledTenantsMintNothing(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	p := testPolicy()
	p.Version, p.Disabled = 2, true
	b.mustApply(p)
	_, err := b.mint(testRequest())
	wantCode(t, err, mint.TenantDisabled)
	if keys := b.keys(""); len(keys.Keys) != 2 {
		t.Errorf("%d keys of the disabled tenant, want 2: its tokens still count", len(keys.Keys))
	}
	b.restart()
	_, err = b.mint(testRequest())
	wantCode(t, err, mint.TenantDisabled)
	p.Version, p.Disabled = 3, false
	b.mustApply(p)
	if _, err := b.mint(testRequest()); err != nil {
		t.Fatal(err)
	}
}

func TestTenantCeiling(t *testing.T) {
	b := newBench(t)
	b.start()
	b.signer.ceilings.MaxTenants = 1
	b.mustApply(testPolicy())
	_, err := b.apply(otherPolicy())
	wantCode(t, err, mint.PolicyCeiling)
	p := testPolicy()
	p.Version = 2
	b.mustApply(p) // those that are there go on
}

// An operator who lowers a ceiling is obeyed at once, by policies that were within the old one too.
func TestLoweredCeilingsClamp(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	if err := b.halt(); err != nil {
		t.Fatal(err)
	}
	ceilings := DefaultCeilings()
	ceilings.MaxLifetime = 120
	content, err := json.Marshal(ceilings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.file(ceilingsFile), content, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	_, err = b.mint(testRequest())
	wantCode(t, err, mint.LifetimeTooLong)
	q := testRequest()
	q.Lifetime = 120
	if _, err := b.mint(q); err != nil {
		t.Fatal(err)
	}
}

// A raised ceiling does not reach keys that were stated under a lower one: how long they are published after their last
// token was reckoned with that.
func TestKeysKeepTheLifetimeTheyWereMadeFor(t *testing.T) {
	b := newBench(t)
	b.start()
	b.signer.ceilings.MaxLifetime = 3600
	b.mustApply(testPolicy())
	b.signer.ceilings.MaxLifetime = 86400
	p := testPolicy()
	p.Version, p.MaxLifetime = 2, 86400
	b.mustApply(p)
	q := testRequest()
	q.Lifetime = 3601
	_, err := b.mint(q)
	wantCode(t, err, mint.KeyOutlived)
	q.Lifetime = 3600
	if _, err := b.mint(q); err != nil {
		t.Fatal(err)
	}
}

func TestAlgorithmChangesWithoutAGap(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	p := testPolicy()
	p.Version, p.Algorithm = 2, "EdDSA"
	b.mustApply(p)
	b.want("acme", "activated staged staged")
	token, err := b.mint(testRequest())
	if err != nil {
		t.Fatal(err)
	}
	b.verify(token)
	b.clock.pass(day + 10*60*1e9)
	b.settled()
	b.want("acme", "verify-only retired activated staged")
	if token, err = b.mint(testRequest()); err != nil {
		t.Fatal(err)
	}
	kid, _ := b.verify(token)
	if k := b.keys("acme").Keys[2]; k.KID != kid || k.Alg != "EdDSA" {
		t.Errorf("signed by %s, want the EdDSA key %s", kid, k.KID)
	}
}

func TestCeilingsFile(t *testing.T) {
	for name, content := range map[string]string{
		"an unknown key":     `{"max_lifetime":60,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"],"max_fun":1}`,
		"no algorithms":      `{"max_lifetime":60,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":[]}`,
		"a bad algorithm":    `{"max_lifetime":60,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["none"]}`,
		"no lifetime":        `{"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`,
		"a huge lifetime":    `{"max_lifetime":2592001,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`,
		"a short rotation":   `{"max_lifetime":60,"max_audiences":1,"max_tenants":1,"max_rotation_days":1,"algorithms":["ES256"]}`,
		"no tenants":         `{"max_lifetime":60,"max_audiences":1,"max_tenants":0,"max_rotation_days":30,"algorithms":["ES256"]}`,
		"too many audiences": `{"max_lifetime":60,"max_audiences":2001,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`,
		"two objects":        `{"max_lifetime":60,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}{}`,
		"no ID lifetime":     `{"max_lifetime":60,"max_id_lifetime":-1,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`,
		"a long ID lifetime": `{"max_lifetime":60,"max_id_lifetime":2592001,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`,
		"nothing":            ``,
	} {
		t.Run(name, func(t *testing.T) {
			d := &disk{dir: t.TempDir()}
			if err := d.write(ceilingsFile, []byte(content)); err != nil {
				t.Fatal(err)
			}
			if _, err := loadCeilings(d, true); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), ceilingsFile) {
				t.Errorf("got %v", err)
			}
		})
	}
	d := &disk{dir: t.TempDir()}
	if _, err := loadCeilings(d, false); !errors.Is(err, ErrRefused) {
		t.Errorf("missing ceilings were replaced by the defaults: %v", err)
	}
	if c, err := loadCeilings(d, true); err != nil || !reflect.DeepEqual(c, DefaultCeilings()) {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, err := loadCeilings(d, false); err != nil || !reflect.DeepEqual(c, DefaultCeilings()) {
		t.Errorf("read again: %+v, %v", c, err)
	}
}

// Ceilings from before there were ID tokens stay what they were, and mean an hour; whatever they say, no ID token outlives
// what any token may.
func TestOlderCeilings(t *testing.T) {
	for content, want := range map[string]int64{
		`{"max_lifetime":86400,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`:                         3600,
		`{"max_lifetime":60,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`:                            60,
		`{"max_lifetime":86400,"max_id_lifetime":120,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`:   120,
		`{"max_lifetime":60,"max_id_lifetime":86400,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`:    60,
		`{"max_lifetime":86400,"max_id_lifetime":86400,"max_audiences":1,"max_tenants":1,"max_rotation_days":30,"algorithms":["ES256"]}`: 7200, // the tenant's
	} {
		d := &disk{dir: t.TempDir()}
		if err := d.write(ceilingsFile, []byte(content)); err != nil {
			t.Fatal(err)
		}
		c, err := loadCeilings(d, false)
		if err != nil {
			t.Fatal(err)
		}
		p := peoplePolicy()
		p.MaxLifetime = 7200
		if l := compile(&p, &c); l.idLifetime != want {
			t.Errorf("%s: an ID token may live %d s, want %d", content, l.idLifetime, want)
		}
		if b, err := d.read(ceilingsFile); err != nil || string(b) != content {
			t.Errorf("the file was changed: %s, %v", b, err)
		}
	}
}

// FuzzPolicy: whatever JSON the house sends, a policy that passes names no file outside its directory, compiles, and
// means the same after a round through the disk.
func FuzzPolicy(f *testing.F) {
	for _, p := range []mint.Policy{testPolicy(), otherPolicy(), peoplePolicy()} {
		b, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"tenant":"..","issuer":"https://x","class":"support","version":1}`))
	f.Add([]byte(`{"tenant":"a","tenant":"b"}`))
	f.Add([]byte(`{"Tenant":"a","claims":["\u017fub"]}`))
	f.Add([]byte(`[]`))
	ceilings := DefaultCeilings()
	f.Fuzz(func(t *testing.T, body []byte) {
		var p mint.Policy
		if mint.ReadJSON(body, &p) != nil {
			return
		}
		p = normalize(p)
		if checkPolicy(&p, &ceilings) != nil {
			return
		}
		if strings.ContainsAny(p.Tenant, "./\\") || p.Tenant == "" {
			t.Fatalf("the tenant %q would name another file", p.Tenant)
		}
		l := compile(&p, &ceilings)
		own := len(l.audiences) - len(p.Audiences) // UserInfo, unless the tenant has an API of that name
		if l.lifetime <= 0 || l.lifetime > ceilings.MaxLifetime || l.idLifetime <= 0 || l.idLifetime > min(l.lifetime, ceilings.MaxIDLifetime) ||
			len(l.clients) != len(p.Clients) || own < 0 || own > 1 || own == 1 && len(p.Clients) == 0 {
			t.Fatalf("limits %+v", l)
		}
		for name := range l.claims {
			if mint.StandardClaim(name) {
				t.Fatalf("the standard claim %q passed", name)
			}
		}
		d := &disk{dir: t.TempDir()}
		if err := d.writeJSON("p", policyFile{Format: format, Policy: p}); err != nil {
			t.Fatal(err)
		}
		var back policyFile
		if err := d.readJSON("p", &back); err != nil || policyDigest(&back.Policy) != policyDigest(&p) {
			t.Fatalf("after the disk it is another policy: %v", err)
		}
	})
}
