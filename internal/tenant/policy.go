package tenant

import (
	"slices"
	"strings"
	"time"

	"seawall/internal/oauth"
)

// Policy is what the signer must know of a tenant, as it was when it changed. A tenant's policies are numbered 1, 2,
// 3 … without gaps, and reach the signer in that order. The JSON form is what waits in the store.
type Policy struct {
	Tenant       string        `json:"tenant"`
	Version      uint64        `json:"version"`
	Actor        string        `json:"actor"` // who made the change
	Issuer       string        `json:"issuer"`
	Class        Class         `json:"class"`
	Algorithm    Algorithm     `json:"algorithm"`
	Claims       []string      `json:"claims,omitempty"`
	MaxLifetime  time.Duration `json:"max_lifetime"` // nanoseconds in JSON
	RotationDays int           `json:"rotation_days"`
	Disabled     bool          `json:"disabled,omitempty"`
	APIs         []PolicyAPI   `json:"apis,omitempty"`    // live ones, by audience
	Clients      []string      `json:"clients,omitempty"` // those that may get ID tokens, in order
}

// PolicyAPI is what the signer must know of an API.
type PolicyAPI struct {
	Audience    string        `json:"audience"`
	Scopes      oauth.Scope   `json:"scopes,omitempty"`
	MaxLifetime time.Duration `json:"max_lifetime,omitempty"` // nanoseconds in JSON; 0 is the tenant's
}

// Policy returns the tenant's present policy, given all its APIs and clients. Version is t.PolicyVersion.
func (t Tenant) Policy(actor string, apis []API, clients []Client) Policy {
	p := Policy{
		Tenant: t.ID, Version: t.PolicyVersion, Actor: actor, Issuer: t.Issuer, Class: t.Class, Algorithm: t.Algorithm,
		Claims: t.Claims, MaxLifetime: t.MaxLifetime, RotationDays: t.RotationDays, Disabled: !t.Live(),
	}
	for _, a := range apis {
		if a.Tenant == t.ID && a.Live() {
			p.APIs = append(p.APIs, PolicyAPI{a.Audience, a.Scopes, a.MaxLifetime})
		}
	}
	slices.SortFunc(p.APIs, func(a, b PolicyAPI) int { return strings.Compare(a.Audience, b.Audience) })
	for _, c := range clients {
		if c.Tenant == t.ID && c.MayGetIDTokens() {
			p.Clients = append(p.Clients, c.ID)
		}
	}
	slices.Sort(p.Clients)
	return p
}
