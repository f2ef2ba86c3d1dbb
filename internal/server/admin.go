package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// maxAct bounds the body of an act: a key set of 32 KiB as a JSON string fits.
const maxAct = 96 << 10

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
}

var (
	anyone    = right{roles: tenant.Roles()}
	overseers = right{roles: []tenant.Role{tenant.Owner, tenant.Operator, tenant.Auditor}}
	desk      = right{roles: []tenant.Role{tenant.Owner, tenant.Operator, tenant.HelpDesk}}
	operators = right{roles: []tenant.Role{tenant.Owner, tenant.Operator}}
	rescuers  = right{roles: desk.roles, always: true}
	glaziers  = right{roles: operators.roles, always: true}
	landlords = right{roles: []tenant.Role{tenant.Owner, tenant.Operator}, own: true}
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
		{"POST /v1/tenants/{tenant}/distrust", (*Server).distrust, glaziers},
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
		writeJSON(w, http.StatusOK, answer)
	})
}

// read reads the body of an act strictly.
func (a act) read(v any) error {
	body, err := io.ReadAll(io.LimitReader(a.Body, maxAct+1))
	if err != nil {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: "the request was cut short"}
	}
	if len(body) > maxAct {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusRequestEntityTooLarge, Description: "the request is longer than 96 KiB"}
	}
	if err := mint.ReadJSON(body, v); err != nil {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest,
			Description: "the request is not the JSON that is expected here", Hint: "are the command and the running seawall of the same version?"}
	}
	return nil
}

// refuseAct answers with err in the one form of [adminapi.Error].
func (s *Server) refuseAct(w http.ResponseWriter, r *http.Request, err error) {
	e := adminError(err)
	if e == nil {
		incident := rand.Text()
		s.log.ErrorContext(r.Context(), "an act of the admin API failed", "incident", incident, "cause", err)
		e = &adminapi.Error{Code: adminapi.CodeServer, Status: http.StatusInternalServerError,
			Description: "something went wrong inside seawall (incident " + incident + ")", Hint: "its log says what, under that number"}
	}
	writeAdminError(w, e)
}

// writeAdminError answers with e. What a token lacks is also said in the way of RFC 6750 and RFC 9470.
func writeAdminError(w http.ResponseWriter, e *adminapi.Error) {
	switch e.Code {
	case adminapi.CodeStepUp:
		w.Header().Set("WWW-Authenticate", `DPoP error="`+e.Code+`", error_description="a more recent sign-in is required", max_age="`+strconv.FormatInt(e.MaxAge, 10)+`"`)
	case adminapi.CodeToken:
		w.Header().Set("WWW-Authenticate", `DPoP error="`+e.Code+`", error_description="revoked"`)
	}
	writeJSON(w, e.Status, e)
}

// adminError says what an error means to an operator; nil for one that nobody expected.
func adminError(err error) *adminapi.Error {
	if e := (*adminapi.Error)(nil); errors.As(err, &e) {
		return e
	}
	if invalid := (*tenant.Invalid)(nil); errors.As(err, &invalid) {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: invalid.Error(), Hint: invalid.Hint()}
	}
	if refusal := (*tenant.Refusal)(nil); errors.As(err, &refusal) {
		e := &adminapi.Error{Code: adminapi.CodeConflict, Status: http.StatusConflict, Description: refusal.Error(), Hint: refusal.Hint()}
		switch {
		case errors.Is(err, tenant.ErrNotFound):
			e.Code, e.Status = adminapi.CodeNotFound, http.StatusNotFound
		case errors.Is(err, tenant.ErrUsedBefore):
			e.Code = adminapi.CodeUsedBefore
		case errors.Is(err, tenant.ErrExists):
			e.Code = adminapi.CodeExists
		case errors.Is(err, tenant.ErrDisabled):
			e.Code = adminapi.CodeDisabled
		case errors.Is(err, tenant.ErrUnwritten):
			e.Code, e.Status = adminapi.CodeUnwritten, http.StatusInsufficientStorage
		}
		return e
	}
	return vaultError(err)
}

// vaultError says what a vault's refusal means to an operator.
func vaultError(err error) *adminapi.Error {
	if isAway(err) {
		return &adminapi.Error{Code: adminapi.CodeUnavailable, Status: http.StatusServiceUnavailable,
			Description: "the signer or the ledger is restarting or unreachable", Hint: "try again in a moment; `seawall status` says what is away"}
	}
	refusal := (*mint.Refusal)(nil)
	if !errors.As(err, &refusal) {
		return nil
	}
	e := &adminapi.Error{Code: string(refusal.Code), Status: http.StatusConflict, Description: refusal.Detail}
	if e.Description == "" {
		e.Description = "a vault refuses: " + string(refusal.Code)
	}
	switch refusal.Code {
	case mint.PolicyCeiling:
		e.Description = "the signer's ceilings do not allow it: " + e.Description
		e.Hint = "whoever runs the host may raise them in the signer's directory; the change is carried on by itself"
	case mint.SpareTooYoung:
		e.Hint = "validators may not know the next key yet; wait until then"
	case mint.ClockFrozen:
		e.Hint = "check the host's clock, then run `seawall clock accept`"
	case mint.StateRolledBack:
		e.Hint = "run `seawall log verify`, and restore what was taken away"
	}
	return e
}

// adminRecovered is recovered for the admin API.
func (s *Server) adminRecovered(w http.ResponseWriter, r *http.Request) {
	if v := recover(); v != nil {
		incident := rand.Text()
		s.log.ErrorContext(r.Context(), "the admin API panicked", "incident", incident, "kind", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		writeAdminError(w, &adminapi.Error{Code: adminapi.CodeServer, Status: http.StatusInternalServerError,
			Description: "something went wrong inside seawall (incident " + incident + ")", Hint: "its log says where, under that number"})
	}
}

// items is a list that is never null.
func items[T, U any](list []T, show func(*T) U) adminapi.Items[U] {
	out := adminapi.Items[U]{Items: make([]U, 0, len(list))}
	for i := range list {
		out.Items = append(out.Items, show(&list[i]))
	}
	return out
}
