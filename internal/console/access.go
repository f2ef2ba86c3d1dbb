package console

import (
	"cmp"
	"slices"

	"seawall/internal/server/adminapi"
)

// accessOf lists what applications have of a person, and where each can be stopped.
func (v *visit) accessOf(p *adminapi.Person) (*table, error) {
	list := &table{Caption: "console.applications", Columns: []string{"console.client", "console.scopes", "console.state", "console.used", "console.ends", "console.change"}, Empty: "console.noapplications"}
	all, err := v.api.Access(v.Context(), p.Tenant, p.Subject)
	if err != nil {
		return nil, err
	}
	for _, a := range all.Access {
		is := badge("ok", "console.enabled")
		if !a.Suspended.IsZero() {
			is = badge("warn", "console.suspended")
		}
		list.Rows = append(list.Rows, []cell{text(cmp.Or(a.Name, a.Client)), texts(a.Scopes), is, v.when(a.Used), v.when(a.Expires), {Key: "console.changeaccess", Path: here(p, "access") + "?id=" + a.ID}})
	}
	return list, nil
}

// changingAccess offers what can be done about one application of a person.
func (o *Console) changingAccess(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	id := cmp.Or(v.value("id"), v.URL.Query().Get("id"))
	all, err := v.api.Access(v.Context(), p.Tenant, p.Subject)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all.Access, func(a adminapi.Access) bool { return a.ID == id })
	if i < 0 {
		return &adminapi.Error{Code: adminapi.CodeNotFound, Status: 404, Description: "the application has nothing of this person any more", Hint: "go back to the person"}
	}
	a := &all.Access[i]
	steps := []option{{Value: "suspend", Key: "console.stepsuspend"}, {Value: "end", Key: "console.stepend"}}
	if !a.Suspended.IsZero() {
		steps = []option{{Value: "resume", Key: "console.stepresume"}, {Value: "end", Key: "console.stepend"}}
	}
	return o.render(v, "form", page{Title: "console.accessof", Args: []any{cmp.Or(a.Name, a.Client), p.Login}, Section: "tenants", Trail: peopleTrail(p.Tenant, link{Text: p.Login, Path: here(p)}), Body: form{
		Facts:  []fact{{"console.scopes", texts(a.Scopes)}, {"console.used", v.when(a.Used)}, {"console.theyhave", word("console.accesstheyhave")}, {"console.spared", word("console.accessspared")}, {"console.undo", word("console.accessundo")}},
		Fields: v.fill(field{Name: "id", Kind: "hidden", Value: id}, field{Name: "step", Label: "console.step", Kind: "choice", Value: steps[0].Value, Options: steps}),
		Button: "console.approvego", Back: here(p)}})
}

func (o *Console) changeAccess(v *visit) error {
	p, err := v.find()
	if err != nil {
		return err
	}
	if _, err := v.api.ChangeAccess(v.Context(), p.Tenant, p.Subject, adminapi.ChangeAccess{Step: v.value("step"), ID: v.value("id")}); err != nil {
		return err
	}
	return o.done(v, here(p), "changed")
}
