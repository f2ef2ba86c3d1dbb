package server

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"seawall/internal/server/adminapi"
)

// connection is a keep-alive connection that sends one request over and over.
type connection struct {
	c       net.Conn
	r       *bufio.Reader
	request []byte
}

func connect(b testing.TB, base, request string) *connection {
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	must(b, c, err)
	b.Cleanup(func() { c.Close() })
	return &connection{c, bufio.NewReader(c), []byte(request)}
}

func (c *connection) do() error {
	if _, err := c.c.Write(c.request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !strings.HasPrefix(string(line), "HTTP/1.1 200") {
			return fmt.Errorf("%s", line)
		}
		if n, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			fmt.Sscan(n, &length)
		}
		if len(line) == 2 {
			break
		}
	}
	_, err := c.r.Discard(length)
	return err
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
