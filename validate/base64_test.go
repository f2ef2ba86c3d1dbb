package validate

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// strict is the standard library's decoder, without the line ends that it skips.
func strict(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil && !strings.ContainsAny(s, "\r\n")
}

func TestBase64RoundTrip(t *testing.T) {
	for n := range 300 {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(rand.IntN(256))
		}
		got, ok := appendBase64([]byte("before"), base64.RawURLEncoding.EncodeToString(want))
		if !ok || !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Fatalf("%d bytes did not come back", n)
		}
	}
}

func TestBase64EveryLastCharacter(t *testing.T) {
	for _, prefix := range []string{"", "AAAA", "AAAAAAAA", "AAAAAAAAAAAAAAAAA"} {
		for _, length := range []int{1, 2, 3, 4} {
			for c := range 256 {
				s := prefix + strings.Repeat("A", length-1) + string([]byte{byte(c)})
				got, ok := appendBase64(nil, s)
				want, sound := strict(s)
				if ok != sound || ok && !bytes.Equal(got, want) {
					t.Errorf("%q: %v, want %v", s, ok, sound)
				}
			}
		}
	}
}

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "AA", "AB", "AAA", "AAAA\n", "-_-_", "+/+/", "AA==", "A", "AAAAAAAAAAAAAAAA\r\nAAAA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := appendBase64(nil, s)
		want, sound := strict(s)
		if ok != sound || ok && !bytes.Equal(got, want) {
			t.Errorf("%q: %v, want %v", s, ok, sound)
		}
	})
}
