package login

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"seawall/internal/look"
	"seawall/internal/tenant"
)

// problem is something that went wrong, as it is told to a person: what happened, what it means, what to do. The words
// are in package look under problem.<name>.
type problem struct {
	name   string
	status int
	cause  error // for the log, never for the person
}

var (
	problemNothing   = &problem{name: "nothing", status: http.StatusNotFound}
	problemMethod    = &problem{name: "nothing", status: http.StatusMethodNotAllowed}
	problemForeign   = &problem{name: "foreign", status: http.StatusForbidden}
	problemMalformed = &problem{name: "malformed", status: http.StatusBadRequest}
	problemLink      = &problem{name: "link", status: http.StatusGone}
	problemChallenge = &problem{name: "challenge", status: http.StatusBadRequest}
	problemRefused   = &problem{name: "refused", status: http.StatusForbidden}
	problemCloned    = &problem{name: "cloned", status: http.StatusForbidden}
	problemTier      = &problem{name: "tier", status: http.StatusForbidden}
	problemLesser    = &problem{name: "lesser", status: http.StatusForbidden}
	problemUnproven  = &problem{name: "unproven", status: http.StatusForbidden}
	problemExists    = &problem{name: "exists", status: http.StatusConflict}
	problemState     = &problem{name: "state", status: http.StatusConflict}
	problemOther     = &problem{name: "other", status: http.StatusForbidden}
	problemVoice     = &problem{name: "voice", status: http.StatusConflict}
	problemWhose     = &problem{name: "whose", status: http.StatusForbidden}
	problemUnmet     = &problem{name: "unmet", status: http.StatusForbidden}
	problemOver      = &problem{name: "over", status: http.StatusGone}
	problemBusy      = &problem{name: "busy", status: http.StatusTooManyRequests}
	problemAway      = &problem{name: "away", status: http.StatusServiceUnavailable}
	problemNoName    = &problem{name: "noname", status: http.StatusServiceUnavailable}
	problemBroken    = &problem{name: "broken", status: http.StatusInternalServerError}
)

// problems lists all of them.
func problems() []*problem {
	return []*problem{problemNothing, problemMethod, problemForeign, problemMalformed, problemLink, problemChallenge, problemRefused, problemCloned,
		problemTier, problemLesser, problemUnproven, problemExists, problemState, problemOther, problemVoice, problemWhose, problemUnmet, problemOver, problemBusy, problemAway, problemNoName, problemBroken}
}

// Error is for logs.
func (p *problem) Error() string {
	if p.cause == nil {
		return p.name
	}
	return p.name + ": " + p.cause.Error()
}

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

// Problem is what a room beside this one tells a person with [Door.Fail].
type Problem interface {
	error
	// Because is the problem with a cause for our own log. The person never sees it.
	Because(cause error) error
}

// NewProblem makes a problem. Its words are in package look under problem.<name>.
func NewProblem(name string, status int) Problem { return &problem{name: name, status: status} }

// Because implements Problem.
func (p *problem) Because(cause error) error { return p.because(cause) }

// Fail tells a person on a page what went wrong in a room beside this one.
func (d *Door) Fail(w http.ResponseWriter, r *http.Request, t *tenant.Tenant, err error) {
	d.fail(&visit{r, w, t, d.Now()}, err)
}

// because is the problem with a cause for our own log.
func (p *problem) because(cause error) *problem {
	q := *p
	q.cause = cause
	return &q
}

// told is a problem as pages and our script get it.
type told struct {
	What      string `json:"what"`
	Means     string `json:"means"`
	Do        string `json:"do"`
	Reference string `json:"reference"`
	SignedIn  bool   `json:"-"`
}

// fail tells a person what went wrong, as a page or to our script. What nobody classified is broken, and its cause is in
// the log under the reference.
func (d *Door) fail(v *visit, err error) {
	p := classify(err)
	reference := strings.ToLower(rand.Text()[:10])
	if p.status >= http.StatusInternalServerError {
		d.Log.ErrorContext(v.Context(), "a page could not be served", "reference", reference, "tenant", v.tenant.ID, "problem", p.name, "cause", p.cause)
	} else if p.cause != nil {
		d.Log.InfoContext(v.Context(), "a person was refused", "reference", reference, "tenant", v.tenant.ID, "problem", p.name, "cause", p.cause)
	}
	if p.name == problemBusy.name || p.name == problemAway.name {
		v.w.Header().Set("Retry-After", "5")
	}
	say := func(part string) string { return look.Say(v.Request, "problem."+p.name+"."+part) }
	t := told{What: say("what"), Means: say("means"), Do: say("do"), Reference: reference}
	if strings.HasPrefix(v.Header.Get("Content-Type"), "application/json") {
		err = v.answer(p.status, t)
	} else {
		_, _, nobody := d.session(v.Request, v.tenant)
		t.SignedIn = nobody == nil
		err = d.render(v, p.status, "problem", look.Page{Title: "problem.title", Data: t})
	}
	if err != nil {
		d.Log.ErrorContext(v.Context(), "a problem could not be told", "reference", reference, "cause", err)
	}
}

// classify finds the problem in an error. A refusal of the store that nobody expected here is one of state.
func classify(err error) *problem {
	var p *problem
	var refusal *tenant.Refusal
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, tenant.ErrUnwritten):
		return problemAway.because(err)
	case errors.As(err, &refusal):
		return problemState.because(err)
	}
	return problemBroken.because(err)
}
