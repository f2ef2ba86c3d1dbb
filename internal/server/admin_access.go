package server

import (
	"context"
	"net/http"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// listAccess tells what applications have of a person.
func (s *Server) listAccess(a act) (any, error) {
	t, p, err := s.findPerson(a)
	if err != nil {
		return nil, err
	}
	return s.accesses(a.Context(), t, p)
}

func (s *Server) accesses(ctx context.Context, t *tenant.Tenant, p tenant.Person) (*adminapi.Accesses, error) {
	families, err := s.config.Store.Families(ctx, t.ID, p.ID)
	if err != nil {
		return nil, err
	}
	consents, err := s.config.Store.Consents(ctx, t.ID, p.ID)
	if err != nil {
		return nil, err
	}
	given, err := s.config.Store.Given(ctx, t.ID, p.ID)
	if err != nil {
		return nil, err
	}
	all := &adminapi.Accesses{Access: []adminapi.Access{}, Given: []adminapi.Given{}, Consents: []adminapi.Consent{}}
	for _, f := range families {
		c, err := s.config.Store.Client(ctx, t.ID, f.Client)
		if err != nil {
			return nil, err
		}
		all.Access = append(all.Access, adminapi.Access{ID: f.ID, Client: f.Client, Name: c.Name, Scopes: orNone(f.Scope), Resources: orNone(f.Resources), Session: f.Session,
			Offline: f.Offline, Bound: f.JKT != "", Generation: f.Generation, Created: f.CreatedAt, Used: f.UsedAt, Expires: f.ExpiresAt, Suspended: f.SuspendedAt, Why: string(f.Suspicion)})
	}
	for _, one := range given {
		c, err := s.config.Store.Client(ctx, t.ID, one.Client)
		if err != nil {
			return nil, err
		}
		all.Given = append(all.Given, adminapi.Given{Client: one.Client, Name: c.Name, Scopes: orNone(one.Scope), Resources: orNone(one.Resources), Session: one.Session,
			At: one.RedeemedAt, Expires: one.Gave.ExpiresAt})
	}
	for _, one := range consents {
		c, err := s.config.Store.Client(ctx, t.ID, one.Client)
		if err != nil {
			return nil, err
		}
		terms := map[string][]string{}
		for audience, scope := range one.Terms {
			terms[audience] = orNone(scope)
		}
		all.Consents = append(all.Consents, adminapi.Consent{Client: one.Client, Name: c.Name, Given: one.GivenAt, Terms: terms})
	}
	return all, nil
}

// orNone makes an empty list of none, which is what JSON should say.
func orNone(list []string) []string { return append([]string{}, list...) }

// changeAccess suspends, resumes or ends what applications have of a person. Each is written down and then done.
func (s *Server) changeAccess(a personAct, q *adminapi.ChangeAccess) (_ any, err error) {
	if q.ID != "" {
		if q.ID, err = tenant.ParseFamilyID(q.ID); err != nil {
			return nil, err
		}
	}
	switch {
	case q.Step == "end" && q.ID == "":
		err = s.withdraw(a, q.Client)
	case q.ID != "" && q.Client == "":
		err = s.changeFamily(a, q)
	default:
		err = errAccessStep
	}
	if err != nil {
		return nil, err
	}
	return s.accesses(a.Context(), a.tenant, a.person)
}

var errAccessStep = &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: "this can't be done to what applications have",
	Hint: "suspend or resume one by its id; end one by its id, all of a client, or everything"}

const byAdministrator = "by an administrator"

// changeFamily does one step with one family.
func (s *Server) changeFamily(a personAct, q *adminapi.ChangeAccess) error {
	t, p := a.tenant, a.person
	f, err := s.config.Store.Family(a.Context(), t.ID, q.ID)
	if err != nil {
		return err
	}
	if f.Person != p.ID || f.Over(s.now()) && q.Step != "end" {
		return tenant.Refuse(tenant.ErrNotFound, "see `seawall access list "+p.Login+" --tenant "+t.ID+"`", "no application has an access %s of %s", q.ID, p.Login)
	}
	entry := func(kind mint.EntryKind, reason string) *mint.Entry {
		return grantEntry(kind, t.ID, p.ID, f.Client, "", map[string]string{"family": f.ID, "reason": reason})
	}
	switch {
	case q.Step == "end":
		return s.endFamily(a.Context(), f, a.actor, byAdministrator)
	case q.Step == "suspend" && f.SuspendedAt.IsZero():
		ctx, err := s.begin(a.act, false, entry(mint.RefreshSuspended, string(tenant.SuspendedByHand)))
		if err == nil {
			_, _, err = s.config.Store.SuspendFamily(ctx, t.ID, p.ID, f.ID, tenant.SuspendedByHand)
		}
		return err
	case q.Step == "resume" && !f.SuspendedAt.IsZero():
		keys, err := s.config.Store.Passkeys(a.Context(), t.ID, p.ID)
		if err != nil {
			return err
		}
		if err := f.MayResume(*t, keys); err != nil {
			return err
		}
		ctx, err := s.begin(a.act, false, entry(mint.RefreshResumed, string(f.Suspicion)))
		if err == nil {
			_, _, err = s.config.Store.ResumeFamily(ctx, t.ID, p.ID, f.ID)
		}
		return err
	case q.Step == "suspend" || q.Step == "resume":
		return nil // it is so already
	}
	return errAccessStep
}

// withdraw takes back what a person has allowed a client, or everybody when there is no client, ends all that it made of that and
// has its access tokens distrusted.
func (s *Server) withdraw(a personAct, client string) error {
	t, p := a.tenant, a.person
	has, err := s.accesses(a.Context(), t, p)
	if err != nil {
		return err
	}
	clients := map[string]bool{}
	for _, one := range has.Access {
		clients[one.Client] = clients[one.Client] || client == "" || client == one.Client
	}
	for _, one := range has.Given {
		clients[one.Client] = clients[one.Client] || client == "" || client == one.Client
	}
	for _, one := range has.Consents {
		clients[one.Client] = clients[one.Client] || client == "" || client == one.Client
	}
	for name, meant := range clients {
		if !meant {
			continue
		}
		ctx, err := s.begin(a.act, false, grantEntry(mint.ConsentWithdrawn, t.ID, p.ID, name, "", map[string]string{"reason": byAdministrator}))
		if err != nil {
			return err
		}
		if _, err := s.config.Store.WithdrawConsent(ctx, t.ID, p.ID, name, a.actor); err != nil {
			return err
		}
	}
	return s.debts.round(context.WithoutCancel(a.Context()))
}
