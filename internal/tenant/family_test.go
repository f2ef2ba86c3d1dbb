package tenant

import (
	"strings"
	"testing"
	"time"

	"seawall/internal/secret"
)

func TestFamilyIDs(t *testing.T) {
	id := NewFamilyID().String()
	for _, written := range []string{id, strings.ToUpper(id), " " + id + "\n"} {
		if got, err := ParseFamilyID(written); err != nil || got != id {
			t.Errorf("%q is read as %q, %v", written, got, err)
		}
	}
	for _, wrong := range []string{"", id[1:], id + "a", id[:25] + "1", id[:25] + "b", "x' or 1=1"} { // the last character has two bits
		if got, err := ParseFamilyID(wrong); err == nil {
			t.Errorf("%q is read as %q", wrong, got)
		}
	}
}

func TestNewFamily(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 12, 0, 0, time.UTC)
	good := Family{ID: NewFamilyID().String(), Tenant: "acme", Client: "web", Person: "ada", Session: "S", Current: secret.Hash{1}, SignedInAt: now.Add(-SessionLongest + time.Hour), CreatedAt: now}
	f, err := NewFamily(good)
	if err != nil || f.Generation != 1 || f.SID != "S" || !f.ExpiresAt.Equal(now.Add(time.Hour)) || !f.Live(now) {
		t.Errorf("%+v, %v", f, err)
	}
	for what, change := range map[string]func(*Family){
		"no session": func(f *Family) { f.Session = "" }, "no token": func(f *Family) { f.Current = secret.Hash{} },
		"no touch": func(f *Family) { f.SignedInAt = time.Time{} }, "nobody": func(f *Family) { f.Person = "" },
	} {
		bad := good
		change(&bad)
		if _, err := NewFamily(bad); err == nil {
			t.Errorf("%s: it was made", what)
		}
	}
}

// TestAFamilyRemembersWhatEndsLast: access tokens that end soon do not push out those that live long, and when none is forgotten
// that may live, it is not crowded.
func TestAFamilyRemembersWhatEndsLast(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var f Family
	give := func(jti string, life time.Duration) {
		f.Released = f.Remembering(Released{JTI: jti, ExpiresAt: now.Add(life)}, now)
	}
	give("long", 24*time.Hour)
	for range 15 {
		give("short", 5*time.Minute)
	}
	if !f.Crowded(now) || f.Crowded(now.Add(5*time.Minute)) {
		t.Error("it has sixteen, and one in five minutes")
	}
	for range 30 {
		give("shorter", time.Minute)
	}
	if last := f.Released[len(f.Released)-1]; last.JTI != "long" || len(f.Released) != 16 || !f.Crowded(now) {
		t.Errorf("it remembers %v", f.Released)
	}
	if f.Crowded(now.Add(5 * time.Minute)) {
		t.Error("it is crowded when what it has forgotten is over")
	}
}
