//go:build linux

package subject

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes a shell script that plays a server.
func program(t *testing.T, script string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestStartFindsTheAddressAndStopLeavesNothing(t *testing.T) {
	server, err := Start(context.Background(), "seawall", t.TempDir(), program(t, `
		echo welcome
		sleep 60 &
		child=$!
		trap 'kill $child; exit 0' TERM
		echo seawall: ready at http://127.0.0.1:1234
		wait`))
	if err != nil {
		t.Fatal(err)
	}
	if got := server.Base.Host; got != "127.0.0.1:1234" {
		t.Errorf("the address is %q", got)
	}
	processes, err := server.Processes()
	if err != nil || len(processes) != 2 {
		t.Fatalf("processes are %v, %v; want the script and its child", processes, err)
	}
	if err := server.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if left := alive(processes); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStartTellsWhyAServerDidNotStart(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"it ended", "echo the port is in use >&2; exit 3", "ended before it was ready; it said: the port is in use"},
		{"it gave no address", "echo seawall: ready at nowhere; exec sleep 60", `"nowhere", which is no address`},
	} {
		_, err := Start(context.Background(), "seawall", t.TempDir(), program(t, c.script))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Start = %v, want %q", c.name, err, c.want)
		}
	}
}

func TestTokenRequestsAreWholeRequests(t *testing.T) {
	raw, err := TokenRequests("http://127.0.0.1:1/bench/token", Credential{"a:b", "s%"}, Credential{"c", "t"})
	if err != nil || len(raw) != 2 {
		t.Fatalf("TokenRequests = %d requests, %v", len(raw), err)
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw[0])))
	if err != nil {
		t.Fatal(err)
	}
	id, secret, _ := request.BasicAuth()
	if id != "a%3Ab" || secret != "s%25" {
		t.Errorf("credentials are %q and %q: RFC 6749 section 2.3.1 wants them form-encoded", id, secret)
	}
	if request.Close || request.ContentLength <= 0 || request.URL.Path != "/bench/token" {
		t.Errorf("not a keep-alive request with a body: %+v", request)
	}
	if got := request.FormValue("resource"); got != Audience {
		t.Errorf("resource = %q", got)
	}
}

// TestSeawallSpeaksTheCommands plays the seawall binary and looks at what it was asked.
func TestSeawallSpeaksTheCommands(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	s, err := NewSeawall(program(t, `
		echo "$*" >> `+asked+`
		case "$1" in
		tenant) echo '{"tenant":"bench","issuer":"http://i/bench","token_endpoint":"http://i/bench/token"}' ;;
		api) echo '{"api_id":"a","api_secret":"b","pin":"swl1-x"}' ;;
		client) echo "{\"client_id\":\"$3\",\"client_secret\":\"s\"}" ;;
		log) echo '{"entries":12,"tokens":9,"batches":4}' ;;
		esac`), "/d", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := s.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.AddClients(ctx, 1); err != nil {
		t.Fatal(err)
	}
	recorded, err := s.Recorded(ctx)
	if err != nil || recorded.Entries != 12 || recorded.Tokens != 9 || recorded.Batches == nil || *recorded.Batches != 4 {
		t.Errorf("Recorded = %+v, %v", recorded, err)
	}
	if len(s.Clients) != 2 || s.Clients[1].id != "bench-02" || s.Issuer != "http://i/bench" || s.Pin != "swl1-x" {
		t.Errorf("seawall is %d clients at %s with %s", len(s.Clients), s.Issuer, s.Pin)
	}
	lines, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"tenant create bench --class production --owner ops@bench.example --contact a@bench.example --contact b@bench.example --data /d --json\n",
		"api create https://api.bench.example --tenant bench --scope read --data /d --json\n",
		"client create bench-02 --tenant bench --grant client_credentials --api https://api.bench.example --scope read --data /d --json\n",
		"log verify --data /d --json\n",
	} {
		if !strings.Contains(string(lines), want) {
			t.Errorf("seawall was never asked %q", want)
		}
	}
}

func TestRecordedWantsTokens(t *testing.T) {
	s, err := NewSeawall(program(t, `echo '{"entries":12}'`), "/d", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recorded(context.Background()); err == nil || !strings.Contains(err.Error(), "lacks entries or tokens") {
		t.Errorf("Recorded = %v", err)
	}
}
