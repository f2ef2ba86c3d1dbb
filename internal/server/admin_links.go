package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"seawall/internal/login"
	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// Links makes links and recoveries. Each method is one whole act.
type Links interface {
	IssueEnrolment(ctx context.Context, e tenant.Enrolment) (tenant.Enrolment, error)
	RequestRecovery(ctx context.Context, tenantID, person, by string) (tenant.Recovery, error)
}

// invite records a link for a person and keeps its hash. Called with acts held.
func (s *Server) invite(ctx context.Context, actor string, t *tenant.Tenant, p tenant.Person) (secret.Text, tenant.Enrolment, error) {
	e, link := s.newEnrolment(actor, t, p)
	e.Why = tenant.FirstPasskey
	keys, err := s.config.Store.Passkeys(ctx, t.ID, p.ID)
	if err != nil {
		return link, e, err
	}
	if len(keys) > 0 && p.Kind == tenant.BreakGlass {
		return link, e, tenant.Refuse(tenant.ErrConflict, "use its code: `seawall break-glass use`", "%s has a passkey, and gets another by its code only", p.Login)
	}
	if len(keys) > 0 {
		e.Why = tenant.Recovered
		r, err := s.config.Store.Recovery(ctx, t.ID, p.ID)
		if errors.Is(err, tenant.ErrNotFound) {
			err = tenant.Refuse(tenant.ErrConflict, "they add another one on their own page; if all are lost: `seawall person recover "+p.Login+" --tenant "+t.ID+"`",
				"%s has a passkey, and a link for them would be a recovery", p.Login)
		}
		if err == nil {
			err = r.Ready(s.now())
		}
		if err != nil {
			return link, e, err
		}
	}
	if !p.Live() {
		return link, e, tenant.Refuse(tenant.ErrConflict, "a disabled person stays disabled: create another", "%s gets no link", p.Login)
	}
	if err := s.vaults.record(ctx, issued(e, actor)); err != nil {
		return link, e, err
	}
	e, err = s.config.Store.IssueEnrolment(ctx, e)
	return link, e, err
}

func (s *Server) newEnrolment(actor string, t *tenant.Tenant, p tenant.Person) (tenant.Enrolment, secret.Text) {
	link := secret.Generate(secret.EnrolLink, t.Class.Env())
	now := s.now()
	return tenant.Enrolment{Hash: link.Hash(), Tenant: t.ID, Person: p.ID, IssuedBy: actor, IssuedAt: now, ExpiresAt: now.Add(tenant.EnrolmentLife)}, link
}

func issued(e tenant.Enrolment, actor string) *mint.Entry {
	return &mint.Entry{Kind: mint.EnrolmentIssued, Tenant: e.Tenant, Subject: e.Person, Actor: actor, Expires: e.ExpiresAt.Unix(),
		Detail: []mint.Field{{Name: "reason", Value: string(e.Why)}}}
}

func (s *Server) enrolPerson(a personAct, _ *nothing) (any, error) {
	t, p := a.tenant, a.person
	if err := s.named(); err != nil {
		return nil, err
	}
	if a.limited {
		if p.Tenant != tenant.Operators || p.Role != tenant.Owner || p.Kind != tenant.Human {
			return nil, s.readsOnly()
		}
		if err := s.alarm(a.Context(), tenant.OwnerLinked, p, a.actor); err != nil {
			return nil, err
		}
	}
	if p.Kind == tenant.BreakGlass {
		if a.role != tenant.Owner {
			return nil, &adminapi.Error{Code: adminapi.CodeForbidden, Status: http.StatusForbidden, Description: "only an owner gives a break-glass principal a passkey", Hint: "ask an owner"}
		}
		s.log.ErrorContext(a.Context(), "a break-glass principal is given a link", "tenant", t.ID, "principal", p.Login, "actor", a.actor)
	}
	link, e, err := s.invite(context.WithoutCancel(a.Context()), a.actor, t, p)
	if err != nil {
		return nil, err
	}
	return showLink(t, link, e, p), nil
}

func showLink(t *tenant.Tenant, link secret.Text, e tenant.Enrolment, p tenant.Person) adminapi.Link {
	return adminapi.Link{Link: login.EnrolLink(t.Issuer, link), Expires: e.ExpiresAt, Reason: string(e.Why), Login: p.Login, Subject: p.ID}
}

// named refuses what can't work at an address: a browser binds a passkey to a name.
func (s *Server) named() error {
	if login.Nameable(s.host) {
		return nil
	}
	return &adminapi.Error{Code: adminapi.CodeConflict, Status: http.StatusConflict,
		Description: "the base URL " + s.config.Base + " is an IP address, and browsers bind passkeys to a name",
		Hint:        "start a new seawall under a name in another data directory: `seawall up --data DIR --listen localhost:8420`, or --base https://NAME"}
}

func (s *Server) recoverPerson(a personAct, q *adminapi.RecoverPerson) (any, error) {
	t, p := a.tenant, a.person
	ctx := context.WithoutCancel(a.Context())
	switch q.Step {
	case "request":
		return s.requestRecovery(ctx, a.actor, t, p)
	case "approve":
		if t.ID == tenant.Operators && a.actor == "person:"+p.ID {
			return nil, tenant.Refuse(tenant.ErrConflict, "another administrator has to approve it", "nobody approves their own recovery")
		}
		return s.approveRecovery(ctx, a.actor, t, p)
	case "stop":
		if err := s.vaults.record(ctx, &mint.Entry{Kind: mint.RecoveryStopped, Tenant: t.ID, Subject: p.ID, Actor: a.actor}); err != nil {
			return nil, err
		}
		if _, err := s.config.Store.CancelRecovery(ctx, t.ID, p.ID); err != nil {
			return nil, err
		}
		return &adminapi.Recovery{}, nil
	}
	return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: "a recovery is requested, approved or stopped"}
}

func (s *Server) requestRecovery(ctx context.Context, actor string, t *tenant.Tenant, p tenant.Person) (any, error) {
	keys, err := s.config.Store.Passkeys(ctx, t.ID, p.ID)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, tenant.Refuse(tenant.ErrConflict, "`seawall person enrol "+p.Login+" --tenant "+t.ID+"` gives them a link at once", "%s has no passkey to recover from", p.Login)
	}
	if old, err := s.config.Store.Recovery(ctx, t.ID, p.ID); err == nil {
		return nil, tenant.Refuse(tenant.ErrConflict, "approve it with --approve, or stop it with --stop", "a recovery of %s is under way, asked for by %s", p.Login, old.RequestedBy)
	}
	if err := s.vaults.record(ctx, &mint.Entry{Kind: mint.RecoveryRequested, Tenant: t.ID, Subject: p.ID, Actor: actor}); err != nil {
		return nil, err
	}
	r, err := s.config.Store.RequestRecovery(ctx, t.ID, p.ID, actor)
	return showRecovery(r), err
}

func (s *Server) approveRecovery(ctx context.Context, actor string, t *tenant.Tenant, p tenant.Person) (any, error) {
	r, err := s.config.Store.Recovery(ctx, t.ID, p.ID)
	if err != nil {
		return nil, err
	}
	voice, err := s.voice(ctx, actor)
	if err != nil {
		return nil, err
	}
	if r, err = r.Approve(voice, s.now()); err != nil {
		return nil, err
	}
	e := &mint.Entry{Kind: mint.RecoveryApproved, Tenant: t.ID, Subject: p.ID, Actor: actor, Detail: []mint.Field{{Name: "requested_by", Value: r.RequestedBy}}}
	if from := r.UsableFrom(); !from.IsZero() {
		e.Detail = append(e.Detail, mint.Field{Name: "usable_from", Value: from.UTC().Format(time.RFC3339)})
	}
	if err := s.vaults.record(ctx, e); err != nil {
		return nil, err
	}
	r, err = s.config.Store.ApproveRecovery(ctx, t.ID, p.ID, actor)
	return showRecovery(r), err
}

// voice is what an actor's word is worth in a recovery.
func (s *Server) voice(ctx context.Context, actor string) (tenant.Voice, error) {
	id, person := tenant.SpeakerID(actor)
	if !person {
		return tenant.Voice{Name: actor}, nil
	}
	p, err := s.config.Store.Person(ctx, tenant.Operators, id)
	if err != nil {
		return tenant.Voice{}, err
	}
	keys, err := s.config.Store.Passkeys(ctx, p.Tenant, p.ID)
	return tenant.VoiceOf(p, keys), err
}

func showRecovery(r tenant.Recovery) *adminapi.Recovery {
	return &adminapi.Recovery{RequestedBy: r.RequestedBy, Requested: r.RequestedAt, FirstBy: r.FirstBy, ApprovedBy: r.ApprovedBy, UsableFrom: r.UsableFrom()}
}

// listRecoveries lists the recoveries that wait for a second administrator.
func (s *Server) listRecoveries(a act) (any, error) {
	all, err := s.config.Store.WaitingRecoveries(a.Context())
	return items(all, func(w *tenant.WaitingRecovery) adminapi.WaitingRecovery {
		return adminapi.WaitingRecovery{Tenant: w.Tenant, Subject: w.Person, Login: w.Who.Login, Name: w.Who.Name, Role: string(w.Who.Role), Recovery: *showRecovery(w.Recovery)}
	}), err
}
