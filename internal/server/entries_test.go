package server

import (
	"net/url"
	"testing"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
)

// TestEntriesAreShown asks the true ledger for what was done.
func TestEntriesAreShown(t *testing.T) {
	h := newHouse(t, newRealVaults(t).options())
	_, client := h.acme()
	h.token(client)
	ctx := t.Context()
	all, err := h.op.Entries(ctx, adminapi.EntryQuery{})
	must(t, all, err)
	if len(all.Entries) < 5 || all.Entries[0].Kind != string(mint.TokenIssued) || all.Entries[0].Client != client.ClientID || all.Size != all.Entries[0].Sequence+1 || all.Next != 0 {
		t.Fatalf("the newest are %+v", all)
	}
	page, err := h.op.Entries(ctx, adminapi.EntryQuery{Limit: 2})
	if must(t, page, err); len(page.Entries) != 2 || page.Next != page.Entries[1].Sequence {
		t.Errorf("a page of two: %+v", page)
	}
	rest, err := h.op.Entries(ctx, adminapi.EntryQuery{Limit: 1, Before: page.Next})
	if must(t, rest, err); len(rest.Entries) != 1 || rest.Entries[0].Sequence >= page.Next {
		t.Errorf("the page behind: %+v", rest)
	}
	token := all.Entries[0]
	for name, q := range map[string]adminapi.EntryQuery{
		"jti": {JTI: token.JTI}, "key": {KID: token.KID, Kind: token.Kind}, "subject and tenant": {Subject: token.Subject, Tenant: "acme", Kind: token.Kind}, "client": {Client: client.ClientID, Kind: token.Kind},
	} {
		if found, err := h.op.Entries(ctx, q); err != nil || len(found.Entries) != 1 || found.Entries[0].JTI != token.JTI {
			t.Errorf("by %s: %+v, %v", name, found, err)
		}
	}
	if found, err := h.op.Entries(ctx, adminapi.EntryQuery{JTI: "nothing"}); err != nil || len(found.Entries) != 0 {
		t.Errorf("nothing: %+v, %v", found, err)
	}
	for _, q := range []adminapi.EntryQuery{{Limit: 201}, {Limit: -1}} {
		refused(t, "a wrong limit", second(h.op.Entries(ctx, q)), adminapi.CodeInvalid, "from 1 to 200")
	}
}

// FuzzEntryQuery: whatever is in an address, what is asked of the ledger is within its bounds.
func FuzzEntryQuery(f *testing.F) {
	for _, seed := range []string{"", "kind=token.issued&limit=200", "before=9223372036854775808", "limit=0", "tenant=a&tenant=b", "jti=%ff", "limit=+1&before=-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := entryQuery(v)
		if err != nil {
			return
		}
		if q.Limit < 1 || q.Limit > mint.MaxFound || max(len(q.JTI), len(q.Tenant), len(q.Client), len(q.Subject), len(q.KID), len(q.Kind)) > mint.MaxText {
			t.Errorf("%q asks for %+v", raw, q)
		}
	})
}
