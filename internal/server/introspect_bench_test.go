package server

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"testing"
)

func introspection(id, given, token string) string {
	body := "token=" + url.QueryEscape(token)
	return fmt.Sprintf("POST /acme/introspect HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		base64.StdEncoding.EncodeToString([]byte(id+":"+given)), len(body), body)
}

// BenchmarkIntrospect asks about one token again and again, as an API that keeps nothing does.
func BenchmarkIntrospect(b *testing.B) {
	h := newHouse(b, newRealVaults(b).options())
	api, client := h.acme()
	benchmark(b, h.base, introspection(api.APIID, api.Secret, h.token(client)))
}
