package login

import (
	"net/http"

	"seawall/internal/look"
	"seawall/internal/tenant"
)

// frontView is what somebody is told who came to no tenant.
type frontView struct {
	Lost             bool // to no page either
	Example, Console string
}

// Front answers somebody with a browser who came to an address that nobody else answers: at the root, which is the base URL or
// a tenant's issuer, or below it, where there is no such page. t is nil where no tenant is.
func (d *Door) Front(w http.ResponseWriter, r *http.Request, t *tenant.Tenant, root bool) {
	switch {
	case t != nil && root && t.Live():
		look.Guard(w.Header())
		http.Redirect(w, r, d.landing(t), http.StatusSeeOther)
		return
	case t != nil:
		d.fail(&visit{r, w, t, d.Now()}, problemNothing)
		return
	}
	status, title := http.StatusOK, "front.title"
	if !root {
		status, title = http.StatusNotFound, "problem.nothing.what"
	}
	view := frontView{!root, d.origin + d.path + "/NAME/account", d.path + "/" + tenant.Operators + "/console"}
	if err := d.book.Render(w, r, status, "front", look.Page{Title: title, Data: view}); err != nil {
		d.Log.ErrorContext(r.Context(), "the front page could not be served", "cause", err)
		w.WriteHeader(http.StatusInternalServerError)
	}
}
