package e2e

import (
	"bufio"
	"context"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNoReleasedTokenOfAPersonLacksItsEntry is the same for people's applications: an access token comes with its ID token
// or not at all, and both are in the log, each as what it is and with the session that it came from.
func TestNoReleasedTokenOfAPersonLacksItsEntry(t *testing.T) {
	const apart = 300 // tokens between two kills, so that a device seldom loses two answers in a row
	s := start(t)
	g, codes := grow(t, s, populate(t, s, "acme"), devices)
	all := make([]*device, devices)
	for i := range all {
		all[i] = g.device(i)
		a, err := all[i].insist(url.Values{"grant_type": {"authorization_code"}, "code": {codes[i]}, "redirect_uri": {appCallback}, "code_verifier": {appVerifier}})
		if err != nil || a.Refresh == "" {
			t.Fatalf("device %d: %v, %s: %s", i, err, a.Error, a.Description)
		}
		all[i].refresh = a.Refresh
	}
	s, path := stormUnder(t, g.s, kills()/2, apart, func(seen *witness, stop <-chan struct{}) *sync.WaitGroup {
		var running sync.WaitGroup
		for _, d := range all {
			running.Go(func() { d.refreshUntil(t, seen, stop) })
		}
		return &running
	})
	if status, out := verify(s, "--data", s.Data); status != 0 {
		t.Errorf("log verify: status %d, %s", status, out)
	}
	recorded := map[string]entry{}
	for _, e := range search(t, s, "--kind", "token.issued", "--subject", g.person, "--data", s.Data) {
		recorded[e.JTI] = e
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pairs := 0
	for lines := bufio.NewScanner(file); lines.Scan(); pairs++ {
		jtis := strings.Fields(lines.Text())
		for i, kind := range []string{"at+jwt", "JWT"} {
			if e := recorded[jtis[i]]; e.TokenKind != kind || e.Detail["sid"] == "" {
				t.Errorf("the log says of the %s %s: %+v", kind, jtis[i], e)
			}
		}
	}
	t.Logf("%d kills, %d pairs of tokens released", kills()/2, pairs)
	s.Stop()
}

// refreshUntil refreshes and notes what it got, access token and ID token, until stop is closed. When nothing is heard it
// sends the same token again.
func (d *device) refreshUntil(t *testing.T, seen *witness, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		a, err := d.ask(context.Background(), refreshForm(d.refresh))
		switch {
		case err != nil:
			time.Sleep(20 * time.Millisecond) // it is being killed
			continue
		case a.Error == "invalid_grant": // two lost answers in a row: suspended, which is right
			return
		case a.Error != "" || a.ID == "" || a.Access == "":
			t.Errorf("half an answer, or an error: %s: %s", a.Error, a.Description)
			return
		}
		if err := seen.note(jtiOf(t, a.Access), jtiOf(t, a.ID)); err != nil {
			t.Errorf("noting tokens: %v", err)
			return
		}
		d.refresh = a.Refresh
	}
}
