package mint

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors of the distrust feed anew")

const vectorsFile = "../../validate/testdata/vectors/formats.json"

// feedVector is one feed in the shared vectors; validate/testdata/vectors/README.md explains every field.
type feedVector struct {
	Name       string            `json:"name"`
	RootSeed   string            `json:"root_seed"`
	Statements []statementVector `json:"statements"`
	Head       struct {
		Input string   `json:"input"`
		Head  FeedHead `json:"head"`
	} `json:"head"`
	Snapshot struct {
		Live     string   `json:"live"`
		Input    string   `json:"input"`
		Snapshot Snapshot `json:"snapshot"`
	} `json:"snapshot"`
}

type statementVector struct {
	Name      string   `json:"name"`
	Input     string   `json:"input"`
	Chain     string   `json:"chain"`
	Statement Distrust `json:"statement"`
}

// feedOf makes a vector of what is stated, in order. The head is of the time at, in Unix milliseconds.
func feedOf(name string, rootByte byte, issuer string, at uint64, names []string, list []Distrust) feedVector {
	var rootSeed [32]byte
	for i := range rootSeed {
		rootSeed[i] = rootByte + byte(i)
	}
	root := ed25519.NewKeyFromSeed(rootSeed[:])
	v := feedVector{Name: name, RootSeed: hex.EncodeToString(rootSeed[:]), Statements: []statementVector{}}
	chain, live := Digest{}, []Distrust{}
	for i := range list {
		d := list[i]
		d.Issuer, d.N, d.Prev = issuer, uint64(i+1), chain
		d.Sign(root)
		chain = d.Chain()
		v.Statements = append(v.Statements, statementVector{names[i], hex.EncodeToString(d.input()), hex.EncodeToString(chain[:]), d})
		live = slices.DeleteFunc(append(live, d), func(l Distrust) bool { return l.N == d.Undoes || !l.LiveAt(at) })
	}
	head := FeedHead{Issuer: issuer, N: uint64(len(list)), Chain: chain, Millis: at, Expires: at + HeadLife}
	head.Sign(root)
	v.Head.Input, v.Head.Head = hex.EncodeToString(head.input()), head
	s := Snapshot{Issuer: issuer, N: head.N, Chain: chain, Millis: at, Expires: at + HeadLife, Statements: live}
	s.Sign(root)
	digest := liveDigest(live)
	v.Snapshot.Live, v.Snapshot.Input, v.Snapshot.Snapshot = hex.EncodeToString(digest[:]), hex.EncodeToString(s.input()), s
	return v
}

func newFeedVectors() []feedVector {
	const t, ms = 1790000000, 1790000000000
	return []feedVector{
		feedOf("a feed without statements", 0x01, "https://id.example/acme", ms, nil, nil),
		feedOf("every kind, and what is taken back or over is not live", 0x01, "https://id.example/acme", ms+700_000,
			[]string{"a key", "a token", "a session", "a subject", "a client", "the session is believed again", "a token whose time is over"},
			[]Distrust{
				{Act: ActDistrust, Kind: DistrustKey, Value: "2026-09-a", Until: t + 2592000, Reason: KeyCompromise, Millis: ms + 1},
				{Act: ActDistrust, Kind: DistrustToken, Value: "b9d6c3", Until: t + 3660, Reason: LeakedToken, Millis: ms + 2},
				{Act: ActDistrust, Kind: DistrustSession, Value: "s-1", Before: t + 1, Until: t + 3661, Reason: ByUser, Millis: ms + 3},
				{Act: ActDistrust, Kind: DistrustSubject, Value: "ü用", Before: t + 1, Until: t + 3661, Reason: ProviderHygiene, Millis: ms + 4},
				{Act: ActDistrust, Kind: DistrustClient, Value: "ci", Before: t - 60, Until: t + 3600, Reason: ByAdmin, Millis: ms + 4},
				{Act: ActRestore, Kind: DistrustSession, Value: "s-1", Before: t + 1, Until: t + 3661, Undoes: 3, Reason: Mistake, Millis: ms + 600_000},
				{Act: ActDistrust, Kind: DistrustToken, Value: "gone", Until: t + 700, Reason: LeakedToken, Millis: ms + 600_001},
			}),
		feedOf("another root and issuer", 0x81, "https://id.example/ümlaut", 1<<52, []string{"the largest times"}, []Distrust{
			{Act: ActDistrust, Kind: DistrustSubject, Value: strings.Repeat("x", 1024), Before: 1<<53 - 2, Until: 1<<53 - 1, Reason: ByAdmin, Millis: 1<<53 - 1},
		}),
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The vectors of the feed are the last member of the shared file. The others are made in the module of validate.
func TestFeedVectors(t *testing.T) {
	text, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Comment, Pins, LedgerKeys, Certificates, KeyStatements, TokenDigests, Receipts, Tokens, Distrust json.RawMessage
	}
	type ordered struct {
		Comment       json.RawMessage `json:"comment"`
		Pins          json.RawMessage `json:"pins"`
		LedgerKeys    json.RawMessage `json:"ledger_keys"`
		Certificates  json.RawMessage `json:"certificates"`
		KeyStatements json.RawMessage `json:"key_statements"`
		TokenDigests  json.RawMessage `json:"token_digests"`
		Receipts      json.RawMessage `json:"receipts"`
		Tokens        json.RawMessage `json:"tokens"`
		Distrust      json.RawMessage `json:"distrust"`
	}
	if err := json.Unmarshal(text, (*ordered)(&file)); err != nil {
		t.Fatal(err)
	}
	file.Distrust = indented(t, newFeedVectors())
	want := indented(t, ordered(file))
	if *update {
		if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(text, want) {
		t.Errorf("%s has not the feeds that the code makes", vectorsFile)
	}
}

// The inputs are laid out once more by hand, as docs/formats.md tells it.
func TestFeedVectorsByHand(t *testing.T) {
	u64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	str := func(s string) []byte { return append(u64(uint64(len(s))), s...) }
	same := func(name, got string, want []byte) {
		t.Helper()
		if got != hex.EncodeToString(want) {
			t.Errorf("%s is %s, want %x", name, got, want)
		}
	}
	for _, v := range newFeedVectors() {
		root := seed(t, v.RootSeed).Public().(ed25519.PublicKey)
		chain := make([]byte, 32)
		live := sha256.New()
		for i, s := range v.Statements {
			d := s.Statement
			input := slices.Concat([]byte("seawall-distrust-statement-v1\x00"), str(d.Issuer), u64(uint64(i+1)), chain, str(string(d.Act)), str(string(d.Kind)),
				str(d.Value), u64(uint64(d.Before)), u64(uint64(d.Until)), u64(d.Undoes), str(string(d.Reason)), u64(d.Millis))
			same(s.Name+": input", s.Input, input)
			sum := sha256.Sum256(slices.Concat([]byte("seawall-distrust-chain-v1\x00"), input))
			chain = sum[:]
			same(s.Name+": chain", s.Chain, chain)
			if !d.Verify(root) {
				t.Errorf("%s: the signature does not verify", s.Name)
			}
			if slices.ContainsFunc(v.Snapshot.Snapshot.Statements, func(l Distrust) bool { return l.N == d.N }) {
				live.Write(str(string(input)))
			}
		}
		h := v.Head.Head
		same(v.Name+": head", v.Head.Input, slices.Concat([]byte("seawall-distrust-head-v1\x00"), str(h.Issuer), u64(h.N), chain, u64(h.Millis), u64(h.Expires)))
		s := v.Snapshot.Snapshot
		same(v.Name+": live", v.Snapshot.Live, live.Sum(nil))
		same(v.Name+": snapshot", v.Snapshot.Input, slices.Concat([]byte("seawall-distrust-snapshot-v1\x00"), str(s.Issuer), u64(s.N), chain, live.Sum(nil), u64(s.Millis), u64(s.Expires)))
		if !h.Verify(root) || !s.Verify(root) {
			t.Errorf("%s: the head or the snapshot does not verify", v.Name)
		}
	}
	var kept []uint64
	for _, d := range newFeedVectors()[1].Snapshot.Snapshot.Statements {
		kept = append(kept, d.N)
	}
	if !slices.Equal(kept, []uint64{1, 2, 4, 5}) {
		t.Errorf("live are %v: neither the session that is believed again nor the token whose time is over belongs there", kept)
	}
}

func TestDistrustCoversEverything(t *testing.T) {
	_, root, _ := ed25519.GenerateKey(nil)
	public := root.Public().(ed25519.PublicKey)
	good := Distrust{Issuer: "https://id.example/acme", N: 2, Prev: Digest{1}, Act: ActDistrust, Kind: DistrustSubject, Value: "ann",
		Before: 5, Until: 6, Reason: ByAdmin, Millis: 7}
	good.Sign(root)
	if !good.Verify(public) {
		t.Fatal("a good statement does not verify")
	}
	for name, change := range map[string]func(*Distrust){
		"issuer": func(d *Distrust) { d.Issuer += "2" },
		"n":      func(d *Distrust) { d.N++ },
		"chain":  func(d *Distrust) { d.Prev[31]++ },
		"act":    func(d *Distrust) { d.Act = ActRestore },
		"kind":   func(d *Distrust) { d.Kind = DistrustClient },
		"value":  func(d *Distrust) { d.Value = "bob" },
		"split":  func(d *Distrust) { d.Kind, d.Value = d.Kind+"a", "nn" },
		"before": func(d *Distrust) { d.Before = 0 },
		"until":  func(d *Distrust) { d.Until++ },
		"undoes": func(d *Distrust) { d.Undoes = 1 },
		"reason": func(d *Distrust) { d.Reason = Mistake },
		"time":   func(d *Distrust) { d.Millis++ },
	} {
		d := good
		change(&d)
		if d.Verify(public) {
			t.Errorf("the statement does not cover the %s", name)
		}
		if d.Chain() == good.Chain() {
			t.Errorf("the chain does not cover the %s", name)
		}
	}
	head := FeedHead{Issuer: good.Issuer, N: 2, Chain: good.Chain(), Millis: 8, Expires: 9}
	head.Sign(root)
	for name, change := range map[string]func(*FeedHead){
		"issuer": func(h *FeedHead) { h.Issuer += "2" }, "n": func(h *FeedHead) { h.N++ }, "chain": func(h *FeedHead) { h.Chain[0]++ },
		"time": func(h *FeedHead) { h.Millis++ }, "expires": func(h *FeedHead) { h.Expires++ },
	} {
		h := head
		change(&h)
		if h.Verify(public) || !head.Verify(public) {
			t.Errorf("the head does not cover the %s", name)
		}
	}
	snapshot := Snapshot{Issuer: good.Issuer, N: 2, Chain: good.Chain(), Millis: 8, Expires: 9, Statements: []Distrust{good}}
	snapshot.Sign(root)
	for name, change := range map[string]func(*Snapshot){
		"issuer": func(s *Snapshot) { s.Issuer += "2" }, "n": func(s *Snapshot) { s.N++ }, "chain": func(s *Snapshot) { s.Chain[0]++ },
		"time": func(s *Snapshot) { s.Millis++ }, "expires": func(s *Snapshot) { s.Expires++ },
		"statements": func(s *Snapshot) { s.Statements = nil },
		"more":       func(s *Snapshot) { s.Statements = []Distrust{good, good} },
	} {
		s := snapshot
		change(&s)
		if s.Verify(public) || !snapshot.Verify(public) {
			t.Errorf("the snapshot does not cover the %s", name)
		}
	}
	head.Signature = snapshot.Signature
	if head.Verify(public) {
		t.Error("the signature of a snapshot is good for a head")
	}
}

func TestLiveAt(t *testing.T) {
	d := Distrust{Act: ActDistrust, Until: 100}
	for ms, want := range map[uint64]bool{0: true, 99_999: true, 100_000: false, 100_001: false, 1<<64 - 1: false} {
		if d.LiveAt(ms) != want {
			t.Errorf("at %d ms: %t", ms, !want)
		}
	}
	if d.Act = ActRestore; d.LiveAt(0) {
		t.Error("a restore is live")
	}
	if (&Distrust{Act: ActDistrust, Until: -1}).LiveAt(0) {
		t.Error("a time before 1970 is live")
	}
}
