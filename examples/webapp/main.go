// Command webapp is a web application that people sign in to with passkeys at seawall: it sends them there, gets a code
// back, trades it for an ID token, and remembers who they are.
//
//	go run ./examples/webapp -issuer http://localhost:8420/acme -pin swl1-… -client-id notes -secret-file secret
//
// It uses the standard library, and package validate for the one thing that must not be done by hand: judging the ID
// token. Everything else is one redirect, one answer and one question, below in this order. A library such as
// golang.org/x/oauth2 does the same; `seawall client create` prints all that it asks for.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"seawall/validate"
)

func main() {
	listen := flag.String("listen", "localhost:8430", "address to listen on")
	base := flag.String("base", "", "the URL at which browsers reach this application; empty: http:// and the address")
	issuer := flag.String("issuer", "", "the tenant's issuer")
	pin := flag.String("pin", "", "the fingerprint of the ledger's root")
	clientID := flag.String("client-id", "", "what this application is called at the issuer")
	secretFile := flag.String("secret-file", "", "the file with this application's secret")
	flag.Parse()

	if *base == "" {
		*base = "http://" + *listen
	}
	secret, err := os.ReadFile(*secretFile)
	if err != nil {
		log.Fatal(err)
	}
	a, err := newApp(context.Background(), *base, *issuer, *pin, *clientID, strings.TrimSpace(string(secret)))
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{Addr: *listen, Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("open %s", *base)
	log.Fatal(server.ListenAndServe())
}

// app is the application.
type app struct {
	base, issuer, clientID, secret string
	at                             endpoints
	tokens                         *validate.IDTokens

	mu       sync.Mutex
	sessions map[string]session
	pending  map[string]attempt
}

// endpoints are where the issuer says that things are (OpenID Connect Discovery §4).
type endpoints struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
	Userinfo  string `json:"userinfo_endpoint"`
	Logout    string `json:"end_session_endpoint"`
}

// attempt is a sign-in under way. It is kept here and the browser has only its name, so nobody can finish in one browser
// what was begun in another.
type attempt struct {
	state, nonce, verifier string
	began                  time.Time
}

// session is somebody who is signed in here.
type session struct {
	Subject, Name, Proved string
	ends                  time.Time
}

const (
	patience    = 10 * time.Minute // for a sign-in
	sessionLife = 8 * time.Hour
)

func newApp(ctx context.Context, base, issuer, pin, clientID, secret string) (*app, error) {
	a := &app{base: base, issuer: issuer, clientID: clientID, secret: secret, sessions: map[string]session{}, pending: map[string]attempt{}}
	if err := a.ask(ctx, "GET", issuer+"/.well-known/openid-configuration", nil, nil, &a.at); err != nil {
		return nil, err
	}
	if a.at.Issuer != issuer { // RFC 8414 §3.3: otherwise somebody else's document could send people elsewhere
		return nil, fmt.Errorf("%s calls itself %s", issuer, a.at.Issuer)
	}
	var err error
	a.tokens, err = validate.NewIDTokens(clientID, validate.Config{Issuers: []validate.Issuer{validate.SeawallIssuer(issuer, pin)}})
	return a, err
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /signin", a.signIn)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /signout", a.signOut)
	return http.NewCrossOriginProtection().Handler(mux)
}

// signIn sends the browser to the issuer. State ties the answer to this browser, nonce the ID token to this attempt, and the
// challenge the code to us (PKCE, RFC 7636).
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	t := attempt{rand.Text(), rand.Text(), rand.Text() + rand.Text(), time.Now()}
	name := rand.Text()
	a.mu.Lock()
	for old, p := range a.pending {
		if time.Since(p.began) > patience {
			delete(a.pending, old)
		}
	}
	a.pending[name] = t
	a.mu.Unlock()
	a.setCookie(w, "attempt", name)
	challenge := sha256.Sum256([]byte(t.verifier))
	http.Redirect(w, r, a.at.Authorize+"?"+url.Values{
		"response_type": {"code"}, "client_id": {a.clientID}, "redirect_uri": {a.base + "/callback"}, "scope": {"openid profile"},
		"state": {t.state}, "nonce": {t.nonce}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode(), http.StatusSeeOther)
}

// callback takes the issuer's answer, and trades the code for who it is.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	s, err := a.finish(r)
	if err != nil {
		log.Printf("a sign-in failed: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		a.show(w, view{Problem: "Signing in did not work. Nothing was changed; please try again."})
		return
	}
	name := rand.Text()
	a.mu.Lock()
	a.sessions[name] = s
	a.mu.Unlock()
	a.setCookie(w, "session", name)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) finish(r *http.Request) (session, error) {
	answer := r.URL.Query()
	t, ok := a.take(r)
	switch {
	case !ok || answer.Get("state") != t.state:
		return session{}, errors.New("this browser has begun no such sign-in")
	case answer.Get("iss") != a.issuer: // RFC 9207: another issuer's code must not be brought to ours
		return session{}, errors.New("the answer is another issuer's")
	case answer.Get("error") != "":
		return session{}, fmt.Errorf("the issuer says %s: %s", answer.Get("error"), answer.Get("error_description"))
	}
	var got struct {
		IDToken     string `json:"id_token"`
		AccessToken string `json:"access_token"`
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {a.base + "/callback"}, "code_verifier": {t.verifier}}
	asOurselves := func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(a.clientID), url.QueryEscape(a.secret)) }
	if err := a.ask(r.Context(), "POST", a.at.Token, form, asOurselves, &got); err != nil {
		return session{}, err
	}
	id, err := a.tokens.Token(r.Context(), got.IDToken, validate.Login{Nonce: t.nonce})
	if err != nil {
		return session{}, err
	}
	var who struct {
		Subject string `json:"sub"`
		Name    string `json:"name"`
	}
	withToken := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+got.AccessToken) }
	if err := a.ask(r.Context(), "GET", a.at.Userinfo, nil, withToken, &who); err != nil {
		return session{}, err
	}
	if who.Subject != id.Subject() { // OpenID Connect Core §5.3.2
		return session{}, errors.New("the answer is about somebody else")
	}
	return session{id.Subject(), who.Name, id.ACR(), time.Now().Add(sessionLife)}, nil
}

// take returns the attempt that a browser began, once.
func (a *app) take(r *http.Request) (attempt, bool) {
	c, err := r.Cookie("attempt")
	if err != nil {
		return attempt{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.pending[c.Value]
	delete(a.pending, c.Value)
	return t, ok && time.Since(t.began) < patience
}

// ask sends a request and reads JSON. What the issuer says in an error is not repeated: its code is enough.
func (a *app) ask(ctx context.Context, method, where string, form url.Values, as func(*http.Request), into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, where, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if as != nil {
		as(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := json.NewDecoder(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != http.StatusOK {
		var problem struct {
			Error string `json:"error"`
		}
		_ = body.Decode(&problem) // the status says enough
		return fmt.Errorf("%s %s: %s %s", method, where, resp.Status, problem.Error)
	}
	return body.Decode(into)
}

// setCookie gives the browser a name for something that is kept here. Browsers send it over loopback without TLS, too.
func (a *app) setCookie(w http.ResponseWriter, kind, value string) {
	http.SetCookie(w, &http.Cookie{Name: kind, Value: value, Path: "/", HttpOnly: true, Secure: strings.HasPrefix(a.base, "https:"), SameSite: http.SameSiteLaxMode})
}

// who returns who is signed in here.
func (a *app) who(r *http.Request) (name string, s session, ok bool) {
	c, err := r.Cookie("session")
	if err != nil {
		return "", s, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok = a.sessions[c.Value]; ok && time.Now().After(s.ends) {
		delete(a.sessions, c.Value)
		ok = false
	}
	return c.Value, s, ok
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	_, s, ok := a.who(r)
	a.show(w, view{Session: s, SignedIn: ok})
}

// signOut ends the session here, and asks the issuer to end the one there: they ask the person.
func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	name, _, _ := a.who(r)
	a.mu.Lock()
	delete(a.sessions, name)
	a.mu.Unlock()
	http.Redirect(w, r, a.at.Logout+"?"+url.Values{"client_id": {a.clientID}, "post_logout_redirect_uri": {a.base + "/"}}.Encode(), http.StatusSeeOther)
}

type view struct {
	Session  session
	SignedIn bool
	Problem  string
}

func (a *app) show(w http.ResponseWriter, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := page.Execute(w, v); err != nil {
		log.Print(err)
	}
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Notes</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:10vh auto;padding:0 1rem}</style>
<body>
<h1>Notes</h1>
{{with .Problem}}<p role="alert">{{.}}</p>{{end}}
{{if .SignedIn}}<p>Hello, <strong id="who">{{.Session.Name}}</strong>.</p>
<p>You are <code>{{.Session.Subject}}</code>, and your sign-in proved <code>{{.Session.Proved}}</code>.</p>
<form method="post" action="/signout"><button>Sign out</button></form>
{{else}}<p><a id="signin" href="/signin">Sign in with a passkey</a></p>{{end}}
</body></html>
`))
