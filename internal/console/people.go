package console

import (
	"cmp"
	"slices"

	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

func (o *Console) people(v *visit) error {
	id := v.PathValue("tenant")
	all, err := v.api.People(v.Context(), id)
	if err != nil {
		return err
	}
	list := &table{Caption: "console.people", Columns: []string{"console.name", "console.login", "console.state", "console.waysin"}, Empty: "console.nopeople", Add: &act{Key: "console.newperson", Path: at("tenants", id, "new", "person"), By: operators}}
	if id == tenant.Operators {
		list.Columns = slices.Insert(list.Columns, 2, "console.role")
	}
	for _, p := range all {
		ways := word("console.count", p.WaysIn)
		switch {
		case p.WaysIn == 0 && p.Kind == "break-glass":
			ways = badge("warn", "console.unsealed")
		case p.WaysIn == 0:
			ways = badge("warn", "console.nopasskey")
		}
		row := []cell{{Text: cmp.Or(p.Name, p.Login), Path: at("tenants", id, "people", p.Subject)}, text(p.Login), state(p.Disabled), ways}
		if id == tenant.Operators {
			row = slices.Insert(row, 2, text(p.Role))
		}
		list.Rows = append(list.Rows, row)
	}
	return o.render(v, "show", page{Title: "console.peopleof", Args: []any{id}, Lead: "console.peoplelead", Section: "tenants", Trail: trail(id), Body: []section{{Table: list}}})
}

// peopleTrail is how one came to a person.
func peopleTrail(id string, more ...link) []link {
	return trail(id, append([]link{{Key: "console.people", Path: at("tenants", id, "people")}}, more...)...)
}

func (o *Console) newPerson(v *visit) error {
	id := v.PathValue("tenant")
	fields := []field{
		{Name: "login", Label: "console.login", Hint: "console.loginhint", Kind: "text", Required: true},
		{Name: "name", Label: "console.name", Hint: "console.namehint", Kind: "text"},
	}
	if id == tenant.Operators {
		fields = append(fields, field{Name: "role", Label: "console.role", Kind: "choice", Value: "auditor", Options: roleOptions()})
	}
	return o.render(v, "form", page{Title: "console.newperson", Lead: "console.newpersonlead", Section: "tenants", Trail: peopleTrail(id), Body: form{
		Fields: v.fill(fields...), Button: "console.createperson", Back: at("tenants", id, "people")}})
}

func roleOptions() []option {
	return []option{{Value: "owner", Key: "console.roleowner"}, {Value: "operator", Key: "console.roleoperator"}, {Value: "help-desk", Key: "console.rolehelpdesk"}, {Value: "auditor", Key: "console.roleauditor"}}
}

func (o *Console) createPerson(v *visit) error {
	id := v.PathValue("tenant")
	p, err := v.api.CreatePerson(v.Context(), id, adminapi.CreatePerson{Login: v.value("login"), Name: v.value("name"), Role: v.value("role")})
	if err != nil {
		return err
	}
	return o.done(v, at("tenants", id, "people", p.Subject), "created")
}

// find returns the person that a page is about.
func (v *visit) find() (*adminapi.Person, error) {
	return v.api.Person(v.Context(), v.PathValue("tenant"), v.PathValue("person"))
}

// here is the path of a person.
func here(p *adminapi.Person, more ...string) string {
	return at(append([]string{"tenants", p.Tenant, "people", p.Subject}, more...)...)
}

func (o *Console) person(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	facts := []fact{{"console.state", state(p.Disabled)}, {"console.login", text(p.Login)}, {"console.subject", copied(p.Subject)}}
	if p.Role != "" {
		facts = append(facts, fact{"console.role", text(p.Role)})
	}
	facts = append(facts, fact{"console.created", v.when(p.Created)}, fact{"console.recovery", v.recoveryOf(p)})
	about := section{Facts: facts}
	if p.Kind == "human" && p.Disabled.IsZero() {
		if v.mayHaveLink(p) {
			about.Acts = append(about.Acts, act{Key: "console.enrol", Path: here(p, "enrol"), By: desk})
		}
		if len(p.Passkeys) > 0 {
			about.Acts = append(about.Acts, act{Key: "console.recover", Path: here(p, "recover"), By: desk})
		}
		if p.Role != "" {
			about.Acts = append(about.Acts, act{Key: "console.changerole", Path: here(p, "role"), By: operators})
		}
	}
	about.Acts = append(about.Acts, act{Key: "console.ledgerof", Path: "/ledger?tenant=" + p.Tenant + "&subject=" + p.Subject, By: overseers})
	if p.Kind == "human" && p.Disabled.IsZero() {
		about.Acts = append(about.Acts, act{Key: "console.disableperson", Path: here(p, "disable"), Danger: true, By: operators})
	}
	view := []section{about, {Head: "console.passkeys", Table: v.passkeysOf(p)}, {Head: "console.sessions", Lead: "console.sessionslead", Table: v.sessionsOf(p)}}
	applications, err := v.accessOf(p)
	if err != nil {
		return err
	}
	view = append(view, section{Head: "console.applications", Lead: "console.applicationslead", Table: applications})
	if len(p.Sessions) > 0 {
		view[2].Acts = []act{{Key: "console.endall", Path: here(p, "sessions"), By: desk}}
	}
	return o.render(v, "show", page{Title: "console.personnamed", Args: []any{cmp.Or(p.Name, p.Login)}, Section: "tenants", Trail: peopleTrail(p.Tenant), Body: view})
}

// mayHaveLink reports whether a link for a passkey can be made: the first one, or that of a recovery whose day has gone by.
func (v *visit) mayHaveLink(p *adminapi.Person) bool {
	r := p.Recovery
	return len(p.Passkeys) == 0 || r != nil && r.ApprovedBy != "" && !v.now.Before(r.UsableFrom)
}

// named says who an actor is: an administrator by their login, and whoever can't be found by what the ledger calls them.
func (v *visit) named(actor string) string {
	id, person := tenant.SpeakerID(actor)
	if !person {
		return actor
	}
	p, err := v.api.Person(v.Context(), tenant.Operators, id)
	if err != nil {
		return actor
	}
	return p.Login
}

func (v *visit) recoveryOf(p *adminapi.Person) cell {
	r := p.Recovery
	switch {
	case r == nil:
		return word("console.norecovery")
	case r.FirstBy == "":
		return badge("warn", "console.recoverywaitstwo", v.named(r.RequestedBy))
	case r.ApprovedBy == "":
		return badge("warn", "console.recoverywaits", v.named(r.RequestedBy))
	case v.now.Before(r.UsableFrom):
		return badge("warn", "console.recoveryfrom", r.UsableFrom.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return badge("ok", "console.recoveryready")
}

func (v *visit) passkeysOf(p *adminapi.Person) *table {
	list := &table{Caption: "console.passkeys", Columns: []string{"console.name", "console.kind", "console.created", "console.used"}, Empty: "console.nopasskeys"}
	for _, k := range p.Passkeys {
		kind := word("console.bound")
		switch {
		case !k.Suspended.IsZero():
			kind = badge("danger", "console.suspended")
		case k.Attested:
			kind = badge("ok", "console.certified")
		case k.Synced:
			kind = word("console.synced")
		}
		list.Rows = append(list.Rows, []cell{text(k.Name), kind, v.when(k.Created), v.when(k.Used)})
	}
	return list
}

func (v *visit) sessionsOf(p *adminapi.Person) *table {
	list := &table{Caption: "console.sessions", Columns: []string{"console.device", "console.place", "console.signedin", "console.seen", "console.end"}, Empty: "console.nosessions"}
	for _, n := range p.Sessions {
		list.Rows = append(list.Rows, []cell{text(n.Device), text(n.Place), v.when(n.SignedIn), v.when(n.Seen), {Key: "console.endone", Path: here(p, "sessions") + "?session=" + n.ID}})
	}
	return list
}

func (o *Console) enrolling(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	happens := "console.enrolhappens"
	if len(p.Passkeys) > 0 {
		happens = "console.enrolrecovers"
	}
	return o.render(v, "form", page{Title: "console.enrolling", Args: []any{p.Login}, Section: "tenants", Trail: peopleTrail(p.Tenant, link{Text: p.Login, Path: here(p)}), Body: form{Facts: []fact{
		{"console.happens", word(happens, p.Login)}, {"console.theyhave", word("console.enroltheyhave")}, {"console.undo", word("console.enrolundo")},
	}, Button: "console.enrolgo", Back: here(p)}})
}

func (o *Console) enrolPerson(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	l, err := v.api.EnrolPerson(v.Context(), p.Tenant, p.Subject)
	if err != nil {
		return err
	}
	return o.render(v, "once", page{Title: "console.linkmade", Args: []any{l.Login}, Section: "tenants", Trail: peopleTrail(p.Tenant, link{Text: p.Login, Path: here(p)}), Body: once{
		Label: "console.link", Secret: l.Link, Lead: "console.linklead", Facts: []fact{{"console.expires", v.when(l.Expires)}}, On: link{Key: "console.onperson", Path: here(p)}}})
}

// recovering offers what can be done about a recovery now.
func (o *Console) recovering(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	f := form{Back: here(p), Facts: []fact{{"console.recovery", v.recoveryOf(p)}}}
	switch r := p.Recovery; {
	case r == nil:
		f.Button, f.Fields = "console.recovergo", []field{{Name: "step", Kind: "hidden", Value: "request"}}
		f.Facts = append(f.Facts, fact{"console.happens", word("console.recoverhappens", p.Login)}, fact{"console.mustagree", word("console.recoveragree")}, fact{"console.undo", word("console.recoverundo")})
	case r.ApprovedBy == "" && r.FirstBy != v.self.Actor:
		f.Button, f.Fields = "console.approvego", []field{{Name: "step", Label: "console.step", Kind: "choice", Value: "approve", Options: []option{{Value: "approve", Key: "console.stepapprove"}, {Value: "stop", Key: "console.stepstop"}}}}
		f.Facts = append(f.Facts, fact{"console.happens", word("console.approvehappens", p.Login)}, fact{"console.undo", word("console.recoverundo")})
	default:
		f.Button, f.Danger, f.Fields = "console.stopgo", true, []field{{Name: "step", Kind: "hidden", Value: "stop"}}
		f.Facts = append(f.Facts, fact{"console.happens", word("console.stophappens", p.Login)})
	}
	f.Fields = v.fill(f.Fields...)
	return o.render(v, "form", page{Title: "console.recovering", Args: []any{p.Login}, Section: "tenants", Trail: peopleTrail(p.Tenant, link{Text: p.Login, Path: here(p)}), Body: f})
}

// steps are what can be done about a recovery, and how it is said when it is done.
var steps = map[string]string{"request": "asked", "approve": "approved", "stop": "stopped"}

func (o *Console) recoverPerson(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	step := v.value("step")
	if _, err := v.api.RecoverPerson(v.Context(), p.Tenant, p.Subject, adminapi.RecoverPerson{Step: step}); err != nil {
		return err
	}
	return o.done(v, here(p), steps[step])
}

func (o *Console) changingRole(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	return o.render(v, "form", page{Title: "console.changingrole", Args: []any{p.Login}, Section: "tenants", Trail: peopleTrail(p.Tenant, link{Text: p.Login, Path: here(p)}), Body: form{
		Facts:  []fact{{"console.happens", word("console.rolehappens")}, {"console.spared", word("console.rolespared")}, {"console.undo", word("console.roleundo")}},
		Fields: v.fill(field{Name: "role", Label: "console.role", Kind: "choice", Value: p.Role, Options: roleOptions()}), Button: "console.rolego", Sure: true, Back: here(p)}})
}

func (o *Console) setRole(v *visit) error {
	p, err := v.api.SetRole(v.Context(), v.PathValue("tenant"), v.PathValue("person"), adminapi.SetRole{Role: v.value("role")})
	if err != nil {
		return err
	}
	return o.done(v, here(p), "role")
}

// endingSessions is about one session, or about all.
func (o *Console) endingSessions(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	id := cmp.Or(v.value("session"), v.URL.Query().Get("session"))
	f := form{Button: "console.endallgo", Back: here(p), Fields: v.fill(field{Name: "session", Kind: "hidden", Value: id}),
		Facts: []fact{{"console.happens", word("console.endallhappens", p.Login, len(p.Sessions))}}}
	if id != "" {
		i := slices.IndexFunc(p.Sessions, func(n adminapi.Session) bool { return n.ID == id })
		if i < 0 { // and by no means is it about all of them now
			return &adminapi.Error{Code: adminapi.CodeNotFound, Status: 404, Description: "this session is over already", Hint: "go back to the person"}
		}
		f.Button, f.Facts = "console.endonego", []fact{{"console.happens", word("console.endonehappens", p.Sessions[i].Device, p.Login)}, {"console.place", text(p.Sessions[i].Place)}}
	}
	f.Facts = append(f.Facts, fact{"console.theyhave", word("console.endtheyhave")}, fact{"console.spared", word("console.endspared")}, fact{"console.undo", word("console.endundo")})
	return o.render(v, "form", page{Title: "console.ending", Args: []any{p.Login}, Section: "tenants", Trail: peopleTrail(p.Tenant, link{Text: p.Login, Path: here(p)}), Body: f})
}

func (o *Console) endSessions(v *visit) error {
	p, err := v.api.EndSessions(v.Context(), v.PathValue("tenant"), v.PathValue("person"), adminapi.EndSessions{Session: v.value("session")})
	if err != nil {
		return err
	}
	return o.done(v, here(p), "ended")
}

func (o *Console) disablingPerson(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	return o.render(v, "form", page{Title: "console.disablingperson", Args: []any{p.Login}, Section: "tenants", Trail: peopleTrail(p.Tenant, link{Text: p.Login, Path: here(p)}), Body: form{Facts: []fact{
		{"console.happens", word("console.disablepersonhappens", p.Login, p.Tenant)}, {"console.affected", word("console.disablepersonaffected", len(p.Passkeys), len(p.Sessions))},
		{"console.spared", word("console.disablepersonspared")}, {"console.undo", word("console.disablepersonundo")},
	}, Button: "console.disablepersongo", Danger: true, Sure: true, Back: here(p)}})
}

func (o *Console) disablePerson(v *visit) error {
	p, err := v.api.DisablePerson(v.Context(), v.PathValue("tenant"), v.PathValue("person"))
	if err != nil {
		return err
	}
	return o.done(v, here(p), "disabled")
}
