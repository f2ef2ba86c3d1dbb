package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
	"seawall/validate"
)

// browser is where somebody is signed in, and what applications have of that.
type browser struct {
	*visitor
	session        tenant.Session
	bound, offline townTokens // with the scope offline_access and without
	bare           townTokens // of a client that can't refresh
}

// browser signs ada in, and in to three applications.
func (w *town) browser() *browser {
	w.t.Helper()
	b := &browser{visitor: w.visitor(w.ada, time.Now())}
	all, err := w.store.Sessions(w.t.Context(), "acme", w.ada.ID)
	b.session = must(w.t, all, err)[0]
	w.session = b.session
	give := func(client string, scope ...string) townTokens {
		return w.tokens(w.form("/acme/token", exchanging(client, w.code(client, append(oauth.Scope{"openid", "read"}, scope...))), nil))
	}
	b.bound, b.offline, b.bare = give("spa"), give("spa", oauth.ScopeOffline), give("bare")
	return b
}

func (b *browser) access() []string {
	return []string{b.bound.Access, b.offline.Access, b.bare.Access, b.bound.ID}
}

// TestWhatASessionGaveEndsWithIt ends browser sessions in each way and asks an API that follows the feed, introspection and the
// token endpoint what is left.
func TestWhatASessionGaveEndsWithIt(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	bare, err := w.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "bare", Type: "spa", Grants: []string{"authorization_code"}, DPoP: "offered", DPoPReason: "tests",
		APIs: []string{ordersAPI}, Scopes: []string{"read"}, RedirectURIs: []string{townCallback}, Lifetime: 3600})
	must(t, bare, err)
	from := []validate.Issuer{validate.SeawallIssuer(w.base+"/acme", w.api.Pin).WithFeed(validate.Feed{ID: w.api.APIID, Secret: validate.NewSecret(w.api.Secret), OnStale: validate.RefuseWhenStale()})}
	apis, err := validate.New(validate.Config{Audiences: []string{ordersAPI}, Issuers: from})
	must(t, apis, err)
	defer apis.Close()
	ids, err := validate.NewIDTokens("spa", validate.Config{Issuers: from})
	must(t, ids, err)
	defer ids.Close()
	if err := errors.Join(apis.Ready(ctx), ids.Ready(ctx)); err != nil {
		t.Fatal(err)
	}
	judged := func(b *browser) (codes []error) {
		for _, raw := range b.access() {
			_, err := apis.Token(ctx, raw)
			if raw == b.bound.ID {
				_, err = ids.Token(ctx, raw, validate.Login{Nonce: "n"})
			}
			codes = append(codes, err)
		}
		return codes
	}
	post := func(b *browser, path string, form url.Values) {
		t.Helper()
		if resp, body := b.post(path, form); resp.StatusCode != 303 {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	admin := func(session string) {
		t.Helper()
		if _, err := w.op.EndSessions(ctx, "acme", w.ada.ID, adminapi.EndSessions{Session: session}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name          string
		end           func(laptop, phone *browser)
		offline, here bool // whether offline access of the laptop, and everything of the phone, goes on
		reason        string
	}{
		{"the person signs out", func(laptop, _ *browser) { post(laptop, "/signout", url.Values{}) }, true, true, "user"},
		{"the person ends it from elsewhere", func(laptop, phone *browser) {
			post(phone, "/account/sessions/end", url.Values{"session": {laptop.session.ID}})
		}, false, true, "user"},
		{"the person ends all others", func(_, phone *browser) { post(phone, "/account/sessions/end-all", url.Values{}) }, false, true, "user"},
		{"an administrator ends it", func(laptop, _ *browser) { admin(laptop.session.ID) }, false, true, "admin"},
		{"an administrator ends all", func(*browser, *browser) { admin("") }, false, false, "admin"},
		{"the person is disabled", func(*browser, *browser) { // last
			if _, err := w.op.DisablePerson(ctx, "acme", w.ada.ID); err != nil {
				t.Fatal(err)
			}
		}, false, false, "admin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			laptop, phone := w.browser(), w.browser()
			for _, b := range []*browser{laptop, phone} {
				if err := errors.Join(judged(b)...); err != nil {
					t.Fatalf("a good token: %v", err)
				}
			}
			// A statement concerns what was issued up to its second, and the next case begins in another.
			defer w.eventually("another second", func() bool { return time.Now().Unix() > laptop.session.At.Unix()+1 })
			had, err := w.op.Distrusted(ctx, "acme")
			must(t, had, err)
			c.end(laptop, phone)
			for _, raw := range laptop.access()[:3] {
				if w.introspect(w.api, raw)["active"] != false {
					t.Error("introspection calls a token active")
				}
			}
			w.eventually("an API that follows the feed refuses it", func() bool {
				return !slices.ContainsFunc(judged(laptop), func(err error) bool { return !errors.Is(err, validate.CodeRevoked) })
			})
			w.eventually("another browser's tokens are what they should be", func() bool {
				return !slices.ContainsFunc(judged(phone), func(err error) bool { return (err == nil) != c.here })
			})
			w.form("/acme/token", refreshing("spa", laptop.bound.Refresh), nil).wants(t, "refreshing what was to last as long", 400, "invalid_grant", "not good")
			for what, r := range map[string]struct {
				refresh string
				lives   bool
			}{"offline": {laptop.offline.Refresh, c.offline}, "elsewhere": {phone.bound.Refresh, c.here}, "elsewhere, offline": {phone.offline.Refresh, c.here}} {
				if got := w.form("/acme/token", refreshing("spa", r.refresh), nil); (got.status == 200) != r.lives {
					t.Errorf("refreshing %s: %d", what, got.status)
				}
			}
			all, err := w.op.Distrusted(ctx, "acme")
			must(t, all, err)
			for _, d := range all[len(had):] {
				if d.Kind != "session" && d.Kind != "subject" || d.Reason != c.reason {
					t.Errorf("stated %+v", d)
				}
				if left := time.Until(d.Until); d.Kind == "session" && (left < 65*time.Minute || left > 75*time.Minute) { // the last token is one of an hour
					t.Errorf("of a session whose last token ends in an hour is stated %+v", d)
				}
			}
			if c.offline { // what goes on names the session that has ended, and is good
				w.eventually("the next second", func() bool { return time.Now().Unix() > all[len(all)-1].Time.Unix()+1 })
				next := w.tokens(w.form("/acme/token", refreshing("spa", laptop.offline.Refresh), nil))
				if _, err := apis.Token(ctx, next.Access); err != nil {
					t.Errorf("the next token of what goes on: %v", err)
				}
			}
		})
	}
}

// TestNothingGivenIsNothingStated: a session in which no application got anything ends without a word in the feed.
func TestNothingGivenIsNothingStated(t *testing.T) {
	w := newTown(t)
	if resp, body := w.visitor(w.ada, time.Now()).post("/signout", url.Values{}); resp.StatusCode != 303 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	all, err := w.op.Distrusted(t.Context(), "acme")
	must(t, all, err)
	owed, err := w.store.Owed(t.Context(), tenant.Owed{})
	if must(t, owed, err); len(all)+len(owed) != 0 {
		t.Errorf("stated %+v, owed %+v", all, owed)
	}
}

// TestWhatAPasskeyBeganEndsWithIt removes the passkey of a lost laptop, and asks what is left of what began with it and with another.
func TestWhatAPasskeyBeganEndsWithIt(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	bare, err := w.op.CreateClient(ctx, "acme", adminapi.CreateClient{ClientID: "bare", Type: "spa", Grants: []string{"authorization_code"}, DPoP: "offered", DPoPReason: "tests",
		APIs: []string{ordersAPI}, Scopes: []string{"read"}, RedirectURIs: []string{townCallback}, Lifetime: 3600})
	must(t, bare, err)
	laptop := w.browser()
	key := laptop.session.Passkey
	k, err := w.store.AddPasskey(ctx, tenant.Passkey{Tenant: "acme", Person: w.ada.ID, ID: []byte("other"), Key: []byte("key"), CreatedAt: time.Now()})
	must(t, k, err)
	phone := w.browser()
	if string(phone.session.Passkey) != "other" || string(key) == "other" {
		t.Fatalf("the laptop's passkey is %q, the phone's %q", key, phone.session.Passkey)
	}
	if resp, body := phone.post("/account/passkeys/remove", url.Values{"passkey": {base64.RawURLEncoding.EncodeToString(key)}}); resp.StatusCode != 303 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	for what, b := range map[string]*browser{"laptop": laptop, "phone": phone} {
		lives := b == phone
		for i, raw := range b.access()[:3] {
			if got := w.introspect(w.api, raw)["active"] == true; got != lives {
				t.Errorf("the %s's access token %d is active: %v", what, i, got)
			}
		}
		for i, refresh := range []string{b.bound.Refresh, b.offline.Refresh} {
			if got := w.form("/acme/token", refreshing("spa", refresh), nil); (got.status == 200) != lives {
				t.Errorf("the %s's refresh token %d: %d", what, i, got.status)
			}
		}
		if resp, _ := b.get("/account"); (resp.StatusCode == 200) != lives {
			t.Errorf("the %s's session: %d", what, resp.StatusCode)
		}
	}
	all, err := w.op.Distrusted(ctx, "acme")
	for _, d := range must(t, all, err) {
		if d.Kind != "session" || d.Value == phone.session.ID || d.Reason != "user" {
			t.Errorf("stated %+v", d)
		}
	}
}

// TestWhatWasTurnedOftenEndsWhole: a thief turns a family so often that it can't remember all its access tokens, to have one left when
// it is ended.
func TestWhatWasTurnedOftenEndsWhole(t *testing.T) {
	w := newTown(t)
	for _, c := range []struct {
		name string
		end  func(v *visitor, code string, last townTokens)
	}{
		{"by the person", func(v *visitor, _ string, _ townTokens) {
			if resp, body := v.post("/account/applications/end", url.Values{"client": {"spa"}}); resp.StatusCode != 303 {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
		}},
		{"by an administrator", func(*visitor, string, townTokens) {
			if _, err := w.op.ChangeAccess(t.Context(), "acme", w.ada.ID, adminapi.ChangeAccess{Step: "end", Client: "spa"}); err != nil {
				t.Fatal(err)
			}
		}},
		{"by the client", func(_ *visitor, _ string, last townTokens) {
			if r := w.form("/acme/revoke", url.Values{"client_id": {"spa"}, "token": {last.Refresh}}, nil); r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
		}},
		{"by its code, which comes again", func(_ *visitor, code string, _ townTokens) {
			w.form("/acme/token", exchanging("spa", code), nil).wants(t, "a code that comes again", 400, "invalid_grant", "used before")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := w.visitor(w.ada, time.Now())
			all, err := w.store.Sessions(t.Context(), "acme", w.ada.ID)
			w.session = must(t, all, err)[0]
			code := w.code("spa", oauth.Scope{"openid", "read", oauth.ScopeOffline})
			first := w.tokens(w.form("/acme/token", exchanging("spa", code), nil))
			last := first
			for range 17 {
				last = w.tokens(w.form("/acme/token", refreshing("spa", last.Refresh), nil))
			}
			if w.introspect(w.api, first.Access)["active"] != true {
				t.Fatal("a good token is inactive")
			}
			c.end(v, code, last)
			for what, raw := range map[string]string{"first": first.Access, "last": last.Access} {
				if w.introspect(w.api, raw)["active"] != false {
					t.Errorf("the %s access token lives", what)
				}
			}
			had, err := w.op.Distrusted(t.Context(), "acme")
			stated := len(must(t, had, err))
			c.end(v, code, last)
			if again, err := w.op.Distrusted(t.Context(), "acme"); len(must(t, again, err)) != stated {
				t.Errorf("ending it again states %d more", len(again)-stated)
			}
		})
	}
}

// slow is a ledger that takes its time, and a store that counts how often it is asked.
type slow struct {
	mu    sync.Mutex
	owed  []tenant.Owed
	asked int
	heard []string
}

func (s *slow) Owed(_ context.Context, after tenant.Owed) ([]tenant.Owed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after.ID != "" {
		return nil, nil
	}
	s.asked++
	return slices.Clone(s.owed), nil
}

func (s *slow) Paid(_ context.Context, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed = slices.DeleteFunc(s.owed, func(o tenant.Owed) bool { return slices.Contains(ids, o.ID) })
	return nil
}

// TestOnePaysForAll: those who wait while the ledger takes its time don't each begin anew, and none goes away before what it owed
// was heard.
func TestOnePaysForAll(t *testing.T) {
	s := &slow{}
	const everyone = 32
	var waiting atomic.Int64
	away := false
	d := &debts{store: s, log: slog.New(slog.DiscardHandler), now: time.Now, doubtful: map[string]bool{}, stuck: map[string]time.Time{},
		heard: func(context.Context, string, mint.EntryKind, time.Time) (map[string]bool, error) { return nil, nil },
		record: func(_ context.Context, entries ...*mint.Entry) error {
			for waiting.Load() < everyone { // the ledger takes its time
				time.Sleep(time.Millisecond)
			}
			if away {
				return mint.Refuse(mint.Unavailable, "away")
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, e := range entries {
				s.heard = append(s.heard, e.Detail[len(e.Detail)-1].Value)
			}
			return nil
		}}
	everybody := func(from int) (failed int64) {
		var all sync.WaitGroup
		var failures atomic.Int64
		waiting.Store(0)
		for i := range everyone {
			all.Go(func() {
				id := strconv.Itoa(from + i)
				s.mu.Lock()
				s.owed = append(s.owed, tenant.Owed{ID: id, Tenant: "acme", Kind: tenant.RefreshReplayed})
				s.mu.Unlock()
				waiting.Add(1)
				if d.round(t.Context()) != nil {
					failures.Add(1)
					return
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if !slices.Contains(s.heard, id) {
					t.Errorf("%s was told that it was heard, and was not", id)
				}
			})
		}
		all.Wait()
		return failures.Load()
	}
	if failed := everybody(0); failed != 0 || s.asked > 8 || len(s.heard) != everyone {
		t.Errorf("%d failed in %d rounds, %d were heard", failed, s.asked, len(s.heard))
	}
	away, s.asked = true, 0
	if failed := everybody(100); failed != everyone || s.asked > 8 {
		t.Errorf("without a ledger %d failed in %d rounds", failed, s.asked)
	}
}

// book keeps what is owed in memory, and gives out two at a time.
type book struct {
	mu   sync.Mutex
	owed []tenant.Owed // in order
}

func (b *book) owe(kind tenant.OwedKind, at time.Time) tenant.Owed {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := tenant.Owed{ID: fmt.Sprintf("%03d", len(b.owed)), Tenant: "acme", Kind: kind, Session: "s", At: at}
	b.owed = append(b.owed, o)
	return o
}

func (b *book) Owed(_ context.Context, after tenant.Owed) ([]tenant.Owed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := slices.IndexFunc(b.owed, func(o tenant.Owed) bool { return o.ID > after.ID })
	if from < 0 {
		return nil, nil
	}
	return slices.Clone(b.owed[from:min(from+2, len(b.owed))]), nil
}

func (b *book) Paid(_ context.Context, ids []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owed = slices.DeleteFunc(b.owed, func(o tenant.Owed) bool { return slices.Contains(ids, o.ID) })
	return nil
}

// newBook returns what pays the debts of a book to a ledger that takes everything.
func newBook() (*book, *debts) {
	b := new(book)
	return b, &debts{store: b, log: slog.New(slog.DiscardHandler), now: time.Now, doubtful: map[string]bool{}, stuck: map[string]time.Time{},
		record:   func(context.Context, ...*mint.Entry) error { return nil },
		distrust: func(context.Context, *tenant.Owed) error { return nil },
		heard: func(context.Context, string, mint.EntryKind, time.Time) (map[string]bool, error) {
			return nil, nil
		}}
}

// TestWhatIsRefusedHoldsUpNothing has more debts that the ledger does not take than one answer of the store has, before those that it
// takes. They are told once, and tried again less and less often.
func TestWhatIsRefusedHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := newBook()
		var told strings.Builder
		d.log = slog.New(slog.NewTextHandler(&told, nil))
		full, tries := true, 0
		d.distrust = func(_ context.Context, o *tenant.Owed) error {
			if full && o.ID < "005" {
				tries++
				return mint.Refuse(mint.StatedFull, "no room")
			}
			return nil
		}
		for range 5 {
			b.owe(tenant.DistrustSession, time.Now())
		}
		b.owe(tenant.DistrustPerson, time.Now())
		b.owe(tenant.CodeReused, time.Now())
		if err := d.round(t.Context()); err != nil || len(b.owed) != 5 || d.refused.Load() != 5 {
			t.Errorf("%d debts are left of which 5 are refused: %v", len(b.owed), err)
		}
		for range 3600 {
			time.Sleep(time.Second)
			if err := d.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if lines := strings.Count(told.String(), "\n"); lines != 5 || tries > 5*14 {
			t.Errorf("5 refused debts were told %d times and tried %d times in an hour", lines, tries)
		}
		full = false
		time.Sleep(2 * time.Hour)
		if err := d.round(t.Context()); err != nil || len(b.owed)+len(d.stuck)+len(d.doubtful)+int(d.refused.Load()) != 0 {
			t.Errorf("the ledger takes all, and %v are left, %v stuck, %v doubtful: %v", b.owed, d.stuck, d.doubtful, err)
		}
	})
}

// TestWhatMustNotBeBelievedComesFirst has the log's search fail, which entries need that may have been heard before a restart.
func TestWhatMustNotBeBelievedComesFirst(t *testing.T) {
	b, d := newBook()
	d.heard = func(context.Context, string, mint.EntryKind, time.Time) (map[string]bool, error) {
		return nil, context.DeadlineExceeded
	}
	b.owe(tenant.CodeReused, time.Now())
	b.owe(tenant.DistrustPerson, time.Now())
	if err := d.round(t.Context()); !errors.Is(err, context.DeadlineExceeded) || len(b.owed) != 1 || b.owed[0].Kind != tenant.CodeReused {
		t.Errorf("%v are left: %v", b.owed, err)
	}
}

// TestDebtsAreTold: whoever looks at how seawall is sees what the ledger has yet to hear, on the console, too; and nothing when
// there is nothing.
func TestDebtsAreTold(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	stolen := w.signIn("spa")
	owner := w.visitor(w.staff()[tenant.Owner], time.Now())
	told := func() *adminapi.Owing {
		t.Helper()
		status, err := w.op.Status(ctx)
		return must(t, status, err).Owed
	}
	overview := func() string { _, body := owner.get("/console"); return body }
	if o := told(); o != nil || strings.Contains(overview(), "yet to hear") {
		t.Errorf("nothing is owed, and it says %+v", o)
	}
	begun := time.Now()
	w.vaults.end()
	w.form("/acme/token", refreshing("web", stolen.Refresh), w.web).wants(t, "a thief, while the ledger is away", 400, "invalid_grant", "suspended")
	if n, err := w.store.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: w.ada.ID, Session: w.session.ID, Actor: "uid:0"}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	w.eventually("the house notices that the ledger is away", func() bool { return len(w.away()) > 1 })
	o := told()
	if o == nil || o.Statements != 1 || o.Entries != 1 || o.Refused != 0 || o.Since.Before(begun.Truncate(time.Millisecond)) || o.Since.After(time.Now()) ||
		!strings.Contains(o.Means, "APIs may go on believing") || !strings.Contains(o.Means, "the log lacks") || !strings.Contains(o.Do, "bring the ledger back") {
		t.Errorf("owed is %+v", o)
	}
	if body := overview(); !strings.Contains(body, "The ledger has yet to hear") || !strings.Contains(body, "Statements: 1 · entries: 1") || !strings.Contains(body, "bring the ledger back") {
		t.Errorf("the overview says\n%s", body)
	}
	w.vaults.begin()
	w.eventually("all is told", func() bool { return told() == nil })
	if strings.Contains(overview(), "yet to hear") {
		t.Error("the overview tells of debts that are paid")
	}
}

// forgetful is a store from which nothing that was paid can be removed.
type forgetful struct{ Debts }

var errForgetful = errors.New("the house dies here")

func (forgetful) Paid(context.Context, []string) error { return errForgetful }

// TestAnEndIsHeardOnce: a session ends and a family is suspended while the ledger is away, the house restarts, it says so, dies
// before it notes that, and is about to say it again: there is one statement, which counts from when the session ended, and one entry.
func TestAnEndIsHeardOnce(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	a, stolen := w.signIn("spa"), w.signIn("spa")
	w.vaults.end()
	w.form("/acme/token", refreshing("web", stolen.Refresh), w.web).wants(t, "a thief, while the ledger is away", 400, "invalid_grant", "suspended")
	if n, err := w.store.EndSessions(ctx, tenant.Ending{Tenant: "acme", Person: w.ada.ID, Session: w.session.ID, Actor: tenant.ActorPerson(w.ada.ID)}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	ended := time.Now()
	w.stop()
	o := w.vaults.options()
	again := newHouse(t, options{dir: w.dir, base: w.base, signer: o.signer, ledger: o.ledger, unready: true})
	again.debts.paying.Lock() // its own loop waits
	w.vaults.begin()
	again.waitReady()
	again.eventually("some time has passed", func() bool { return time.Since(ended) > fresh })
	dying := again.newDebts()
	dying.store = forgetful{again.store}
	for range 2 {
		if err := dying.round(ctx); !errors.Is(err, errForgetful) {
			t.Fatal(err)
		}
	}
	again.debts.paying.Unlock()
	again.eventually("the house has paid", func() bool {
		owed, err := again.store.Owed(ctx, tenant.Owed{})
		return len(must(t, owed, err)) == 0
	})
	all, err := again.op.Distrusted(ctx, "acme")
	if must(t, all, err); len(all) != 1 || all[0].Kind != string(mint.DistrustSession) || all[0].Value != w.session.ID || all[0].Before.Unix() > ended.Unix()+1 {
		t.Errorf("stated %+v", all)
	}
	page, err := again.op.Entries(ctx, adminapi.EntryQuery{Kind: string(mint.RefreshSuspended)})
	if must(t, page, err); len(page.Entries) != 1 || page.Entries[0].Detail["by"] != "web" || page.Entries[0].Client != "spa" || page.Entries[0].Subject != w.ada.ID {
		t.Errorf("the log has %+v", page.Entries)
	}
	if again.introspect(w.api, a.Access)["active"] != false {
		t.Error("its access token lives")
	}
}
