package expvar_test

import (
	"encoding/json"
	"expvar"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	seawall "seawall/adapters/expvar"
	"seawall/validate"
	"seawall/validate/validatetest"
)

const audience = "https://api.example"

// What the page of the standard library shows, member by member.
func TestVar(t *testing.T) {
	wall := validatetest.NewServer(validatetest.Config{})
	defer wall.Close()
	static := validatetest.NewIssuer(validatetest.Config{URL: "https://static.example"})
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{wall.Trusted().WithFeed(wall.Feed().Config(validate.RefuseWhenStale())), static.Trusted()},
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
	name := "seawall_validate at " + wall.URL() // a name is taken for good, also when the test runs again
	expvar.Publish(name, seawall.Var(v))
	for range 2 {
		if _, err := v.Token(t.Context(), wall.Token(validatetest.Claims{"aud": audience, "sub": "somebody"})); err != nil {
			t.Fatal(err)
		}
	}
	v.Token(t.Context(), wall.Token(validatetest.Claims{"aud": audience}, validatetest.Expired))
	v.Close() // so that ages are what the clock says
	wall.Clock().Advance(time.Minute)

	w := httptest.NewRecorder()
	expvar.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/debug/vars", nil))
	var vars map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &vars); err != nil {
		t.Fatalf("%v in\n%s", err, w.Body)
	}
	shown, ok := vars[name].(map[string]any)
	if !ok {
		t.Fatalf("not among\n%s", w.Body)
	}
	age := func(list any, n int, member string) {
		item := list.([]any)[n].(map[string]any)
		if s, ok := item[member].(float64); !ok || s < 60 || s > 120 {
			t.Errorf("%s is %v, want about 60", member, item[member])
		}
		delete(item, member)
	}
	age(shown["issuers"], 0, "keys_age_seconds")
	age(shown["feeds"], 0, "age_seconds")
	want := map[string]any{
		"version": validate.Version,
		"tokens": []any{
			map[string]any{"issuer": wall.URL(), "audience": audience, "type": "at+jwt", "key": "", "code": "expired", "count": 1.0},
			map[string]any{"issuer": wall.URL(), "audience": audience, "type": "at+jwt", "key": "active", "code": "", "count": 2.0},
		},
		"events": []any{
			map[string]any{"issuer": wall.URL(), "event": "feed_loaded", "code": "", "count": 1.0},
			map[string]any{"issuer": wall.URL(), "event": "keys_loaded", "code": "", "count": 1.0},
		},
		"issuers": []any{
			map[string]any{"issuer": wall.URL()},
			map[string]any{"issuer": "https://static.example", "keys_age_seconds": nil},
		},
		"feeds": []any{map[string]any{"issuer": wall.URL(), "phase": "stale", "sequence": 0.0, "alarms": 0.0}},
	}
	if !reflect.DeepEqual(shown, want) {
		t.Errorf("shown:\n%v\nwant:\n%v", shown, want)
	}
}
