package authorize

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"seawall/internal/oauth"
	"seawall/internal/tenant"
)

func TestReadClaims(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`"a",`, maxACR+1), ",")
	for text, want := range map[string]*claims{
		``:     {},
		`null`: {},
		`{}`:   {},
		`{"id_token":null,"userinfo":{"email":{"essential":true}},"x":7}`:                                 {},
		`{"id_token":{"acr":{"essential":true}}}`:                                                         {}, // it is in each ID token
		`{"id_token":{"acr":{"essential":true,"value":"phr"}}}`:                                           {must: []string{"phr"}},
		` { "id_token" : { "acr" : { "values" : ["phrh","phr"] , "essential" : true , "more" : {} } } } `: {must: []string{"phrh", "phr"}},
		`{"id_token":{"acr":{"value":"phrh"}}}`:                                                           {wishes: []string{"phrh"}},
		`{"id_token":{"acr":{"value":"phrh","essential":false}}}`:                                         {wishes: []string{"phrh"}},
		`{"id_token":{"acr":{"Essential":true,"values":["phrh"]}}}`:                                       {wishes: []string{"phrh"}}, // another member
		`{"ID_TOKEN":{"acr":{"essential":true,"value":"phrh"}}}`:                                          {},
		`{"userinfo":{"acr":{"essential":true,"value":"phrh"}}}`:                                          {},
		`{"id_token":{"sub":{"value":"ada"}},"userinfo":{"sub":{"values":["ada"]}}}`:                      {subject: "ada"},

		`[]`:                               nil,
		`"id_token"`:                       nil,
		`{"id_token":{}`:                   nil,
		`{"id_token":{}}{}`:                nil,
		`{"id_token":{}}}`:                 nil,
		`{"id_token":7}`:                   nil,
		`{"id_token":{},"id_token":null}`:  nil,
		`{"id_token":{"acr":true}}`:        nil,
		`{"id_token":{"acr":{"value":1}}}`: nil,
		`{"id_token":{"acr":{"essential":true,"values":["phr"],"values":["x"]}}}`: nil,
		`{"id_token":{"acr":{"essential":"true","value":"phr"}}}`:                 nil,
		`{"id_token":{"acr":{"essential":null,"value":"phr"}}}`:                   nil,
		`{"id_token":{"acr":{"value":"phr","values":["phr"]}}}`:                   nil,
		`{"id_token":{"acr":{"values":"phr"}}}`:                                   nil,
		`{"id_token":{"acr":{"values":[]}}}`:                                      nil,
		`{"id_token":{"acr":{"values":["phr",null]}}}`:                            nil,
		`{"id_token":{"acr":{"values":["phr",""]}}}`:                              nil,
		`{"id_token":{"acr":{"value":"a\u0000"}}}`:                                nil,
		`{"id_token":{"acr":{"value":"a","x":],"value":"b"}}}`:                    nil,
		`{"id_token":{"acr":{"values":[` + many + `]}}}`:                          nil,
		`{"id_token":{"sub":{"values":["ada","bob"]}}}`:                           nil,
	} {
		got, err := readClaims(text)
		if (err == nil) != (want != nil) || want != nil && !reflect.DeepEqual(got, *want) {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

// TestNeededACR: what an application needs is proven, or the application is told and gets nothing.
func TestNeededACR(t *testing.T) {
	h := newPorch(t)
	p, b := h.member("ada")
	h.code(b.decide(b.follow(b.ask()), "allow"))
	needs := func(values ...string) []string {
		text, err := json.Marshal(map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "values": values}}})
		h.must(text, err)
		return []string{"claims", string(text)}
	}
	stranger := h.browser()
	for what, who := range map[string]*browser{"signed in": b, "a stranger": stranger} {
		who.ask(needs("phrh")...).wants(t, what+", what nobody here can prove", oauth.UnmetAuthenticationRequirements)
		who.ask(needs("urn:mace:incommon:iap:silver", "1")...).wants(t, what+", what is none of ours", oauth.UnmetAuthenticationRequirements)
	}
	if code := h.code(b.ask(needs("1", "phr")...)); code.ACR != "phr" {
		t.Errorf("what each sign-in proves: the code says %s", code.ACR)
	}

	h.must(h.store.CompleteTenant(t.Context(), tenant.Tenant{ID: "acme", Passkeys: tenant.Attested}))
	b.ask(append(needs("phrh"), "prompt", "none")...).wants(t, "silently", oauth.LoginRequired)
	h.hinted["adas-token"] = Hint{p.ID, "shop"}
	site := &browser{h: h, tenant: "acme", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}} // whose form brings no cookies, so the request is kept
	b.follow(site.post("/authorize", asking(append(needs("phrh"), "prompt", "none", "id_token_hint", "adas-token")...))).wants(t, "silently, by a form", oauth.LoginRequired)
	in := b.ask(needs("1", "phrh")...)
	sign := b.follow(in)
	if !strings.Contains(sign.body, "certified security key") || !strings.Contains(sign.body, "back to the application") || strings.Contains(sign.body, "Go on without it") {
		t.Fatalf("no step up: %d %v\n%s", sign.status, sign.to, sign.body)
	}
	b.touch(p, "phr")
	if still := b.follow(in); still.to != nil {
		t.Errorf("less than is needed is enough: %v", still.to)
	}
	if again := b.get("/consent?i=" + b.kept(in)); again.to == nil || again.to.Query().Has("code") || !strings.Contains(again.to.Path, "/signin") {
		t.Errorf("asked for without a sign-in: %v", again.to)
	}
	b.get("/consent?i="+b.kept(in)+"&unmet=1").wants(t, "who goes back", oauth.UnmetAuthenticationRequirements)
	stranger.get("/consent?i="+b.kept(in)+"&unmet=1").wants(t, "a stranger who goes back", oauth.UnmetAuthenticationRequirements)
	b.touch(p, "phrh")
	if code := h.code(b.follow(b.follow(in))); code.ACR != "phrh" {
		t.Errorf("with it, the code says %s", code.ACR)
	}
	for _, c := range []struct{ needs, says string }{{"phrh", "phrh"}, {"phr", "phr"}, {"phr phrh", "phrh"}} { // in the word that was asked for
		if code := h.code(b.ask(append(needs(strings.Fields(c.needs)...), "prompt", "none")...)); code.ACR != c.says {
			t.Errorf("who needs %s is told %s", c.needs, code.ACR)
		}
	}
	if code := h.code(b.ask("claims", `{"id_token":{"acr":{"essential":true}}}`)); code.ACR != "phrh" {
		t.Errorf("who needs any is told %s", code.ACR)
	}

	// A passkey that was enough, and is signed in with less before the person agrees.
	shown := b.follow(b.ask(append(needs("phrh"), "prompt", "consent")...))
	b.touch(p, "phr")
	if out := b.decide(shown, "allow"); out.to == nil || out.to.Query().Has("code") {
		t.Errorf("less than is needed gave %v", out.to)
	}
	// A wish is one, in whichever parameter.
	in = b.ask("claims", `{"id_token":{"acr":{"value":"phrh"}}}`)
	if sign := b.follow(in); !strings.Contains(sign.body, "Go on without it") {
		t.Errorf("a wish: %d %v\n%s", sign.status, sign.to, sign.body)
	}
	if code := h.code(b.get("/consent?i=" + b.kept(in) + "&unmet=1")); code.ACR != "phr" {
		t.Errorf("without it, the code says %s", code.ACR)
	}
}

// TestClaimedSubject: who it must be, it is, or nobody.
func TestClaimedSubject(t *testing.T) {
	h := newPorch(t)
	p, b := h.member("ada")
	bob := h.person("bob")
	h.code(b.decide(b.follow(b.ask()), "allow"))
	is := func(subject string) []string {
		return []string{"claims", `{"id_token":{"sub":{"value":"` + subject + `"}}}`}
	}
	h.code(b.ask(is(p.ID)...))
	b.ask(append(is(bob.ID), "prompt", "none")...).wants(t, "somebody else", oauth.LoginRequired)
	b.ask(append(is("nobody"), "prompt", "none")...).wants(t, "nobody", oauth.LoginRequired)
	in := b.ask(is(bob.ID)...)
	b.touch(p, "phr")
	if still := b.follow(in); still.to != nil {
		t.Errorf("ada is enough for bob: %v", still.to)
	}
	b.touch(bob, "phr")
	if code := h.code(b.decide(b.follow(b.follow(in)), "allow")); code.Person != bob.ID {
		t.Errorf("the code is of %s", code.Person)
	}
	h.hinted["adas-token"] = Hint{Subject: p.ID, Client: "shop"}
	b.ask(append(is(bob.ID), "id_token_hint", "adas-token")...).wants(t, "two people", oauth.InvalidRequest)
}

// FuzzClaims: what is read is within bounds, and what it says is there in so many words.
func FuzzClaims(f *testing.F) {
	for _, text := range []string{"", "null", `{"id_token":{"acr":{"essential":true,"values":["phrh","phr"]},"auth_time":{"essential":true}},"userinfo":{"sub":{"value":"ada"}}}`,
		`{"id_token":{"acr":{"value":"phr"}}}`, `{"id_token":{},"id_token":{"acr":null}}`, `{"a":[[[[{"b":1e999}]]]]}`, "{\"id_token\":\xff}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := readClaims(text)
		if err != nil {
			return
		}
		said := ""
		var all map[string]map[string]any
		if text != "" && json.Unmarshal([]byte(text), &all) == nil {
			raw, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			said = string(raw)
		}
		for _, v := range slices.Concat(c.must, c.wishes) {
			if quoted, _ := json.Marshal(v); v == "" || !plain(v) || said != "" && !strings.Contains(said, string(quoted)) {
				t.Errorf("%q: reads %q", text, v)
			}
		}
		if len(c.must) > maxACR || len(c.wishes) > maxACR || len(c.must) > 0 && len(c.wishes) > 0 || len(c.must) > 0 && !strings.Contains(text, "essential") && !strings.Contains(text, "\\u") {
			t.Errorf("%q: reads %+v", text, c)
		}
	})
}
