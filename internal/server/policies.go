package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"seawall/internal/mint"
	"seawall/internal/tenant"
)

// Outbox holds the policies that the signer has not confirmed. A policy gets there in the same act as the change that it
// follows from, so none is lost.
type Outbox interface {
	// PendingPolicies returns some, each tenant's in the order of their versions.
	PendingPolicies(ctx context.Context) ([]tenant.Policy, error)
	// PolicyApplied notes that the signer has a tenant's policies up to version.
	PolicyApplied(ctx context.Context, tenantID string, version uint64) error
}

// ask sends a control message to a vault and reads the answer.
type ask func(ctx context.Context, typ mint.MsgType, question, answer any) error

// policies carries policies from the outbox to the signer: at once after an act, and again with a growing pause for as
// long as something is left, also after a restart.
type policies struct {
	outbox Outbox
	signer ask
	log    *slog.Logger

	sending sync.Mutex // one round at a time: versions go in order
	mu      sync.Mutex
	stuck   map[string]error // by tenant: why the signer does not take its next policy
	wake    chan struct{}
}

func newPolicies(outbox Outbox, signer ask, log *slog.Logger) *policies {
	return &policies{outbox: outbox, signer: signer, log: log, stuck: map[string]error{}, wake: make(chan struct{}, 1)}
}

// deliver sends everything that is pending and returns what keeps the policies of one tenant from being applied, nil if
// all of them are.
func (p *policies) deliver(ctx context.Context, tenantID string) error {
	if err := p.round(ctx); err != nil {
		p.later()
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck[tenantID] != nil {
		p.later()
	}
	return p.stuck[tenantID]
}

// later has the loop try again.
func (p *policies) later() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// round sends what is pending, once. A tenant whose policy is refused keeps its later ones waiting and nobody else's.
func (p *policies) round(ctx context.Context) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	stuck := map[string]error{}
	for {
		pending, err := p.outbox.PendingPolicies(ctx)
		if err != nil {
			return err
		}
		sent, err := p.sendAll(ctx, pending, stuck)
		if err != nil {
			return err
		}
		if sent == 0 {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck = stuck
	return nil
}

// sendAll sends policies in order and returns how many were taken. Tenants whose policy was refused are noted in stuck.
func (p *policies) sendAll(ctx context.Context, pending []tenant.Policy, stuck map[string]error) (sent int, err error) {
	for i := range pending {
		id := pending[i].Tenant
		if stuck[id] != nil {
			continue
		}
		err := p.send(ctx, &pending[i])
		switch {
		case err == nil:
			sent++
		case isAway(err):
			return sent, err
		default:
			stuck[id] = err
			p.log.ErrorContext(ctx, "the signer does not take a policy", "tenant", id, "version", pending[i].Version, "cause", err)
		}
	}
	return sent, nil
}

func (p *policies) send(ctx context.Context, one *tenant.Policy) error {
	applied := new(mint.PolicyApplied)
	err := p.signer(ctx, mint.MsgPolicy, wire(one), applied)
	if err != nil {
		return err
	}
	if applied.Version != one.Version {
		return fmt.Errorf("the signer confirmed policy %d of tenant %s, and was sent %d", applied.Version, one.Tenant, one.Version)
	}
	return p.outbox.PolicyApplied(ctx, one.Tenant, one.Version)
}

// wire is a policy in the words of the counter.
func wire(p *tenant.Policy) mint.Policy {
	m := mint.Policy{
		Tenant: p.Tenant, Issuer: p.Issuer, Class: string(p.Class), Version: p.Version, Algorithm: string(p.Algorithm),
		Audiences: []mint.Audience{}, Claims: p.Claims, MaxLifetime: int64(p.MaxLifetime / time.Second),
		RotationDays: p.RotationDays, Disabled: p.Disabled, Actor: p.Actor, Clients: p.Clients,
	}
	for _, a := range p.APIs {
		m.Audiences = append(m.Audiences, mint.Audience{ID: a.Audience, Scopes: a.Scopes, MaxLifetime: int64(a.MaxLifetime / time.Second)})
	}
	return m
}

// carry keeps sending until ctx ends.
func (p *policies) carry(ctx context.Context) {
	const first, longest = 250 * time.Millisecond, 30 * time.Second
	pause := first
	for {
		err := p.round(ctx)
		if err != nil && !isAway(err) {
			p.log.ErrorContext(ctx, "policies wait for the signer", "cause", err)
		}
		wake, again := p.wake, (<-chan time.Time)(nil)
		if err != nil || p.waits() {
			wake, again = nil, time.After(pause)
			pause = min(2*pause, longest)
		} else {
			pause = first
		}
		select {
		case <-wake:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// waits reports whether a policy was refused.
func (p *policies) waits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.stuck) > 0
}
