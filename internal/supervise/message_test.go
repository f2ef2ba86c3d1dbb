package supervise

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestParseReport(t *testing.T) {
	for packet, want := range map[string]string{
		`{"say":"ready","info":{"url":"http://127.0.0.1:1"}}`: "",
		`{"say":"ready"}`:                        "",
		`{"say":"redial","link":"house-signer"}`: "",
		`{"say":"refused","reason":"why"}`:       "",
		``:                                       "EOF",
		`{"say":"ready"} {"say":"ready"}`:        "more than one",
		`{"say":"ready"}x`:                       "more than one",
		`{"say":"ready","uid":0}`:                "unknown field",
		`{"say":"ready","reason":"x"}`:           "not the form of ready",
		`{"say":"ready","info":"` + strings.Repeat("x", maxInfo) + `"}`: "not the form of ready",
		`{"say":"redial"}`:                                "not the form of redial",
		`{"say":"redial","link":"../x"}`:                  "not the form of redial",
		`{"say":"redial","link":"house-signer","info":1}`: "not the form of redial",
		`{"say":"refused","link":"house-signer"}`:         "not the form of refused",
		`{"say":"exec"}`:                                  "of no known kind",
		`["ready"]`:                                       "cannot unmarshal",
	} {
		_, err := parseReport([]byte(packet))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: error %v, want %q", packet, err, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[31mb\x00\r\nc\u202e\u00e9\xff"); got != "a[31mb\ncé" {
		t.Errorf("printable %q", got)
	}
	if got := printable(strings.Repeat("é", maxReason)); len(got) > maxReason || !utf8.ValidString(got) {
		t.Errorf("printable leaves %d bytes, valid %v", len(got), utf8.ValidString(got))
	}
}

// FuzzParseReport feeds the supervisor, which may be root, what a child in the wrong hands might send.
func FuzzParseReport(f *testing.F) {
	for _, packet := range []string{`{"say":"ready","info":{"url":"http://127.0.0.1:1"}}`, `{"say":"redial","link":"house-signer"}`,
		`{"say":"refused","reason":"the log is\u001b[2J shorter"}`, `{"say":"ready"}{}`, `{"say":"ready","info":null}`, "{\"say\":\"refused\",\"reason\":\"\xff\"}"} {
		f.Add([]byte(packet))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, err := parseReport(packet)
		if err != nil {
			return
		}
		if len(r.Info) > maxInfo || len(r.Reason) > maxReason {
			t.Errorf("too long: %d, %d", len(r.Info), len(r.Reason))
		}
		if r.Info != nil && !json.Valid(r.Info) {
			t.Errorf("info is not JSON: %q", r.Info)
		}
		if r.Link != "" && !namePattern.MatchString(r.Link) {
			t.Errorf("link %q", r.Link)
		}
		for _, c := range r.Reason {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Errorf("reason holds %U", c)
			}
		}
	})
}
