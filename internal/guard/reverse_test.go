package guard

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"seawall/validate/validatetest"
)

// front sets a reverse proxy up in front of an API that tells what reached it.
func front(t *testing.T, more ...func(*Config)) *post {
	t.Helper()
	var p *post
	p = stand(t, behind(t, func() chan *http.Request { return p.api }, more...))
	return p
}

// reached is what came to the API, nil if nothing did.
func (p *post) reached() *http.Request {
	select {
	case r := <-p.api:
		return r
	default:
		return nil
	}
}

func TestTheReverseProxyChecksBeforeItPassesOn(t *testing.T) {
	p := front(t)
	for _, c := range []struct {
		what, method, target string
		header               http.Header
		status               int
	}{
		{"no token", "GET", "/orders", http.Header{}, 401},
		{"an expired token", "GET", "/orders", bearer(p.token("read", validatetest.Expired)), 401},
		{"a stolen key's token", "GET", "/orders", bearer(p.token("read", validatetest.NoReceipt)), 401},
		{"too little", "GET", "/admin", bearer(p.token("read")), 403},
		{"a path game", "GET", "/healthz/../admin", bearer(p.token("read")), 400},
		{"an encoded one", "GET", "/healthz/..%2fadmin", bearer(p.token("read")), 400},
		{"an absolute target", "GET", "http://api.example/healthz", bearer(p.token("read")), 400},
		{"all of it", "OPTIONS", "*", bearer(p.token("read")), 400},
		{"another case", "GET", "/Admin", bearer(p.token("read")), 400},
		{"no route", "POST", "/healthz", bearer(p.token("read")), 403},
		{"a tunnel", "CONNECT", "api.example:80", bearer(p.token("read")), 403},
	} {
		answer := raw(t, p, c.method, c.target, c.header)
		if answer.StatusCode != c.status || answer.StatusCode == 403 && why(answer) == "" {
			t.Errorf("%s: %d, %v", c.what, answer.StatusCode, answer.Header)
		}
		if r := p.reached(); r != nil {
			t.Errorf("%s: it reached the API: %s %s", c.what, r.Method, r.RequestURI)
		}
	}
	answer := ask(t, "POST", p.url+"/orders/caf%C3%A9/a%40b?x=1;y=%2e%2e", with(bearer(p.token("read")), "Content-Type", "text/plain"))
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != 200 || string(body) != "hello" || answer.Header.Get(AssertionHeader) != "" {
		t.Fatalf("a good token: %d %s %v", answer.StatusCode, body, answer.Header)
	}
	r := p.reached()
	if r.Method != "POST" || !strings.HasPrefix(r.RequestURI, "/orders/caf%C3%A9/a%40b?") || r.Header.Get("Authorization") != "" {
		t.Errorf("the API got %s %s with %v", r.Method, r.RequestURI, r.Header)
	}
	if said := p.told(t, r.Header.Get(AssertionHeader)); said["path"] != "/orders/caf%C3%A9/a%40b" || said["method"] != "POST" || said["sub"] != "alice" {
		t.Errorf("the assertion says %v", said)
	}
}

// TestWhatAClientCanNotSayToTheAPI: in every spelling, and whatever Connection says, the API hears of the caller from the
// guard alone.
func TestWhatAClientCanNotSayToTheAPI(t *testing.T) {
	p := front(t, func(c *Config) { c.Identity = map[string]string{"X-User": "sub"} })
	token := p.token("read")
	for _, h := range []http.Header{
		{"Seawall-Assertion": {"forged"}}, {"seawall-assertion": {"forged", "twice"}}, {"SEAWALL_ASSERTION": {"forged"}}, {"Seawall_Assertion": {"forged"}}, {"Seawall.Assertion": {"forged"}},
		{"X-User": {"root"}}, {"x-user": {"root", "root"}}, {"X_User": {"root"}}, {"x.user": {"root"}},
		{"Connection": {"Seawall-Assertion, X-User"}}, {"Connection": {"close, seawall-assertion"}, "Seawall-Assertion": {"forged"}}, {"Connection": {"X-User"}, "X_User": {"root"}},
		{"Connection": {"upgrade, x-user"}, "Upgrade": {"h2c"}}, {"Keep-Alive": {"x"}, "Proxy-Connection": {"X-User"}},
		{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"evil"}, "X_Forwarded_Proto": {"https"}, "Forwarded": {"for=127.0.0.1"}, "X-Forwarded-Prefix": {"/admin"}},
		{"X-HTTP-Method-Override": {"DELETE"}, "X-Original-URL": {"/admin"}, "X_Rewrite_URL": {"/admin"}},
	} {
		h.Set("Authorization", "Bearer "+token)
		answer := raw(t, p, "GET", "/orders", h)
		r := p.reached()
		if answer.StatusCode != 200 || r == nil {
			t.Errorf("%v: %d", h, answer.StatusCode)
			continue
		}
		for name, values := range r.Header {
			joined := strings.Join(values, " ")
			if strings.Contains(joined, "forged") || strings.Contains(joined, "root") || strings.Contains(joined, "evil") || strings.Contains(joined, "/admin") || joined == "DELETE" || joined == "h2c" {
				t.Errorf("%v: the API got %s: %s", h, name, joined)
			}
		}
		if len(r.Header[AssertionHeader]) != 1 || len(r.Header["X-User"]) != 1 || r.Header.Get("X-User") != "alice" || p.told(t, r.Header.Get(AssertionHeader))["sub"] != "alice" {
			t.Errorf("%v: the API got %v", h, r.Header)
		}
		if r.Header.Get("X-Forwarded-For") != "127.0.0.1" || r.Header.Get("X-Forwarded-Proto") != "http" || r.Header.Get("Upgrade") != "" {
			t.Errorf("%v: the API got %v", h, r.Header)
		}
	}
	answer := raw(t, p, "GET", "/healthz", http.Header{"X-User": {"root"}, "Authorization": {"Bearer " + token}})
	if r := p.reached(); answer.StatusCode != 200 || r.Header["X-User"] != nil || p.told(t, r.Header.Get(AssertionHeader))["sub"] != nil {
		t.Errorf("on a public route the API got %v", r.Header)
	}
}

func TestTrailersDoNotReachTheAPI(t *testing.T) {
	p := front(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "POST /orders HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\nTrailer: Seawall-Assertion\r\n\r\n2\r\nhi\r\n0\r\nSeawall-Assertion: forged\r\n\r\n", p.token("read"))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := p.reached()
	if answer.StatusCode != 200 || r.Header.Get("X-Test-Body") != "hi" || r.Header.Get("X-Test-Trailers") != "0" {
		t.Errorf("%d, %v", answer.StatusCode, r.Header)
	}
}

func TestTwoLengthsAreNotBelieved(t *testing.T) {
	p := front(t)
	for _, head := range []string{"Content-Length: 3\r\nContent-Length: 4\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "Content-Length: +3\r\n", "Content-Length : 3\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "POST /orders HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\n%s\r\nabcGET /admin HTTP/1.1\r\nHost: api\r\n\r\n", p.token("read"), head)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.StatusCode < 400 {
			t.Errorf("%q: %v, %v", head, answer, err)
		}
		conn.Close()
		if r := p.reached(); r != nil {
			t.Errorf("%q: it reached the API", head)
		}
	}
}

func TestABodyHasLimits(t *testing.T) {
	p := front(t, func(c *Config) { c.Limits = Limits{Body: 1000, ReadTime: 100 * time.Millisecond} })
	post := func(body io.Reader) int {
		t.Helper()
		req, err := http.NewRequest("POST", p.url+"/orders", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = bearer(p.token("read"))
		answer, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if status := post(bytes.NewReader(make([]byte, 1000))); status != 200 {
		t.Errorf("just small enough: %d", status)
	}
	if status := post(bytes.NewReader(make([]byte, 1001))); status != 413 {
		t.Errorf("said to be too large: %d", status)
	}
	if status := post(io.MultiReader(bytes.NewReader(make([]byte, 1001)))); status != 413 {
		t.Errorf("found to be too large: %d", status)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "POST /orders HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\nContent-Length: 10\r\n\r\nabc", p.token("read"))
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode != 408 {
		t.Errorf("a body that does not come: %v, %v", answer, err)
	}
}

// TestAConnectionIsUpgradedOnlyWhenItMay speaks a protocol of its own through the guard.
func TestAConnectionIsUpgradedOnlyWhenItMay(t *testing.T) {
	for _, may := range []bool{false, true} {
		p := stand(t, func(c *Config) {
			api := httptest.NewServer(http.HandlerFunc(echoUpgraded))
			t.Cleanup(api.Close)
			c.Upstream, _ = Upstream(api.URL)
			if may {
				c.Upgrade = []string{"websocket"}
			}
		})
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET /orders HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", p.token("read"))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if (answer.StatusCode == http.StatusSwitchingProtocols) != may {
			t.Errorf("upgrade allowed: %v, and the answer is %d", may, answer.StatusCode)
		}
		if may {
			fmt.Fprint(conn, "ping")
			back := make([]byte, 4)
			if _, err := io.ReadFull(conn, back); err != nil || string(back) != "ping" {
				t.Errorf("%q, %v", back, err)
			}
		}
		conn.Close()
	}
}

func echoUpgraded(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		fmt.Fprint(w, "plain")
		return
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, read, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.CopyN(conn, read, 4) // the server may have read some of it already
}

func TestADeadAPIIs502(t *testing.T) {
	p := stand(t, func(c *Config) {
		dead, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.Upstream, _ = Upstream("http://" + dead.Addr().String())
		dead.Close()
	})
	answer := ask(t, "GET", p.url+"/orders", bearer(p.token("read")))
	if answer.StatusCode != 502 || why(answer) != "upstream" {
		t.Errorf("%d, %v", answer.StatusCode, answer.Header)
	}
}

func TestUpstreamsStayOnThisMachine(t *testing.T) {
	for _, text := range []string{"", "http://api.example", "http://192.0.2.1:80", "https://127.0.0.1", "http://127.0.0.1/api", "http://u:p@127.0.0.1", "unix:run/api.sock", "127.0.0.1:80"} {
		if u, err := Upstream(text); err == nil {
			t.Errorf("%q is accepted as %v", text, u)
		}
	}
	for _, text := range []string{"http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000", "unix:/run/api.sock"} {
		if _, err := Upstream(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A refusal is sent after the server has read the body. Without a limit, who announces one and never sends it would keep a
// place of the guard's for ever, without any token.
func TestARefusedClientMustNotHoldItsPlace(t *testing.T) {
	p := front(t, func(c *Config) { c.Limits = Limits{ReadTime: 100 * time.Millisecond} })
	for name, head := range map[string]string{"a length": "Content-Length: 10\r\n", "chunks": "Transfer-Encoding: chunked\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "POST /orders HTTP/1.1\r\nHost: api\r\n%s\r\n", head)
		if text, err := io.ReadAll(conn); err != nil {
			t.Errorf("%s: the connection is still held: %v, after %q", name, err, text)
		}
	}
}

// A client that reads nothing is given up, in false time.
func TestAClientThatTakesNothingGivesItsPlaceUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		left := false
		p := &placed{Conn: ours, leave: func() { left = true }}
		begun := time.Now()
		if _, err := p.Write([]byte("an answer")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("written to somebody who does not read: %v", err)
		}
		if waited := time.Since(begun); waited != writeTime {
			t.Errorf("given up after %v", waited)
		}
		if p.Close(); !left {
			t.Error("the place is not given back")
		}
	})
}
