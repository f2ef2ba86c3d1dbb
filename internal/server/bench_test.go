package server

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"seawall/internal/oauth"
	"seawall/internal/server/adminapi"
)

// connection is a keep-alive connection that sends one request over and over.
type connection struct {
	c       net.Conn
	r       *bufio.Reader
	request []byte
	body    []byte
}

func connect(b testing.TB, base, request string) *connection {
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	must(b, c, err)
	b.Cleanup(func() { c.Close() })
	return &connection{c: c, r: bufio.NewReader(c), request: []byte(request)}
}

func (c *connection) do() error {
	_, err := c.ask()
	return err
}

// ask sends the request and returns the body of the answer, which is good until the next.
func (c *connection) ask() ([]byte, error) {
	if _, err := c.c.Write(c.request); err != nil {
		return nil, err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if first && !strings.HasPrefix(string(line), "HTTP/1.1 200") {
			return nil, fmt.Errorf("%s", line)
		}
		if n, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			fmt.Sscan(n, &length)
		}
		if len(line) == 2 {
			break
		}
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	_, err := io.ReadFull(c.r, c.body[:length])
	return c.body[:length], err
}

// benchmark sends requests over 16 connections.
func benchmark(b *testing.B, base, request string) {
	b.Helper()
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := connect(b, base, request)
		for pb.Next() {
			if err := c.do(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkToken is client_credentials through the whole house and the true vaults, all in this process.
func BenchmarkToken(b *testing.B) {
	h := newHouse(b, newRealVaults(b).options())
	h.acme()
	client, err := h.op.CreateClient(b.Context(), "acme", adminapi.CreateClient{APIs: []string{ordersAPI}, Scopes: []string{"read"}, RatePerSecond: 100_000})
	must(b, client, err)
	benchmark(b, h.base, tokenRequest(client.ClientID, client.Secret))
}

func BenchmarkPages(b *testing.B) {
	h := newHouse(b, options{})
	h.acme()
	body := h.do("GET", "/acme/jwks", "").body
	static := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	b.Cleanup(static.Close)
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	b.Run("static", func(b *testing.B) { benchmark(b, static.URL, get("/acme/jwks")) })
	b.Run("jwks", func(b *testing.B) { benchmark(b, h.base, get("/acme/jwks")) })
	b.Run("static2", func(b *testing.B) { benchmark(b, static.URL, get("/acme/jwks")) })
	b.Run("metadata", func(b *testing.B) { benchmark(b, h.base, get("/acme/.well-known/openid-configuration")) })
}

func tokenRequest(id, given string) string {
	body := "grant_type=client_credentials&scope=read"
	return fmt.Sprintf("POST /acme/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		base64.StdEncoding.EncodeToString([]byte(id+":"+given)), len(body), body)
}

// converse sends requests over 16 connections, each made out of the answer before.
func converse(b *testing.B, base string, path string, next func(last []byte) (form string), header string) {
	b.Helper()
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := connect(b, base, "")
		var last []byte
		for pb.Next() {
			form := next(last)
			c.request = fmt.Appendf(c.request[:0], "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n%sContent-Length: %d\r\n\r\n%s", path, header, len(form), form)
			var err error
			if last, err = c.ask(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRefresh is a rotation with an access token and an ID token through the whole house and the true vaults.
func BenchmarkRefresh(b *testing.B) {
	w := newTown(b)
	header := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("web:"+w.web.Secret)) + "\r\n"
	tokens := make(chan string, 64)
	for range cap(tokens) {
		tokens <- w.signIn("web").Refresh
	}
	member := regexp.MustCompile(`"refresh_token":"([^"]+)"`)
	converse(b, w.base, "/acme/token", func(last []byte) string {
		if found := member.FindSubmatch(last); found != nil {
			return "grant_type=refresh_token&refresh_token=" + string(found[1])
		}
		return "grant_type=refresh_token&refresh_token=" + <-tokens
	}, header)
}

// BenchmarkCode is the exchange of a code for an access token, an ID token and a refresh token.
func BenchmarkCode(b *testing.B) {
	w := newTown(b)
	header := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("web:"+w.web.Secret)) + "\r\n"
	codes := make(chan string, b.N)
	var making sync.WaitGroup
	for range 64 {
		making.Go(func() {
			for range (b.N + 63) / 64 {
				select {
				case codes <- exchanging("web", w.code("web", oauth.Scope{"openid", "profile", "read"})).Encode():
				default:
				}
			}
		})
	}
	making.Wait()
	converse(b, w.base, "/acme/token", func([]byte) string { return <-codes }, header)
}
