package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

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
		e.Hint = "wait until then; if the present key was stolen, see `seawall keys distrust --help`"
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
