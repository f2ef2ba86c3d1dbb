package e2e

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/store"
	seawalltenant "seawall/internal/tenant"
	"seawall/internal/testenv"
	"seawall/validate/validatetest"
)

// How many refreshes are doubled. `make soak` does the full count.
const (
	fewDoubles  = 600
	manyDoubles = 10_000
	devices     = 48
)

func doubles() int {
	if os.Getenv("SEAWALL_SOAK") != "" {
		return manyDoubles
	}
	return fewDoubles
}

// grown is a world in which a person has signed in to two applications. The codes were made as the authorization endpoint
// makes them, in the database of a seawall that stood still.
type grown struct {
	*world
	s      *testenv.Seawall
	person string
	web    secret.Text // of the application with a credential
}

const (
	appCallback = "https://app.acme.example/cb"
	appVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// grow stops s, puts a person with codes for n devices into its database, and starts it again. Every other code is for the
// application in a browser, which has a key, and the rest for the one with a credential.
func grow(t *testing.T, s *testenv.Seawall, w *world, n int) (*grown, []string) {
	t.Helper()
	s.Stop()
	ctx := t.Context()
	db, err := store.Open(ctx, filepath.Join(s.Data, "house", "seawall.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	g := &grown{world: w, web: secret.Generate(secret.ClientSecret, secret.Production)}
	for _, c := range []seawalltenant.Client{{ID: "spa", Type: seawalltenant.SPA, DPoP: seawalltenant.DPoPRequired},
		{ID: "web", Type: seawalltenant.Web, Secrets: []seawalltenant.Secret{{Hash: g.web.Hash(), CreatedAt: now}}}} {
		c.Tenant, c.RedirectURIs, c.RatePerSecond, c.CreatedAt = w.Tenant, []string{appCallback}, 100_000, now
		c.APIs = []seawalltenant.Access{{Audience: w.audience, Scopes: oauth.Scope{"read"}}}
		_, err := db.CreateClient(ctx, "e2e", c)
		must(err)
	}
	p, err := db.CreatePerson(ctx, seawalltenant.Person{Tenant: w.Tenant, Login: "ada@acme.example", CreatedAt: now})
	must(err)
	k, err := db.AddPasskey(ctx, seawalltenant.Passkey{Tenant: w.Tenant, Person: p.ID, ID: []byte(p.ID), Key: []byte("key"), CreatedAt: now})
	must(err)
	session := seawalltenant.Session{ID: rand.Text(), Hash: secret.New(rand.Text()).Hash(), Tenant: w.Tenant, Person: p.ID, Passkey: k.ID, ACR: "phr", AMR: []string{"swk", "user"}, At: now, SeenAt: now}
	must(db.SignIn(ctx, session, k, secret.Hash{}))
	sum := sha256.Sum256([]byte(appVerifier))
	for _, client := range []string{"spa", "web"} {
		_, err := db.SaveConsent(ctx, seawalltenant.Consent{Tenant: w.Tenant, Person: p.ID, Client: client}.With(oauth.Scope{"openid", "read"}, []string{w.audience}))
		must(err)
	}
	var codes []string
	for i := range n {
		given := secret.Generate(secret.GrantCode, secret.Production)
		must(db.SaveCode(ctx, seawalltenant.Code{Hash: given.Hash(), Tenant: w.Tenant, Client: []string{"spa", "web"}[i%2], Person: p.ID, Session: session.ID, RedirectURI: appCallback,
			Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Nonce: "n", Scope: oauth.Scope{"openid", "read"}, Resources: []string{w.audience}, SignedInAt: now,
			ACR: session.ACR, AMR: session.AMR, IssuedAt: time.Now()}))
		codes = append(codes, given.Reveal())
	}
	must(db.Close())
	g.person, g.s = p.ID, testenv.Start(t, s.Options)
	return g, codes
}

// device is one installation of an application, with the refresh token that it has now.
type device struct {
	*grown
	client  string
	prover  *validatetest.Prover // nil: it has a credential instead
	nonce   atomic.Pointer[string]
	refresh string
	turns   int // tokens that it had after the first
}

func (g *grown) device(i int) *device {
	d := &device{grown: g, client: []string{"spa", "web"}[i%2]}
	if d.client == "spa" {
		d.prover = validatetest.NewProver("", nil)
	}
	none := ""
	d.nonce.Store(&none)
	return d
}

// appAnswer is what an application hears from the token endpoint.
type appAnswer struct {
	Refresh     string `json:"refresh_token"`
	ID          string `json:"id_token"`
	Access      string `json:"access_token"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// errLost is a request of which the application heard nothing.
var errLost = errors.New("no answer")

// ask sends a form to the token endpoint, with a proof or the credential, once more if the house wants another nonce.
// Whatever keeps the answer away is errLost.
func (d *device) ask(ctx context.Context, form url.Values) (a appAnswer, err error) {
	form.Set("client_id", d.client)
	for {
		req, err := http.NewRequestWithContext(ctx, "POST", d.TokenEndpoint, strings.NewReader(form.Encode()))
		if err != nil {
			return a, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if d.prover == nil {
			req.SetBasicAuth(d.client, d.web.Reveal())
		} else {
			req.Header.Set("DPoP", d.prover.Proof("", "POST", d.TokenEndpoint, validatetest.Claims{"ath": nil, "nonce": *d.nonce.Load()}))
		}
		resp, err := d.http.Do(req)
		if err != nil {
			return a, errLost
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		a = appAnswer{}
		if err != nil || json.Unmarshal(body, &a) != nil || resp.StatusCode >= 500 {
			return a, errLost
		}
		if nonce := resp.Header.Get("DPoP-Nonce"); nonce != "" {
			d.nonce.Store(&nonce)
		}
		if a.Error != "use_dpop_nonce" {
			return a, nil
		}
	}
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// insist asks until something is heard.
func (d *device) insist(form url.Values) (appAnswer, error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		a, err := d.ask(context.Background(), form)
		if err == nil || time.Now().After(deadline) {
			return a, err
		}
	}
}

// twice sends the present token two times at once, loses some of the answers, and returns an error if what was heard is not
// one and the same successor. An application that heard nothing asks once more.
func (d *device) twice() error {
	var heard [2]appAnswer
	var errs [2]error
	var both sync.WaitGroup
	for i := range heard {
		both.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			switch mathrand.IntN(5) {
			case 0: // the network goes away at some time on the way
				time.AfterFunc(time.Duration(mathrand.Int64N(int64(12*time.Millisecond))), cancel)
			case 1: // the answer is lost as a whole
				_, _ = d.ask(ctx, refreshForm(d.refresh))
				errs[i] = errLost
				return
			}
			heard[i], errs[i] = d.ask(ctx, refreshForm(d.refresh))
		})
	}
	both.Wait()
	next := ""
	for i, a := range heard {
		switch {
		case errs[i] != nil:
			continue
		case a.Error != "":
			return fmt.Errorf("refused: %s: %s", a.Error, a.Description)
		case next != "" && a.Refresh != next:
			return errors.New("a fork: two successors of one token")
		}
		next = a.Refresh
	}
	if next == "" {
		a, err := d.insist(refreshForm(d.refresh))
		if err != nil || a.Error != "" {
			return fmt.Errorf("after everything was lost: %v, %s: %s", err, a.Error, a.Description)
		}
		next = a.Refresh
	}
	d.refresh, d.turns = next, d.turns+1
	return nil
}

// once refreshes as on a good day. Two doubled refreshes of one device never follow on one another, because that suspends.
func (d *device) once() error {
	a, err := d.ask(context.Background(), refreshForm(d.refresh))
	if err != nil || a.Error != "" || a.ID == "" {
		return fmt.Errorf("a single refresh: %v, %s: %s", err, a.Error, a.Description)
	}
	d.refresh, d.turns = a.Refresh, d.turns+1
	return nil
}

// TestLostAnswersCostNobodyAFamily doubles refreshes on many devices at once, loses answers at random and kills the house
// twice in between: no family forks, and none is suspended.
func TestLostAnswersCostNobodyAFamily(t *testing.T) {
	s := start(t)
	g, codes := grow(t, s, populate(t, s, "acme"), devices)
	g.http.Transport = &http.Transport{MaxIdleConnsPerHost: 4 * devices}
	all := make([]*device, devices)
	for i := range all {
		all[i] = g.device(i)
		a, err := all[i].insist(url.Values{"grant_type": {"authorization_code"}, "code": {codes[i]}, "redirect_uri": {appCallback}, "code_verifier": {appVerifier}})
		if err != nil || a.Refresh == "" {
			t.Fatalf("device %d: %v, %s: %s", i, err, a.Error, a.Description)
		}
		all[i].refresh = a.Refresh
	}
	total := doubles()
	var done atomic.Int64
	var calm sync.RWMutex // held for reading by single refreshes: they are not to be caught by a kill
	var running sync.WaitGroup
	begun := time.Now()
	for _, d := range all {
		running.Go(func() {
			for done.Add(1) <= int64(total) {
				if err := d.twice(); err != nil {
					t.Errorf("%s, turn %d: %v", d.client, d.turns, err)
					return
				}
				calm.RLock()
				err := d.once()
				calm.RUnlock()
				if err != nil {
					t.Errorf("%s, turn %d: %v", d.client, d.turns, err)
					return
				}
			}
		})
	}
	for i := range 2 {
		waitFor(t, func() bool { return done.Load() > int64(total*(i+1)/3) || t.Failed() })
		calm.Lock()
		if err := syscall.Kill(g.s.Child("house"), syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		g.tokenSoon(t)
		calm.Unlock()
	}
	running.Wait()
	t.Logf("%d doubled refreshes on %d devices in %v, with two kills", total, devices, time.Since(begun).Round(time.Millisecond))
	var seen struct {
		Access []struct {
			ID, Client, Why string
			Generation      uint64
		}
	}
	g.s.JSON(&seen, "access", "list", "ada@acme.example", "--tenant", "acme")
	generations, suspended := map[uint64]int{}, 0
	for _, a := range seen.Access {
		generations[a.Generation]++
		if a.Why != "" {
			suspended++
			t.Errorf("%s is suspended: %s", a.Client, a.Why)
		}
	}
	if len(seen.Access) != devices {
		t.Errorf("%d devices have access, of %d", len(seen.Access), devices)
	}
	for _, d := range all {
		if generations[uint64(d.turns+1)]--; generations[uint64(d.turns+1)] < 0 {
			t.Errorf("a device had %d tokens, and no family has as many", d.turns+1)
		}
	}
	for _, d := range all[:2] {
		if err := d.once(); err != nil {
			t.Error(err)
		}
	}
	if replays := len(search(t, g.s, "--kind", "refresh.replayed")); replays == 0 {
		t.Error("nothing was sent twice, so the test shows nothing")
	}
}
