package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"seawall/internal/server/adminapi"
)

func (o *Console) clients(v *visit) error {
	id := v.PathValue("tenant")
	all, err := v.api.Clients(v.Context(), id)
	if err != nil {
		return err
	}
	list := &table{Caption: "console.clients", Columns: []string{"console.name", "console.clientid", "console.type", "console.state"}, Empty: "console.noclients", Add: &act{Key: "console.newclient", Path: at("tenants", id, "new", "client"), By: operators}}
	for _, c := range all {
		list.Rows = append(list.Rows, []cell{{Text: cmp.Or(c.Name, c.ClientID), Path: at("tenants", id, "clients", c.ClientID)}, text(c.ClientID), typeOf(c.Type), state(c.Disabled)})
	}
	return o.render(v, "show", page{Title: "console.clientsof", Args: []any{id}, Lead: "console.clientslead", Section: "tenants", Trail: trail(id), Body: []section{{Table: list}}})
}

// clientTypes are the types of client, by their name in the admin API.
var clientTypes = map[string]string{"service": "console.typeservice", "web": "console.typeweb", "native": "console.typenative", "spa": "console.typespa"}

// What a type is for, and where its people may come back to.
var (
	typeLeads     = map[string]string{"service": "console.typeservicelead", "web": "console.typeweblead", "native": "console.typenativelead", "spa": "console.typespalead"}
	redirectHints = map[string]string{"web": "console.redirectswebhint", "native": "console.redirectsnativehint", "spa": "console.redirectsspahint"}
)

func typeOf(name string) cell {
	if key := clientTypes[name]; key != "" {
		return word(key)
	}
	return text(name)
}

func clientTrail(id string, more ...link) []link {
	return trail(id, append([]link{{Key: "console.clients", Path: at("tenants", id, "clients")}}, more...)...)
}

func (o *Console) client(v *visit) error {
	id := v.PathValue("tenant")
	c, err := v.api.Client(v.Context(), id, v.PathValue("client"))
	if err != nil {
		return err
	}
	here := at("tenants", id, "clients", c.ClientID)
	facts := []fact{{"console.state", state(c.Disabled)}, {"console.type", typeOf(c.Type)}, {"console.clientid", copied(c.ClientID)}, {"console.auth", text(c.Auth)}, {"console.grants", texts(c.Grants)},
		{"console.apis", texts(c.APIs)}, {"console.scopes", texts(c.Scopes)}}
	if c.Type != "service" {
		facts = append(facts, fact{"console.redirects", texts(c.RedirectURIs)}, fact{"console.logouts", texts(c.LogoutURIs)}, fact{"console.consent", consent(c.Trusted)})
	}
	facts = append(facts, fact{"console.dpop", text(c.DPoP)}, fact{"console.lifetime", lasts(c.Lifetime)}, fact{"console.created", v.when(c.Created)})
	if !c.PreviousSecretUntil.IsZero() {
		facts = append(facts, fact{"console.previous", v.when(c.PreviousSecretUntil)})
	}
	view := section{Facts: facts, Acts: []act{{Key: "console.ledgerof", Path: "/ledger?tenant=" + id + "&client=" + c.ClientID, By: overseers}}}
	if c.Disabled.IsZero() {
		if c.Type != "service" {
			view.Acts = append(view.Acts, act{Key: "console.changeredirects", Path: here + "/redirects", By: operators})
		}
		if usesSecret(c.Auth) {
			view.Acts = append(view.Acts, act{Key: "console.rotatesecret", Path: here + "/rotate", By: operators})
		}
		view.Acts = append(view.Acts, act{Key: "console.disableclient", Path: here + "/disable", Danger: true, By: operators})
	}
	return o.render(v, "show", page{Title: "console.clientnamed", Args: []any{cmp.Or(c.Name, c.ClientID)}, Section: "tenants", Trail: clientTrail(id), Body: []section{view}})
}

func usesSecret(auth string) bool {
	return auth == "client_secret_basic" || auth == "client_secret_post"
}

func consent(trusted bool) cell {
	if trusted {
		return word("console.consentnot")
	}
	return word("console.consentasked")
}

// newClient asks for the type first, since it decides what else is asked for.
func (o *Console) newClient(v *visit) error {
	id := v.PathValue("tenant")
	kind := cmp.Or(v.value("type"), v.URL.Query().Get("type"))
	if clientTypes[kind] == "" {
		list := &table{Caption: "console.type", Columns: []string{"console.type", "console.forwhat"}}
		for _, one := range []string{"web", "spa", "native", "service"} {
			list.Rows = append(list.Rows, []cell{{Key: clientTypes[one], Path: at("tenants", id, "new", "client") + "?type=" + one}, word(typeLeads[one])})
		}
		return o.render(v, "show", page{Title: "console.newclient", Lead: "console.choosetype", Section: "tenants", Trail: clientTrail(id), Body: []section{{Table: list}}})
	}
	fields, err := v.clientFields(id, kind)
	if err != nil {
		return err
	}
	var facts []fact
	if !slices.ContainsFunc(fields, func(f field) bool { return f.Name == "apis" }) {
		facts = []fact{{"console.apis", word("console.noapifor")}}
	}
	return o.render(v, "form", page{Title: "console.newclientof", Args: []any{id}, Lead: typeLeads[kind], Section: "tenants", Trail: clientTrail(id), Body: form{
		Facts: facts, Fields: v.fill(fields...), Button: "console.createclient", Back: at("tenants", id, "clients")}})
}

// clientFields are what is asked for about a client of a type.
func (v *visit) clientFields(id, kind string) ([]field, error) {
	apis, err := v.api.APIs(v.Context(), id)
	if err != nil {
		return nil, err
	}
	var audiences []option
	for _, a := range apis {
		if a.Disabled.IsZero() {
			audiences = append(audiences, option{Value: a.Audience})
		}
	}
	fields := []field{
		{Name: "type", Kind: "hidden", Value: kind},
		{Name: "name", Label: "console.name", Hint: "console.clientnamehint", Kind: "text", Required: true},
		{Name: "id", Label: "console.clientid", Hint: "console.clientidhint", Kind: "text"},
	}
	if kind != "service" {
		fields = append(fields,
			field{Name: "redirects", Label: "console.redirects", Hint: redirectHints[kind], Kind: "lines", Required: true},
			field{Name: "logouts", Label: "console.logouts", Hint: "console.logoutshint", Kind: "lines"},
			field{Name: "trusted", Label: "console.consent", Kind: "choice", Value: "no", Options: []option{{Value: "no", Key: "console.consentasked"}, {Value: "yes", Key: "console.consentnot"}}})
	}
	if len(audiences) > 0 {
		fields = append(fields, field{Name: "apis", Label: "console.apis", Hint: "console.clientapishint", Kind: "checks", Options: audiences},
			field{Name: "scopes", Label: "console.scopes", Hint: "console.clientscopeshint", Kind: "lines"})
	}
	switch kind {
	case "service", "web":
		fields = append(fields, field{Name: "auth", Label: "console.auth", Kind: "choice", Value: "client_secret_basic", Options: []option{{Value: "client_secret_basic", Key: "console.authbasic"}, {Value: "private_key_jwt", Key: "console.authkey"}}},
			field{Name: "jwks", Label: "console.jwks", Hint: "console.jwkshint", Kind: "lines"})
	default:
		fields = append(fields, field{Name: "dpopreason", Label: "console.dpopreason", Hint: "console.dpopreasonhint", Kind: "text"})
	}
	return fields, nil
}

func (o *Console) createClient(v *visit) error {
	id := v.PathValue("tenant")
	q := adminapi.CreateClient{ClientID: v.value("id"), Name: v.value("name"), Type: v.value("type"), APIs: v.typed["apis"], Scopes: v.lines("scopes"), Auth: v.value("auth"),
		RedirectURIs: v.lines("redirects"), LogoutURIs: v.lines("logouts"), Trusted: v.value("trusted") == "yes", JWKS: v.value("jwks"), DPoPReason: v.value("dpopreason")}
	if q.DPoPReason != "" {
		q.DPoP = "offered"
	}
	if q.Type == "service" {
		q.Grants = []string{"client_credentials"}
	}
	c, err := v.api.CreateClient(v.Context(), id, q)
	if err != nil {
		return err
	}
	here := at("tenants", id, "clients", c.ClientID)
	if c.Secret == "" {
		return o.done(v, here, "created")
	}
	return o.render(v, "once", page{Title: "console.clientmade", Args: []any{cmp.Or(c.Name, c.ClientID)}, Section: "tenants", Trail: clientTrail(id), Body: once{
		Label: "console.secret", Secret: c.Secret, Lead: "console.secretlead", Facts: []fact{{"console.clientid", copied(c.ClientID)}, {"console.issuer", copied(c.Issuer)}, {"console.tokenendpoint", copied(c.TokenEndpoint)}},
		On: link{Key: "console.onclient", Path: here}}})
}

func (o *Console) changingRedirects(v *visit) error {
	id := v.PathValue("tenant")
	c, err := v.api.Client(v.Context(), id, v.PathValue("client"))
	if err != nil {
		return err
	}
	here := at("tenants", id, "clients", c.ClientID)
	return o.render(v, "form", page{Title: "console.changingredirects", Args: []any{cmp.Or(c.Name, c.ClientID)}, Section: "tenants", Trail: clientTrail(id, link{Text: c.ClientID, Path: here}), Body: form{
		Facts: []fact{{"console.happens", word("console.redirectshappens")}, {"console.undo", word("console.redirectsundo")}},
		Fields: v.fill(
			field{Name: "redirects", Label: "console.redirects", Hint: redirectHints[c.Type], Kind: "lines", Value: strings.Join(c.RedirectURIs, "\n")},
			field{Name: "logouts", Label: "console.logouts", Hint: "console.logoutshint", Kind: "lines", Value: strings.Join(c.LogoutURIs, "\n")},
		), Button: "console.changeredirects", Back: here}})
}

func (o *Console) setRedirects(v *visit) error {
	id := v.PathValue("tenant")
	redirects, logouts := v.lines("redirects"), v.lines("logouts")
	c, err := v.api.SetRedirects(v.Context(), id, v.PathValue("client"), adminapi.SetRedirects{RedirectURIs: &redirects, LogoutURIs: &logouts})
	if err != nil {
		return err
	}
	return o.done(v, at("tenants", id, "clients", c.ClientID), "changed")
}

// overlaps are how long an old secret may go on working.
var overlaps = []option{{Value: "86400", Key: "console.overlapday"}, {Value: "3600", Key: "console.overlaphour"}, {Value: "604800", Key: "console.overlapweek"}, {Value: "0", Key: "console.overlapnone"}}

func (o *Console) rotatingSecret(v *visit) error {
	id := v.PathValue("tenant")
	c, err := v.api.Client(v.Context(), id, v.PathValue("client"))
	if err != nil {
		return err
	}
	here := at("tenants", id, "clients", c.ClientID)
	return o.render(v, "form", page{Title: "console.rotatingsecret", Args: []any{cmp.Or(c.Name, c.ClientID)}, Section: "tenants", Trail: clientTrail(id, link{Text: c.ClientID, Path: here}), Body: form{
		Facts:  []fact{{"console.happens", word("console.secrethappens")}, {"console.spared", word("console.secretspared")}, {"console.undo", word("console.secretundo")}},
		Fields: v.fill(field{Name: "overlap", Label: "console.overlap", Kind: "choice", Value: "86400", Options: overlaps}), Button: "console.rotatesecret", Back: here}})
}

func (o *Console) rotateSecret(v *visit) error {
	id := v.PathValue("tenant")
	overlap, err := v.number("overlap")
	if err != nil {
		return err
	}
	c, err := v.api.RotateSecret(v.Context(), id, v.PathValue("client"), adminapi.RotateSecret{Overlap: &overlap})
	if err != nil {
		return err
	}
	facts := []fact{{"console.clientid", copied(c.ClientID)}}
	if !c.PreviousSecretUntil.IsZero() {
		facts = append(facts, fact{"console.previous", v.when(c.PreviousSecretUntil)})
	}
	return o.render(v, "once", page{Title: "console.secretmade", Args: []any{cmp.Or(c.Name, c.ClientID)}, Section: "tenants", Trail: clientTrail(id), Body: once{
		Label: "console.secret", Secret: c.Secret, Lead: "console.secretlead", Facts: facts, On: link{Key: "console.onclient", Path: at("tenants", id, "clients", c.ClientID)}}})
}

func (o *Console) disablingClient(v *visit) error {
	id := v.PathValue("tenant")
	c, err := v.api.Client(v.Context(), id, v.PathValue("client"))
	if err != nil {
		return err
	}
	here := at("tenants", id, "clients", c.ClientID)
	return o.render(v, "form", page{Title: "console.disablingclient", Args: []any{cmp.Or(c.Name, c.ClientID)}, Section: "tenants", Trail: clientTrail(id, link{Text: c.ClientID, Path: here}), Body: form{Facts: []fact{
		{"console.happens", word("console.disableclienthappens")}, {"console.affected", word("console.disableclientaffected", fmt.Sprint(c.Lifetime))}, {"console.undo", word("console.undonever")},
	}, Button: "console.disableclientgo", Danger: true, Sure: true, Back: here}})
}

func (o *Console) disableClient(v *visit) error {
	id := v.PathValue("tenant")
	c, err := v.api.DisableClient(v.Context(), id, v.PathValue("client"))
	if err != nil {
		return err
	}
	return o.done(v, at("tenants", id, "clients", c.ClientID), "disabled")
}
