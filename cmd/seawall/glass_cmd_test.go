package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"seawall/internal/envelope"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
)

// contact is somebody to whom a code may be encrypted.
func contact(t *testing.T) (*age.X25519Identity, *envelope.Recipient) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r, err := envelope.ParseRecipient(identity.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return identity, r
}

// TestRecipientsAreLookedAtFirst: whoever can't be encrypted to is refused before anybody is asked for anything, and what was
// given is not repeated. There is no seawall to ask: a command that did would say so.
func TestRecipientsAreLookedAtFirst(t *testing.T) {
	ada, _ := contact(t)
	public, private := ada.Recipient().String(), ada.String()
	other, _ := contact(t)
	data := filepath.Join(t.TempDir(), "none")
	create := []string{"tenant", "create", "acme", "--class", "production", "--owner", "o@acme.example", "--contact", "a@acme.example", "--contact", "b@acme.example"}
	complete := []string{"tenant", "complete", "acme"}
	use := []string{"break-glass", "use", "--tenant", "acme", "--save", filepath.Join(t.TempDir(), "link")}
	for name, c := range map[string]struct {
		command, recipients []string
		status              int
		want                string
	}{
		"a private key":     {complete, []string{public, private}, exitUsage, "this is a private key"},
		"a variable unset":  {complete, []string{""}, exitUsage, "this is no recipient"},
		"a mistyped one":    {create, []string{public, other.Recipient().String()[:50]}, exitUsage, "or it is mistyped"},
		"a file's name":     {use, []string{"ada.pub"}, exitUsage, "this is no recipient"},
		"RSA":               {create, []string{"ssh-rsa AAAA"}, exitUsage, "only ssh-ed25519"},
		"one twice":         {create, []string{public, " " + public}, exitUsage, "the same recipient twice"},
		"three":             {complete, []string{public, public, public}, exitUsage, "given 3 times, and 2 codes can be made"},
		"two for one code":  {use, []string{public, other.Recipient().String()}, exitUsage, "given 2 times, and 1 code can be made"},
		"one for two codes": {create, []string{public}, exitNo, "both would be lost with one key"},
		"two good ones":     {create, []string{public, other.Recipient().String()}, exitNo, "seawall is not running"},
		"a good one":        {complete, []string{public}, exitNo, "seawall is not running"},
	} {
		args := append(slices.Clone(c.command), "--data", data)
		for _, r := range c.recipients {
			args = append(args, "--seal-to", r)
		}
		status, out, errs := say(t, args...)
		if status != c.status || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%s: status %d, want %d and %q:\n%s%s", name, status, c.status, c.want, out, errs)
		}
		if strings.Contains(errs, private) || strings.Contains(errs, public) {
			t.Errorf("%s: the error repeats a key", name)
		}
	}
}

// TestWhoReadsWhichCode: the first recipient is for the first principal, whether or not the other gets a code, and one recipient
// is enough for one code only.
func TestWhoReadsWhichCode(t *testing.T) {
	person := func(login string, ways int, used bool) adminapi.Person {
		return adminapi.Person{Kind: "break-glass", Login: login, WaysIn: ways, CodeUsed: used}
	}
	for name, c := range map[string]struct {
		people  []adminapi.Person
		all     bool
		codes   int
		refused bool // with one recipient
	}{
		"none is there yet":       {nil, false, 2, true},
		"one is there":            {[]adminapi.Person{person("break-glass-1", 1, false)}, false, 1, false},
		"both lack one":           {[]adminapi.Person{person("break-glass-1", 0, false), person("break-glass-2", 0, false)}, false, 2, true},
		"one was used":            {[]adminapi.Person{person("break-glass-1", 1, false), person("break-glass-2", 1, true)}, false, 1, false},
		"none is lacking":         {[]adminapi.Person{person("break-glass-1", 1, false), person("break-glass-2", 2, false)}, false, 0, false},
		"new ones for all":        {[]adminapi.Person{person("break-glass-1", 1, false), person("break-glass-2", 1, false)}, true, 2, true},
		"people are none of them": {[]adminapi.Person{{Kind: "human", Login: "ada"}, person("break-glass-1", 1, false), person("break-glass-2", 1, true)}, false, 1, false},
	} {
		if n := codesDue(c.people, c.all); n != c.codes {
			t.Errorf("%s: %d codes, want %d", name, n, c.codes)
		}
		_, one := contact(t)
		_, two := contact(t)
		if err := (&glazier{call: &call{}, to: readers{one}}).enough(c.codes); (err != nil) != c.refused {
			t.Errorf("%s: one recipient: %v", name, err)
		}
		if err := (&glazier{call: &call{}, to: readers{one, two}}).enough(c.codes); err != nil {
			t.Errorf("%s: two recipients: %v", name, err)
		}
	}
	_, one := contact(t)
	_, two := contact(t)
	if r := (readers{one, two}); r.of(0) != one || r.of(1) != two {
		t.Error("each gets the other's code")
	}
	if r := (readers{one}); r.of(0) != one || r.of(1) != one {
		t.Error("the only reader does not get the only code")
	}
}

// sealingHouse is the admin API as far as codes go: it keeps what it is sent, and refuses the code of the principal that full names.
type sealingHouse struct {
	full  string
	heard bytes.Buffer
	seals map[string]adminapi.SealGlass
}

func (h *sealingHouse) serve(t *testing.T) *adminapi.Operator {
	h.seals = map[string]adminapi.SealGlass{}
	answer := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tenants/acme/people", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"items": []adminapi.Person{{Kind: "human", Login: "ada", Subject: "a"}, {Kind: "break-glass", Login: "break-glass-1", Subject: "g1"}, {Kind: "break-glass", Login: "break-glass-2", Subject: "g2"}}})
	})
	mux.HandleFunc("POST /v1/tenants/acme/people/{person}/seal", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var q adminapi.SealGlass
		if err == nil {
			err = json.Unmarshal(body, &q)
		}
		if err != nil {
			t.Error(err)
		}
		h.heard.Write(body)
		if r.PathValue("person") == h.full {
			w.WriteHeader(http.StatusServiceUnavailable)
			answer(w, adminapi.Error{Code: "unavailable", Description: "the ledger is away"})
			return
		}
		h.seals[r.PathValue("person")] = q
		answer(w, struct{}{})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return adminapi.Over(s.URL, http.DefaultTransport)
}

var acme = &adminapi.Tenant{Tenant: "acme", Class: "production", Issuer: "https://id.example/acme"}

// TestACodeNeverLeavesInClear: seawall hears its hash, whoever reads the output gets an envelope, and only its reader the code.
func TestACodeNeverLeavesInClear(t *testing.T) {
	var h sealingHouse
	o := h.serve(t)
	ada, first := contact(t)
	grace, second := contact(t)
	var out bytes.Buffer
	g := &glazier{call: &call{out: &out}, to: readers{first, second}}
	if err := g.tell(g.complete(t.Context(), o, acme, false)); err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(out.String(), armor.Header)[1:]
	if len(blocks) != 2 || len(g.sealed) != 2 || g.shown != 0 {
		t.Fatalf("%d envelopes are shown, %d codes are in clear", len(blocks), g.shown)
	}
	for i, c := range []struct {
		subject string
		reader  *age.X25519Identity
		wrong   *age.X25519Identity
	}{{"g1", ada, grace}, {"g2", grace, ada}} {
		block, _, _ := strings.Cut(blocks[i], armor.Footer)
		file := armor.Header + block + armor.Footer
		if _, err := age.Decrypt(armor.NewReader(strings.NewReader(file)), c.wrong); err == nil {
			t.Errorf("%s: the other one opens it", c.subject)
		}
		plain, err := age.Decrypt(armor.NewReader(strings.NewReader(file)), c.reader)
		if err != nil {
			t.Errorf("%s: %v", c.subject, err)
			continue
		}
		code, err := readCode(&call{in: plain})
		if err != nil {
			t.Errorf("%s: what is inside is no code: %v", c.subject, err)
			continue
		}
		if hash := code.Hash(); !bytes.Equal(hash[:], h.seals[c.subject].Hash) {
			t.Errorf("%s: seawall has the hash of another code", c.subject)
		}
		if h.seals[c.subject].Recipient != []*envelope.Recipient{first, second}[i].Fingerprint() {
			t.Errorf("%s: seawall heard of the recipient %q", c.subject, h.seals[c.subject].Recipient)
		}
		if strings.Contains(h.heard.String(), code.Reveal()) || strings.Contains(out.String(), code.Reveal()) {
			t.Errorf("%s: the code is in clear", c.subject)
		}
	}
	if found := secret.Find(out.Bytes()); len(found) > 0 {
		t.Errorf("the output has %d credentials", len(found))
	}
}

// TestWhatWasMadeIsHandedOver, also when the next code is refused: nobody else has it.
func TestWhatWasMadeIsHandedOver(t *testing.T) {
	_, first := contact(t)
	_, second := contact(t)
	for name, h := range map[string]*sealingHouse{"the second is refused": {full: "g2"}, "the first is refused": {full: "g1"}} {
		o := h.serve(t)
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			g := &glazier{call: &call{out: &out}, to: readers{first, second}}
			err := g.complete(t.Context(), o, acme, true)
			if asJSON {
				err = g.answer(tenantAndCodes{acme, g.sealed}, err)
			} else {
				err = g.tell(err)
			}
			if err == nil || !strings.Contains(err.Error(), "the ledger is away") {
				t.Errorf("%s: %v", name, err)
			}
			if handed := strings.Count(out.String(), armor.Header); handed != len(h.seals) {
				t.Errorf("%s: %d codes count and %d are handed over (JSON: %t)", name, len(h.seals), handed, asJSON)
			}
		}
	}
}

// full is an output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestCodesThatCannotBeHandedOver count all the same, so the command fails and says what to do.
func TestCodesThatCannotBeHandedOver(t *testing.T) {
	o := new(sealingHouse).serve(t)
	_, first := contact(t)
	_, second := contact(t)
	for name, hand := range map[string]func(*glazier) error{
		"for people": func(g *glazier) error { return g.tell(nil) },
		"as JSON":    func(g *glazier) error { return g.answer(tenantAndCodes{acme, g.sealed}, nil) },
	} {
		g := &glazier{call: &call{out: full{}}, to: readers{first, second}}
		if err := g.complete(context.Background(), o, acme, true); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		if status := finish(&said, hand(g)); status != exitNo || !strings.Contains(said.String(), "could not be handed over: no space left") || !strings.Contains(said.String(), "seawall tenant complete acme --new-codes") {
			t.Errorf("%s: status %d: %s", name, status, said.String())
		}
	}
}
