package console

import (
	"fmt"
	"strconv"

	"seawall/internal/server/adminapi"
)

func (o *Console) tenants(v *visit) error {
	all, err := v.api.Tenants(v.Context())
	if err != nil {
		return err
	}
	list := &table{Caption: "console.tenants", Columns: []string{"console.tenant", "console.class", "console.owner", "console.state"}, Empty: "console.notenants", Add: &act{Key: "console.newtenant", Path: "/new/tenant", By: operators}}
	for _, t := range all {
		list.Rows = append(list.Rows, []cell{{Text: t.Tenant, Path: at("tenants", t.Tenant)}, text(t.Class), text(t.Owner), state(t.Disabled)})
	}
	return o.render(v, "show", page{Title: "console.tenants", Lead: "console.tenantslead", Section: "tenants", Body: []section{{Table: list}}})
}

// trail is how one came to something of a tenant.
func trail(tenantID string, more ...link) []link {
	return append([]link{{Key: "console.tenants", Path: "/tenants"}, {Text: tenantID, Path: at("tenants", tenantID)}}, more...)
}

func (o *Console) tenant(v *visit) error {
	t, err := v.api.Tenant(v.Context(), v.PathValue("tenant"))
	if err != nil {
		return err
	}
	here := at("tenants", t.Tenant)
	facts := []fact{
		{"console.state", state(t.Disabled)}, {"console.issuer", copied(t.Issuer)}, {"console.class", text(t.Class)}, {"console.owner", text(t.Owner)},
		{"console.contacts", texts(t.Contacts)}, {"console.passkeys", text(t.Passkeys)}, {"console.algorithm", text(t.Algorithm)},
		{"console.maxlifetime", lasts(t.MaxLifetime)}, {"console.rotation", word("console.days", t.RotationDays)}, {"console.created", v.when(t.Created)},
	}
	if t.PolicyApplied != t.PolicyVersion {
		facts = append(facts, fact{"console.policy", badge("warn", "console.policywaits", t.PolicyVersion, t.PolicyApplied)})
	}
	view := []section{{Facts: facts}}
	if len(t.Findings) > 0 {
		lack := &table{Caption: "console.findings", Columns: []string{"console.what", "console.todo"}}
		for _, f := range t.Findings {
			lack.Rows = append(lack.Rows, []cell{{Text: f.What, Badge: "warn"}, text(f.Hint)})
		}
		view = append(view, section{Head: "console.findings", Lead: "console.findingslead", Table: lack})
	}
	rows := v.glassOf(t)
	for i := range rows {
		rows[i] = rows[i][1:]
	}
	view = append(view, section{Head: "console.glass", Lead: "console.glasslead", Table: &table{Caption: "console.glass", Columns: []string{"console.principal", "console.proven", "console.code"}, Rows: rows, Empty: "console.noglass"}})
	acts := []act{{Key: "console.people", Path: here + "/people"}, {Key: "console.clients", Path: here + "/clients", By: overseers}, {Key: "console.apis", Path: here + "/apis", By: overseers}, {Key: "console.keys", Path: here + "/keys", By: overseers},
		{Key: "console.ledgerof", Path: "/ledger?tenant=" + t.Tenant, By: overseers}}
	view[0].Acts = acts
	if t.Disabled.IsZero() {
		view = append(view, section{Head: "console.change", Acts: []act{{Key: "console.complete", Path: here + "/complete", By: operators}, {Key: "console.disabletenant", Path: here + "/disable", Danger: true, By: operators}}})
	}
	return o.render(v, "show", page{Title: "console.tenantnamed", Args: []any{t.Tenant}, Section: "tenants", Trail: trail(t.Tenant)[:1], Body: view})
}

func (o *Console) newTenant(v *visit) error {
	return o.render(v, "form", page{Title: "console.newtenant", Lead: "console.newtenantlead", Section: "tenants", Trail: trail("")[:1], Body: form{
		Fields: v.fill(
			field{Name: "tenant", Label: "console.tenantid", Hint: "console.tenantidhint", Kind: "text", Required: true},
			field{Name: "class", Label: "console.class", Hint: "console.classhint", Kind: "choice", Value: "production", Options: []option{{Value: "production"}, {Value: "staging"}, {Value: "development"}, {Value: "support"}}},
			field{Name: "owner", Label: "console.owner", Hint: "console.ownerhint", Kind: "email", Required: true},
			field{Name: "contacts", Label: "console.contacts", Hint: "console.contactshint", Kind: "lines", Required: true},
			field{Name: "algorithm", Label: "console.algorithm", Kind: "choice", Value: "ES256", Options: []option{{Value: "ES256"}, {Value: "RS256"}, {Value: "PS256"}, {Value: "EdDSA"}}},
			field{Name: "claims", Label: "console.claims", Hint: "console.claimshint", Kind: "lines"},
		), Button: "console.createtenant", Back: "/tenants"}})
}

func (o *Console) createTenant(v *visit) error {
	t, err := v.api.CreateTenant(v.Context(), adminapi.CreateTenant{Tenant: v.value("tenant"), Class: v.value("class"), Owner: v.value("owner"),
		Contacts: v.lines("contacts"), Algorithm: v.value("algorithm"), Claims: v.lines("claims")})
	if err != nil {
		return err
	}
	return o.done(v, at("tenants", t.Tenant), "created")
}

func (o *Console) completing(v *visit) error {
	t, err := v.api.Tenant(v.Context(), v.PathValue("tenant"))
	if err != nil {
		return err
	}
	contacts := ""
	for _, c := range t.Contacts {
		contacts += c + "\n"
	}
	return o.render(v, "form", page{Title: "console.completing", Args: []any{t.Tenant}, Lead: "console.completelead", Section: "tenants", Trail: trail(t.Tenant), Body: form{
		Fields: v.fill(
			field{Name: "owner", Label: "console.owner", Hint: "console.ownerhint", Kind: "email", Value: t.Owner, Required: true},
			field{Name: "contacts", Label: "console.contacts", Hint: "console.contactshint", Kind: "lines", Value: contacts, Required: true},
			field{Name: "passkeys", Label: "console.passkeys", Hint: "console.passkeyshint", Kind: "choice", Value: t.Passkeys,
				Options: []option{{Value: "any", Key: "console.tierany"}, {Value: "device-bound", Key: "console.tierbound"}, {Value: "attested", Key: "console.tierattested"}}},
		), Button: "console.complete", Back: at("tenants", t.Tenant)}})
}

func (o *Console) completeTenant(v *visit) error {
	t, err := v.api.CompleteTenant(v.Context(), v.PathValue("tenant"), adminapi.CompleteTenant{Owner: v.value("owner"), Contacts: v.lines("contacts"), Passkeys: v.value("passkeys")})
	if err != nil {
		return err
	}
	return o.done(v, at("tenants", t.Tenant), "completed")
}

func (o *Console) disablingTenant(v *visit) error {
	t, err := v.api.Tenant(v.Context(), v.PathValue("tenant"))
	if err != nil {
		return err
	}
	people, err := v.api.People(v.Context(), t.Tenant)
	if err != nil {
		return err
	}
	clients, err := v.api.Clients(v.Context(), t.Tenant)
	if err != nil {
		return err
	}
	apis, err := v.api.APIs(v.Context(), t.Tenant)
	if err != nil {
		return err
	}
	return o.render(v, "form", page{Title: "console.disablingtenant", Args: []any{t.Tenant}, Section: "tenants", Trail: trail(t.Tenant), Body: form{Facts: []fact{
		{"console.happens", word("console.disabletenanthappens", t.Tenant)},
		{"console.affected", word("console.disabletenantaffected", len(people), len(clients), len(apis))},
		{"console.spared", word("console.disabletenantspared")},
		{"console.undo", word("console.undonever")},
	}, Button: "console.disabletenantgo", Args: []any{t.Tenant}, Danger: true, Sure: true, Back: at("tenants", t.Tenant)}})
}

func (o *Console) disableTenant(v *visit) error {
	t, err := v.api.DisableTenant(v.Context(), v.PathValue("tenant"))
	if err != nil {
		return err
	}
	return o.done(v, at("tenants", t.Tenant), "disabled")
}

func (o *Console) apis(v *visit) error {
	id := v.PathValue("tenant")
	all, err := v.api.APIs(v.Context(), id)
	if err != nil {
		return err
	}
	list := &table{Caption: "console.apis", Columns: []string{"console.audience", "console.scopes", "console.state", "console.created"}, Empty: "console.noapis", Add: &act{Key: "console.newapi", Path: at("tenants", id, "new", "api"), By: operators}}
	for _, a := range all {
		list.Rows = append(list.Rows, []cell{{Text: a.Audience, Path: at("tenants", id, "apis", a.APIID)}, texts(a.Scopes), state(a.Disabled), v.when(a.Created)})
	}
	return o.render(v, "show", page{Title: "console.apisof", Args: []any{id}, Lead: "console.apislead", Section: "tenants", Trail: trail(id), Body: []section{{Table: list}}})
}

func (o *Console) api(v *visit) error {
	id := v.PathValue("tenant")
	a, err := v.api.API(v.Context(), id, v.PathValue("api"))
	if err != nil {
		return err
	}
	view := section{Facts: []fact{{"console.state", state(a.Disabled)}, {"console.audience", copied(a.Audience)}, {"console.apiid", copied(a.APIID)}, {"console.scopes", texts(a.Scopes)},
		{"console.maxlifetime", lifetime(a.MaxLifetime)}, {"console.issuer", copied(a.Issuer)}, {"console.created", v.when(a.Created)}}}
	if a.Disabled.IsZero() {
		view.Acts = []act{{Key: "console.disableapi", Path: at("tenants", id, "apis", a.APIID, "disable"), Danger: true, By: operators}}
	}
	return o.render(v, "show", page{Title: "console.apinamed", Args: []any{a.Audience}, Section: "tenants", Trail: trail(id, link{Key: "console.apis", Path: at("tenants", id, "apis")}), Body: []section{view}})
}

// lifetime is a length of time that the tenant's stands in for.
func lifetime(seconds int64) cell {
	if seconds == 0 {
		return word("console.thetenants")
	}
	return lasts(seconds)
}

// lasts is a length of time in minutes where that is whole.
func lasts(seconds int64) cell {
	if seconds > 60 && seconds%60 == 0 {
		return word("console.minutes", seconds/60)
	}
	return word("console.seconds", seconds)
}

func (o *Console) newAPI(v *visit) error {
	id := v.PathValue("tenant")
	return o.render(v, "form", page{Title: "console.newapi", Lead: "console.newapilead", Section: "tenants", Trail: trail(id, link{Key: "console.apis", Path: at("tenants", id, "apis")}), Body: form{
		Fields: v.fill(
			field{Name: "audience", Label: "console.audience", Hint: "console.audiencehint", Kind: "text", Required: true},
			field{Name: "scopes", Label: "console.scopes", Hint: "console.scopeshint", Kind: "lines"},
			field{Name: "lifetime", Label: "console.maxlifetime", Hint: "console.maxlifetimehint", Kind: "number"},
		), Button: "console.createapi", Back: at("tenants", id, "apis")}})
}

func (o *Console) createAPI(v *visit) error {
	id := v.PathValue("tenant")
	seconds, err := v.number("lifetime")
	if err != nil {
		return err
	}
	a, err := v.api.CreateAPI(v.Context(), id, adminapi.CreateAPI{Audience: v.value("audience"), Scopes: v.lines("scopes"), MaxLifetime: seconds})
	if err != nil {
		return err
	}
	return o.render(v, "once", page{Title: "console.apimade", Args: []any{a.Audience}, Section: "tenants", Trail: trail(id, link{Key: "console.apis", Path: at("tenants", id, "apis")}), Body: once{
		Label: "console.apisecret", Secret: a.Secret, Lead: "console.apisecretlead", Facts: []fact{{"console.apiid", copied(a.APIID)}, {"console.pin", copied(a.Pin)}},
		Snippet: a.Snippet, Pending: a.Pending, On: link{Key: "console.onapi", Path: at("tenants", id, "apis", a.APIID)}}})
}

func (o *Console) disablingAPI(v *visit) error {
	id := v.PathValue("tenant")
	a, err := v.api.API(v.Context(), id, v.PathValue("api"))
	if err != nil {
		return err
	}
	clients, err := v.api.Clients(v.Context(), id)
	if err != nil {
		return err
	}
	users := 0
	for _, c := range clients {
		for _, aud := range c.APIs {
			if aud == a.Audience && c.Disabled.IsZero() {
				users++
			}
		}
	}
	return o.render(v, "form", page{Title: "console.disablingapi", Args: []any{a.Audience}, Section: "tenants", Trail: trail(id, link{Key: "console.apis", Path: at("tenants", id, "apis")}), Body: form{Facts: []fact{
		{"console.happens", word("console.disableapihappens")}, {"console.affected", word("console.disableapiaffected", users)}, {"console.undo", word("console.undonever")},
	}, Button: "console.disableapi", Danger: true, Sure: true, Back: at("tenants", id, "apis", a.APIID)}})
}

func (o *Console) disableAPI(v *visit) error {
	id := v.PathValue("tenant")
	a, err := v.api.DisableAPI(v.Context(), id, v.PathValue("api"))
	if err != nil {
		return err
	}
	return o.done(v, at("tenants", id, "apis", a.APIID), "disabled")
}

// once is the answer that holds what is shown once.
type once struct {
	Label   string // key
	Secret  string
	Lead    string // key
	Facts   []fact
	Snippet string
	Pending string // what is not finished yet
	On      link
}

// number reads a field that may be empty.
func (v *visit) number(name string) (int64, error) {
	text := v.value(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, &adminapi.Error{Code: adminapi.CodeInvalid, Status: 400, Description: fmt.Sprintf("%.40q is no number", text)}
	}
	return n, nil
}
