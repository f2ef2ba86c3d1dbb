package validate

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"seawall/validate/internal/forge"
	"seawall/validate/internal/wire"
)

// smallFeed gives a feed of five statements, of which three are live, with all its documents.
func smallFeed(now time.Time) (history *forge.Feed, statements [][]byte, head, snapshot []byte) {
	ms := now.UnixMilli()
	history = &forge.Feed{Ledger: forge.NewLedger(0, 1e10), Issuer: "https://id.example/acme"}
	for _, d := range []wire.Distrust{
		{Act: "distrust", Kind: "key", Value: "2026-09-a", Until: 1e10, Reason: "key-compromise"},
		{Act: "distrust", Kind: "token", Value: `j"1\`, Until: 1e10, Reason: "leaked-token"},
		{Act: "distrust", Kind: "subject", Value: "ü用", Before: 1790000000, Until: 1e10, Reason: "user"},
		{Act: "distrust", Kind: "client", Value: "ci", Before: 1790000000, Until: 1e10, Reason: "admin"},
	} {
		statements = append(statements, history.Add(d, ms))
	}
	statements = append(statements, history.Add(history.Undo(2), ms))
	top := history.Top(ms)
	return history, statements, history.Ledger.Head(&top), history.Ledger.Snapshot(&top, history.Live(ms))
}

// A fuzzer has no root, so whatever it makes of a feed's documents is refused, or says exactly what
// they said. And where a document is sound JSON, it is cut into the values that encoding/json finds.
func FuzzFeedDocuments(f *testing.F) {
	now := time.Unix(1790000000, 0)
	history, statements, head, snapshot := smallFeed(now)
	root := history.Ledger.Root.Public().(ed25519.PublicKey)
	for _, doc := range append(statements, head, snapshot) {
		f.Add(doc)
		f.Add([]byte(`{"statements":[` + string(doc) + `,` + string(doc) + ` ],"head":` + string(doc) + "}"))
	}
	f.Add([]byte(`{"snapshot":` + string(snapshot) + `}`))
	f.Add([]byte(` { "a" : [ 1 , -2e3 , "\"]" , { "b" : null } ] , "statements" : [ ] } `))
	f.Fuzz(func(t *testing.T, doc []byte) {
		client := newTestFeed(history.Issuer, root, &now)
		newer, failure := client.takeSnapshot(newFeedReader(bytes.NewReader(doc)))
		if failure == nil && (!newer || client.at.N != 5 || client.rules.Load().len() != 3) {
			t.Fatalf("a snapshot passes that nobody signed: %q", doc)
		}
		client = newTestFeed(history.Issuer, root, &now)
		client.head.Store(&feedHead{})
		if failure := client.takeStatement(doc); failure == nil && (client.at.N != 1 || !client.rules.Load().has(distrustKey, "2026-09-a", instant{})) {
			t.Fatalf("a statement passes that nobody signed: %q", doc)
		}
		client.at = history.Top(now.UnixMilli())
		if _, failure := client.takeHead(doc); failure == nil && !json.Valid(doc) {
			t.Fatalf("a head passes that nobody signed: %q", doc)
		}
		compareCut(t, doc)
	})
}

// compareCut cuts an object as the feed's reader does and as encoding/json does.
func compareCut(t *testing.T, doc []byte) {
	type member struct {
		Name  string
		Value json.RawMessage
	}
	var want []member
	decoder := json.NewDecoder(bytes.NewReader(doc))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') || !json.Valid(doc) {
		return
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		m := member{Name: name.(string)}
		if err := decoder.Decode(&m.Value); err != nil {
			t.Fatal(err)
		}
		want = append(want, m)
	}
	i := 0
	j := newFeedReader(bytes.NewReader(doc))
	err := j.object(func(name string) error {
		value, err := j.value()
		if err != nil {
			return err
		}
		var text string
		if err := json.Unmarshal([]byte(name), &text); err != nil || i >= len(want) || text != want[i].Name || string(value) != string(want[i].Value) {
			t.Fatalf("member %d is %s: %s", i, name, value)
		}
		i++
		return nil
	})
	if err == nil {
		err = j.end()
	}
	if len(doc) < maxFeedValue && (err != nil || i != len(want)) {
		t.Fatalf("%v after %d of %d members of %q", err, i, len(want), doc)
	}
}

// The stream is taken apart as one would with all of it at hand.
func FuzzEventStream(f *testing.F) {
	_, statements, head, snapshot := smallFeed(time.Unix(1790000000, 0))
	f.Add("event: statement\nid: 1\ndata: " + string(statements[0]) + "\n\nevent: head\ndata: " + string(head) + "\n\n")
	f.Add(": hello\r\nretry: 2000\r\n\r\nevent: snapshot\r\ndata:" + string(snapshot) + "\r\n\r\n")
	f.Add("data\ndata: \ndata:a\n\nevent\n\ndata: cut")
	f.Add("retry: x\nretry: 99999999999\nretry: 5\n\n\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		type seen struct{ name, data string }
		var want []seen
		var name string
		var data []string
		lines := strings.SplitAfter(stream, "\n")
		for _, line := range lines[:len(lines)-1] {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			field, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case line == "":
				if data != nil {
					want = append(want, seen{name, strings.Join(data, "\n")})
				}
				name, data = "", nil
			case field == "event":
				name = value
			case field == "data":
				data = append(data, value)
			}
		}
		var got []seen
		r := eventReader{r: bufio.NewReader(strings.NewReader(stream))}
		for {
			e, err := r.next()
			if err != nil {
				break
			}
			if len(e.data) > maxFeedEvent {
				t.Fatalf("an event of %d bytes", len(e.data))
			}
			if e.data != nil || e.retry == 0 {
				got = append(got, seen{e.name, string(e.data)})
			}
		}
		if len(got) > len(want) {
			t.Fatalf("%d events, want %d: %q", len(got), len(want), stream)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("event %d is %q, want %q: %q", i, got[i], want[i], stream)
			}
		}
		if len(stream) < maxFeedEvent && len(got) != len(want) {
			t.Fatalf("%d events, want %d: %q", len(got), len(want), stream)
		}
	})
}

// When there is no more room, the feed stands still and says so; it never forgets something else instead.
func TestAFullFeedStandsStill(t *testing.T) {
	now := time.Unix(1790000000, 0)
	history, statements, head, snapshot := smallFeed(now)
	client := newTestFeed(history.Issuer, history.Ledger.Root.Public().(ed25519.PublicKey), &now)
	client.head.Store(&feedHead{})
	rules := client.rules.Load()
	rules.text = maxDistrustedText - len("2026-09-a")
	if failure := client.takeStatement(statements[0]); failure != nil {
		t.Error(failure)
	}
	if failure := client.takeStatement(statements[1]); failure == nil || failure.code != CodeFeedFull {
		t.Errorf("got %v", failure)
	}
	if failure := client.takeStatement(statements[2]); failure == nil || failure.code != CodeFeedGap {
		t.Errorf("got %v", failure)
	}
	if _, failure := client.takeHead(head); failure == nil || failure.code != CodeFeedGap || client.at.N != 1 {
		t.Errorf("got %v at %d", failure, client.at.N)
	}
	if _, failure := client.takeSnapshot(newFeedReader(bytes.NewReader(snapshot))); failure != nil || client.at.N != 5 {
		t.Errorf("a snapshot that fits is refused: %v", failure)
	}
	client.rules.Load().counts[distrustToken] += maxDistrusted
	if failure := client.takeStatement(history.Add(wire.Distrust{Act: "distrust", Kind: "token", Value: "j", Until: 1e10, Reason: "user"}, now.UnixMilli())); failure == nil || failure.code != CodeFeedFull {
		t.Errorf("got %v", failure)
	}
}
