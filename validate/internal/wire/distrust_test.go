package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"seawall/validate/internal/forge"
	"seawall/validate/internal/wire"
)

// feedVector is one whole feed of the vectors, made where the ledger's side is tested.
type feedVector struct {
	Name       string `json:"name"`
	RootSeed   string `json:"root_seed"`
	Statements []struct {
		Name, Input, Chain string
		Statement          json.RawMessage
	} `json:"statements"`
	Head struct {
		Input string
		Head  json.RawMessage
	} `json:"head"`
	Snapshot struct {
		Live, Input string
		Snapshot    json.RawMessage
	} `json:"snapshot"`
}

// The feed's inputs as package wire lays them out must be those of the vectors, and Ed25519 has only
// one signature for each, so that what package forge signs must be the vectors' JSON too.
func TestDistrustVectors(t *testing.T) {
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Distrust []feedVector `json:"distrust"`
	}
	if err := json.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Distrust) == 0 {
		t.Fatal("there are no feeds")
	}
	for _, v := range all.Distrust {
		seed, err := hex.DecodeString(v.RootSeed)
		if err != nil {
			t.Fatal(err)
		}
		ledger := &forge.Ledger{Root: ed25519.NewKeyFromSeed(seed)}
		same := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s: %s, want %s", v.Name, what, got, want)
			}
		}
		var previous wire.Chain
		for _, s := range v.Statements {
			d := readDistrust(t, s.Statement)
			input := d.AppendInput(nil)
			chain := wire.ChainOf(input)
			same(s.Name+", input", hex.EncodeToString(input), s.Input)
			same(s.Name+", chain", hex.EncodeToString(chain[:]), s.Chain)
			same(s.Name+", JSON", canonical(t, ledger.Distrust(&d)), canonical(t, s.Statement))
			if d.Prev != previous {
				t.Errorf("%s: %s does not continue the chain", v.Name, s.Name)
			}
			previous = chain
		}
		head := readHead(t, v.Head.Head)
		same("head, input", hex.EncodeToString(head.Input()), v.Head.Input)
		same("head, JSON", canonical(t, ledger.Head(&head)), canonical(t, v.Head.Head))
		shot := readHead(t, v.Snapshot.Snapshot)
		var list struct{ Statements []json.RawMessage }
		if err := json.Unmarshal(v.Snapshot.Snapshot, &list); err != nil {
			t.Fatal(err)
		}
		var live []wire.Distrust
		digest := wire.NewLive()
		for _, s := range list.Statements {
			d := readDistrust(t, s)
			live = append(live, d)
			digest.Add(d.AppendInput(nil))
		}
		sum := digest.Sum()
		same("live", hex.EncodeToString(sum[:]), v.Snapshot.Live)
		same("snapshot, input", hex.EncodeToString(shot.SnapshotInput(sum)), v.Snapshot.Input)
		same("snapshot, JSON", canonical(t, ledger.Snapshot(&shot, live)), canonical(t, v.Snapshot.Snapshot))
	}
}

func readDistrust(t *testing.T, doc []byte) wire.Distrust {
	t.Helper()
	var s struct {
		Issuer, Prev, Act, Kind, Value, Reason string
		N, Before, Until, Undoes, Time         uint64
	}
	if err := json.Unmarshal(doc, &s); err != nil {
		t.Fatal(err)
	}
	return wire.Distrust{
		Issuer: s.Issuer, N: s.N, Prev: chainOf(t, s.Prev), Act: s.Act, Kind: s.Kind, Value: s.Value,
		Before: s.Before, Until: s.Until, Undoes: s.Undoes, Reason: s.Reason, Time: s.Time,
	}
}

func readHead(t *testing.T, doc []byte) wire.DistrustHead {
	t.Helper()
	var h struct {
		Issuer, Chain    string
		N, Time, Expires uint64
	}
	if err := json.Unmarshal(doc, &h); err != nil {
		t.Fatal(err)
	}
	return wire.DistrustHead{Issuer: h.Issuer, N: h.N, Chain: chainOf(t, h.Chain), Time: h.Time, Expires: h.Expires}
}

func chainOf(t *testing.T, text string) (chain wire.Chain) {
	t.Helper()
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(chain) {
		t.Fatalf("%q is not a chain", text)
	}
	copy(chain[:], b)
	return chain
}

// canonical writes a document with its members in order of their names.
func canonical(t *testing.T, doc []byte) string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
