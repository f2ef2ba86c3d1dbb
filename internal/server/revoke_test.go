package server

import (
	"net/url"
	"testing"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
)

// TestRevocation is RFC 7009 as a client sees it.
func TestRevocation(t *testing.T) {
	h := newHouse(t, options{})
	api, client := h.acme()
	other, err := h.op.CreateClient(t.Context(), "acme", adminapi.CreateClient{ClientID: "other", Grants: []string{"client_credentials"}, APIs: []string{ordersAPI}, Scopes: []string{"read"}})
	must(t, other, err)
	raw, theirs := h.token(client), h.token(other)
	revoke := func(token string, by *adminapi.Client) response {
		return h.post("/acme/revoke", "token="+url.QueryEscape(token), by.ClientID, by.Secret)
	}
	revoke(theirs, client).wants(t, "another client's token", 400, "unauthorized_client", "not issued to this client")
	if h.introspect(api, theirs)["active"] != true {
		t.Error("another client's token is revoked")
	}
	r := revoke(raw, client)
	if r.status != 200 || len(r.body) != 0 || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("revoked: %d %s", r.status, r.body)
	}
	if h.introspect(api, raw)["active"] != false {
		t.Error("a revoked token is active")
	}
	if h.introspect(api, theirs)["active"] != true {
		t.Error("another token is inactive")
	}
	stated := func() (n int) { h.vaults.set(func() { n = len(h.vaults.feeds[h.base+"/acme"]) }); return n }
	if stated() != 1 {
		t.Fatalf("%d statements", stated())
	}
	for name, token := range map[string]string{"again": raw, "unknown": "mF_9.B5f-4.1JqM", "cut": theirs[:len(theirs)-9], "forged": theirs[:len(theirs)-9] + "AAAAAAAAA",
		"an ID token's look": "eyJhbGciOiJub25lIn0.e30."} {
		if r := revoke(token, client); r.status != 200 || len(r.body) != 0 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if stated() != 1 {
		t.Errorf("%d statements for one token", stated())
	}
	h.vaults.set(func() {
		d := h.vaults.feeds[h.base+"/acme"][0]
		if d.Kind != mint.DistrustToken || d.Reason != mint.ByUser {
			t.Errorf("stated is %+v", d)
		}
	})
	// A token is revoked for itself, though its client is distrusted: that is taken back, and the token stays dead.
	mine := h.token(client)
	done, err := h.op.Distrust(t.Context(), "acme", adminapi.Distrust{Kind: "client", Value: client.ClientID, Reason: "admin"})
	must(t, done, err)
	if r := revoke(mine, client); r.status != 200 || stated() != 3 {
		t.Errorf("a token of a distrusted client: %d, %d statements", r.status, stated())
	}
	done, err = h.op.Distrust(t.Context(), "acme", adminapi.Distrust{Restores: 2, Reason: "mistake"})
	must(t, done, err)
	if h.introspect(api, mine)["active"] != false || h.introspect(api, h.token(client))["active"] != true {
		t.Error("what the client gave up came back with the trust in it, or the trust did not")
	}
	if r := h.post("/acme/revoke", "token="+url.QueryEscape(theirs)+"&token_type_hint=refresh_token&x=y", other.ClientID, other.Secret); r.status != 200 {
		t.Errorf("with a hint that does not fit: %d", r.status)
	}
	if h.introspect(api, theirs)["active"] != false {
		t.Error("a hint that does not fit keeps a token alive")
	}
	revoke(secret.Generate(secret.ClientSecret, secret.Production).Reveal(), client).wants(t, "a secret", 400, "unsupported_token_type", "Only access tokens and refresh tokens")
	h.post("/acme/revoke", "", client.ClientID, client.Secret).wants(t, "nothing", 400, "invalid_request", "token parameter is missing")
	h.post("/acme/revoke", "token=a&token=b", client.ClientID, client.Secret).wants(t, "two", 400, "invalid_request", "repeated")
	h.post("/acme/revoke", "token="+raw, client.ClientID, "wrong").wants(t, "wrong secret", 401, "invalid_client", "authentication failed")
	h.post("/acme/revoke", "token="+raw, api.APIID, api.Secret).wants(t, "an API", 401, "invalid_client", "authentication failed")
	h.do("POST", "/acme/revoke", "token="+raw, "Content-Type", "application/x-www-form-urlencoded").wants(t, "nobody", 401, "invalid_client", "did not authenticate")
	h.do("GET", "/acme/revoke?token="+raw, "").wants(t, "in a URL", 400, "invalid_request", "looks like a credential")
	fresh := h.token(client)
	h.vaults.set(func() { h.vaults.refuse[mint.MsgState] = mint.Refuse(mint.Unavailable, "away") })
	away := revoke(fresh, client)
	away.wants(t, "while the ledger is away", 503, "temporarily_unavailable", "Try again")
	if away.header.Get("Retry-After") == "" || h.introspect(api, fresh)["active"] != true {
		t.Error("what could not be stated looks as if it was")
	}
}
