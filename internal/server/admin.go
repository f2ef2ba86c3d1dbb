package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// maxAct bounds the body of an act: a key set of 32 KiB as a JSON string fits.
const maxAct = 96 << 10

// peerKey is where a connection's context keeps the user id of who is at its other end.
type peerKey struct{}

// withPeer asks the kernel who connected. Credentials are those of the moment of connecting, so they can't be changed by
// what the peer does afterwards.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if counted, ok := c.(*counted); ok {
		c = counted.Conn
	}
	uid, err := peerUID(c)
	if err != nil {
		return ctx // nobody: refused
	}
	return context.WithValue(ctx, peerKey{}, uid)
}

// operator returns the user id behind a request and whether it may operate seawall.
func (s *Server) operator(ctx context.Context) (uid int, ok bool) {
	uid, known := ctx.Value(peerKey{}).(int)
	return uid, known && (uid == 0 || slices.Contains(s.config.Operators, uid))
}

// act is a request to the admin API.
type act struct {
	*http.Request
	actor string // "uid:N"
}

// adminHandler mounts the admin API.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(act) (any, error){
		"POST /v1/tenants":                                         s.createTenant,
		"GET /v1/tenants":                                          s.listTenants,
		"GET /v1/tenants/{tenant}":                                 s.showTenant,
		"POST /v1/tenants/{tenant}/disable":                        s.disableTenant,
		"POST /v1/tenants/{tenant}/apis":                           s.createAPI,
		"GET /v1/tenants/{tenant}/apis":                            s.listAPIs,
		"GET /v1/tenants/{tenant}/apis/{api}":                      s.showAPI,
		"POST /v1/tenants/{tenant}/apis/{api}/disable":             s.disableAPI,
		"POST /v1/tenants/{tenant}/clients":                        s.createClient,
		"GET /v1/tenants/{tenant}/clients":                         s.listClients,
		"GET /v1/tenants/{tenant}/clients/{client}":                s.showClient,
		"POST /v1/tenants/{tenant}/clients/{client}/disable":       s.disableClient,
		"POST /v1/tenants/{tenant}/clients/{client}/rotate-secret": s.rotateSecret,
		"POST /v1/tenants/{tenant}/complete":                       s.completeTenant,
		"POST /v1/tenants/{tenant}/break-glass":                    s.breakGlass,
		"POST /v1/tenants/{tenant}/people":                         s.createPerson,
		"GET /v1/tenants/{tenant}/people":                          s.listPeople,
		"GET /v1/tenants/{tenant}/people/{person}":                 s.showPerson,
		"POST /v1/tenants/{tenant}/people/{person}/disable":        s.disablePerson,
		"POST /v1/tenants/{tenant}/people/{person}/enrol":          s.enrolPerson,
		"POST /v1/tenants/{tenant}/people/{person}/recover":        s.recoverPerson,
		"POST /v1/tenants/{tenant}/people/{person}/seal":           s.sealGlass,
		"GET /v1/tenants/{tenant}/keys":                            s.listKeys,
		"POST /v1/tenants/{tenant}/keys/rotate":                    s.rotateKeys,
		"POST /v1/tenants/{tenant}/distrust":                       s.distrust,
		"GET /v1/tenants/{tenant}/distrust":                        s.listDistrust,
		"POST /v1/clock/accept":                                    s.acceptClock,
		"GET /v1/status":                                           s.status,
	} {
		mux.Handle(pattern, s.admin(do))
	}
	return s.guarded(mux)
}

// guarded turns away whoever is not an operator, before anything is looked at, and gives every failure its one form.
func (s *Server) guarded(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.adminRecovered(w, r)
		if uid, ok := s.operator(r.Context()); !ok {
			s.log.WarnContext(r.Context(), "the admin API was used by somebody who is not an operator", "uid", uid)
			writeAdminError(w, &adminapi.Error{Code: adminapi.CodeForbidden, Status: http.StatusForbidden,
				Description: "this user may not operate seawall", Hint: "run the command as the user who started `seawall up`, or as root"})
			return
		}
		h, pattern := mux.Handler(r)
		if pattern == "" {
			probe := &statusWriter{header: http.Header{}}
			h.ServeHTTP(probe, r)
			notMounted(w, probe)
			return
		}
		mux.ServeHTTP(w, r)
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

func (s *Server) admin(do func(act) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, _ := s.operator(r.Context())
		answer, err := do(act{r, "uid:" + strconv.Itoa(uid)})
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

func writeAdminError(w http.ResponseWriter, e *adminapi.Error) { writeJSON(w, e.Status, e) }

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
