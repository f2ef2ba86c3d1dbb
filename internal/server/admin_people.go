package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"seawall/internal/login"
	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// People reads and changes people. Each method is one whole act.
type People interface {
	login.Store
	CreatePerson(ctx context.Context, p tenant.Person) (tenant.Person, error)
	People(ctx context.Context, tenantID string) ([]tenant.Person, error)
	DisablePerson(ctx context.Context, tenantID, id string) (tenant.Person, error)
	SetRole(ctx context.Context, tenantID, id string, role tenant.Role) (tenant.Person, error)
	WaysIn(ctx context.Context, t tenant.Tenant) (map[string]tenant.Ways, error)
	CompleteTenant(ctx context.Context, given tenant.Tenant) (tenant.Tenant, error)
}

// Links makes links and recoveries. Each method is one whole act.
type Links interface {
	IssueEnrolment(ctx context.Context, e tenant.Enrolment) (tenant.Enrolment, error)
	RequestRecovery(ctx context.Context, tenantID, person, by string) (tenant.Recovery, error)
}

// addPerson records a new person and keeps them. Called with acts held.
func (s *Server) addPerson(ctx context.Context, actor string, p tenant.Person) (tenant.Person, error) {
	p.CreatedAt = s.now()
	p, err := tenant.NewPerson(p)
	if err != nil {
		return p, err
	}
	if old, err := s.config.Store.Person(ctx, p.Tenant, p.Login); err == nil {
		return p, tenant.Refuse(tenant.ErrExists, "see `seawall person list --tenant "+p.Tenant+"`", "there is already a person %s in %s", old.Login, p.Tenant)
	} else if !errors.Is(err, tenant.ErrNotFound) {
		return p, err
	}
	e := &mint.Entry{Kind: mint.PersonCreated, Tenant: p.Tenant, Subject: p.ID, Actor: actor, Detail: []mint.Field{{Name: "kind", Value: string(p.Kind)}}}
	if p.Role != tenant.NoRole {
		e.Detail = append(e.Detail, mint.Field{Name: "role", Value: string(p.Role)})
	}
	if err := s.vaults.record(ctx, e); err != nil {
		return p, err
	}
	return s.config.Store.CreatePerson(ctx, p)
}

func (s *Server) createPerson(a act, q *adminapi.CreatePerson) (any, error) {
	t, err := s.liveTenant(a)
	if err != nil {
		return nil, err
	}
	p := tenant.Person{Tenant: t.ID, Login: q.Login, Name: q.Name, Role: tenant.Role(q.Role)}
	if err := a.admit("make", p); err != nil {
		return nil, err
	}
	if p, err = s.addPerson(context.WithoutCancel(a.Context()), a.actor, p); err != nil {
		return nil, err
	}
	return s.describePerson(a.Context(), p)
}

func showPerson(p *tenant.Person) adminapi.Person {
	return adminapi.Person{Subject: p.ID, Tenant: p.Tenant, Kind: string(p.Kind), Login: p.Login, Name: p.Name, Role: string(p.Role),
		Created: p.CreatedAt, Disabled: p.DisabledAt}
}

// describePerson shows a person with what they have.
func (s *Server) describePerson(ctx context.Context, p tenant.Person) (*adminapi.Person, error) {
	shown := showPerson(&p)
	t, err := s.config.Store.Tenant(ctx, p.Tenant)
	if err != nil {
		return nil, err
	}
	keys, err := s.config.Store.Passkeys(ctx, p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	shown.Passkeys = []adminapi.Passkey{}
	for _, k := range keys {
		shown.Passkeys = append(shown.Passkeys, adminapi.Passkey{Reference: k.Reference(), Name: k.Name, Synced: k.Synced(), Attested: k.Attested,
			Created: k.CreatedAt, Used: k.UsedAt, Suspended: k.SuspendedAt, SuspendedWhy: string(k.SuspendedWhy), Lesser: k.Live() && t.SignsIn(k) != nil})
	}
	sessions, err := s.config.Store.Sessions(ctx, p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	shown.Sessions = []adminapi.Session{}
	for _, n := range sessions {
		shown.Sessions = append(shown.Sessions, adminapi.Session{ID: n.ID, Device: n.Device, Place: n.Place, ACR: n.ACR, AMR: n.AMR, SignedIn: n.At, Seen: n.SeenAt})
	}
	r, err := s.config.Store.Recovery(ctx, p.Tenant, p.ID)
	if errors.Is(err, tenant.ErrNotFound) {
		return &shown, nil
	}
	shown.Recovery = showRecovery(r)
	return &shown, err
}

func showRecovery(r tenant.Recovery) *adminapi.Recovery {
	return &adminapi.Recovery{RequestedBy: r.RequestedBy, Requested: r.RequestedAt, FirstBy: r.FirstBy, ApprovedBy: r.ApprovedBy, UsableFrom: r.UsableFrom()}
}

func (s *Server) listPeople(a act) (any, error) {
	t, err := s.findTenant(a)
	if err != nil {
		return nil, err
	}
	all, ways, err := s.everybody(a.Context(), t)
	return items(all, func(p *tenant.Person) adminapi.Person {
		shown, w := showPerson(p), ways[p.ID]
		shown.WaysIn, shown.CodeUsed, shown.Proven = w.In(), w.CodeUsed, w.Proven
		return shown
	}), err
}

func (s *Server) showPerson(a act) (any, error) {
	_, p, err := s.findPerson(a)
	if err != nil {
		return nil, err
	}
	return s.describePerson(a.Context(), p)
}

func (s *Server) disablePerson(a personAct, _ *nothing) (any, error) {
	t, p := a.tenant, a.person
	if p.Live() {
		people, ways, err := s.everybody(a.Context(), *t)
		if err != nil {
			return nil, err
		}
		if err := tenant.MayLeave(p, people, ways); err != nil {
			return nil, err
		}
		ctx, err := s.begin(a.act, false, &mint.Entry{Kind: mint.PersonDisabled, Tenant: t.ID, Subject: p.ID})
		if err != nil {
			return nil, err
		}
		if p, err = s.config.Store.DisablePerson(ctx, t.ID, p.ID); err != nil {
			return nil, err
		}
		s.settle(ctx)
	}
	return s.describePerson(a.Context(), p)
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

// everybody returns a tenant's people, and the ways in that each has.
func (s *Server) everybody(ctx context.Context, t tenant.Tenant) ([]tenant.Person, map[string]tenant.Ways, error) {
	people, err := s.config.Store.People(ctx, t.ID)
	if err != nil {
		return nil, nil, err
	}
	ways, err := s.config.Store.WaysIn(ctx, t)
	return people, ways, err
}

func showFindings(found []tenant.Finding) []adminapi.Finding {
	list := []adminapi.Finding{}
	for _, f := range found {
		list = append(list, adminapi.Finding{ID: f.ID, What: f.What, Hint: f.Hint})
	}
	return list
}

func (s *Server) completeTenant(a act, q *adminapi.CompleteTenant) (any, error) {
	t, err := s.liveTenant(a)
	if err != nil {
		return nil, err
	}
	given := tenant.Tenant{ID: t.ID, Owner: q.Owner, Contacts: q.Contacts, Passkeys: tenant.Tier(q.Passkeys), Models: q.Models}
	if given.Passkeys == tenant.Attested && s.config.Metadata == nil {
		return nil, tenant.Refuse(tenant.ErrConflict, "start seawall with --fido-metadata FILE first", "certified authenticators can't be told apart without the FIDO metadata")
	}
	e := &mint.Entry{Kind: mint.TenantCompleted, Tenant: t.ID, Issuer: t.Issuer}
	for _, d := range []mint.Field{{Name: "owner", Value: short(q.Owner)}, {Name: "contacts", Value: short(strings.Join(q.Contacts, " "))},
		{Name: "passkeys", Value: q.Passkeys}, {Name: "models", Value: short(strings.Join(q.Models, " "))}} {
		if d.Value != "" {
			e.Detail = append(e.Detail, d)
		}
	}
	after, err := t.Completed(given)
	if err != nil {
		return nil, err
	}
	findings, err := s.mayAsk(a.Context(), *t, after)
	if err != nil {
		return nil, err
	}
	if q.DryRun {
		return s.wouldBe(after, findings), nil
	}
	ctx, err := s.begin(a, false, e)
	if err != nil {
		return nil, err
	}
	if _, err := s.config.Store.CompleteTenant(ctx, given); err != nil {
		return nil, err
	}
	return s.tenantNow(ctx, t.ID, "")
}

// mayAsk says whether a tenant may be as after says, and what it would lack then. The store has the last word.
func (s *Server) mayAsk(ctx context.Context, before, after tenant.Tenant) ([]adminapi.Finding, error) {
	people, had, err := s.everybody(ctx, before)
	if err != nil {
		return nil, err
	}
	have, err := s.config.Store.WaysIn(ctx, after)
	if err != nil {
		return nil, err
	}
	if err := tenant.MayAsk(people, had, have); err != nil {
		return nil, err
	}
	return showFindings(after.Findings(people, have)), nil
}

// wouldBe shows a tenant as it would be.
func (s *Server) wouldBe(t tenant.Tenant, findings []adminapi.Finding) *adminapi.Tenant {
	shown := showTenant(&t)
	shown.Findings = findings
	return &shown
}
