package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// TestDistrustByAnOperator goes the whole way with the true vaults: preview, act, what it means at once, and its undoing.
func TestDistrustByAnOperator(t *testing.T) {
	v := newRealVaults(t)
	h := newHouse(t, v.options())
	api, ci := h.acme()
	web, err := h.op.CreateClient(t.Context(), "acme", adminapi.CreateClient{ClientID: "web", Grants: []string{"client_credentials"}, APIs: []string{ordersAPI}, Scopes: []string{"read"}})
	must(t, web, err)
	raw, other := h.token(ci), h.token(web)
	h.token(ci)
	active := func(raw string) bool { return h.introspect(api, raw)["active"] == true }
	ask := func(q adminapi.Distrust) *adminapi.Distrusted {
		t.Helper()
		done, err := h.op.Distrust(t.Context(), "acme", q)
		return must(t, done, err)
	}

	look := func(q adminapi.Distrust) *adminapi.DistrustPreview {
		t.Helper()
		seen, err := h.op.PreviewDistrust(t.Context(), "acme", q)
		return must(t, seen, err)
	}

	client := adminapi.Distrust{Kind: "client", Value: "ci", Reason: "admin"}
	if p := look(client); p.Tokens != 2 || p.Subjects != 1 || len(p.Clients) != 1 || p.Clients[0] != (adminapi.Share{Name: "ci", Tokens: 2}) ||
		len(p.APIs) != 1 || p.APIs[0] != (adminapi.Share{Name: ordersAPI, Tokens: 2}) || p.LastEnds.IsZero() || p.AtLeast {
		t.Errorf("the preview of a client is %+v", p)
	}
	if !active(raw) {
		t.Fatal("a preview did something")
	}
	stated := ask(client).Statement
	if stated == nil || stated.N != 1 || stated.Kind != "client" || stated.Before.IsZero() {
		t.Fatalf("stated is %+v", stated)
	}
	if active(raw) || !active(other) {
		t.Error("a client is distrusted, and its token is active or another's is not")
	}
	if list, err := h.op.Distrusted(t.Context(), "acme"); err != nil || len(list) != 1 || list[0].N != 1 || list[0].Value != "ci" || list[0].Reason != "admin" {
		t.Errorf("the list is %+v, %v", list, err)
	}
	undo := adminapi.Distrust{Restores: 1, Reason: "mistake"}
	if p := look(undo); p.Restores == nil || p.Restores.Value != "ci" || p.Tokens != 2 {
		t.Errorf("the preview of an undoing is %+v", p)
	}
	if ask(undo); !active(raw) {
		t.Error("what was taken back does not count")
	}
	_, err = h.op.Distrust(t.Context(), "acme", undo)
	if e := asAdmin(err); e == nil || e.Code != string(mint.StatedOver) || !strings.Contains(e.Hint, "distrust list") {
		t.Errorf("taken back twice: %v", err)
	}

	keys, err := h.op.Keys(t.Context(), "acme")
	must(t, keys, err)
	var signs, spare string
	for _, k := range keys {
		switch k.State {
		case "active":
			signs = k.KID
		case "staged":
			spare = k.KID
		}
	}
	key := adminapi.Distrust{Kind: "key", Value: signs, Reason: "key-compromise"}
	if p := look(key); p.Tokens != 3 || len(p.Clients) != 2 || p.KeyState != "active" || p.NextKey != spare || !p.NextKnown.After(p.NextPublished) {
		t.Errorf("the preview of a key is %+v", p)
	}
	_, err = h.op.Distrust(t.Context(), "acme", key)
	if e := asAdmin(err); e == nil || e.Code != string(mint.SpareTooYoung) || !strings.Contains(e.Hint, "--young-spare") || !active(raw) {
		t.Errorf("with a young spare: %v", err)
	}
	key.YoungSpare = true
	if done := ask(key); done.KID != signs || done.Step != string(mint.KeySuspended) || done.Signs != spare {
		t.Errorf("done is %+v", done)
	}
	if active(raw) || active(other) {
		t.Error("a token under a suspended key is active")
	}
	if doc := string(h.do("GET", "/acme/jwks", "").body); strings.Contains(doc, signs) || !strings.Contains(doc, spare) {
		t.Error("the key document lists a suspended key, or not the one that signs")
	}
	if !active(h.token(ci)) {
		t.Error("a token under the next key is inactive")
	}
	if list, err := h.op.Distrusted(t.Context(), "acme"); err != nil || len(list) != 1 || list[0].Kind != "key" || list[0].Value != signs || list[0].Reason != "key-compromise" {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if done := ask(adminapi.Distrust{Kind: "key", Value: signs, Reason: "mistake", Undo: true}); done.Step != string(mint.KeyVerifyOnly) {
		t.Errorf("done is %+v", done)
	}
	if !active(raw) || !active(other) {
		t.Error("a token under a key that was given back is inactive")
	}
}

// TestAStolenKeyInTheConsole: an administrator looks at what will happen, and nothing happens before they have said why, and that
// they mean it. Then the tokens under the key are refused, those under the next one are good, and it can be given back.
func TestAStolenKeyInTheConsole(t *testing.T) {
	o := newRealVaults(t).options()
	o.name = "localhost"
	h := newHouse(t, o)
	api, ci := h.acme()
	before := h.token(ci)
	staff := h.staff()
	owner, auditor := h.visitor(staff[tenant.Owner], time.Now()), h.visitor(staff[tenant.Auditor], time.Now())
	state := func() (signs, spare string, of map[string]string) {
		keys, err := h.op.Keys(t.Context(), "acme")
		must(t, keys, err)
		of = map[string]string{}
		for _, k := range keys {
			switch of[k.KID] = k.State; k.State {
			case "active":
				signs = k.KID
			case "staged":
				spare = k.KID
			}
		}
		return signs, spare, of
	}
	stolen, spare, _ := state()
	active := func(raw string) bool { return h.introspect(api, raw)["active"] == true }
	page := "/console/tenants/acme/keys/" + stolen
	shows := func(v *visitor, where string, want ...string) {
		t.Helper()
		resp, body := v.get(where)
		for _, text := range want {
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, text) {
				t.Errorf("%s: %d, and %q is missing\n%s", where, resp.StatusCode, text, body)
			}
		}
	}
	shows(owner, "/console/tenants/acme/keys", `href="/operators`+page+`"`)
	shows(owner, page, "It signs.", `href="/operators`+page+`/distrust"`)
	shows(auditor, page+"/distrust", "Tokens alive: 1 ·")
	if _, body := auditor.get(page); strings.Contains(body, page+"/distrust") {
		t.Error("an auditor is offered what they may not do")
	}
	shows(owner, page+"/distrust", "Tokens alive: 1 · of people and services: 1", ">"+spare+"<", "Known to every validator</dt><dd><span class=\"badge warn\">", `href="/operators/console/tenants/acme/clients/ci"`, ordersAPI, `name="young"`)
	shows(owner, page+"/give-back", "there is nothing to give back")
	form := func(v *visitor, more ...string) url.Values {
		f := url.Values{"form": {v.token()}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	for name, c := range map[string]struct {
		form   url.Values
		by     *visitor
		status int
		text   string
	}{
		"without their word":    {form(owner, "reason", "key-compromise", "young", "yes"), owner, http.StatusBadRequest, "it wants to be confirmed"},
		"without a reason":      {form(owner, "confirm", "yes", "young", "yes"), owner, http.StatusBadRequest, "the reason must be one of"},
		"with a young spare":    {form(owner, "confirm", "yes", "reason", "key-compromise"), owner, http.StatusConflict, "let the young spare sign all the same"},
		"by an auditor":         {form(auditor, "confirm", "yes", "reason", "admin", "young", "yes"), auditor, http.StatusForbidden, "the role auditor may not"},
		"with an unknown token": {url.Values{"form": {"x"}, "confirm": {"yes"}, "reason": {"admin"}, "young": {"yes"}}, owner, http.StatusForbidden, "nothing was done"},
	} {
		if resp, body := c.by.post(page+"/distrust", c.form); resp.StatusCode != c.status || !strings.Contains(body, c.text) {
			t.Errorf("%s: %d\n%s", name, resp.StatusCode, body)
		}
	}
	if signs, _, _ := state(); signs != stolen || !active(before) {
		t.Fatal("it was done")
	}
	resp, body := owner.post(page+"/distrust", form(owner, "confirm", "yes", "reason", "key-compromise", "young", "yes", "step", "suspend"))
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/operators"+page+"?done=distrusted" {
		t.Fatalf("distrusting: %d to %s\n%s", resp.StatusCode, resp.Header.Get("Location"), body)
	}
	after := h.token(ci)
	if signs, _, of := state(); signs != spare || of[stolen] != "suspended" || active(before) || !active(after) {
		t.Errorf("the keys are %v; the token before is good: %v, and after: %v", of, active(before), active(after))
	}
	shows(owner, page+"?done=distrusted", "The key is not trusted any more", ">suspended<", spare, `href="/operators`+page+`/give-back"`, `href="/operators`+page+`/distrust"`)
	shows(owner, page+"/distrust", "From now on nobody can give it back", "Nothing takes its place", `value="revoke" checked`)
	shows(owner, page+"/give-back", "Tokens alive: 1 ·", "count again", spare)
	if list, err := h.op.Distrusted(t.Context(), "acme"); err != nil || len(list) != 1 || list[0].Value != stolen || list[0].Reason != "key-compromise" {
		t.Errorf("stated is %+v, %v", list, err)
	}
	if resp, body := owner.post(page+"/give-back", form(owner, "reason", "mistake")); resp.StatusCode != http.StatusBadRequest || active(before) {
		t.Errorf("given back without their word: %d\n%s", resp.StatusCode, body)
	}
	if resp, body := owner.post(page+"/give-back", form(owner, "confirm", "yes", "reason", "mistake")); resp.Header.Get("Location") != "/operators"+page+"?done=givenback" {
		t.Fatalf("giving it back: %d\n%s", resp.StatusCode, body)
	}
	if _, _, of := state(); of[stolen] != "verify-only" || !active(before) || !active(after) {
		t.Errorf("the keys are %v", of)
	}
	if resp, _ := owner.post(page+"/distrust", form(owner, "confirm", "yes", "reason", "admin", "step", "revoke")); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("revoking: %d", resp.StatusCode)
	}
	if _, _, of := state(); of[stolen] != "revoked" || active(before) {
		t.Errorf("the keys are %v", of)
	}
	shows(owner, page, "for good: its tokens are refused")
	shows(owner, page+"/distrust", "There is no trust in this key that could be ended.")
	if resp, _ := owner.get("/console/tenants/acme/keys/nothing"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a key that never was: %d", resp.StatusCode)
	}
}

// TestImpossibleDistrust is refused with words for the operator, and states nothing.
func TestImpossibleDistrust(t *testing.T) {
	v := newRealVaults(t)
	h := newHouse(t, v.options())
	h.acme()
	before := v.ledger.Head().Size
	for name, c := range map[string]struct {
		q    adminapi.Distrust
		code string
		text string
	}{
		"no reason":        {adminapi.Distrust{Kind: "client", Value: "ci"}, "invalid_request", "reason must be one of"},
		"no kind":          {adminapi.Distrust{Value: "ci", Reason: "admin"}, "invalid_request", "can be distrusted"},
		"a time ahead":     {adminapi.Distrust{Kind: "client", Value: "ci", Reason: "admin", Before: 1 << 40}, "invalid_request", "lies ahead"},
		"an old time":      {adminapi.Distrust{Kind: "client", Value: "ci", Reason: "admin", Before: 5}, "stated_time", "is over"},
		"a token as value": {adminapi.Distrust{Kind: "token", Value: "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", Reason: "admin"}, "invalid_request", "looks like a credential"},
		"no such key":      {adminapi.Distrust{Kind: "key", Value: "x", Reason: "admin"}, "not_found", "never had this key"},
		"no such number":   {adminapi.Distrust{Restores: 9, Reason: "mistake"}, "stated_never", "no statement 9"},
	} {
		_, err := h.op.Distrust(t.Context(), "acme", c.q)
		if e := asAdmin(err); e == nil || e.Code != c.code || !strings.Contains(e.Description, c.text) {
			t.Errorf("%s: %v, want %s: %s", name, err, c.code, c.text)
		}
	}
	if _, err := h.op.Distrust(t.Context(), "nobody", adminapi.Distrust{Kind: "client", Value: "ci", Reason: "admin"}); asAdmin(err) == nil || asAdmin(err).Code != "not_found" {
		t.Errorf("a tenant that is not there: %v", err)
	}
	if after := v.ledger.Head().Size; after != before {
		t.Errorf("%d entries", after-before)
	}
}
