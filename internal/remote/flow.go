package remote

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"seawall/internal/secret"
)

// SignIn signs a person in at the seawall with this base URL, through their browser, and keeps the login in dir as the last
// one. show is told where the person has to go.
func SignIn(ctx context.Context, dir, base string, show func(address string)) (*Login, error) {
	l, err := newLogin(base)
	if err != nil {
		return nil, err
	}
	l.Show, l.path = show, fileOf(dir, l.Base)
	if before, err := read(l.path, l.Base); err == nil {
		l.left = append(before.left, before.refresh)
	}
	if l.key, err = newKey(); err != nil {
		return nil, err
	}
	if err := l.walk(ctx, -1); err != nil {
		return nil, err
	}
	return l, write(filepath.Join(dir, currentFile), []byte(l.Base))
}

// walk is one way through the browser. maxAge is how old the touch may be in seconds; negative: as old as it is.
func (l *Login) walk(ctx context.Context, maxAge int64) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := l.find(ctx); err != nil {
		return err
	}
	port, err := net.Listen("tcp", "127.0.0.1:0") // RFC 8252 §7.3: the address, not a name
	if err != nil {
		return fmt.Errorf("waiting for the browser: %w", err)
	}
	w := &waiting{issuer: l.issuer, state: rand.Text(), verifier: rand.Text() + rand.Text(), redirect: "http://" + port.Addr().String() + "/callback", came: make(chan answer, 1)}
	server := &http.Server{Handler: w, ReadTimeout: callTime, WriteTimeout: callTime}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(port) }() // ends when it is shut down
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // the page that says so is still on its way
		defer cancel()
		if server.Shutdown(end) != nil {
			server.Close()
		}
		<-served
	}()
	jkt, err := thumbprint(l.key)
	if err != nil {
		return err
	}
	l.Show(l.places.Authorize + "?" + w.question(l.Audience(), jkt, maxAge).Encode())
	select {
	case a := <-w.came:
		if a.err != nil {
			return a.err
		}
		return l.redeem(ctx, w, a.code)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("nobody came back from the browser within %d minutes", askTime/time.Minute)
		}
		return fmt.Errorf("waiting for the browser: %w", context.Cause(ctx))
	}
}

// waiting waits for the browser to come back.
type waiting struct {
	issuer, state, verifier, redirect string
	came                              chan answer // the first one counts
}

type answer struct {
	code secret.Text
	err  error
}

func (w *waiting) question(audience, jkt string, maxAge int64) url.Values {
	sum := sha256.Sum256([]byte(w.verifier))
	q := url.Values{"response_type": {"code"}, "client_id": {ClientID}, "redirect_uri": {w.redirect}, "scope": {scope}, "resource": {audience}, "state": {w.state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "dpop_jkt": {jkt}}
	if maxAge >= 0 {
		q.Set("max_age", strconv.FormatInt(maxAge, 10))
	}
	return q
}

// ServeHTTP takes the browser's answer. What does not know the state is somebody else's, and is not looked at.
func (w *waiting) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.Method != http.MethodGet || r.URL.Path != "/callback" || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(w.state)) != 1 {
		http.NotFound(rw, r)
		return
	}
	a := answer{code: secret.New(q.Get("code"))}
	switch {
	case q.Get("iss") != w.issuer: // RFC 9207: an answer of another server is not taken here
		a.err = errors.New("the browser brought the answer of another server")
	case q.Get("error") == "access_denied":
		a.err = errors.New("the browser says no: access was not given")
	case q.Get("error") != "":
		a.err = fmt.Errorf("the server refuses: %s", plain(q.Get("error")+": "+q.Get("error_description")))
	case a.code.IsZero():
		a.err = errors.New("the browser brought no code")
	}
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"+styleSum+"'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	heading, text := "Done", "You can close this page and go back to the terminal."
	if a.err != nil {
		heading, text = "That did not work", "The terminal says more. You can close this page."
	}
	fmt.Fprintf(rw, page, style, heading, text)
	select {
	case w.came <- a:
	default:
	}
}

// page is what the browser shows at the end, and style makes it look like the pages before it.
const (
	page  = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>seawall</title><style>%s</style><main><h1>%s</h1><p>%s</p></main></html>`
	style = `:root{color-scheme:light dark;--bg:#f6f8fa;--surface:#fff;--line:#d5dee6;--text:#10202f;--muted:#4b5d70}
@media(prefers-color-scheme:dark){:root{--bg:#0b141d;--surface:#13202c;--line:#2a3b4b;--text:#e6eef5;--muted:#9db0c1}}
body{margin:0;padding:12vh 16px 0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:400px;margin:0 auto;padding:40px;box-sizing:border-box;background:var(--surface);border:1px solid var(--line);border-radius:8px}
h1{margin:0 0 16px;font-size:28px;line-height:1.25}p{margin:0;color:var(--muted)}`
)

// styleSum lets the browser use style, and no other (CSP Level 3, hash sources).
var styleSum = func() string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}()

// plain keeps what came over the network from moving the terminal's cursor.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), 300)]
}

// redeem trades the code for tokens, and keeps the login. It begins a new line of refresh tokens, so the one before is given
// up: nobody would miss it if a thief went on with it.
func (l *Login) redeem(ctx context.Context, w *waiting, code secret.Text) error {
	free, err := l.alone()
	if err != nil {
		return err
	}
	defer free()
	before := l.refresh
	if err := l.trade(ctx, url.Values{"grant_type": {"authorization_code"}, "client_id": {ClientID}, "code": {code.Reveal()}, "redirect_uri": {w.redirect}, "code_verifier": {w.verifier}}); err != nil {
		return err
	}
	if !before.IsZero() && !before.Equal(l.refresh) {
		l.left = append(l.left, before)
	}
	_ = l.giveUp(ctx) // what the server did not take stays in the file for the next time
	return l.save()
}

// giveUp revokes what this login has left behind.
func (l *Login) giveUp(ctx context.Context) error {
	var failed []error
	l.left = slices.DeleteFunc(l.left, func(token secret.Text) bool {
		err := l.revoke(ctx, token)
		failed = append(failed, err)
		return err == nil
	})
	return errors.Join(failed...)
}

// tokens is the answer of the token endpoint, or its error.
type tokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Refresh string `json:"refresh_token"`

	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// trade asks the token endpoint. The next refresh token is kept before anything else is done with the answer.
func (l *Login) trade(ctx context.Context, form url.Values) error {
	if err := l.find(ctx); err != nil {
		return err
	}
	var got tokens
	for range 2 {
		nonce := l.nonce
		proof, err := prove(l.key, http.MethodPost, l.places.Token, "", nonce)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.places.Token, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("DPoP", proof)
		got = tokens{}
		if _, err := l.call(req, &got); err != nil {
			return err
		}
		if got.Error != "use_dpop_nonce" || l.nonce == nonce { // RFC 9449 §8
			break
		}
	}
	switch {
	case got.Error == "invalid_grant":
		return fmt.Errorf("%w: %s", ErrOver, plain(got.Description))
	case got.Error != "":
		return fmt.Errorf("the server gives no token: %s", plain(got.Error+": "+got.Description))
	case got.Access == "" || !strings.EqualFold(got.Type, "DPoP"):
		return errors.New("the server gave a token that is not bound to our key: it is not used")
	}
	l.access, l.expires = secret.New(got.Access), time.Now().Add(time.Duration(got.Expires)*time.Second)
	if got.Refresh == "" {
		return nil
	}
	l.refresh = secret.New(got.Refresh)
	return l.save()
}

// End gives the login up: its refresh tokens are revoked at the server, and its file removed. The file goes in any case; the
// error says what did not work.
func (l *Login) End(ctx context.Context) error {
	free, err := l.alone()
	if err != nil {
		return err
	}
	defer free()
	l.left = append(l.left, l.refresh)
	return errors.Join(l.giveUp(ctx), l.forget())
}

func (l *Login) revoke(ctx context.Context, token secret.Text) error {
	if err := l.find(ctx); err != nil {
		return err
	}
	form := url.Values{"token": {token.Reveal()}, "client_id": {ClientID}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.places.Revoke, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := l.http.Do(req)
	if err != nil {
		return unreachable(l.Base, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server did not take the login back: status %d", resp.StatusCode)
	}
	return nil
}
