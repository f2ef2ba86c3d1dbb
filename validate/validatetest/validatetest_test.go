package validatetest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"seawall/validate"
	"seawall/validate/validatetest"
)

const audience = "https://api.example"

func newValidator(t *testing.T, i validate.Issuer, clock *validatetest.Clock) *validate.Validator {
	t.Helper()
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{i}, Audiences: []string{audience}, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func TestDefects(t *testing.T) {
	issuers := map[string]*validatetest.Issuer{
		"seawall ES256": validatetest.NewIssuer(validatetest.Config{}),
		"seawall EdDSA": validatetest.NewIssuer(validatetest.Config{Algorithm: validate.EdDSA}),
		"seawall RS256": validatetest.NewIssuer(validatetest.Config{Algorithm: validate.RS256}),
		"seawall PS256": validatetest.NewIssuer(validatetest.Config{Algorithm: validate.PS256}),
		"foreign ES256": validatetest.NewIssuer(validatetest.Config{Foreign: true}),
	}
	for name, issuer := range issuers {
		t.Run(name, func(t *testing.T) {
			v := newValidator(t, issuer.Trusted(), issuer.Clock())
			token, err := v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": audience}))
			if err != nil {
				t.Fatal(err)
			}
			if token.Subject() != "someone" || token.Issuer() != issuer.URL() {
				t.Errorf("got %v", token)
			}
			for _, d := range issuer.Defects() {
				token, err := v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": audience}, d))
				if token != nil || !errors.Is(err, d.Code) {
					t.Errorf("%s: got %v, %v; want %s", d.Name, token, err, d.Code)
				}
			}
		})
	}
}

func TestResignedTokenStaysGood(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer.Trusted(), issuer.Clock())
	if _, err := v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": audience}, validatetest.Resigned)); err != nil {
		t.Error(err)
	}
}

func TestServer(t *testing.T) {
	server := validatetest.NewServer(validatetest.Config{})
	defer server.Close()
	v := newValidator(t, server.Trusted(), server.Clock())
	if err := v.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Token(context.Background(), server.Token(validatetest.Claims{"aud": audience})); err != nil {
		t.Error(err)
	}
}

func TestClaimLeavesOut(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	v := newValidator(t, issuer.Trusted(), issuer.Clock())
	d := validatetest.Claim("exp", nil, validate.CodeClaims)
	if _, err := v.Token(context.Background(), issuer.Token(validatetest.Claims{"aud": audience}, d)); !errors.Is(err, d.Code) {
		t.Errorf("got %v, want %s", err, d.Code)
	}
}

// The feed as any client sees it: who may hear it, and how it begins and goes on.
func TestFeed(t *testing.T) {
	server := validatetest.NewServer(validatetest.Config{})
	defer server.Close()
	feed := server.Feed()
	ask := func(path, secret, last string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := feed.Credentials()
		req.SetBasicAuth(id, secret)
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	_, secret := feed.Credentials()
	for _, path := range []string{"/distrust", "/distrust/events", "/distrust/changes?after=0"} {
		if resp := ask(path, secret+"x", ""); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with a wrong secret: %s", path, resp.Status)
		}
	}
	feed.Distrust("token", "j-1")
	feed.Restore(feed.Distrust("subject", "u-1"))
	for last, want := range map[string]string{"": "snapshot 3", "0": "statement 1", "2": "statement 3", "3": "head ", "4": "snapshot 3"} {
		if first := firstEvent(t, ask("/distrust/events", secret, last).Body); first != want {
			t.Errorf("after %q the stream begins with %q, want %q", last, first, want)
		}
	}
	feed.Compact()
	for last, want := range map[string]string{"2": "snapshot 3", "3": "head "} {
		if first := firstEvent(t, ask("/distrust/events", secret, last).Body); first != want {
			t.Errorf("compacted, after %q the stream begins with %q, want %q", last, first, want)
		}
	}
	for after, want := range map[string]string{"0": "snapshot", "4": "snapshot"} {
		var answer map[string]json.RawMessage
		if err := json.NewDecoder(ask("/distrust/changes?after="+after, secret, "").Body).Decode(&answer); err != nil || answer[want] == nil {
			t.Errorf("changes after %s: %v, %v", after, answer, err)
		}
	}
	var snapshot struct{ Statements []struct{ Value string } }
	if err := json.NewDecoder(ask("/distrust", secret, "").Body).Decode(&snapshot); err != nil || len(snapshot.Statements) != 1 || snapshot.Statements[0].Value != "j-1" {
		t.Errorf("snapshot %+v, %v", snapshot, err)
	}
}

// firstEvent gives name and id of a stream's first event.
func firstEvent(t *testing.T, stream io.Reader) string {
	t.Helper()
	var name, id string
	for lines := bufio.NewScanner(stream); lines.Scan() && lines.Text() != ""; {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			name = value
		case "id":
			id = value
		}
	}
	return name + " " + id
}
