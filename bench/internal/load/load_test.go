//go:build linux

package load

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestComplete(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		body      string
		done      bool
		err       string
	}{
		{"nothing yet", "", "", false, ""},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-Le", "", false, ""},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", "", false, ""},
		{"whole", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", "abcd", true, ""},
		{"length in the middle", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: x\r\n\r\n{}", "{}", true, ""},
		{"too much", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "", false, "bytes follow"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false, "no Content-Length"},
		{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nab", "", false, "not a number"},
	} {
		body, done, err := complete([]byte(c.raw))
		if string(body) != c.body || done != c.done || !says(err, c.err) {
			t.Errorf("%s: complete = %q, %v, %v", c.name, body, done, err)
		}
	}
}

func TestCheckRefusesWithoutQuotingTheBody(t *testing.T) {
	const canary = "canary-in-the-body"
	for _, c := range []struct {
		name, status, body, want string
	}{
		{"rate limited", "429 Too Many Requests", `{"error":"slow_down","x":"` + canary + `"}`, `"HTTP/1.1 429 Too Many Requests" (slow_down)`},
		{"unavailable", "503 Service Unavailable", canary, "(no OAuth error code)"},
		{"200 without a token", "200 OK", canary, "lacks access_token"},
	} {
		raw := []byte("HTTP/1.1 " + c.status + "\r\n\r\n" + c.body)
		err := check(raw, []byte(c.body), []byte("access_token"))
		if !says(err, c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: check = %v", c.name, err)
		}
	}
}

func says(err error, want string) bool {
	if want == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), want)
}

// counting is a server that counts whom it answered.
type counting struct {
	sync.Mutex
	answers map[string]int
}

func (s *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	s.answers[r.Header.Get("Client")]++
	s.Unlock()
	fmt.Fprint(w, `{"access_token":"x"}`)
}

func plan(url string, requests ...[]byte) Plan {
	return Plan{
		Address:     strings.TrimPrefix(url, "http://"),
		Connections: 4,
		Requests:    requests,
		Expect:      `"access_token"`,
		Warmup:      20 * time.Millisecond,
		Window:      100 * time.Millisecond,
		Processes:   []int{os.Getpid()},
	}
}

func request(client string) []byte {
	return fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: x\r\nClient: %s\r\n\r\n", client)
}

func TestRunCountsEveryAnswer(t *testing.T) {
	handler := &counting{answers: map[string]int{}}
	server := httptest.NewServer(handler)
	defer server.Close()
	result, err := Run(context.Background(), plan(server.URL, request("a"), request("b"), request("c")))
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := handler.answers["a"], handler.answers["b"], handler.answers["c"]
	if result.Answered != a+b+c {
		t.Errorf("the load counted %d answers, the server gave %d", result.Answered, a+b+c)
	}
	if max(a, b, c)-min(a, b, c) > 1 {
		t.Errorf("requests were not sent in turn: %d, %d, %d", a, b, c)
	}
	if result.Counted == 0 || result.Counted > result.Answered {
		t.Errorf("%d answers in the window, %d in all", result.Counted, result.Answered)
	}
	if result.P50 <= 0 || result.P50 > result.P99 || result.P99 > result.Max || result.CPU[0] <= 0 {
		t.Errorf("impossible result %+v", result)
	}
}

func TestRunFails(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"on an error answer", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "429"},
		{"on an answer without a token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, "lacks"},
		{"on a huge answer", func(w http.ResponseWriter, _ *http.Request) {
			body := bytes.Repeat([]byte("x"), 64<<10)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body)
		}, "longer than"},
		{"when the server hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "closed a connection"},
	} {
		server := httptest.NewServer(c.handler)
		_, err := Run(context.Background(), plan(server.URL, request("a")))
		server.Close()
		if !says(err, c.want) {
			t.Errorf("%s: Run = %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestPlanStaysOnThisMachine(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:80":      "loopback",
		"id.example:80":     "loopback",
		"127.0.0.1":         "missing port",
		"[2001:db8::1]:443": "loopback",
	} {
		p := plan("http://"+address, request("a"))
		if _, err := Run(context.Background(), p); !says(err, want) {
			t.Errorf("%s: Run = %v, want an error with %q", address, err, want)
		}
	}
}

// TestFollow: each request has what the answer before gave, on its own connection.
func TestFollow(t *testing.T) {
	var mu sync.Mutex
	last, wrong := map[string]int{}, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var line string
		var n int
		if _, err := fmt.Sscanf(r.URL.Query().Get("token"), "%1s%05d", &line, &n); err != nil || n != last[line] {
			wrong++
		}
		last[line]++
		fmt.Fprintf(w, `{"token":"%s%05d"}`, line, last[line])
	}))
	defer server.Close()
	plan := Plan{Address: strings.TrimPrefix(server.URL, "http://"), Connections: 2, Window: 50 * time.Millisecond, Processes: []int{os.Getpid()}, Follow: "token", First: []string{"a00000", "b00000"}}
	for _, first := range plan.First {
		plan.Requests = append(plan.Requests, []byte("GET /?token="+first+" HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	result, err := Run(context.Background(), plan)
	if err != nil || wrong != 0 || last["a"]+last["b"] != result.Answered || last["a"] < 2 || last["b"] < 2 {
		t.Errorf("%v, %d wrong, answered %d and served %v", err, wrong, result.Answered, last)
	}
	plan.Follow = "absent"
	if _, err := Run(context.Background(), plan); !says(err, "has no absent") {
		t.Errorf("an answer without the member: %v", err)
	}
	plan.First = plan.First[:1]
	if _, err := Run(context.Background(), plan); !says(err, "one is needed for each connection") {
		t.Errorf("too few: %v", err)
	}
}
