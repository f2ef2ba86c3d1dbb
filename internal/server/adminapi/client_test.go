package adminapi

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// house answers on the socket of a house in dir.
func house(t *testing.T, dir string, h http.HandlerFunc) *Operator {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // the path may be longer than a socket's name
	l, err := net.Listen("unix", Socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return Dial(dir)
}

// TestLongPaths: a data directory may lie deeper than a socket's name can be long.
func TestLongPaths(t *testing.T) {
	for _, depth := range []int{0, 150} {
		dir := filepath.Join(t.TempDir(), strings.Repeat("d", depth))
		op := house(t, dir, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{"version":"x"}`)) })
		if s, err := op.Status(t.Context()); err != nil || s.Version != "x" {
			t.Errorf("%d: %+v, %v", depth, s, err)
		}
	}
}

// TestNamesStayInTheirPlace: whatever a name holds, it is one segment of the path.
func TestNamesStayInTheirPlace(t *testing.T) {
	var path string
	op := house(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		w.Write([]byte(`{}`))
	})
	for name, want := range map[string]string{
		"https://api.acme.example/v1?x#y": "/v1/tenants/acme/apis/https:%2F%2Fapi.acme.example%2Fv1%3Fx%23y",
		"..":                              "/v1/tenants/acme/apis/%2E.",
		".":                               "/v1/tenants/acme/apis/%2E",
		"a b":                             "/v1/tenants/acme/apis/a%20b",
		"":                                "/v1/tenants/acme/apis/",
	} {
		if _, err := op.API(t.Context(), "acme", name); err != nil || path != want {
			t.Errorf("%q: %s, %v, want %s", name, path, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   Error
	}{
		"told":      {409, `{"error":"conflict","error_description":"no","hint":"wait"}`, Error{Code: "conflict", Description: "no", Hint: "wait", Status: 409}},
		"no reason": {502, `<html>`, Error{Code: CodeServer, Description: "seawall's admin API answered with status 502 and no reason", Status: 502}},
		"empty":     {500, ``, Error{Code: CodeServer, Description: "seawall's admin API answered with status 500 and no reason", Status: 500}},
	} {
		op := house(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
			w.Write([]byte(c.body))
		})
		_, err := op.Tenants(t.Context())
		if e := (*Error)(nil); !errors.As(err, &e) || *e != c.want {
			t.Errorf("%s: got %#v", name, err)
		}
	}
	op := house(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`[`)) })
	if _, err := op.Tenants(t.Context()); err == nil || !strings.Contains(err.Error(), "same version") {
		t.Errorf("an answer that is not JSON: %v", err)
	}
	op = Dial(t.TempDir())
	_, err := op.Tenants(t.Context())
	if e := (*Error)(nil); !errors.As(err, &e) || e.Code != CodeNotRunning || e.Hint == "" {
		t.Errorf("nobody there: %v", err)
	}
}

// TestWhatTravels: an empty list is a list, times that are not there are left out, and what was asked arrives.
func TestWhatTravels(t *testing.T) {
	var got CreateClient
	op := house(t, t.TempDir(), func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Write([]byte(`{"items":[]}`))
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the question is not JSON: %v", err)
		}
		w.Write([]byte(`{"client_id":"c","client_secret":"s"}`))
	})
	if list, err := op.Clients(t.Context(), "acme"); err != nil || list == nil || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	made, err := op.CreateClient(t.Context(), "acme", CreateClient{ClientID: "c", Scopes: []string{"read"}, Claims: map[string]string{"a": "b"}})
	if err != nil || made.Secret != "s" || got.ClientID != "c" || got.Claims["a"] != "b" {
		t.Errorf("%+v, %v, asked %+v", made, err, got)
	}
	text, err := json.Marshal(Client{})
	if err != nil || strings.Contains(string(text), "0001-01-01") && strings.Contains(string(text), "disabled") || strings.Contains(string(text), "client_secret") {
		t.Errorf("an empty client is %s", text)
	}
}
