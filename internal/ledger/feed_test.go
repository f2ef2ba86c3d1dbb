package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
)

func (p *peer) state(q mint.StateQuery) (*mint.Distrust, error) {
	a := new(mint.Stated)
	err := p.askJSON(mint.MsgState, q, a)
	return &a.Statement, err
}

func (p *peer) mustState(q mint.StateQuery) *mint.Distrust {
	p.t.Helper()
	d, err := p.state(q)
	if err != nil {
		p.t.Fatalf("stating %s %s: %v", q.Act, q.Kind, err)
	}
	return d
}

func (p *peer) feed(q mint.FeedQuery) *mint.Feed {
	p.t.Helper()
	f := new(mint.Feed)
	if err := p.askJSON(mint.MsgFeed, q, f); err != nil {
		p.t.Fatalf("feed: %v", err)
	}
	return f
}

// about is a question of the house about the issuer i.
func (i *issuer) about(kind mint.DistrustKind, value string) mint.StateQuery {
	return mint.StateQuery{Tenant: i.tenant, Issuer: i.url, Act: mint.ActDistrust, Kind: kind, Value: value, Reason: mint.ByAdmin, Actor: "uid:0"}
}

func (i *issuer) undo(n uint64) mint.StateQuery {
	return mint.StateQuery{Tenant: i.tenant, Issuer: i.url, Act: mint.ActRestore, Undoes: n, Reason: mint.Mistake, Actor: "uid:0"}
}

// because gives a step the reason that its statement needs.
func because(r mint.KeyRecord, reason mint.Reason) mint.KeyRecord {
	r.Reason = string(reason)
	return r
}

// house is a rig with a signer's and a house's connection, and an issuer.
func withHouse(t testing.TB) (*rig, *peer, *peer, *issuer) {
	r, p, i := ready(t)
	house := r.dial(House)
	house.mustHello()
	return r, p, house, i
}

// follows checks that a whole feed is chained and signed, and that its head and snapshot speak of it.
func (r *rig) follows(house *peer, issuer string) []mint.Distrust {
	r.t.Helper()
	root := r.l.keys.public()
	whole := house.feed(mint.FeedQuery{Issuer: issuer})
	chain := hash{}
	for n, d := range whole.Statements {
		if d.N != uint64(n+1) || d.Prev != chain || d.Issuer != issuer || !d.Verify(root) {
			r.t.Fatalf("statement %d is %+v", n+1, d)
		}
		chain = d.Chain()
	}
	h := whole.Head
	if h.N != uint64(len(whole.Statements)) || h.Chain != chain || h.Issuer != issuer || h.Expires != h.Millis+mint.HeadLife || !h.Verify(root) {
		r.t.Fatalf("the head is %+v", h)
	}
	live := house.feed(mint.FeedQuery{Issuer: issuer, Live: true})
	s := mint.Snapshot{Issuer: issuer, N: live.Head.N, Chain: live.Head.Chain, Millis: live.Head.Millis, Expires: live.Head.Expires,
		Statements: live.Statements, Signature: live.Snapshot}
	if !s.Verify(root) {
		r.t.Fatalf("the snapshot does not verify: %+v", live)
	}
	return live.Statements
}

func numbersOf(list []mint.Distrust) (ns []uint64) {
	for _, d := range list {
		ns = append(ns, d.N)
	}
	return ns
}

// TestAFeed states every kind of thing, takes one back, and finds all of it in feed, log and search, through restarts.
func TestAFeed(t *testing.T) {
	r, p, house, i := withHouse(t)
	other := p.issuer("globex", r.clock.now())
	life := i.key.Expires - i.key.SigningEnds
	jti := mint.NewJTI()
	token := house.mustState(i.about(mint.DistrustToken, jti))
	now := int64(token.Millis / 1000)
	if token.N != 1 || token.Before != 0 || token.Until != now+60+life+overdue || token.Reason != mint.ByAdmin || token.Value != jti {
		t.Errorf("about a token: %+v at %d", token, now)
	}
	subject := house.mustState(i.about(mint.DistrustSubject, "ann"))
	if now := int64(subject.Millis / 1000); subject.Before != now+1 || subject.Until != now+1+life+overdue {
		t.Errorf("about a subject: %+v at %d", subject, now)
	}
	earlier := i.about(mint.DistrustClient, "ci")
	earlier.Before = now - 100
	if client := house.mustState(earlier); client.Before != now-100 || client.Until != now-100+life+overdue {
		t.Errorf("about a client: %+v", client)
	}
	house.mustState(i.about(mint.DistrustSession, "s-1"))
	for _, c := range []struct{ ends, until int64 }{{600, now + 600 + 60 + overdue}, {1 << 40, now + life + overdue}} { // as the house knows it, or as keys allow
		known := other.about(mint.DistrustSession, "s-2")
		known.Before, known.Ends = now, now+c.ends
		if d := house.mustState(known); d.Until != c.until {
			t.Errorf("of what ends at %d: %+v", c.ends, d)
		}
	}
	for _, ends := range []int64{now - 60 - overdue, -1 << 62} {
		over := other.about(mint.DistrustSession, "s-3")
		over.Ends = ends
		if _, err := house.state(over); !isRefusal(err, mint.StatedTime) {
			t.Errorf("of what ended at %d: %v", ends, err)
		}
	}
	if first := house.mustState(other.about(mint.DistrustSession, "s-1")); first.N != 3 {
		t.Errorf("another issuer's feed begins with %d", first.N)
	}
	back := house.mustState(i.undo(subject.N))
	if back.N != 5 || back.Act != mint.ActRestore || back.Kind != mint.DistrustSubject || back.Value != "ann" || back.Undoes != 2 || back.Until != subject.Until {
		t.Errorf("taken back: %+v", back)
	}
	if live := numbersOf(r.follows(house, i.url)); !slices.Equal(live, []uint64{1, 3, 4}) {
		t.Errorf("live are %v", live)
	}
	for name, f := range map[string]Filter{
		"token": {JTI: jti}, "subject": {Subject: "ann"}, "client": {Client: "ci", Kind: mint.DistrustStated}, "all": {Tenant: "acme", Kind: mint.DistrustStated},
	} {
		want := map[string]int{"token": 1, "subject": 2, "client": 1, "all": 5}[name]
		if found := find(t, r.dir, f); len(found) != want || found[0].Entry.Kind != mint.DistrustStated || found[0].Entry.Actor != "uid:0" || found[0].Entry.Issuer != i.url {
			t.Errorf("a search for the %s finds %+v", name, found)
		}
	}
	for _, saved := range []bool{true, false} {
		r.close()
		if !saved {
			removeFile(t, r.dir, stateFile)
		}
		r.open()
		house = r.dial(House)
		house.mustHello()
		if live := numbersOf(r.follows(house, i.url)); !slices.Equal(live, []uint64{1, 3, 4}) {
			t.Errorf("after a restart (saved %t) live are %v", saved, live)
		}
		if _, err := house.state(i.undo(2)); !isRefusal(err, mint.StatedOver) {
			t.Errorf("after a restart (saved %t) it can be taken back again: %v", saved, err)
		}
	}
	if more := house.mustState(i.about(mint.DistrustToken, mint.NewJTI())); more.N != 6 {
		t.Errorf("the feed goes on with %d", more.N)
	}
	r.close()
	if report, err := Verify(t.Context(), r.dir, VerifyOptions{}); err != nil || !report.Good() {
		t.Errorf("%v, %v", err, report.Findings)
	}
}

// TestStepsOfKeysAreStated: nobody needs to ask that a key is distrusted; its step says so, in the same batch.
func TestStepsOfKeysAreStated(t *testing.T) {
	r, p, house, i := withHouse(t)
	now := r.clock.now()
	spare := newKey(t, "acme", i.url, now)
	if _, err := p.steps(step(&spare, mint.KeyStaged)); err != nil {
		t.Fatal(err)
	}
	stolen := i.key
	before := r.l.Head().Size
	for _, reason := range []string{"", "asked for"} {
		k, s := stolen, spare
		suspend := step(&k, mint.KeySuspended)
		suspend.Reason = reason
		if _, err := p.steps(suspend, step(&s, mint.KeyActivated)); !isRefusal(err, mint.StatedReason) || r.l.Head().Size != before {
			t.Fatalf("for the reason %q: %v, %d entries", reason, err, r.l.Head().Size-before)
		}
	}
	recorded, err := p.steps(because(step(&stolen, mint.KeySuspended), mint.KeyCompromise), step(&spare, mint.KeyActivated))
	if err != nil || recorded.Statements[0] != "" || recorded.Statements[1] == "" {
		t.Fatalf("%+v, %v", recorded, err)
	}
	if r.l.Head().Size != before+3 {
		t.Errorf("%d entries, want two steps and what follows", r.l.Head().Size-before)
	}
	if e, err := mint.ReadEntry(nthEntry(t, r, before+2)); err != nil || e.Kind != mint.DistrustStated || e.KID != stolen.KID || e.Actor != "signer" {
		t.Errorf("behind the steps stands %+v, %v", e, err)
	}
	live := r.follows(house, i.url)
	if len(live) != 1 || live[0].Kind != mint.DistrustKey || live[0].Value != stolen.KID || live[0].Reason != mint.KeyCompromise || live[0].Until != stolen.Expires+overdue {
		t.Fatalf("live is %+v", live)
	}
	if _, got, err := p.tokens(r.l, i.token(now)); err != nil || got[0].Refusal == nil || got[0].Refusal.Code != mint.KeyNotActive {
		t.Errorf("a token under a suspended key: %v, %v", got, err)
	}
	next := issuer{tenant: i.tenant, url: i.url, key: spare}
	if _, got, err := p.tokens(r.l, next.token(now)); err != nil || got[0].Refusal != nil {
		t.Errorf("a token under the next key: %v, %v", got, err)
	}
	if _, err := house.state(i.undo(1)); !isRefusal(err, mint.StatedByKey) {
		t.Errorf("the house believes a key again: %v", err)
	}
	// Given back: it verifies, and never signs.
	if recorded, err = p.steps(because(step(&stolen, mint.KeyVerifyOnly), mint.Mistake)); err != nil || recorded.Statements[0] == "" {
		t.Fatalf("%+v, %v", recorded, err)
	}
	if live := r.follows(house, i.url); len(live) != 0 {
		t.Errorf("live is %+v", live)
	}
	if f := house.feed(mint.FeedQuery{Issuer: i.url, After: 1}); len(f.Statements) != 1 || f.Statements[0].Act != mint.ActRestore || f.Statements[0].Undoes != 1 {
		t.Errorf("the feed goes on with %+v", f.Statements)
	}
	// An ordinary end of a key says nothing in the feed, and a second distrust does not say it twice.
	suspended := because(step(&stolen, mint.KeySuspended), mint.KeyCompromise)
	if _, err = p.steps(suspended); err != nil {
		t.Fatal(err)
	}
	if _, err = p.steps(because(step(&stolen, mint.KeyRevoked), mint.KeyCompromise)); err != nil {
		t.Fatal(err)
	}
	if live := numbersOf(r.follows(house, i.url)); !slices.Equal(live, []uint64{3}) {
		t.Errorf("live are %v", live)
	}
	if _, err := p.steps(because(step(&stolen, mint.KeyVerifyOnly), mint.Mistake)); !isRefusal(err, mint.KeyTransition) {
		t.Errorf("a revoked key is given back: %v", err)
	}
	r.close()
	if report, err := Verify(t.Context(), r.dir, VerifyOptions{}); err != nil || !report.Good() {
		t.Errorf("%v, %v", err, report.Findings)
	}
}

// TestHostileStatements has a house in the wrong hands ask for what it may not state: each is refused with its own code,
// and nothing is recorded.
func TestHostileStatements(t *testing.T) {
	r, p, house, i := withHouse(t)
	other := p.issuer("globex", r.clock.now())
	stolen := i.key
	if _, err := p.steps(because(step(&stolen, mint.KeySuspended), mint.KeyCompromise)); err != nil {
		t.Fatal(err)
	}
	undone := house.mustState(i.about(mint.DistrustSubject, "ann"))
	house.mustState(i.undo(undone.N))
	foreign := house.mustState(other.about(mint.DistrustSubject, "bob"))
	for range 4 { // so that the number is one that the other feed has, and this one has not
		foreign = house.mustState(other.about(mint.DistrustSubject, "bob"))
	}
	now := r.clock.now().Unix()
	for name, c := range map[string]struct {
		change func(q *mint.StateQuery)
		want   mint.Code
	}{
		"an unknown tenant":         {func(q *mint.StateQuery) { q.Tenant = "nobody" }, mint.TenantUnknown},
		"another tenant's issuer":   {func(q *mint.StateQuery) { q.Issuer = other.url }, mint.IssuerMismatch},
		"no issuer":                 {func(q *mint.StateQuery) { q.Issuer = "" }, mint.IssuerMismatch},
		"a key":                     {func(q *mint.StateQuery) { q.Kind, q.Value = mint.DistrustKey, i.key.KID }, mint.StatedByKey},
		"a tenant":                  {func(q *mint.StateQuery) { q.Kind = "tenant" }, mint.StatedKind},
		"no kind":                   {func(q *mint.StateQuery) { q.Kind = "" }, mint.StatedKind},
		"no act":                    {func(q *mint.StateQuery) { q.Act = "" }, mint.StatedKind},
		"an act of its own":         {func(q *mint.StateQuery) { q.Act = "accuse" }, mint.StatedKind},
		"distrust that undoes":      {func(q *mint.StateQuery) { q.Undoes = undone.N }, mint.StatedKind},
		"no reason":                 {func(q *mint.StateQuery) { q.Reason = "" }, mint.StatedReason},
		"a reason of its own":       {func(q *mint.StateQuery) { q.Reason = "user-compromised" }, mint.StatedReason},
		"nobody asks":               {func(q *mint.StateQuery) { q.Actor = "" }, mint.EntryInvalid},
		"an actor with an escape":   {func(q *mint.StateQuery) { q.Actor = "uid:0\x1b[1A" }, mint.EntryInvalid},
		"no value":                  {func(q *mint.StateQuery) { q.Value = "" }, mint.StatedValue},
		"an endless value":          {func(q *mint.StateQuery) { q.Value = strings.Repeat("x", mint.MaxText+1) }, mint.StatedValue},
		"a value with a line end":   {func(q *mint.StateQuery) { q.Value = "ann\nbob" }, mint.StatedValue},
		"a value written backwards": {func(q *mint.StateQuery) { q.Value = "a\u202eb" }, mint.StatedValue},
		"a token as its own name": {func(q *mint.StateQuery) {
			q.Kind, q.Value = mint.DistrustToken, "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl"
		}, mint.StatedCredential},
		"a secret as a client":       {func(q *mint.StateQuery) { q.Kind, q.Value = mint.DistrustClient, "swc_prod_"+strings.Repeat("A", 39) }, mint.StatedCredential},
		"a time ahead":               {func(q *mint.StateQuery) { q.Before = now + 3600 }, mint.StatedTime},
		"a time before all":          {func(q *mint.StateQuery) { q.Before = -1 }, mint.StatedTime},
		"a time long ago":            {func(q *mint.StateQuery) { q.Before = now - 40*24*3600 }, mint.StatedTime},
		"a token before a time":      {func(q *mint.StateQuery) { q.Kind, q.Before = mint.DistrustToken, now }, mint.StatedTime},
		"undo of nothing":            {func(q *mint.StateQuery) { *q = i.undo(0) }, mint.StatedNever},
		"undo of what is not stated": {func(q *mint.StateQuery) { *q = i.undo(99) }, mint.StatedNever},
		"undo of another's":          {func(q *mint.StateQuery) { *q = i.undo(foreign.N) }, mint.StatedNever},
		"undo of a key":              {func(q *mint.StateQuery) { *q = i.undo(1) }, mint.StatedByKey},
		"undo of what is undone":     {func(q *mint.StateQuery) { *q = i.undo(undone.N) }, mint.StatedOver},
		"undo of an undoing":         {func(q *mint.StateQuery) { *q = i.undo(undone.N + 1) }, mint.StatedOver},
		"undo by a value":            {func(q *mint.StateQuery) { *q = i.undo(undone.N); q.Value = "ann" }, mint.StatedKind},
		"undo by another tenant":     {func(q *mint.StateQuery) { *q = i.undo(1); q.Tenant = "globex" }, mint.IssuerMismatch},
	} {
		before := r.l.Head().Size
		q := i.about(mint.DistrustSubject, "ann")
		c.change(&q)
		if _, err := house.state(q); !isRefusal(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if after := r.l.Head().Size; after != before {
			t.Errorf("%s: %d entries were recorded", name, after-before)
		}
	}
	before := r.l.Head().Size
	if _, err := p.state(i.about(mint.DistrustSubject, "ann")); !isRefusal(err, mint.EntryNotAllowed) {
		t.Errorf("the signer states something: %v", err)
	}
	d := mint.Distrust{Issuer: i.url, N: 4, Act: mint.ActDistrust, Kind: mint.DistrustSubject, Value: "ann", Until: now + 9, Reason: mint.ByAdmin, Signature: "x"}
	for name, w := range map[string]*peer{"house": house, "signer": p} {
		if _, err := w.entries(distrustEntry(&d, "acme", "uid:0")); !isRefusal(err, mint.EntryNotAllowed) {
			t.Errorf("the %s writes into a feed: %v", name, err)
		}
	}
	for name, q := range map[string]any{
		"no issuer": mint.FeedQuery{Issuer: "https://id.example/nobody"}, "a signer's": nil, "ahead": mint.FeedQuery{Issuer: i.url, After: 99},
	} {
		w, want := house, map[string]mint.Code{"no issuer": mint.TenantUnknown, "a signer's": mint.EntryNotAllowed, "ahead": mint.StateRolledBack}[name]
		if q == nil {
			w, q = p, mint.FeedQuery{Issuer: i.url}
		}
		if err := w.askJSON(mint.MsgFeed, q, new(mint.Feed)); !isRefusal(err, want) {
			t.Errorf("a feed of %s: %v", name, err)
		}
	}
	for _, typ := range []mint.MsgType{mint.MsgState, mint.MsgFeed, mint.MsgWatch, mint.MsgCount} {
		if err := house.askJSON(typ, map[string]int{"x": 1}, new(struct{})); !isRefusal(err, mint.Malformed) {
			t.Errorf("message %d, unreadable: %v", typ, err)
		}
	}
	if after := r.l.Head().Size; after != before {
		t.Errorf("%d entries were recorded", after-before)
	}
	if got := numbersOf(r.follows(house, i.url)); !slices.Equal(got, []uint64{1}) {
		t.Errorf("live are %v", got)
	}
}

// TestStatementsGoByTheClock: what is over can't be taken back, and is in no snapshot.
func TestStatementsGoByTheClock(t *testing.T) {
	r, _, house, i := withHouse(t)
	d := house.mustState(i.about(mint.DistrustToken, mint.NewJTI()))
	r.clock.set(time.Until(time.Unix(d.Until, 0)) - 2*time.Second)
	if live := r.follows(house, i.url); len(live) != 1 {
		t.Errorf("two seconds before its end live are %v", live)
	}
	r.clock.set(time.Until(time.Unix(d.Until, 0)) + time.Second)
	if live := r.follows(house, i.url); len(live) != 0 {
		t.Errorf("after its end live are %v", live)
	}
	if _, err := house.state(i.undo(1)); !isRefusal(err, mint.StatedOver) {
		t.Errorf("it is taken back after its end: %v", err)
	}
}

// TestPagesOfAFeed: long feeds come in pages, and who was away for too long is told so.
func TestPagesOfAFeed(t *testing.T) {
	r, _, house, i := withHouse(t)
	const many = 2*kept + pageStatements + 10
	for range many {
		house.mustState(i.about(mint.DistrustToken, mint.NewJTI()))
	}
	if f := house.feed(mint.FeedQuery{Issuer: i.url}); !f.Gap || len(f.Statements) != 0 || f.Head.N != many || f.Head.Signature != "" {
		t.Errorf("from the beginning: %+v", f)
	}
	if f := house.feed(mint.FeedQuery{Issuer: i.url, After: many - kept}); f.Gap || f.More || len(f.Statements) != kept || f.Statements[0].N != many-kept+1 {
		t.Errorf("from %d: %d statements, %+v", many-kept, len(f.Statements), f.Head)
	}
	if f := house.feed(mint.FeedQuery{Issuer: i.url, After: many}); f.Gap || len(f.Statements) != 0 || f.Head.N != many || f.Snapshot == "" {
		t.Errorf("from the end: %+v", f)
	}
	var live []mint.Distrust
	last := new(mint.Feed)
	for pages := 0; pages == 0 || last.More; pages++ {
		last = house.feed(mint.FeedQuery{Issuer: i.url, Live: true, After: uint64(len(live))})
		live = append(live, last.Statements...)
		if pages > 5 {
			t.Fatal("the pages do not end")
		}
	}
	h := last.Head
	s := mint.Snapshot{Issuer: i.url, N: h.N, Chain: h.Chain, Millis: h.Millis, Expires: h.Expires, Statements: live, Signature: last.Snapshot}
	if len(live) != many || !s.Verify(r.l.keys.public()) {
		t.Errorf("%d live statements, and the snapshot of them is not signed", len(live))
	}
	for range 200 { // the longest names there can be, which JSON makes six times as long
		house.mustState(i.about(mint.DistrustSubject, strings.Repeat("<", mint.MaxText)))
	}
	if f := house.feed(mint.FeedQuery{Issuer: i.url, After: many}); !f.More || len(f.Statements) < 100 {
		t.Errorf("of long names a page holds %d", len(f.Statements))
	}
}

// TestAFeedHoldsOnlySoMuch: a house that asks for ever more can't fill memories, and a full feed still lets go. However many tokens
// and sessions people end, there is room for what stands for many.
func TestAFeedHoldsOnlySoMuch(t *testing.T) {
	r, _, house, i := withHouse(t)
	first := house.mustState(i.about(mint.DistrustSubject, "ann"))
	fill := func(most int) {
		filled := make(chan struct{})
		r.l.queue.put(&job{alone: func() {
			f := r.l.state.Feeds[i.url]
			for len(f.Live) < most {
				d := *first
				d.N, d.Value = uint64(len(f.Live)+1), fmt.Sprint("user-", len(f.Live))
				f.Live = append(f.Live, d)
				f.N = d.N
			}
			r.l.state.Feeds[i.url] = f
			close(filled)
		}})
		<-filled
	}
	fill(mostLive - room - 1)
	house.mustState(i.about(mint.DistrustSession, "the last"))
	for _, kind := range []mint.DistrustKind{mint.DistrustSession, mint.DistrustToken} {
		if _, err := house.state(i.about(kind, "one more")); !isRefusal(err, mint.StatedFull) {
			t.Errorf("a %s, where there is room for what stands for many only: %v", kind, err)
		}
	}
	house.mustState(i.about(mint.DistrustSubject, "a thief"))
	house.mustState(i.about(mint.DistrustClient, "a stolen client"))
	fill(mostLive)
	if _, err := house.state(i.about(mint.DistrustSubject, "bob")); !isRefusal(err, mint.StatedFull) {
		t.Errorf("into a full feed: %v", err)
	}
	house.mustState(i.undo(7))
	house.mustState(i.about(mint.DistrustSubject, "bob"))
}

// TestOldStatementsAreForgotten keeps a feed's memory in step with what is live.
func TestOldStatementsAreForgotten(t *testing.T) {
	var f feed
	for n := range uint64(5000) {
		d := mint.Distrust{N: n + 1, Prev: f.Chain, Act: mint.ActDistrust, Kind: mint.DistrustToken, Value: "x", Until: int64(n + 100), Millis: n * 1000}
		var refusal *mint.Refusal
		if f, refusal = f.add(&d); refusal != nil {
			t.Fatal(refusal)
		}
		if len(f.Live) > 256 || len(f.Recent) > 2*kept {
			t.Fatalf("after %d statements of which 100 are live, %d and %d are remembered", n+1, len(f.Live), len(f.Recent))
		}
		for back := range uint64(99) {
			if back <= n && f.find(n+1-back) == nil {
				t.Fatalf("the live statement %d of %d is forgotten", n+1-back, n+1)
			}
		}
	}
}

// TestWatching: a house hears of a growing feed at once, whoever made it grow, and never waits in vain.
func TestWatching(t *testing.T) {
	r, p, house, i := withHouse(t)
	watch := r.dial(House)
	watch.mustHello()
	ask := func(since uint64) *mint.Watched {
		t.Helper()
		w := new(mint.Watched)
		if err := watch.askJSON(mint.MsgWatch, mint.WatchQuery{Since: since}, w); err != nil {
			t.Fatalf("watching: %v", err)
		}
		return w
	}
	w := ask(0)
	if !w.All {
		t.Fatalf("at first: %+v", w)
	}
	heard := make(chan *mint.Watched)
	go func() { heard <- ask(w.Next) }()
	house.mustState(i.about(mint.DistrustSubject, "ann"))
	if w = <-heard; w.All || !slices.Equal(w.Issuers, []string{i.url}) {
		t.Fatalf("after a statement: %+v", w)
	}
	go func() { heard <- ask(w.Next) }()
	k := i.key
	if _, err := p.steps(because(step(&k, mint.KeySuspended), mint.KeyCompromise)); err != nil {
		t.Fatal(err)
	}
	if w = <-heard; w.All || !slices.Equal(w.Issuers, []string{i.url}) {
		t.Fatalf("after the step of a key: %+v", w)
	}
	for range mostStrokes + 1 {
		r.l.bell.ring([]stroke{{w.Next + 1, "x"}})
	}
	if w := ask(w.Next - 1); !w.All {
		t.Errorf("after more than is remembered: %+v", w)
	}
	if w := ask(1 << 40); !w.All {
		t.Errorf("from ahead: %+v", w)
	}
	// A house that waits does not keep its ledger from ending.
	last := ask(1 << 40).Next
	if err := watch.w.Write(mint.MsgWatch, 99, func(b []byte) []byte { return fmt.Appendf(b, `{"since":%d}`, last) }); err != nil {
		t.Fatal(err)
	}
	r.close()
}

// TestAFullDiskStatesNothing: what could not be written was not stated, and the number is free again.
func TestAFullDiskStatesNothing(t *testing.T) {
	r := prepareRig(t)
	r.limits = limits{segment: 32 << 10, ahead: 512}
	d := newFaultDisk(1)
	r.disk = d
	r.create()
	r.open()
	p, house := r.dial(Signer), r.dial(House)
	p.mustHello()
	house.mustHello()
	i := p.issuer("acme", r.clock.now())
	room := func(n int64) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.room = 0; n > 0 {
			d.room = d.used() + n
		}
	}
	room(1)
	stated := uint64(0)
	var err error
	for range 100 {
		var s *mint.Distrust
		if s, err = house.state(i.about(mint.DistrustSubject, "ann")); err != nil {
			break
		}
		stated = s.N
	}
	if !isRefusal(err, mint.Unavailable) {
		t.Fatalf("the disk was never full: %v", err)
	}
	room(0)
	if s := house.mustState(i.about(mint.DistrustSubject, "ann")); s.N != stated+1 {
		t.Errorf("statement %d follows %d", s.N, stated)
	}
}

// TestCounting adds up what a statement would concern.
func TestCounting(t *testing.T) {
	r, p, house, i := withHouse(t)
	other := p.issuer("globex", r.clock.now())
	now := r.clock.now()
	var last int64
	for n := range 300 {
		u := i.token(now, func(tok *mint.Token) {
			tok.Subject, tok.ClientID = fmt.Sprint("user-", n%7), fmt.Sprint("client-", n%2)
			tok.Audience = []string{"https://a.example", "https://b.example"}[:1+n%2]
			tok.Expires += int64(n)
			if n%2 == 0 {
				last = max(last, tok.Expires)
			}
		})
		if _, got, err := p.tokens(r.l, u, other.token(now)); err != nil || got[0].Refusal != nil || got[1].Refusal != nil {
			t.Fatal(err, got)
		}
	}
	pages := 0
	count := func(kind mint.DistrustKind, value string, before int64) (sum mint.Counted, people map[string]bool) {
		t.Helper()
		sum = mint.Counted{Clients: map[string]uint64{}, APIs: map[string]uint64{}}
		people, pages = map[string]bool{}, 0
		for from := uint64(0); ; {
			page := new(mint.Counted)
			if err := house.askJSON(mint.MsgCount, mint.CountQuery{Tenant: "acme", Kind: kind, Value: value, Before: before, From: from}, page); err != nil {
				t.Fatal(err)
			}
			sum.Tokens, sum.Last = sum.Tokens+page.Tokens, max(sum.Last, page.Last)
			for name, n := range page.Clients {
				sum.Clients[name] += n
			}
			for name, n := range page.APIs {
				sum.APIs[name] += n
			}
			for _, name := range page.Subjects {
				people[name] = true
			}
			if pages++; page.Next == 0 {
				return sum, people
			}
			from = page.Next
		}
	}
	sum, people := count(mint.DistrustClient, "client-0", 0)
	if sum.Tokens != 150 || sum.Clients["client-0"] != 150 || len(sum.Clients) != 1 || sum.APIs["https://a.example"] != 150 || len(sum.APIs) != 1 || len(people) != 7 || sum.Last != last {
		t.Errorf("a client: %+v, %d subjects, last %d", sum, len(people), last)
	}
	if sum, people = count(mint.DistrustKey, i.key.KID, 0); sum.Tokens != 300 || len(sum.Clients) != 2 || sum.APIs["https://b.example"] != 150 || len(people) != 7 {
		t.Errorf("a key: %+v, %d subjects", sum, len(people))
	}
	if sum, people = count(mint.DistrustSubject, "user-3", 0); sum.Tokens != 43 || len(people) != 1 {
		t.Errorf("a subject: %+v, %d subjects", sum, len(people))
	}
	if sum, _ = count(mint.DistrustSubject, "user-3", now.Unix()); sum.Tokens != 0 {
		t.Errorf("a subject before now: %+v", sum)
	}
	if sum, _ = count(mint.DistrustSession, "s", 0); sum.Tokens != 0 {
		t.Errorf("a session, of which the log knows nothing: %+v", sum)
	}
	// A page that is full goes on in the next, entry by entry, and counts none twice. Quotes and angles grow in JSON.
	for range 3 {
		var list []mint.Unsigned
		for n := range 60 {
			list = append(list, i.token(now, func(tok *mint.Token) { tok.ClientID = strings.Repeat("<", 1000) + fmt.Sprint(n, mint.NewJTI()) }))
		}
		if _, got, err := p.tokens(r.l, list...); err != nil || got[59].Refusal != nil {
			t.Fatal(err, got)
		}
	}
	if sum, people = count(mint.DistrustKey, i.key.KID, 0); sum.Tokens != 480 || len(sum.Clients) != 182 || len(people) != 8 {
		t.Errorf("in several pages: %d tokens, %d clients, %d subjects", sum.Tokens, len(sum.Clients), len(people))
	}
	if pages < 2 {
		t.Error("all of it fits into one page")
	}
	r.clock.set(10 * time.Minute)
	if sum, _ = count(mint.DistrustKey, i.key.KID, 0); sum.Tokens != 0 {
		t.Errorf("tokens that have ended: %+v", sum)
	}
	if err := p.askJSON(mint.MsgCount, mint.CountQuery{Tenant: "acme", Kind: mint.DistrustKey, Value: "x"}, new(mint.Counted)); !isRefusal(err, mint.EntryNotAllowed) {
		t.Errorf("the signer counts: %v", err)
	}
	now = r.clock.now()
	// Of a session it counts both kinds; an ID token's audience is no API.
	p.forPeople(i, now)
	if _, got, err := p.tokens(r.l, i.personToken(now), i.idToken(now), i.personToken(now, func(tok *mint.Token) { tok.Session = "session-70" })); err != nil || got[1].Refusal != nil {
		t.Fatal(err, got)
	}
	if sum, people = count(mint.DistrustSession, "session-7", 0); sum.Tokens != 2 || sum.Clients["web"] != 2 || len(sum.APIs) != 1 || sum.APIs["https://api.example"] != 1 || len(people) != 1 {
		t.Errorf("a session: %+v, %d subjects", sum, len(people))
	}
	if sum, _ = count(mint.DistrustClient, "web", 0); sum.Tokens != 2 {
		t.Errorf("a client that people sign in to: %+v", sum)
	}
}

// FuzzStateQuery reads whatever a house sends: what the ledger is ready to state becomes an entry that it may record and
// that reads back as the same statement.
func FuzzStateQuery(f *testing.F) {
	f.Add([]byte(`{"tenant":"acme","issuer":"https://id.example/acme","act":"distrust","kind":"subject","value":"ann","reason":"admin","actor":"uid:0"}`))
	f.Add([]byte(`{"tenant":"acme","issuer":"https://id.example/acme","act":"distrust","kind":"session","value":"s","before":1790000000,"reason":"user","actor":"uid:0"}`))
	f.Add([]byte(`{"tenant":"acme","issuer":"https://id.example/acme","act":"restore","undoes":1,"reason":"mistake","actor":"uid:0"}`))
	const now = 1790000000
	s := newState()
	s.Policies["acme"] = policyAt{"https://id.example/acme", 1}
	s.lives["https://id.example/acme"] = 3600
	s.Feeds["https://id.example/acme"] = feed{N: 1, Live: []mint.Distrust{{N: 1, Issuer: "https://id.example/acme", Act: mint.ActDistrust, Kind: mint.DistrustToken,
		Value: "jti", Until: now + 9, Reason: mint.ByUser}}}
	l := &Ledger{state: s}
	f.Fuzz(func(t *testing.T, body []byte) {
		q := new(mint.StateQuery)
		if mint.ReadJSON(body, q) != nil {
			return
		}
		d, refusal := l.weigh(q, now)
		if refusal != nil {
			return
		}
		d.N, d.Signature = 2, "signature"
		e := distrustEntry(d, q.Tenant, q.Actor)
		if refusal := checkForeign(e, ByLedger); refusal != nil {
			t.Fatalf("it would be stated, and can't be recorded: %v", refusal)
		}
		if again, err := distrustOf(e); err != nil || *again != *d {
			t.Fatalf("%+v reads back as %+v, %v", d, again, err)
		}
		if d.Until <= now || d.Kind == mint.DistrustKey {
			t.Fatalf("stated is %+v", d)
		}
	})
}

// TestAStateWithoutFeedsIsMadeAnew: an older seawall that ran on this directory in between has passed over what it does not
// know, and its saved state must not make a feed begin again.
func TestAStateWithoutFeedsIsMadeAnew(t *testing.T) {
	r, _, house, i := withHouse(t)
	house.mustState(i.about(mint.DistrustSubject, "ann"))
	r.close()
	keys := loadedKeys(t, r.dir)
	plain, err := keys.sealer.read(r.dir, stateFile)
	if err != nil {
		t.Fatal(err)
	}
	var saved map[string]map[string]json.RawMessage
	if err := json.Unmarshal(plain, &saved); err != nil || saved["state"]["feeds"] == nil {
		t.Fatalf("the saved state has no feeds: %v", err)
	}
	delete(saved["state"], "feeds")
	if plain, err = json.Marshal(saved); err != nil {
		t.Fatal(err)
	}
	if err := keys.sealer.write(r.dir, stateFile, plain); err != nil {
		t.Fatal(err)
	}
	r.open()
	house = r.dial(House)
	house.mustHello()
	if live := numbersOf(r.follows(house, i.url)); !slices.Equal(live, []uint64{1}) {
		t.Errorf("live are %v", live)
	}
	if d := house.mustState(i.about(mint.DistrustSubject, "bob")); d.N != 2 {
		t.Errorf("the feed goes on with %d", d.N)
	}
}
