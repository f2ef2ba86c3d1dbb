package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/grant"
	"seawall/internal/keyring"
	"seawall/internal/mint"
	"seawall/internal/tenant"
)

// Registry reads what is registered. Values that it returns are not changed by anybody afterwards.
type Registry interface {
	// Tenant, Client return one, also a disabled one, or tenant.ErrNotFound.
	Tenant(ctx context.Context, id string) (tenant.Tenant, error)
	Client(ctx context.Context, tenantID, id string) (tenant.Client, error)
	// Tenants, APIs, Clients return all, in order.
	Tenants(ctx context.Context) ([]tenant.Tenant, error)
	APIs(ctx context.Context, tenantID string) ([]tenant.API, error)
	Clients(ctx context.Context, tenantID string) ([]tenant.Client, error)
	// Generation grows with every change of a tenant, an API, a client or a person, before the act that made the change is
	// answered. Who or what is new changes nothing that was there.
	Generation() uint64
}

// Assertions remembers client assertions: see [grant.Registry].
type Assertions interface {
	ConsumeAssertion(ctx context.Context, tenantID, clientID, jti string, until time.Time) (first bool, err error)
}

// ClientKinds tells what kinds of clients there are.
type ClientKinds interface {
	// ClientTypes returns the types of a tenant's live clients, each once.
	ClientTypes(ctx context.Context, tenantID string) ([]tenant.ClientType, error)
}

// How much is kept in memory at most. A client takes about 1 KB, a tenant about 10, a person less than
// half.
const (
	maxCachedTenants = 2048
	maxCachedClients = 16 << 10
	maxCachedPeople  = 16 << 10
	maxUnknown       = 1024
)

// Persons finds people.
type Persons interface {
	// Person returns somebody by subject, also who is disabled, or tenant.ErrNotFound.
	Person(ctx context.Context, tenantID, subject string) (tenant.Person, error)
}

// directory is what is registered, as far as it was asked for lately. An entry is trusted while the store's generation
// is what it was before the entry was read, so nothing older than the last act that was answered is ever taken for
// fresh.
type directory struct {
	registry   Registry
	kinds      ClientKinds
	assertions Assertions
	persons    Persons

	mu      sync.RWMutex
	tenants map[string]*entry
	unknown map[string]uint64 // names that lead nowhere, apart so that strangers can't push out those that do
	clients map[clientName]cachedClient
	people  map[personName]cachedPerson // who was there and enabled
}

type personName struct{ tenant, subject string }

type cachedPerson struct {
	tenant.Person
	generation uint64
}

type clientName struct{ tenant, client string }

type cachedClient struct {
	client     *grant.Client
	generation uint64
}

// entry is a tenant in memory.
type entry struct {
	generation uint64
	*resident
}

// resident is a tenant with what is made for it.
type resident struct {
	tenant   tenant.Tenant
	apis     []tenant.API
	clients  []tenant.ClientType // of which there are live ones
	keys     atomic.Pointer[keyPage]
	metadata atomic.Pointer[metadataPage]
	judges   judges
}

func newDirectory(r Registry, k ClientKinds, a Assertions, p Persons) *directory {
	return &directory{registry: r, kinds: k, assertions: a, persons: p, tenants: map[string]*entry{}, unknown: map[string]uint64{}, clients: map[clientName]cachedClient{},
		people: map[personName]cachedPerson{}}
}

// tenant returns a tenant by the name in a path, nil if there is none. Names are compared as they are: only the id as it
// was registered leads anywhere.
func (d *directory) tenant(ctx context.Context, id string) (*resident, error) {
	d.mu.RLock()
	e := d.tenants[id]
	missed, asked := d.unknown[id]
	d.mu.RUnlock()
	generation := d.registry.Generation()
	switch {
	case e != nil && e.generation == generation:
		return e.resident, nil
	case asked && missed == generation, !possibleID(id):
		return nil, nil
	}
	return d.loadTenant(ctx, id, generation)
}

// possibleID keeps what cannot be an id away from the store.
func possibleID(id string) bool {
	folded, err := tenant.ParseTenantID(id)
	return err == nil && folded == id
}

func (d *directory) loadTenant(ctx context.Context, id string, generation uint64) (*resident, error) {
	t, err := d.registry.Tenant(ctx, id)
	if errors.Is(err, tenant.ErrNotFound) {
		d.mu.Lock()
		defer d.mu.Unlock()
		makeRoom(d.unknown, id, maxUnknown)
		d.unknown[id] = generation
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &resident{tenant: t}
	if r.apis, err = d.registry.APIs(ctx, id); err != nil {
		return nil, err
	}
	if r.clients, err = d.kinds.ClientTypes(ctx, id); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	makeRoom(d.tenants, id, maxCachedTenants)
	d.tenants[id] = &entry{generation, r}
	return r, nil
}

// makeRoom forgets some entry of a full map. Which one does not matter: it is read again when it is needed.
func makeRoom[K comparable, V any](m map[K]V, adding K, most int) {
	if _, there := m[adding]; there || len(m) < most {
		return
	}
	for k := range m {
		delete(m, k)
		return
	}
}

// Cached is for [grant.Registry].
func (d *directory) Cached(tenantID, clientID string) (c *grant.Client, fresh bool) {
	d.mu.RLock()
	e := d.clients[clientName{tenantID, clientID}]
	d.mu.RUnlock()
	return e.client, e.generation == d.registry.Generation()
}

// Client is for [grant.Registry]: it reads the store, and remembers what is there.
func (d *directory) Client(ctx context.Context, tenantID, clientID string) (*grant.Client, error) {
	generation := d.registry.Generation()
	r, err := d.tenant(ctx, tenantID)
	if err != nil || r == nil {
		return nil, err
	}
	c, err := d.registry.Client(ctx, tenantID, clientID)
	if errors.Is(err, tenant.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known := grant.NewClient(&r.tenant, &c, r.apis)
	d.mu.Lock()
	defer d.mu.Unlock()
	name := clientName{tenantID, clientID}
	makeRoom(d.clients, name, maxCachedClients)
	d.clients[name] = cachedClient{known, generation}
	return known, nil
}

// ConsumeAssertion is for [grant.Registry].
func (d *directory) ConsumeAssertion(ctx context.Context, tenantID, clientID, jti string, until time.Time) (bool, error) {
	return d.assertions.ConsumeAssertion(ctx, tenantID, clientID, jti, until)
}

// clientLive reports whether a client is there and enabled, and its tenant too.
func (d *directory) clientLive(ctx context.Context, tenantID, clientID string) (bool, error) {
	c, fresh := d.Cached(tenantID, clientID)
	if c == nil || !fresh {
		var err error
		if c, err = d.Client(ctx, tenantID, clientID); err != nil || c == nil {
			return false, err
		}
	}
	return c.Live(), nil
}

// person returns somebody who is there and enabled, by subject; false: nobody is. Who is not is not remembered, so nobody who
// asks about others can push out those who are.
func (d *directory) person(ctx context.Context, tenantID, subject string) (p tenant.Person, live bool, err error) {
	name, generation := personName{tenantID, subject}, d.registry.Generation()
	d.mu.RLock()
	had, known := d.people[name]
	d.mu.RUnlock()
	if known && had.generation == generation {
		return had.Person, true, nil
	}
	p, err = d.persons.Person(ctx, tenantID, subject)
	if errors.Is(err, tenant.ErrNotFound) {
		err = nil
	}
	if err != nil || p.ID != subject || !p.Live() {
		return tenant.Person{}, false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	makeRoom(d.people, name, maxCachedPeople)
	d.people[name] = cachedPerson{p, generation}
	return p, true, nil
}

// api returns the API with an id, or nil.
func (r *resident) api(id string) *tenant.API {
	i := slices.IndexFunc(r.apis, func(a tenant.API) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	return &r.apis[i]
}

// keyPage is a tenant's key document as of one second and one answer of the signer.
type keyPage struct {
	*page
	state     *keyState
	second    int64
	published []mint.Key
}

// keyDocument returns the tenant's key document at now, nil while its keys are not known. Which keys are published is
// decided anew every second, because it depends on the clock alone when nothing else happens; the document is rendered
// again only when the decision differs.
func (r *resident) keyDocument(state *keyState, now time.Time) (*page, error) {
	had := r.keys.Load()
	if had != nil && had.state == state && had.second == now.Unix() {
		return had.page, nil
	}
	published := keyring.Published(state.of(r.tenant.ID, r.tenant.Issuer), now)
	if len(published) == 0 {
		return nil, nil
	}
	next := &keyPage{state: state, second: now.Unix(), published: published}
	if had != nil && had.state == state && slices.EqualFunc(had.published, published, func(a, b mint.Key) bool { return a.KID == b.KID }) {
		next.page = had.page
	} else {
		var err error
		if next.page, err = renderKeys(published, state.ledger); err != nil {
			return nil, err
		}
	}
	if had != nil && had.page.etag == next.page.etag {
		next.page = had.page // the same bytes: whoever keeps something for a page need not make it again
	}
	r.keys.Store(next)
	return next.page, nil
}
