package secret

import (
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
)

func TestTextEqual(t *testing.T) {
	var zero Text
	cases := []struct {
		name string
		a, b Text
		want bool
	}{
		{"same", New("abc"), New("abc"), true},
		{"different", New("abc"), New("abd"), false},
		{"prefix", New("abc"), New("ab"), false},
		{"empty and empty", New(""), New(""), false},
		{"zero and zero", zero, zero, false},
		{"zero and something", zero, New("a"), false},
	}
	for _, c := range cases {
		if got := c.a.Equal(c.b); got != c.want {
			t.Errorf("%s: Equal is %v", c.name, got)
		}
		if got := c.b.Equal(c.a); got != c.want {
			t.Errorf("%s, swapped: Equal is %v", c.name, got)
		}
	}
	if !zero.IsZero() || zero.Reveal() != "" || New("a").IsZero() {
		t.Error("the zero Text is not empty, or another one is")
	}
}

func TestHashMatches(t *testing.T) {
	a := New("abc")
	if a.Hash() != sha256.Sum256([]byte("abc")) {
		t.Error("Hash is not the SHA-256 of the text")
	}
	var zero Text
	var none Hash
	if !a.Hash().Matches(New("abc")) {
		t.Error("a hash does not match its own text")
	}
	for name, matched := range map[string]bool{
		"another text":                    a.Hash().Matches(New("abd")),
		"hash of nothing, nothing":        zero.Hash().Matches(zero),
		"zero hash, some text":            none.Matches(a),
		"zero hash, nothing":              none.Matches(zero),
		"hash of something, empty string": a.Hash().Matches(New("")),
	} {
		if matched {
			t.Errorf("%s: matched", name)
		}
	}
}

func TestGenerateAndParse(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range []Kind{ClientSecret, APISecret} {
		for _, env := range Envs() {
			s := Generate(kind, env).Reveal()
			if seen[s] {
				t.Fatal("the same credential twice")
			}
			seen[s] = true
			if prefix := "sw" + string(rune(kind)) + "_" + string(env) + "_"; !strings.HasPrefix(s, prefix) || len(s) != len(prefix)+39 {
				t.Errorf("the form is not %s and 39 characters", prefix)
			}
			k, e, err := Parse(s)
			if err != nil || k != kind || e != env {
				t.Errorf("Parse = %v, %v, %v; want %v, %v", k, e, err, kind, env)
			}
		}
	}
}

// TestChecksumVector pins the encoding: scanners outside rely on it.
func TestChecksumVector(t *testing.T) {
	head := "swc_prod_" + strings.Repeat("A", 33)
	sum, want := crc32.ChecksumIEEE([]byte(head)), ""
	for range 6 {
		want = string(alphabet[sum%62]) + want
		sum /= 62
	}
	if got := string(appendChecksum([]byte(head)))[len(head):]; got != want || want != "0ak96C" {
		t.Errorf("checksum of %s is %s, computed here %s, fixed 0ak96C", head, got, want)
	}
	if _, _, err := Parse(head + want); err != nil {
		t.Errorf("Parse: %v", err)
	}
}

// TestEveryTypoIsSeen changes each character to each other one: a CRC-32 sees any single change.
func TestEveryTypoIsSeen(t *testing.T) {
	s := Generate(ClientSecret, Production).Reveal()
	for i := len("swc_prod_"); i < len(s); i++ {
		for _, c := range []byte(alphabet) {
			if c == s[i] {
				continue
			}
			typo := s[:i] + string(rune(c)) + s[i+1:]
			if _, _, err := Parse(typo); !errors.Is(err, ErrChecksum) {
				t.Fatalf("position %d changed to %c: got %v, want ErrChecksum", i, c, err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := Generate(ClientSecret, Production).Reveal()
	otherEnv := strings.Replace(good, "_prod_", "_dev_", 1)
	cases := []struct {
		name, in string
		want     error
	}{
		{"empty", "", ErrForm},
		{"prefix only", "swc_prod_", ErrForm},
		{"half a prefix", "swc_", ErrForm},
		{"no prefix", good[9:], ErrForm},
		{"one short", good[:len(good)-1], ErrForm},
		{"one long", good + "a", ErrForm},
		{"line end", good + "\n", ErrForm},
		{"space before", " " + good, ErrForm},
		{"unknown environment", strings.Replace(good, "prod", "live", 1), ErrForm},
		{"unknown kind", "swz" + good[3:], ErrForm},
		{"capital kind", "swC" + good[3:], ErrForm},
		{"not base62", good[:20] + "-" + good[21:], ErrForm},
		{"underscore in the body", good[:20] + "_" + good[21:], ErrForm},
		{"another environment's checksum", otherEnv, ErrChecksum},
		{"another kind's checksum", "swa" + good[3:], ErrChecksum},
	}
	for _, c := range cases {
		_, _, err := Parse(c.in)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if c.in != "" && strings.Contains(err.Error(), c.in) {
			t.Errorf("%s: the error tells the credential", c.name)
		}
	}
}

func TestGeneratePanicsOnUnknownKind(t *testing.T) {
	for _, f := range []func(){
		func() { Generate('x', Production) },
		func() { Generate(ClientSecret, "live") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("an unknown kind or environment made a credential")
				}
			}()
			f()
		}()
	}
}

// TestRandomBodyUsesTheWholeAlphabet would fail for a modulo bias or a stuck position: each of the 62 characters
// appears at each of the 33 positions within 4,000 credentials, except with probability 62·33·(61/62)^4000 < 1e-24.
func TestRandomBodyUsesTheWholeAlphabet(t *testing.T) {
	seen := map[[2]int]bool{}
	for range 4000 {
		body := appendRandom(nil, bodyLen)
		for i, c := range body {
			seen[[2]int{i, int(c)}] = true
		}
	}
	if len(seen) != bodyLen*62 {
		t.Errorf("%d of %d pairs of position and character seen", len(seen), bodyLen*62)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("swc_prod_" + strings.Repeat("A", 33) + "0ak96C")
	f.Add("swa_sup_")
	f.Add("sw")
	f.Add("swc_production_abc")
	f.Fuzz(func(t *testing.T, s string) {
		kind, env, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrForm) && !errors.Is(err, ErrChecksum) {
				t.Fatalf("unclassified error %v", err)
			}
			return
		}
		if !strings.HasPrefix(s, "sw"+string(rune(kind))+"_"+string(env)+"_") {
			t.Fatalf("%q parsed as %v, %v", s, kind, env)
		}
		if found := find(s); len(found) != 1 || !found[0].Certain || found[0].End != len(s) {
			t.Fatalf("%q parses but Find says %+v", s, found)
		}
	})
}
