// Package storetest is the contract of a store as tests: what every implementation must do, durability and concurrency
// included. Call [Run] from a test of the implementation.
package storetest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// Store is all that the contract covers. It is put together from what the rooms above ask for.
type Store interface {
	Tenants
	APIs
	Clients
	SignInClients
	Policies
	People
	Completion
	Passkeys
	Sessions
	SingleUse
	Enrolments
	Recoveries
	Glass
	Alarms
	Codes
	Consents
	Families
	Endings
	Debts
	ConsumeAssertion(ctx context.Context, tenantID, client, jti string, until time.Time) (first bool, err error)
	Generation() uint64
	Wait(ctx context.Context, after uint64) (uint64, error)
	Close() error
}

// Tenants keeps tenants.
type Tenants interface {
	CreateTenant(ctx context.Context, actor string, t tenant.Tenant) (tenant.Tenant, error)
	Tenant(ctx context.Context, id string) (tenant.Tenant, error)
	Tenants(ctx context.Context) ([]tenant.Tenant, error)
	DisableTenant(ctx context.Context, actor, id string) (tenant.Tenant, error)
}

// APIs keeps the APIs of tenants.
type APIs interface {
	CreateAPI(ctx context.Context, actor string, a tenant.API) (tenant.API, error)
	APIs(ctx context.Context, tenantID string) ([]tenant.API, error)
	DisableAPI(ctx context.Context, actor, tenantID, id string) (tenant.API, error)
}

// Clients keeps the clients of tenants.
type Clients interface {
	CreateClient(ctx context.Context, actor string, c tenant.Client) (tenant.Client, error)
	Client(ctx context.Context, tenantID, id string) (tenant.Client, error)
	Clients(ctx context.Context, tenantID string) ([]tenant.Client, error)
	DisableClient(ctx context.Context, actor, tenantID, id string) (tenant.Client, error)
	RotateSecret(ctx context.Context, tenantID, id string, hash secret.Hash, overlap time.Duration) (tenant.Client, error)
}

// SignInClients keeps what clients have that people sign in to.
type SignInClients interface {
	SetRedirects(ctx context.Context, tenantID, id string, redirects, logouts []string) (tenant.Client, error)
	ClientTypes(ctx context.Context, tenantID string) ([]tenant.ClientType, error)
}

// Policies holds what the signer has to hear.
type Policies interface {
	PendingPolicies(ctx context.Context) ([]tenant.Policy, error)
	PolicyApplied(ctx context.Context, id string, version uint64) error
}

// Debts are what the ledger has yet to hear.
type Debts interface {
	Owed(ctx context.Context, after tenant.Owed) ([]tenant.Owed, error)
	Owing(ctx context.Context) (tenant.Owing, error)
	Paid(ctx context.Context, ids []string) error
}

// Open opens the store in a directory, making it if it is not there. A nil clock is the real one. Opening a directory
// again, after the first store was closed or its process died, finds everything that was acknowledged.
type Open func(t testing.TB, dir string, now func() time.Time) Store

// Run runs the contract. It must be called from a top-level test function and not be its second call there: some parts
// run that function again in a process that is killed.
func Run(t *testing.T, open Open) {
	if dir := os.Getenv(childDir); dir != "" {
		writeUntilKilled(t, open, dir)
		return
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"tenants", testTenants},
		{"names of tenants are never used again", testTenantNames},
		{"APIs", testAPIs},
		{"names of APIs are never used again", testAPINames},
		{"clients", testClients},
		{"clients that people sign in to", testSignInClients},
		{"names of clients are never used again", testClientNames},
		{"clients ask for what is registered", testClientRules},
		{"secrets rotate with an overlap", testRotation},
		{"rotation refuses", testRotationRefuses},
		{"policies wait in order", testPolicies},
		{"policies list clients that people sign in to", testClientPolicies},
		{"policies without gaps under concurrency", testPolicyRace},
		{"one tenant's queue does not hide another's", testPolicyQueues},
		{"an assertion is used once", testAssertions},
		{"one winner among 16", testAssertionRace},
		{"expired assertions are swept", testSweep},
		{"people", testPeople},
		{"the last owner stays", testLastOwner},
		{"roles", testRoles},
		{"alarms", testAlarms},
		{"passkeys", testPasskeys},
		{"tiers of passkeys", testTiers},
		{"a raised tier", testRaisedTier},
		{"a recovery leaves passkeys behind", testLeftBehind},
		{"an enrolment replaces a session", testReplacedByEnrolment},
		{"signing in", testSignIn},
		{"one assertion signs in once", testSignInRace},
		{"sessions", testSessions},
		{"ceremonies", testCeremonies},
		{"interactions", testInteractions},
		{"links", testEnrolment},
		{"recovery", testRecovery},
		{"nobody is two administrators", testVoices},
		{"breaking the glass", testBreakGlass},
		{"codes", testCodes},
		{"codes that are over", testCodesOver},
		{"codes end with what they came of", testCodesEnd},
		{"a code against what takes it back", testCodeAgainstWithdrawal},
		{"one winner redeems a code, and the losers learn what it gave", testCodeRace},
		{"consents", testConsents},
		{"families rotate", testFamilies},
		{"families are remembered", testRecentFamilies},
		{"a used token gives the same again", testReplay},
		{"families under suspicion", testSuspicions},
		{"one winner rotates a family", testFamilyRace},
		{"families end", testFamiliesEnd},
		{"families end with sessions", testSessionEnds},
		{"what codes gave without a family", testGiven},
		{"what a code gave that came twice", testGivenTwice},
		{"the last token of a family", testLastTokenOfAFamily},
		{"what began with a passkey ends with it", testBegunWithIt},
		{"what ends is owed to the ledger", testOwed},
		{"what is suspended is owed to the ledger", testOwedEntries},
		{"much that is owed comes in parts", testOwedMuch},
		{"a cloned passkey stops what came of it", testCameOfAClone},
		{"a raised tier stops what came of less", testCameOfLess},
		{"one winner creates a tenant", testCreateRace},
		{"one winner rotates", testRotateRace},
		{"a failing act leaves its neighbours alone", testNeighbours},
		{"values belong to the caller", testValues},
		{"generation", testGeneration},
		{"an act that was given up", testGivenUp},
		{"closed", testClosed},
		{"reopening finds everything", testReopen},
	} {
		t.Run(part.name, func(t *testing.T) {
			dir := t.TempDir()
			f := &fixture{t: t, dir: dir, open: open, clock: &clock{now: start}}
			f.Store = open(t, dir, f.clock.Now)
			t.Cleanup(func() { f.Close() })
			part.run(t, f)
		})
	}
	t.Run("kill -9 loses nothing that was acknowledged", func(t *testing.T) { testKill(t, open) })
}

var start = time.Date(2026, 11, 23, 2, 12, 0, 0, time.UTC)

// clock is a clock that tests turn.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a store with a few shorthands.
type fixture struct {
	Store
	t     *testing.T
	dir   string
	open  Open
	clock *clock
}

func (f *fixture) reopen() {
	f.t.Helper()
	if err := f.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.Store = f.open(f.t, f.dir, f.clock.Now)
}

const audience = "https://api.acme.example"

func newTenant(id string) tenant.Tenant {
	return tenant.Tenant{
		ID: id, Class: tenant.Production, Owner: "ops@acme.example", Contacts: []string{"a@acme.example", "b@acme.example"},
		Issuer: "https://id.example/" + id, Claims: []string{"dept"}, CreatedAt: start,
	}
}

func newAPI(tenantID, audience string) tenant.API {
	return tenant.API{
		Tenant: tenantID, Audience: audience, Scopes: []string{"read", "write"}, CreatedAt: start,
		SecretHash: secret.Generate(secret.APISecret, secret.Production).Hash(),
	}
}

func newHash() secret.Hash { return secret.Generate(secret.ClientSecret, secret.Production).Hash() }

func newClient(tenantID, id string) tenant.Client {
	return tenant.Client{
		ID: id, Tenant: tenantID, CreatedAt: start, APIs: []tenant.Access{{Audience: audience, Scopes: []string{"read"}}},
		Claims: map[string]string{"dept": "7"}, Secrets: []tenant.Secret{{Hash: newHash(), CreatedAt: start}},
	}
}

// newApplication is a client that people sign in to.
func newApplication(tenantID, id string) tenant.Client {
	c := newClient(tenantID, id)
	c.Type, c.RedirectURIs = tenant.Web, []string{"https://" + id + ".example/callback"}
	return c
}

func (f *fixture) mustTenant(id string) tenant.Tenant {
	f.t.Helper()
	kept, err := f.CreateTenant(f.t.Context(), "uid 7", newTenant(id))
	if err != nil {
		f.t.Fatal(err)
	}
	return kept
}

func (f *fixture) mustAPI(tenantID, audience string) tenant.API {
	f.t.Helper()
	kept, err := f.CreateAPI(f.t.Context(), "uid 7", newAPI(tenantID, audience))
	if err != nil {
		f.t.Fatal(err)
	}
	return kept
}

func (f *fixture) mustClient(tenantID, id string) tenant.Client {
	f.t.Helper()
	kept, err := f.CreateClient(f.t.Context(), "uid 7", newClient(tenantID, id))
	if err != nil {
		f.t.Fatal(err)
	}
	return kept
}

// mustApplication registers a client that people sign in to.
func (f *fixture) mustApplication(tenantID, id string) tenant.Client {
	f.t.Helper()
	return ok(f.CreateClient(f.t.Context(), "uid 7", newApplication(tenantID, id)))(f.t)
}

// wantReason checks that err is for the reason, for no narrower one, and says something to a person.
func wantReason(t *testing.T, err, reason error) {
	t.Helper()
	if !errors.Is(err, reason) {
		t.Errorf("got %v, want %v", err, reason)
		return
	}
	for _, narrower := range []error{tenant.ErrUsedBefore, tenant.ErrDisabled, tenant.ErrCounter, tenant.ErrCodeReused} {
		if narrower != reason && errors.Is(err, narrower) {
			t.Errorf("got %v, which is %v too", err, narrower)
		}
	}
	var refusal *tenant.Refusal
	if !errors.As(err, &refusal) || refusal.Error() == "" || refusal.Error() == reason.Error() {
		t.Errorf("%v tells a person nothing", err)
	}
}

func ok[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
