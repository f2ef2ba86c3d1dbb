package browser

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

var authorizeLink = regexp.MustCompile(`http://\S+/operators/authorize\?\S+`)

// TestTheREADMEsApplication follows the README from `make run` to the first administrator, who logs in, and a person who signs
// in to a web application with a passkey, and out again.
func TestTheREADMEsApplication(t *testing.T) {
	r := testenv.FollowREADME(t)
	i := slices.IndexFunc(r.Blocks, func(block string) bool { return strings.Contains(block, testenv.ThirdTerminal) })
	if i < 0 {
		t.Fatal("the README runs no application")
	}
	login := slices.IndexFunc(r.Blocks, func(block string) bool { return strings.Contains(block, testenv.InABrowser) })
	if login < 0 || login > i {
		t.Fatal("the README logs nobody in")
	}
	r.Shell(r.Blocks[:login]...)
	link, err := os.ReadFile(filepath.Join(r.Data, "first-administrator.txt"))
	if err != nil {
		t.Fatal(err)
	}
	desk := open(t)
	desk.enrol(strings.TrimSpace(string(link)), "/operators")
	said := r.Run(r.Blocks[login], "Open this in your browser")
	desk.go2(authorizeLink.FindString(said("\n\n")))
	desk.click(`button[value="allow"]`)
	said("as administrator (owner)")
	r.Shell(r.Blocks[login+1 : i]...)
	r.Run(r.Blocks[i], "open http://"+r.App)

	b := open(t)
	b.enrol(saved(t, filepath.Join(r.Dir, "ada.link")), "/acme")
	b.click(`form[action="/acme/signout"] button`) // the application will ask for the passkey
	b.at("/acme/signed-out")
	b.go2("http://" + r.App + "/")
	b.click("#signin")
	b.until(`location.pathname === "/acme/consent" && document.readyState === "complete"`) // by itself: the browser's own offer
	if text := b.text(); !strings.Contains(text, "Notes") {
		t.Errorf("whom she agrees to is not said:\n%s", text)
	}
	b.click(`button[value="allow"]`)
	b.until(`document.getElementById("who") !== null`)
	if who := eval[string](b, `document.getElementById("who").textContent`); who != "Ada Lovelace" {
		t.Errorf("it greets %q", who)
	}
	if text := b.text(); !strings.Contains(text, "proved phr.") {
		t.Errorf("it says\n%s", text)
	}
	b.go2("http://" + r.App + "/signin") // again: she is signed in and has agreed, so nothing is asked
	b.until(`document.getElementById("who") !== null`)
	r.Shell(r.Blocks[i+1])

	b.click(`form[action="/signout"] button`)
	b.until(`location.pathname === "/acme/logout" && document.readyState === "complete"`) // nothing ends unless she says so
	b.click(`form[action="/acme/logout"] button`)
	b.until(`location.host === "` + r.App + `" && document.getElementById("signin") !== null`)

	b.go2("http://" + r.App + "/callback?code=stolen&state=made-up&iss=http://evil.example")
	b.until(`document.body.innerText.includes("Signing in did not work")`)
}
