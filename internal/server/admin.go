package server

import (
	"context"
	"net/http"

	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// act is a request to the admin API.
type act struct {
	*http.Request
	actor string      // who does it, as the ledger will have it
	role  tenant.Role // theirs
	// limited: it comes over the socket, and there are owners who can sign in.
	limited bool
}

// adminLine is one line of the admin API: where it is, what it does, and who may.
type adminLine struct {
	pattern string
	do      func(*Server, act) (any, error)
	may     right
}

// right is who may use a line. About people each act says more, see [act.admit].
type right struct {
	roles []tenant.Role
	own   bool // in the operators' own tenant owners alone may
	// always: over the socket too when there are owners, as far as the act itself says. Everything else the socket then
	// only reads.
	always bool
	looks  bool // it changes nothing, whatever its method
}

var (
	anyone    = right{roles: tenant.Roles()}
	overseers = right{roles: []tenant.Role{tenant.Owner, tenant.Operator, tenant.Auditor}}
	desk      = right{roles: []tenant.Role{tenant.Owner, tenant.Operator, tenant.HelpDesk}}
	operators = right{roles: []tenant.Role{tenant.Owner, tenant.Operator}}
	rescuers  = right{roles: desk.roles, always: true}
	glaziers  = right{roles: operators.roles, always: true}
	landlords = right{roles: []tenant.Role{tenant.Owner, tenant.Operator}, own: true}
	lookouts  = right{roles: overseers.roles, looks: true}
)

// adminLines is the whole admin API.
func adminLines() []adminLine {
	return []adminLine{
		{"POST /v1/tenants", write((*Server).createTenant), operators},
		{"GET /v1/tenants", (*Server).listTenants, anyone},
		{"GET /v1/tenants/{tenant}", (*Server).showTenant, anyone},
		{"POST /v1/tenants/{tenant}/disable", write((*Server).disableTenant), landlords},
		{"POST /v1/tenants/{tenant}/complete", write((*Server).completeTenant), landlords},
		{"POST /v1/tenants/{tenant}/break-glass", write((*Server).breakGlass), glaziers},
		{"POST /v1/tenants/{tenant}/break-glass/prove", write((*Server).proveGlass), glaziers},
		{"POST /v1/tenants/{tenant}/apis", write((*Server).createAPI), landlords},
		{"GET /v1/tenants/{tenant}/apis", (*Server).listAPIs, overseers},
		{"GET /v1/tenants/{tenant}/apis/{api}", (*Server).showAPI, overseers},
		{"POST /v1/tenants/{tenant}/apis/{api}/disable", write((*Server).disableAPI), landlords},
		{"POST /v1/tenants/{tenant}/clients", write((*Server).createClient), landlords},
		{"GET /v1/tenants/{tenant}/clients", (*Server).listClients, overseers},
		{"GET /v1/tenants/{tenant}/clients/{client}", (*Server).showClient, overseers},
		{"POST /v1/tenants/{tenant}/clients/{client}/disable", write((*Server).disableClient), landlords},
		{"POST /v1/tenants/{tenant}/clients/{client}/rotate-secret", write((*Server).rotateSecret), landlords},
		{"POST /v1/tenants/{tenant}/clients/{client}/redirects", write((*Server).setRedirects), landlords},
		{"POST /v1/tenants/{tenant}/people", write((*Server).createPerson), operators},
		{"GET /v1/tenants/{tenant}/people", (*Server).listPeople, anyone},
		{"GET /v1/tenants/{tenant}/people/{person}", (*Server).showPerson, anyone},
		{"POST /v1/tenants/{tenant}/people/{person}/role", toPerson(changeRole, (*Server).setRole), operators},
		{"POST /v1/tenants/{tenant}/people/{person}/disable", toPerson("disable", (*Server).disablePerson), operators},
		{"POST /v1/tenants/{tenant}/people/{person}/enrol", toPerson("let in", (*Server).enrolPerson), rescuers},
		{"POST /v1/tenants/{tenant}/people/{person}/recover", toPerson("recover", (*Server).recoverPerson), rescuers},
		{"POST /v1/tenants/{tenant}/people/{person}/end-sessions", toPerson("end sessions of", (*Server).endSessions), desk},
		{"GET /v1/tenants/{tenant}/people/{person}/access", (*Server).listAccess, anyone},
		{"POST /v1/tenants/{tenant}/people/{person}/access", toPerson("change what applications have of", (*Server).changeAccess), desk},
		{"POST /v1/tenants/{tenant}/people/{person}/seal", toPerson("make a code for", (*Server).sealGlass), glaziers},
		{"GET /v1/tenants/{tenant}/keys", (*Server).listKeys, overseers},
		{"POST /v1/tenants/{tenant}/keys/rotate", write((*Server).rotateKeys), operators},
		{"POST /v1/tenants/{tenant}/distrust", (*Server).distrust, operators},
		{"POST /v1/tenants/{tenant}/distrust/preview", (*Server).previewDistrust, lookouts},
		{"GET /v1/tenants/{tenant}/distrust", (*Server).listDistrust, overseers},
		{"GET /v1/entries", (*Server).listEntries, overseers},
		{"GET /v1/recoveries", (*Server).listRecoveries, anyone},
		{"POST /v1/clock/accept", (*Server).acceptClock, glaziers},
		{"GET /v1/status", (*Server).status, anyone},
		{"GET /v1/self", (*Server).self, anyone},
	}
}

// adminHandler mounts the admin API. However a request comes in, it goes by these lines.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	for _, line := range adminLines() {
		mux.Handle(line.pattern, s.admin(line))
	}
	return s.guarded(mux)
}

// guarded turns away whoever is nobody here, before anything is looked at, and gives every failure its one form.
func (s *Server) guarded(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.adminRecovered(w, r)
		who, err := s.actor(r.Context())
		if err != nil {
			s.refuseAct(w, r, err)
			return
		}
		h, pattern := mux.Handler(r)
		if pattern == "" {
			probe := &statusWriter{header: http.Header{}}
			h.ServeHTTP(probe, r)
			notMounted(w, probe)
			return
		}
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, who)))
	})
}

// statusWriter learns what the mux would say about a path that leads nowhere.
type statusWriter struct {
	header http.Header
	status int
}

func (p *statusWriter) Header() http.Header         { return p.header }
func (p *statusWriter) Write(b []byte) (int, error) { return len(b), nil }
func (p *statusWriter) WriteHeader(status int)      { p.status = status }

func notMounted(w http.ResponseWriter, probe *statusWriter) {
	if allow := probe.header.Get("Allow"); probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		writeAdminError(w, &adminapi.Error{Code: adminapi.CodeMethod, Status: probe.status, Description: "this address answers " + allow + " only"})
		return
	}
	writeAdminError(w, &adminapi.Error{Code: adminapi.CodeNotFound, Status: http.StatusNotFound,
		Description: "the admin API has nothing at this address", Hint: "are the command and the running seawall of the same version?"})
}

func (s *Server) admin(line adminLine) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := r.Context().Value(actorKey{}).(actor)
		var answer any
		limited, err := s.mayUse(who, line, r)
		if err == nil {
			answer, err = line.do(s, act{r, who.name, who.role, limited})
		}
		if err != nil {
			s.refuseAct(w, r, err)
			return
		}
		if here, ok := w.(*heard); ok {
			here.answer, here.given = answer, true
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}
