package prometheus_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	seawall "seawall/adapters/prometheus"
	"seawall/validate"
	"seawall/validate/validatetest"
)

const audience = "https://api.example"

// watched gives a validator of tokens from a seawall with a feed, and the clock of both.
func watched(t *testing.T) (*validate.Validator, *validatetest.Server) {
	t.Helper()
	wall := validatetest.NewServer(validatetest.Config{})
	t.Cleanup(wall.Close)
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{wall.Trusted()}, Audiences: []string{audience}, Now: wall.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v, wall
}

func TestCollector(t *testing.T) {
	v, wall := watched(t)
	for range 3 {
		if _, err := v.Token(t.Context(), wall.Token(validatetest.Claims{"aud": audience, "sub": "somebody"})); err != nil {
			t.Fatal(err)
		}
	}
	v.Token(t.Context(), wall.Token(validatetest.Claims{"aud": audience}, validatetest.NoReceipt))
	v.Token(t.Context(), wall.Token(validatetest.Claims{"aud": audience, "iss": "https://stranger.example"}))
	want := `
# HELP seawall_validate_info Always 1. The version of the library that validates.
# TYPE seawall_validate_info gauge
seawall_validate_info{version="VERSION"} 1
# HELP seawall_validate_tokens_total Tokens that were judged. The code is ok, or why they were refused; an empty label means that the token named nothing that is known.
# TYPE seawall_validate_tokens_total counter
seawall_validate_tokens_total{audience="https://api.example",code="issuer",issuer="",key="",type="at+jwt"} 1
seawall_validate_tokens_total{audience="https://api.example",code="ok",issuer="URL",key="active",type="at+jwt"} 3
seawall_validate_tokens_total{audience="https://api.example",code="receipt_missing",issuer="URL",key="active",type="at+jwt"} 1
# HELP seawall_validate_events_total What happened to the keys and the distrust feed of an issuer. The code is ok, or why they were refused.
# TYPE seawall_validate_events_total counter
seawall_validate_events_total{code="ok",event="keys_loaded",issuer="URL"} 1
`
	want = strings.NewReplacer("URL", wall.URL(), "VERSION", validate.Version).Replace(want)
	names := []string{"seawall_validate_info", "seawall_validate_tokens_total", "seawall_validate_events_total"}
	if err := testutil.CollectAndCompare(seawall.Collector(v), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// What is exported follows the conventions of Prometheus, and no more of it comes by what strangers send.
func TestExposition(t *testing.T) {
	v, wall := watched(t)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(seawall.Collector(v))
	page := func() string {
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if w.Code != 200 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	send := func(n int) {
		name := fmt.Sprintf("https://%d.example", n)
		v.Token(t.Context(), wall.Token(validatetest.Claims{"aud": audience, "iss": name, "sub": name, "jti": name}))
		v.Token(t.Context(), wall.Token(validatetest.Claims{"aud": name, "sub": name, "jti": name}))
		v.Token(t.Context(), wall.Token(validatetest.Claims{"aud": audience, "sub": name, "jti": name}))
		v.Token(t.Context(), name)
	}
	send(0)
	before := strings.Count(page(), "\n")
	for n := range 200 {
		send(n)
	}
	after := page()
	if lines := strings.Count(after, "\n"); lines != before {
		t.Errorf("%d lines, and before 800 more tokens %d", lines, before)
	}
	if strings.Contains(after, "https://7.example") {
		t.Error("a name that only a token knew is exported")
	}
	if !strings.Contains(after, `seawall_validate_keys_age_seconds{issuer="`+wall.URL()+`"} `) {
		t.Errorf("no age of keys in\n%s", after)
	}
	problems, err := testutil.GatherAndLint(registry)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if err != nil {
		t.Error(err)
	}
}

// Two validators in one registry, one of them for ID tokens, are told apart by a label of the program's.
func TestSeveralSources(t *testing.T) {
	v, wall := watched(t)
	logins, err := validate.NewIDTokens("web", validate.Config{Issuers: []validate.Issuer{wall.Trusted()}, Now: wall.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	defer logins.Close()
	registry := prometheus.NewPedanticRegistry()
	for name, s := range map[string]seawall.Source{"api": v, "logins": logins} {
		prometheus.WrapRegistererWith(prometheus.Labels{"for": name}, registry).MustRegister(seawall.Collector(s))
	}
	if n, err := testutil.GatherAndCount(registry, "seawall_validate_info"); err != nil || n != 2 {
		t.Errorf("%d sources, %v", n, err)
	}
}

// A feed is exported with the age that its ledger signed, and ages while it is silent.
func TestFeed(t *testing.T) {
	wall := validatetest.NewServer(validatetest.Config{})
	defer wall.Close()
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{wall.Trusted().WithFeed(wall.Feed().Config(validate.RefuseWhenStale()))},
		Audiences: []string{audience},
		Now:       wall.Clock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.Close() // so that it hears no more
	wall.Clock().Advance(time.Hour)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(seawall.Collector(v))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			seen[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	if age := seen["seawall_validate_feed_age_seconds"]; age < 3600 || age > 3700 {
		t.Errorf("the feed is %v s old", age)
	}
	if age := seen["seawall_validate_keys_age_seconds"]; age < 3600 || age > 3700 {
		t.Errorf("the keys are %v s old", age)
	}
	if n, there := seen["seawall_validate_feed_alarms_total"]; n != 0 || !there {
		t.Errorf("%v alarms", n)
	}
}
