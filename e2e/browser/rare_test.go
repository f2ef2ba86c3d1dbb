package browser

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seawall/internal/store"
	"seawall/internal/tenant"
	"seawall/internal/testenv"
)

// later stops a seawall, changes what its database remembers, and starts it again: time goes by in no other way, and no
// virtual authenticator can say who made it.
func later(t *testing.T, s *testenv.Seawall, changes ...string) *testenv.Seawall {
	t.Helper()
	s.Stop()
	path := filepath.Join(s.Data, "house", "seawall.db")
	db, err := sql.Open("sqlite", path) // the driver comes with package store
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		if _, err := db.ExecContext(t.Context(), change); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := store.Open(t.Context(), path, store.Options{}) // what was changed is a database that the product takes
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	return testenv.Start(t, s.Options)
}

// older is the change that makes a time in a table lie further back.
func older(table, column string, by time.Duration) string {
	return fmt.Sprintf("update %s set %s = %s - %d where %s is not null", table, column, column, by.Milliseconds(), column)
}

// TestRareScreens looks at pages that come up only when time has passed, or with keys that are proven to be hardware: a form
// that waits for a touch, a recovery on its way, a certified key, and an application that asks for one.
func TestRareScreens(t *testing.T) {
	document, root := metadata(t)
	s := testenv.Start(t, testenv.Options{Binary: binary, Listen: strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1), Args: []string{"--fido-metadata", document, "--fido-metadata-root", root}})
	dev(s)
	app := newApplication(t, s)
	ada, bob, second := open(t), open(t), open(t)
	ada.enrol(member(t, s, "dev", "ada@acme.example", "Ada Lovelace"), "/dev")
	bob.enrol(member(t, s, "dev", "bob@acme.example", "Bob Kahn"), "/dev")
	s.Run("person", "create", "second@seawall.example", "--tenant", "operators", "--role", "owner", "--name", "Second Owner")
	link := filepath.Join(t.TempDir(), "link")
	s.Run("person", "enrol", "second@seawall.example", "--tenant", "operators", "--save", link)
	second.enrol(saved(t, link), "/operators")
	first := administrator(t, s) // from here on the socket only reads
	s = later(t, s, older("passkey", "created_at", 2*tenant.VoiceAge), older("browser_session", "at", 2*tenant.FreshTouch),
		`update passkey set attested = 1, hardware = 1 where person = (select id from person where login = 'ada@acme.example')`,
		`update passkey set attested = 1 where person = (select id from person where login = 'bob@acme.example')`,
		`update tenant set passkeys = 'attested' where id = 'dev'`)

	// A write long after the last touch: the passkey first, then the same form with what was typed, and nothing is done yet.
	g := newGallery(first)
	touch := func(b *tab) {
		t.Helper()
		b.until(`document.querySelector('[data-again="yes"]') !== null && document.readyState === "complete"`)
		b.click("#go")
	}
	first.go2(s.URL + "/operators/console/new/tenant")
	first.type2("tenant", "acme")
	first.choose("class", "production")
	first.type2("owner", "ops@acme.example")
	first.type2("contacts", "a@acme.example\nb@acme.example")
	first.press()
	touch(first)
	first.at("/operators/console/new/tenant")
	back := eval[string](first, "location.href")
	g.look("console-again", func() {
		first.go2(back)
		first.until(`document.querySelector(".notice.warn") !== null && document.querySelector('main [name="owner"]').value === "ops@acme.example"`)
	})

	// A recovery: one owner asks, the other agrees and has to touch for it, and a day later there can be a link.
	var person struct{ Subject string }
	s.JSON(&person, "person", "show", "ada@acme.example", "--tenant", "dev")
	adas := "/operators/console/tenants/dev/people/" + person.Subject
	first.go2(s.URL + adas + "/recover")
	first.press()
	first.at(adas)
	waiting := newGallery(second)
	waiting.look("account-waiting", func() {
		second.go2(s.URL + "/operators/account")
		second.until(`document.querySelector('form[action="/operators/account/recoveries/approve"]') !== null`)
	})
	approve := `form[action="/operators/account/recoveries/approve"] button`
	second.click(approve)
	touch(second)
	second.at("/operators/account")
	second.click(approve)
	second.until(`location.pathname === "/operators/account" && document.readyState === "complete" && document.querySelector('form[action="/operators/account/recoveries/approve"]') === null`)
	see := func(name, badge string) {
		t.Helper()
		g.look("console-person-"+name, func() {
			first.go2(s.URL + adas)
			first.until(fmt.Sprintf(`document.querySelector("main dl .badge.%s") !== null`, badge))
		})
		g.look("console-recover-"+name, func() { first.go2(s.URL + adas + "/recover") })
	}
	see("approved", "warn")
	hers := newGallery(ada)
	hers.look("account-recovery", func() { // with the badge of a certified key
		ada.go2(s.URL + "/dev/account")
		ada.until(`document.querySelector('form[action="/dev/account/recovery/stop"]') !== null && document.querySelectorAll('section[aria-labelledby="passkeys"] .badge.ok').length === 2`)
	})
	if text := ada.text(); !strings.Contains(text, "Zertifiziert") {
		t.Errorf("ada's key is not certified:\n%s", text)
	}

	// An application wishes for hardware that bob doesn't have, and then needs it.
	his := newGallery(bob)
	ask := func(more string) {
		app.asking(more)
		bob.go2(app.server + "/start")
		bob.until(`document.querySelector(".notice.warn a") !== null`)
	}
	bob.touches(false) // the browser offers what he has, and he doesn't take it
	his.look("signin-lacks", func() { ask("&acr_values=phrh") })
	bob.touches(true)
	his.look("signin-needs", func() {
		ask(`&claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22essential%22%3Atrue%2C%22value%22%3A%22phrh%22%7D%7D%7D`)
	})
	bob.click("#go")
	bob.until(`document.getElementById("say").textContent.trim() !== "" && !document.getElementById("go").disabled`)
	his.examine("signin-needs, refused")
	bob.click(".notice.warn a")
	bob.until(`document.body.innerText.includes("the shop: unmet_authentication_requirements")`)

	s = later(t, s, older("recovery", "approved_at", tenant.RecoveryDelay), `update tenant set passkeys = 'any' where id = 'dev'`)
	see("ready", "ok")
	first.go2(s.URL + adas)
	first.follow("Make a link for a passkey")
	g.look("console-person-recovered", func() { first.go2(s.URL + adas + "/enrol") })
	first.press()
	first.until(`document.querySelector(".secret") !== null`)
	ada.enrol(eval[string](first, `document.querySelector(".secret").textContent`), "/dev")
	hers.look("account-recovered", func() { ada.go2(s.URL + "/dev/account") })
}
