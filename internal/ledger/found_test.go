package ledger

import (
	"slices"
	"testing"
	"time"

	"seawall/internal/mint"
)

func since(q mint.SearchQuery) time.Time {
	if q.Since == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(q.Since))
}

// TestTheHouseFindsTheNewest: page by page, the pages of any size together are what a search of the files finds, backwards.
func TestTheHouseFindsTheNewest(t *testing.T) {
	r, _ := library(t)
	queries := map[string]mint.SearchQuery{
		"everything": {}, "a client": {Client: "client-2"}, "a kind": {Kind: mint.TokenIssued}, "a subject": {Subject: "subject-1", Tenant: "globex"},
		"a jti": {JTI: "jti-1-3-0123456789"}, "nothing": {JTI: "jti-9"},
	}
	want := map[string][]mint.NumberedEntry{}
	all := find(t, r.dir, Filter{})
	for name, i := range map[string]int{"since the middle": len(all) / 2, "since the end": len(all) - 1, "since the beginning": 0} {
		queries[name] = mint.SearchQuery{Since: all[i].Entry.Millis}
	}
	queries["since later"] = mint.SearchQuery{Since: all[len(all)-1].Entry.Millis + 1}
	queries["a client, since the middle"] = mint.SearchQuery{Client: "client-2", Since: all[len(all)/2].Entry.Millis}
	for name, q := range queries {
		want[name] = find(t, r.dir, Filter{Kind: q.Kind, Tenant: q.Tenant, Client: q.Client, Subject: q.Subject, JTI: q.JTI, Since: since(q)})
		slices.Reverse(want[name])
	}
	r.open()
	house := r.dial(House)
	house.mustHello()
	if n := len(segmentFirsts(t, r)); n < 3 {
		t.Fatalf("only %d segments", n)
	}
	for name, q := range queries {
		for _, limit := range []int{1, 7, mint.MaxFound} {
			q.Limit, q.Before = limit, 0
			var got []uint64
			for pages := 0; ; pages++ {
				a := new(mint.Found)
				if err := house.askJSON(mint.MsgSearch, q, a); err != nil {
					t.Fatal(err)
				}
				for _, e := range a.Entries {
					got = append(got, e.Sequence)
				}
				if a.Next == 0 {
					break
				}
				if q.Before != 0 && a.Next >= q.Before || pages > 1000 {
					t.Fatalf("%s: no progress from %d", name, q.Before)
				}
				q.Before = a.Next
			}
			if !slices.EqualFunc(got, want[name], func(n uint64, e mint.NumberedEntry) bool { return n == e.Sequence }) {
				t.Errorf("%s by %d: %v, want %d entries", name, limit, got, len(want[name]))
			}
		}
	}
	a := new(mint.Found)
	if err := house.askJSON(mint.MsgSearch, mint.SearchQuery{Limit: 1, Before: 1 << 60}, a); err != nil || len(a.Entries) != 1 || a.Entries[0].Sequence != a.Size-1 {
		t.Errorf("from behind the end: %+v, %v", a, err)
	}
}
