package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// Every write goes the same way: it is checked as far as that is possible without doing it, recorded in the ledger, done
// in the store as one act, and carried to the signer. Writes wait for one another, so what was checked still holds when
// it is done. A crash leaves an entry without its act, which the operator repeats, or an act without its policy, which
// the outbox brings to the signer.

// nothing is what an act asks for whose address says everything. Its body is not looked at.
type nothing struct{}

// write is an act that changes something: it reads what it is asked for, and waits for its turn.
func write[Q any](do func(*Server, act, *Q) (any, error)) func(*Server, act) (any, error) {
	return func(s *Server, a act) (any, error) {
		q := new(Q)
		if _, silent := any(q).(*nothing); !silent {
			if err := a.read(q); err != nil {
				return nil, err
			}
		}
		s.acts.Lock()
		defer s.acts.Unlock()
		return do(s, a, q)
	}
}

// maxAct bounds the body of an act: a key set of 32 KiB as a JSON string fits.
const maxAct = 96 << 10

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

// personAct is a write about a person whom the actor may touch.
type personAct struct {
	act
	tenant *tenant.Tenant
	person tenant.Person
}

// toPerson is a write about a person. It is refused for those whose role is above what the actor may touch; doing says in
// words what would be done to them.
func toPerson[Q any](doing string, do func(*Server, personAct, *Q) (any, error)) func(*Server, act) (any, error) {
	return write(func(s *Server, a act, q *Q) (any, error) {
		t, p, err := s.findPerson(a)
		if err != nil {
			return nil, err
		}
		if err := a.admit(doing, p); err != nil {
			return nil, err
		}
		return do(s, personAct{a, t, p}, q)
	})
}

// admit refuses an act on somebody whose role is above what the actor may touch.
func (a act) admit(doing string, p tenant.Person) error {
	if a.role.MayAdmit(p.Role) {
		return nil
	}
	return &adminapi.Error{Code: adminapi.CodeForbidden, Status: http.StatusForbidden,
		Description: fmt.Sprintf("the role %s may not %s %s", a.role, doing, p.Login), Hint: "ask somebody with a wider role"}
}

// findTenant returns the tenant that an act is about.
func (s *Server) findTenant(a act) (tenant.Tenant, error) {
	return s.config.Store.Tenant(a.Context(), a.PathValue("tenant"))
}

// liveTenant returns the tenant that an act is about, unless it is disabled.
func (s *Server) liveTenant(a act) (*tenant.Tenant, error) {
	t, err := s.findTenant(a)
	if err == nil && !t.Live() {
		err = tenant.Refuse(tenant.ErrDisabled, "create another tenant", "the tenant %s is disabled", t.ID)
	}
	return &t, err
}

// findPerson returns the person that an act is about, and their tenant.
func (s *Server) findPerson(a act) (*tenant.Tenant, tenant.Person, error) {
	t, err := s.liveTenant(a)
	if err != nil {
		return nil, tenant.Person{}, err
	}
	p, err := s.config.Store.Person(a.Context(), t.ID, strings.ToLower(a.PathValue("person")))
	return t, p, err
}

// begin makes the way free for an act: the vaults that it needs are there, and the ledger has the entry. From then on
// the act is finished even if whoever asked hangs up.
func (s *Server) begin(a act, signer bool, e *mint.Entry) (context.Context, error) {
	if signer && !s.vaults.signer.Connected() {
		return nil, mint.Refuse(mint.Unavailable, "the signer is away")
	}
	e.Actor = a.actor
	ctx := context.WithoutCancel(a.Context())
	return ctx, s.vaults.record(ctx, e)
}

// tellSigner brings the tenant's policies to the signer and the keys that follow from them back.
func (s *Server) tellSigner(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*callTime)
	defer cancel()
	if err := s.policies.deliver(ctx, id); err != nil {
		return err
	}
	return s.keys.refresh(ctx)
}

// unfinished says that an act is done in the store and goes on by itself.
func unfinished(err error, what string) error {
	e := adminError(err)
	if e == nil {
		return err
	}
	told := *e
	told.Description = what + ": " + e.Description
	if isAway(err) {
		told.Hint = "nothing needs to be repeated: it goes on by itself; `seawall status` says when"
	}
	return &told
}

// pending is unfinished for an answer that must be given all the same.
func pending(err error) string {
	if err == nil {
		return ""
	}
	if e := adminError(err); e != nil {
		return e.Description
	}
	return "the signer could not be told; the log says why"
}

// items is a list that is never null.
func items[T, U any](list []T, show func(*T) U) adminapi.Items[U] {
	out := adminapi.Items[U]{Items: make([]U, 0, len(list))}
	for i := range list {
		out.Items = append(out.Items, show(&list[i]))
	}
	return out
}

// short cuts a detail to what the ledger takes.
func short(s string) string {
	if len(s) <= mint.MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:mint.MaxText-3], "") + "…"
}

func taken(live bool, what, name string) error {
	if live {
		return tenant.Refuse(tenant.ErrExists, "choose another id; `seawall "+strings.ToLower(what)+" list` shows which are there", "the %s %s exists already", what, name)
	}
	return tenant.Refuse(tenant.ErrUsedBefore, "choose another id: tokens and logs may still name the old one", "the %s %s existed before, and ids are never used again", what, name)
}
