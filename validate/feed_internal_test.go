package validate

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// newTestFeed gives a feed in a state of its own, without connection or goroutines.
func newTestFeed(name string, root ed25519.PublicKey, now *time.Time) *feed {
	f := newFeed(&Feed{ID: "api", OnStale: RefuseWhenStale()}, &issuer{terms: terms{issuer: name}}, &Validator{now: func() time.Time { return *now }, leeway: defaultLeeway})
	f.root = root
	return f
}

// The client must read the feeds that the ledger's side has made.
func TestSharedFeeds(t *testing.T) {
	file, err := os.ReadFile("testdata/vectors/formats.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Distrust []struct {
			Name       string
			RootSeed   string `json:"root_seed"`
			Statements []struct{ Statement json.RawMessage }
			Head       struct{ Head json.RawMessage }
			Snapshot   struct{ Snapshot json.RawMessage }
		}
	}
	if err := json.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all.Distrust {
		seed, err := hex.DecodeString(v.RootSeed)
		if err != nil {
			t.Fatal(err)
		}
		root := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
		var head struct {
			Issuer string
			Time   int64
		}
		if err := json.Unmarshal(v.Head.Head, &head); err != nil {
			t.Fatal(err)
		}
		now := time.UnixMilli(head.Time)
		byStatements := newTestFeed(head.Issuer, root, &now)
		byStatements.head.Store(&feedHead{}) // as if an empty snapshot had come, long ago
		for _, s := range v.Statements {
			d, _, _ := readStatement(s.Statement)
			now = time.UnixMilli(int64(d.Time))
			if failure := byStatements.takeStatement(s.Statement); failure != nil {
				t.Errorf("%s: %v", v.Name, failure)
			}
		}
		now = time.UnixMilli(head.Time)
		if newer, failure := byStatements.takeHead(v.Head.Head); !newer || failure != nil {
			t.Errorf("%s: %v %v", v.Name, newer, failure)
		}
		bySnapshot := newTestFeed(head.Issuer, root, &now)
		if newer, failure := bySnapshot.takeSnapshot(newFeedReader(bytes.NewReader(v.Snapshot.Snapshot))); !newer || failure != nil {
			t.Errorf("%s: %v %v", v.Name, newer, failure)
		}
		a, b := byStatements.at, bySnapshot.at
		if a.N != b.N || a.Chain != b.Chain || a.N != uint64(len(v.Statements)) {
			t.Errorf("%s: statements lead to %d, the snapshot to %d", v.Name, a.N, b.N)
		}
		// Both ways lead to the same rules, but for those that ended before the snapshot was made.
		for i := range byStatements.rules.Load().shards {
			s := byStatements.rules.Load().shards[i].Load()
			if s == nil {
				continue
			}
			for _, r := range s.rules {
				live := bySnapshot.rules.Load().has(r.kind, string(s.value(&r)), instant{})
				if over := r.until*1000 <= uint64(head.Time); live == over {
					t.Errorf("%s: statement %d: live %v, over %v", v.Name, r.n, live, over)
				}
			}
		}
		if got, want := bySnapshot.rules.Load().len(), byStatements.rules.Load().len(); got > want {
			t.Errorf("%s: the snapshot has %d statements, and %d were made", v.Name, got, want)
		}
	}
}
