package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// TestTheSocketOnlyReads from when an owner can sign in: every change is refused there, and what remains is alarmed.
func TestTheSocketOnlyReads(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	ctx, socket := t.Context(), h.op
	ada, err := socket.CreatePerson(ctx, "acme", adminapi.CreatePerson{Login: "ada@acme.example"}) // nobody owns it yet
	must(t, ada, err)
	invited, err := h.Found(ctx)
	must(t, invited, err)
	another, err := socket.CreatePerson(ctx, tenant.Operators, adminapi.CreatePerson{Login: "second", Role: "owner"})
	must(t, another, err)
	owner := h.colleague("first@seawall.example", tenant.Owner)
	h.vaults.set(func() { h.vaults.entries = nil })

	remain := []string{"POST /v1/tenants/{tenant}/break-glass", "POST /v1/tenants/{tenant}/break-glass/prove", "POST /v1/tenants/{tenant}/people/{person}/enrol", "POST /v1/tenants/{tenant}/people/{person}/recover",
		"POST /v1/tenants/{tenant}/people/{person}/seal", "POST /v1/tenants/{tenant}/distrust/preview", "POST /v1/clock/accept"}
	peer := context.WithValue(ctx, peerKey{}, os.Getuid())
	names := strings.NewReplacer("{tenant}", "acme", "{client}", "ci", "{person}", ada.Subject, "{api}", "x")
	for _, line := range adminLines() {
		method, path, _ := strings.Cut(line.pattern, " ")
		if method == http.MethodGet || slices.Contains(remain, line.pattern) {
			continue
		}
		w := httptest.NewRecorder()
		h.api.ServeHTTP(w, httptest.NewRequestWithContext(peer, method, "http://seawall"+names.Replace(path), strings.NewReader("{}")))
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"error":"socket_reads_only"`) {
			t.Errorf("%s: %d %s", line.pattern, w.Code, w.Body)
		}
	}
	e := refused(t, "a tenant", second(socket.DisableTenant(ctx, "acme")), adminapi.CodeReadOnly, "changes are made by people")
	if !strings.Contains(e.Hint, "seawall login "+h.base) {
		t.Errorf("the hint is %q", e.Hint)
	}
	if who, err := socket.Self(ctx); err != nil || !who.ReadsOnly || who.Login != "" {
		t.Errorf("who it is: %+v, %v", who, err)
	}
	hash := secret.New("a code").Hash()
	for name, err := range map[string]error{
		"a link for somebody":                second(socket.EnrolPerson(ctx, "acme", ada.Subject)),
		"a link for a break-glass principal": second(socket.EnrolPerson(ctx, tenant.Operators, "break-glass-1")),
		"a code where none was used":         socket.SealGlass(ctx, tenant.Operators, "break-glass-1", adminapi.SealGlass{Hash: hash[:]}),
		"a distrust":                         second(socket.Distrust(ctx, "acme", adminapi.Distrust{Kind: "client", Value: "ci", Reason: "admin"})),
	} {
		refused(t, name, err, adminapi.CodeReadOnly, "the socket only reads")
	}
	if len(h.vaults.entries) > 0 {
		t.Errorf("recorded: %v", h.vaults.entries)
	}

	// What remains.
	must(t, struct{}{}, second(socket.Tenants(ctx)))
	must(t, struct{}{}, second(socket.PreviewDistrust(ctx, "acme", adminapi.Distrust{Kind: "client", Value: "ci", Reason: "admin"})))
	must(t, struct{}{}, second(socket.AcceptClock(ctx)))
	must(t, struct{}{}, second(socket.EnrolPerson(ctx, tenant.Operators, "second")))
	if issued := h.vaults.recorded(mint.EnrolmentIssued); len(issued) != 1 || issued[0].Subject != another.Subject || !strings.HasPrefix(issued[0].Actor, "uid:") {
		t.Errorf("the ledger has %+v", issued)
	}
	if !strings.Contains(h.log.String(), "alarm: owner-link") {
		t.Error("the log says nothing")
	}
	status, err := h.operate(owner.ID, time.Now()).Status(ctx)
	if must(t, status, err); len(status.Alarms) != 1 || status.Alarms[0].Login != "second" || status.Alarms[0].Kind != "owner-link" {
		t.Errorf("the alarms are %+v", status.Alarms)
	}
	browser := h.visitor(owner, time.Now())
	for _, page := range []string{"/account", "/console"} {
		if _, body := browser.get(page); !strings.Contains(body, "a link was made that lets in the owner second") {
			t.Errorf("%s shows no alarm", page)
		}
	}
	if _, body := h.visitor(h.colleague("auditor", tenant.Auditor), time.Now()).get("/account"); strings.Contains(body, "lets in the owner") {
		t.Error("who is no owner gets the alarm on their account page")
	}
}

// TestACodeIsReplacedOverTheSocket: whoever used one gets the next, and an alarm is raised.
func TestACodeIsReplacedOverTheSocket(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	ctx, socket := t.Context(), h.op
	code := secret.Generate(secret.BreakGlass, secret.Production)
	hash, next := code.Hash(), secret.New("another").Hash()
	must(t, struct{}{}, socket.SealGlass(ctx, "acme", "break-glass-1", adminapi.SealGlass{Hash: hash[:]}))
	h.staff()
	refused(t, "before its use", socket.SealGlass(ctx, "acme", "break-glass-1", adminapi.SealGlass{Hash: next[:]}), adminapi.CodeReadOnly, "the socket only reads")
	must(t, struct{}{}, second(socket.ProveGlass(ctx, "acme", adminapi.BreakGlass{Code: code.Reveal()})))
	must(t, struct{}{}, second(socket.BreakGlass(ctx, "acme", adminapi.BreakGlass{Code: code.Reveal()})))
	must(t, struct{}{}, socket.SealGlass(ctx, "acme", "break-glass-1", adminapi.SealGlass{Hash: next[:]}))
	refused(t, "twice", socket.SealGlass(ctx, "acme", "break-glass-1", adminapi.SealGlass{Hash: next[:]}), adminapi.CodeReadOnly, "the socket only reads")
	status, err := socket.Status(ctx)
	if must(t, status, err); len(status.Alarms) != 1 || status.Alarms[0].Kind != "glass-broken" || status.Alarms[0].Tenant != "acme" {
		t.Errorf("the alarms are %+v", status.Alarms)
	}
}

// TestWithoutAnOwnerTheSocketWrites: a passkey that was never made, or that works no more, makes nobody an owner.
func TestWithoutAnOwnerTheSocketWrites(t *testing.T) {
	h := houseWithName(t)
	h.acme()
	invited, err := h.Found(t.Context())
	must(t, invited, err)
	h.colleague("operator", tenant.Operator) // can sign in, and owns nothing
	must(t, struct{}{}, second(h.op.CreatePerson(t.Context(), "acme", adminapi.CreatePerson{Login: "ada"})))
}
