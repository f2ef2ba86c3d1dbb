package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
)

// library is a closed ledger with known entries over three hours, in several segments.
func library(t *testing.T) (r *rig, start time.Time) {
	t.Helper()
	r = prepareRig(t)
	r.limits = limits{segment: 6 << 10, ahead: 4 << 10}
	r.create()
	r.open()
	p, house := r.dial(Signer), r.dial(House)
	p.mustHello()
	house.mustHello()
	start = time.Now().Truncate(time.Second)
	acme, globex := p.issuer("acme", start), p.issuer("globex", start)
	for hour := range 3 {
		r.clock.set(time.Duration(hour)*time.Hour + time.Minute)
		for n := range 8 {
			i := []*issuer{acme, globex}[n%2]
			u := i.token(r.clock.now(), func(tok *mint.Token) {
				tok.ClientID, tok.Subject = fmt.Sprint("client-", n), fmt.Sprint("subject-", n%3)
				tok.JTI = fmt.Sprintf("jti-%d-%d-0123456789", hour, n)
			})
			if _, got, err := p.tokens(r.l, u); err != nil || got[0].Refusal != nil {
				t.Fatalf("%v, %v", err, got)
			}
		}
		if _, err := house.entries(&mint.Entry{Kind: mint.AuthFailed, Tenant: "acme", Client: "client-2", Detail: []mint.Field{{Name: "reason", Value: "x"}}}); err != nil {
			t.Fatal(err)
		}
	}
	r.close()
	return r, start
}

func find(t *testing.T, dir string, f Filter) (list []mint.NumberedEntry) {
	t.Helper()
	last := -1
	err := Search(context.Background(), dir, f, nil, func(e mint.NumberedEntry) error {
		if int(e.Sequence) <= last {
			t.Errorf("entry %d after %d", e.Sequence, last)
		}
		last = int(e.Sequence)
		list = append(list, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestSearch(t *testing.T) {
	r, start := library(t)
	hour := func(n float64) time.Time { return start.Add(time.Duration(n * float64(time.Hour))) }
	kid := find(t, r.dir, Filter{Kind: mint.KeyStaged, Tenant: "globex"})[0].Entry.KID
	all := len(find(t, r.dir, Filter{}))
	for name, c := range map[string]struct {
		filter Filter
		want   int
	}{
		"everything":           {Filter{}, 2 + 2*3 + 3*8 + 3},
		"a client":             {Filter{Client: "client-2"}, 3 + 3},
		"a client's tokens":    {Filter{Client: "client-2", Kind: mint.TokenIssued}, 3},
		"a subject":            {Filter{Subject: "subject-1"}, 9},
		"a prefix is no match": {Filter{Subject: "subject-"}, 0},
		"a key":                {Filter{KID: kid}, 12 + 2},
		"a jti":                {Filter{JTI: "jti-1-3-0123456789"}, 1},
		"a tenant":             {Filter{Tenant: "globex"}, 12 + 3},
		"two at once":          {Filter{Tenant: "globex", Subject: "subject-1"}, 6},
		"another field's word": {Filter{Client: "subject-1"}, 0},
		"since the last hour":  {Filter{Since: hour(2)}, 9},
		"until the second":     {Filter{Until: hour(1), Kind: mint.TokenIssued}, 8},
		"the second hour":      {Filter{Since: hour(1), Until: hour(2)}, 9},
		"the future":           {Filter{Since: hour(9)}, 0},
		"the past":             {Filter{Until: hour(-9)}, 0},
		"nothing of it":        {Filter{JTI: "jti-9"}, 0},
	} {
		if got := find(t, r.dir, c.filter); len(got) != c.want {
			t.Errorf("%s: %d entries, want %d of %d", name, len(got), c.want, all)
		}
	}
}

// TestSearchBySession finds what happened to one session of a person, under whatever name the entry has for it.
func TestSearchBySession(t *testing.T) {
	r, p, house, i := withHouse(t)
	now := r.clock.now()
	p.forPeople(i, now)
	if _, got, err := p.tokens(r.l, i.personToken(now), i.idToken(now), i.personToken(now, func(tok *mint.Token) { tok.Session = "session-70" })); err != nil || got[0].Refusal != nil {
		t.Fatal(err, got)
	}
	in := func(kind mint.EntryKind, detail ...mint.Field) *mint.Entry {
		return &mint.Entry{Kind: kind, Tenant: "acme", Subject: "ada", Detail: detail}
	}
	if _, err := house.entries(
		in(mint.SignedIn, mint.Field{Name: "acr", Value: "phr"}, mint.Field{Name: "passkey", Value: "p"}, mint.Field{Name: "session", Value: "session-7"}),
		in(mint.PersonDisabled, mint.Field{Name: "reason", Value: "session-7"}),
		in(mint.SessionEnded, mint.Field{Name: "reason", Value: "x"}, mint.Field{Name: "session", Value: "session-7"}),
	); err != nil {
		t.Fatal(err)
	}
	house.mustState(i.about(mint.DistrustSession, "session-7"))
	house.mustState(i.about(mint.DistrustSubject, "session-7"))
	r.close()
	var kinds []string
	for _, e := range find(t, r.dir, Filter{Session: "session-7"}) {
		kinds = append(kinds, string(e.Entry.Kind)+e.Entry.TokenKind)
	}
	if got := strings.Join(kinds, " "); got != "token.issuedat+jwt token.issuedJWT person.signed-in session.ended distrust.stated" {
		t.Errorf("found %s", got)
	}
}

// TestSearchReadsOnlyWhatItMust: --since skips the segments before it.
func TestSearchReadsOnlyWhatItMust(t *testing.T) {
	r, start := library(t)
	d := readOnly{folder(filepath.Join(r.dir, LogDir))}
	firsts, err := segments(d)
	if err != nil {
		t.Fatal(err)
	}
	for since := range 4 {
		got, err := sinceSegment(d, firsts, start.Add(time.Duration(since)*time.Hour))
		if err != nil || len(got) == 0 || got[len(got)-1] != firsts[len(firsts)-1] {
			t.Fatalf("since %d: %v, %v", since, got, err)
		}
		if since == 2 && len(got) > len(firsts)/2+1 {
			t.Errorf("%d of %d segments are read for the last hour", len(got), len(firsts))
		}
	}
}

func TestSearchSaysWhatItCouldNotRead(t *testing.T) {
	s := newSpecimen(t)
	s.edit(1, func(b []byte) []byte {
		at := s.batches(b)[1].offset
		return slices.Concat(b[:at], []byte("smuggled"), b[at:])
	})
	var n int
	err := Search(context.Background(), s.r.dir, Filter{Kind: mint.TokenIssued}, nil, func(mint.NumberedEntry) error { n++; return nil })
	if err == nil || !strings.Contains(err.Error(), "a part of the log could not be searched") || !strings.Contains(err.Error(), segmentSuffix) {
		t.Errorf("error %v", err)
	}
	if n == 0 || n >= 48 {
		t.Errorf("%d tokens were found", n)
	}
	stop := errors.New("enough")
	if err := Search(context.Background(), s.r.dir, Filter{}, nil, func(mint.NumberedEntry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the reader's own error: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Search(ctx, s.r.dir, Filter{}, nil, func(mint.NumberedEntry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestExportVerifies copies a log and checks the copy, beside a running ledger.
func TestExportVerifies(t *testing.T) {
	r, _ := library(t)
	r.open() // the last segment has zeros ahead again once something is written
	p := r.dial(Signer)
	p.mustHello()
	if _, err := p.entries(&mint.Entry{Kind: mint.ClockWasAccepted, Actor: "uid:0"}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "copy", "ledger")
	var last Progress
	if err := Export(context.Background(), r.dir, out, func(p Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(context.Background(), out, VerifyOptions{Heads: []Remembered{{By: "signer", Head: r.l.Head()}}, Pin: r.l.Pin()})
	if err != nil || !report.Good() || report.Head != r.l.Head() || report.Unfinished != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if last.Entries != report.Entries {
		t.Errorf("progress %+v, %d entries", last, report.Entries)
	}
	if a, b := len(find(t, r.dir, Filter{})), len(find(t, out, Filter{})); a != b {
		t.Errorf("%d entries in the copy, %d in the log", b, a)
	}
	if err := Export(context.Background(), r.dir, out, nil); err == nil {
		t.Error("an export overwrote another")
	}
}
