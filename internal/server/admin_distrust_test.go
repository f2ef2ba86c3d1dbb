package server

import (
	"strings"
	"testing"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
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
