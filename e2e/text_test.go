package e2e

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"seawall/internal/testenv"
)

// tokenPart decodes header (0) or payload (1) of a token.
func tokenPart(t *testing.T, token string, n int) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// jtiOf returns a token's jti.
func jtiOf(t *testing.T, token string) string {
	t.Helper()
	var claims struct {
		JTI string `json:"jti"`
	}
	if err := json.Unmarshal([]byte(tokenPart(t, token, 1)), &claims); err != nil || claims.JTI == "" {
		t.Fatalf("a token without jti: %v", err)
	}
	return claims.JTI
}

// decodeFirst decodes the first JSON object in a text.
func decodeFirst(text string, v any) error {
	start := strings.IndexByte(text, '{')
	return json.NewDecoder(strings.NewReader(text[max(start, 0):])).Decode(v)
}

// containsAny reports whether text contains one of the words, which are separated by bars.
func containsAny(text, words string) bool {
	for word := range strings.SplitSeq(words, "|") {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// plain runs a command that needs no server, with input.
func plain(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	cmd := testenv.Command(t, program, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
