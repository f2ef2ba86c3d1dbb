package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
)

// forge appends a batch to a closed log with the ledger's own keys, as a ledger in the wrong hands could: everything about
// the batch is right but what change makes wrong.
func (s *specimen) forge(entries []*mint.Entry, change func(*trailer), key *receiptKey) {
	s.t.Helper()
	if key == nil {
		key = loadedKeys(s.t, s.r.dir).newest()
	}
	list := s.segments()
	s.edit(len(list)-1, func(text []byte) []byte {
		all := s.batches(text)
		last := all[len(all)-1].trailer
		b := building{bytes: beginBatch(nil), key: key,
			trailer: trailer{first: last.end(), millis: last.millis + 1, prev: last.hash(), key: key.id}}
		if change != nil {
			change(&b.trailer)
		}
		for _, e := range entries {
			ms := e.Millis
			b.add(e)
			if ms != 0 { // it wants another time than its batch
				b.bytes, b.tree = beginBatch(nil), merkle{}
				e.Millis = ms
				b.bytes = appendLeaf(b.bytes, &b.tree, e)
			}
		}
		b.finish()
		return append(text, b.bytes...)
	})
}

// TestVerifyFindsWhatALedgerMayNotDo checks the rules that a ledger with all its keys could break.
func TestVerifyFindsWhatALedgerMayNotDo(t *testing.T) {
	tokenOf := func(s *specimen, change func(*mint.Entry)) *mint.Entry {
		u := s.i.token(time.UnixMilli(int64(s.head.Millis)))
		d, refusal := readDraft(&u)
		if refusal != nil {
			t.Fatal(refusal)
		}
		d.entry.Tenant = s.i.tenant
		change(&d.entry)
		return &d.entry
	}
	stepOf := func(s *specimen, kind mint.EntryKind, change func(*mint.Entry)) *mint.Entry {
		k := s.i.key
		record := step(&k, kind)
		e, _, refusal := stepEntry(&record, loadedKeys(t, s.r.dir).root, s.r.clock.now())
		if refusal != nil {
			t.Fatal(refusal)
		}
		change(e)
		return e
	}
	none := func(*mint.Entry) {}
	// idKeyOf are the steps of a key for ID tokens up to active.
	idKeyOf := func(s *specimen) (steps []*mint.Entry) {
		s.i.idKey = newKey(t, s.i.tenant, s.i.url, s.r.clock.now())
		s.i.idKey.Family, s.i.idKey.Kinds = mint.FamilyID, mint.FamilyID.Kinds()
		for _, kind := range []mint.EntryKind{mint.KeyStaged, mint.KeyActivated} {
			record := step(&s.i.idKey, kind)
			e, _, refusal := stepEntry(&record, loadedKeys(t, s.r.dir).root, s.r.clock.now())
			if refusal != nil {
				t.Fatal(refusal)
			}
			steps = append(steps, e)
		}
		return steps
	}
	idTokenOf := func(s *specimen, change func(*mint.Entry)) *mint.Entry {
		u := s.i.idToken(time.UnixMilli(int64(s.head.Millis)))
		d, refusal := readDraft(&u)
		if refusal != nil {
			t.Fatal(refusal)
		}
		d.entry.Tenant = s.i.tenant
		change(&d.entry)
		return &d.entry
	}
	// stated is the first statement of the issuer's feed, as the batch that is forged next will have it.
	stated := func(s *specimen, change func(*mint.Distrust)) *mint.Entry {
		d := mint.Distrust{Issuer: s.i.url, N: 1, Act: mint.ActDistrust, Kind: mint.DistrustSubject, Value: "ann", Before: 5, Until: 1 << 40,
			Reason: mint.ByAdmin, Millis: s.head.Millis + 1}
		change(&d)
		if d.Signature == "" {
			d.Sign(loadedKeys(t, s.r.dir).root)
		}
		return distrustEntry(&d, s.i.tenant, "uid:0")
	}
	as := func(*mint.Distrust) {}
	for name, c := range map[string]struct {
		harm func(s *specimen)
		code FindingCode
		text string
	}{
		"nothing": {func(s *specimen) { s.forge([]*mint.Entry{tokenOf(s, none)}, nil, nil) }, "", ""},
		"a token under a key never staged": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, func(e *mint.Entry) { e.KID = "another" })}, nil, nil)
		}, KeyStateBroken, "no key with this kid has been recorded"},
		"a token after its key's end": {func(s *specimen) {
			s.forge([]*mint.Entry{stepOf(s, mint.KeyVerifyOnly, none), tokenOf(s, none)}, nil, nil)
		}, KeyStateBroken, "the last recorded step of the key is key.verify-only"},
		"a token of another issuer": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, func(e *mint.Entry) { e.Issuer += "x" })}, nil, nil)
		}, KeyStateBroken, "belongs to another issuer"},
		"a token of another tenant": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, func(e *mint.Entry) { e.Tenant = "globex" })}, nil, nil)
		}, KeyStateBroken, "another tenant than its key's"},
		"a token of another kind": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, func(e *mint.Entry) { e.TokenKind = "JWT" })}, nil, nil)
		}, KeyStateBroken, "other kinds of token"},
		"an ID token under a key of its own": {func(s *specimen) {
			s.forge(append(idKeyOf(s), idTokenOf(s, none)), nil, nil)
		}, "", ""},
		"an ID token for another client": {func(s *specimen) {
			s.forge(append(idKeyOf(s), idTokenOf(s, func(e *mint.Entry) { e.Client = "evil" })), nil, nil)
		}, EntryImpossible, "for somebody else than its client"},
		"an ID token for two clients": {func(s *specimen) {
			s.forge(append(idKeyOf(s), idTokenOf(s, func(e *mint.Entry) { e.Audience = append(e.Audience, "evil") })), nil, nil)
		}, EntryImpossible, "for somebody else than its client"},
		"an access token under a key of ID tokens": {func(s *specimen) {
			s.forge(append(idKeyOf(s), idTokenOf(s, func(e *mint.Entry) { e.TokenKind = "at+jwt" })), nil, nil)
		}, KeyStateBroken, "other kinds of token"},
		"an ID token under a key of the other family": {func(s *specimen) {
			steps := idKeyOf(s)
			for _, e := range steps {
				setDetail(e, "family", "logout") // which the statement does not cover
			}
			s.forge(append(steps, idTokenOf(s, none)), nil, nil)
		}, KeyStateBroken, "other kinds of token"},
		"a token dated back": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, func(e *mint.Entry) { e.IssuedAt -= 120 })}, nil, nil)
		}, KeyStateBroken, "away from the ledger's clock"},
		"a token that outlives its key": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, func(e *mint.Entry) { e.Expires = s.i.key.Expires + 1 })}, nil, nil)
		}, KeyStateBroken, "would outlive its key"},
		"a token without a subject": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, func(e *mint.Entry) { e.Subject = "" })}, nil, nil)
		}, EntryImpossible, "the subject is missing"},
		"an entry of no kind": {func(s *specimen) {
			s.forge([]*mint.Entry{{Kind: "token.minted"}}, nil, nil)
		}, EntryImpossible, "no known kind"},
		"an entry with another time": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, func(e *mint.Entry) { e.Millis = 5 })}, nil, nil)
		}, EntryImpossible, "another time than its batch"},
		"a second beginning": {func(s *specimen) {
			s.forge([]*mint.Entry{{Kind: mint.LedgerCreated, Detail: []mint.Field{{Name: "origin", Value: "AAAAAAAAAAAAAAAAAAAAAA"}, {Name: "root", Value: hash{}.String()}}}}, nil, nil)
		}, EntryImpossible, "has no other"},
		"an impossible step": {func(s *specimen) {
			s.forge([]*mint.Entry{stepOf(s, mint.KeyRetired, none)}, nil, nil)
		}, KeyStateBroken, "cannot go from key.activated to key.retired"},
		"a statement by somebody else": {func(s *specimen) {
			_, other, _ := ed25519.GenerateKey(rand.Reader)
			s.forge([]*mint.Entry{stepOf(s, mint.KeyVerifyOnly, func(e *mint.Entry) {
				st, err := statementOf(e)
				if err != nil {
					t.Fatal(err)
				}
				setDetail(e, "statement", st.Sign(other))
			})}, nil, nil)
		}, StatementWrong, "not by the root"},
		"distrust": {func(s *specimen) { s.forge([]*mint.Entry{stated(s, as)}, nil, nil) }, "", ""},
		"distrust with a number left out": {func(s *specimen) {
			s.forge([]*mint.Entry{stated(s, func(d *mint.Distrust) { d.N = 2 })}, nil, nil)
		}, DistrustBroken, "the statement 2 does not follow 0"},
		"distrust with a number used again": {func(s *specimen) {
			s.forge([]*mint.Entry{stated(s, as), stated(s, as)}, nil, nil)
		}, DistrustBroken, "the statement 1 does not follow 1"},
		"distrust on another chain": {func(s *specimen) {
			s.forge([]*mint.Entry{stated(s, func(d *mint.Distrust) { d.Prev = hash{1} })}, nil, nil)
		}, DistrustBroken, "does not continue its chain"},
		"distrust by somebody else": {func(s *specimen) {
			s.forge([]*mint.Entry{stated(s, func(d *mint.Distrust) {
				_, other, _ := ed25519.GenerateKey(rand.Reader)
				d.Sign(other)
			})}, nil, nil)
		}, DistrustBroken, "not by the root"},
		"distrust of somebody else": {func(s *specimen) {
			e := stated(s, as)
			e.Subject = "bob"
			s.forge([]*mint.Entry{e}, nil, nil)
		}, DistrustBroken, "not by the root"},
		"distrust in another tenant's name": {func(s *specimen) {
			e := stated(s, as)
			e.Tenant = "globex"
			s.forge([]*mint.Entry{e}, nil, nil)
		}, DistrustBroken, "not the one bound to the tenant"},
		"a restore of nothing": {func(s *specimen) {
			s.forge([]*mint.Entry{stated(s, func(d *mint.Distrust) { d.Act, d.Undoes = mint.ActRestore, 1 })}, nil, nil)
		}, DistrustBroken, "says something else or nothing"},
		"a key distrusted without a step": {func(s *specimen) {
			s.forge([]*mint.Entry{stated(s, func(d *mint.Distrust) { d.Kind, d.Value, d.Before = mint.DistrustKey, s.i.key.KID, 0 })}, nil, nil)
		}, DistrustBroken, "what the steps of the key do not"},
		"a step that nobody is told of": {func(s *specimen) {
			s.forge([]*mint.Entry{stepOf(s, mint.KeySuspended, none)}, nil, nil)
		}, DistrustBroken, "does not say what the step key.suspended"},
		"no statement": {func(s *specimen) {
			s.forge([]*mint.Entry{stepOf(s, mint.KeyVerifyOnly, func(e *mint.Entry) {
				e.Detail = slices.DeleteFunc(e.Detail, func(f mint.Field) bool { return f.Name == "statement" })
			})}, nil, nil)
		}, StatementWrong, "not by the root"},
		"a key that the root did not certify": {func(s *specimen) {
			public, private, _ := ed25519.GenerateKey(rand.Reader)
			s.forge([]*mint.Entry{tokenOf(s, none)}, nil, &receiptKey{private: private, id: mint.LedgerKeyID(public)})
		}, SignerUnknown, "no certified ledger key"},
		"a key outside its window": {func(s *specimen) {
			s.forge([]*mint.Entry{{Kind: mint.ClockWasFrozen, Detail: []mint.Field{{Name: "reason", Value: "x"}}}},
				func(t *trailer) { t.millis += uint64((100 * 24 * time.Hour).Milliseconds()) }, nil)
		}, SignerUnknown, "no certified ledger key of that time"},
		"a certificate of another root": {func(s *specimen) {
			public, _, _ := ed25519.GenerateKey(rand.Reader)
			_, other, _ := ed25519.GenerateKey(rand.Reader)
			s.forge([]*mint.Entry{certificateEntry(mint.Certify(other, public, 1, 2))}, nil, nil)
		}, KeyStateBroken, "not signed by this ledger root"},
		"time running backwards": {func(s *specimen) {
			s.forge([]*mint.Entry{{Kind: mint.ClockWasFrozen, Detail: []mint.Field{{Name: "reason", Value: "x"}}}},
				func(t *trailer) { t.millis -= 2 }, nil)
		}, TimeBackwards, "and the one before it of"},
		"a gap": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, none)}, func(t *trailer) { t.first++ }, nil)
		}, OrderBroken, "are missing"},
		"a batch that follows another": {func(s *specimen) {
			s.forge([]*mint.Entry{tokenOf(s, none)}, func(t *trailer) { t.prev[0] ^= 1 }, nil)
		}, ChainBroken, "does not follow the one before it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpecimen(t)
			c.harm(s)
			report := s.verify(VerifyOptions{})
			if c.code == "" {
				if !report.Good() {
					t.Fatalf("found %v", report.Findings)
				}
				return
			}
			if len(report.Findings) != 1 {
				t.Errorf("%d findings: %v", len(report.Findings), report.Findings)
			}
			if report.Good() {
				t.Fatal("nothing was found")
			}
			if f := report.Findings[0]; f.Code != c.code || !strings.Contains(f.Text, c.text) {
				t.Errorf("found %s: %s; want %s: %q", f.Code, f, c.code, c.text)
			}
		})
	}
}

func setDetail(e *mint.Entry, name, value string) {
	for i := range e.Detail {
		if e.Detail[i].Name == name {
			e.Detail[i].Value = value
		}
	}
}
