package canary

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// awkward is a secret with characters that every escape changes, and binary one without any text in it.
const awkward = `s&cr<t "value" with/ev+ry=esc\ape äöü ` + "\t\x01;%?#'"

var octets = []byte{0x00, 0xff, 0x10, 0xfe, 0x3f, 0xfb, 0xef, 0xbe, 0x81, 0x07, 0x9c, 0x78, 0x01, 0x8b, 0x1f, 0x08,
	0xd3, 0x4d, 0x34, 0xf7, 0x22, 0x5c, 0x0a, 0x0d, 0xc0, 0xaf, 0x60, 0x7f, 0x99, 0x31, 0x13, 0xa5}

const plain = "swc_prod_4vTqW8nZk1RbX6yHs0LcJm3dPgUe7fAoKi9BtNhQ2"

func newSet(t testing.TB, secrets ...Secret) *Set {
	t.Helper()
	s, err := New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func scan(t testing.TB, s *Set, b []byte) []Finding {
	t.Helper()
	found, err := s.Bytes("data", b)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// has reports whether a secret was found, in a form whose name begins so.
func has(found []Finding, name, form string) bool {
	return slices.ContainsFunc(found, func(f Finding) bool { return f.Secret == name && strings.HasPrefix(f.Form, form) })
}

// noise is random, the same for a seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	mathrand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// within writes text into noise.
func within(text []byte, seed uint64) []byte {
	return slices.Concat(noise(seed, 700), text, noise(seed+1000, 700))
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func jsonWithoutHTML(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func logLine(json bool, args ...any) []byte {
	var b bytes.Buffer
	var h slog.Handler = slog.NewTextHandler(&b, nil)
	if json {
		h = slog.NewJSONHandler(&b, nil)
	}
	slog.New(h).Info("token requested", args...)
	return b.Bytes()
}

// TestEveryFormIsFound plants secrets with what really writes them: printers, encoders, loggers, templates.
func TestEveryFormIsFound(t *testing.T) {
	secrets := map[string][]byte{"plain": []byte(plain), "awkward": []byte(awkward), "binary": octets}
	reversed := slices.Clone(octets)
	slices.Reverse(reversed)
	var page bytes.Buffer
	if err := template.Must(template.New("").Parse(`<p title="{{.}}">{{.}}</p>`)).Execute(&page, awkward); err != nil {
		t.Fatal(err)
	}
	type planted struct {
		secret, form string
		text         []byte
	}
	cases := []planted{
		{"awkward", "URL-escaped", []byte(url.Values{"client_secret": {awkward}}.Encode())},
		{"awkward", "URL-escaped for a path", []byte((&url.URL{Scheme: "https", Host: "a.example", Path: "/" + awkward}).String())},
		{"awkward", "JSON-escaped", jsonOf(t, map[string]string{"error": awkward})},
		{"awkward", "JSON-escaped", logLine(true, "form", awkward)},
		{"awkward", "JSON-escaped without HTML", jsonWithoutHTML(t, awkward)},
		{"awkward", "JSON-escaped with \\/", bytes.ReplaceAll(jsonWithoutHTML(t, awkward), []byte("/"), []byte(`\/`))},
		{"awkward", "Go-quoted", logLine(false, "form", awkward)},
		{"awkward", "Go-quoted", fmt.Appendf(nil, "parsing %q", awkward)},
		{"awkward", "Go-quoted in ASCII", fmt.Appendf(nil, "parsing %+q", awkward)},
		{"awkward", "HTML-escaped", page.Bytes()},
		{"binary", "decimal number", fmt.Appendf(nil, "%v", new(big.Int).SetBytes(octets))},
		{"binary", "reversed, raw", reversed},
		{"binary", "reversed, hex", fmt.Appendf(nil, "%x", reversed)},
		{"binary", "reversed, base64", []byte(base64.StdEncoding.EncodeToString(reversed))},
		{"binary", "Go-quoted", fmt.Appendf(nil, "%q", octets)},
		{"binary", "URL-escaped", []byte(url.QueryEscape(string(octets)))},
	}
	for name, value := range secrets {
		cases = append(cases,
			planted{name, "raw", value},
			planted{name, "hex", []byte(hex.EncodeToString(value))},
			planted{name, "HEX", fmt.Appendf(nil, "%X", value)},
			planted{name, "hex with spaces", fmt.Appendf(nil, "% x", value)},
			planted{name, "HEX with spaces", fmt.Appendf(nil, "% X", value)},
			planted{name, "hex with colons", bytes.ReplaceAll(fmt.Appendf(nil, "% x", value), []byte(" "), []byte(":"))},
			planted{name, "decimal with spaces", fmt.Appendf(nil, "%v", value)},
			planted{name, "decimal with spaces", fmt.Appendf(nil, "%d", struct{ secret []byte }{value})},
			planted{name, "decimal with commas", jsonOf(t, slices.Collect(func(yield func(int) bool) {
				for _, c := range value {
					if !yield(int(c)) {
						return
					}
				}
			}))},
			planted{name, "decimal with commas and spaces", []byte(strings.ReplaceAll(fmt.Sprint(value), " ", ", "))},
			planted{name, "Go syntax", fmt.Appendf(nil, "%#v", value)},
		)
		for before := range 3 {
			// Basic authentication is the client_id, a colon and the secret.
			whole := slices.Concat([]byte("ci:")[:before], value, []byte("!!")[:before])
			for _, enc := range []struct {
				name string
				*base64.Encoding
			}{{"base64", base64.StdEncoding}, {"base64url", base64.URLEncoding}} {
				cases = append(cases, planted{name, fmt.Sprintf("%s after %d bytes", enc.name, before), []byte(enc.EncodeToString(whole))})
			}
		}
		cases = append(cases, planted{name, "base64", jsonOf(t, value)})
	}
	covered := map[string]bool{}
	for i, c := range cases {
		value := secrets[c.secret]
		s := newSet(t, Secret{Name: c.secret, Value: value, Number: c.secret == "binary"})
		found := scan(t, s, within(c.text, uint64(i)))
		for _, f := range found {
			covered[f.Form] = true
		}
		// Where both alphabets give the same text it goes by the name of the first.
		if !has(found, c.secret, c.form) && !has(found, c.secret, strings.Replace(c.form, "base64url", "base64", 1)) {
			t.Errorf("%s as %s is not found in %q: %v", c.secret, c.form, c.text, found)
		}
	}
	for _, f := range newSet(t, Secret{Name: "a", Value: []byte(awkward)}, Secret{Name: "b", Value: octets, Number: true}).forms {
		// Reversed bytes are written by the same code as the others.
		if !covered[strings.TrimPrefix(f.name, "reversed, ")] {
			t.Errorf("nothing is planted for the form %q", f.name)
		}
	}
}

// TestAnyPartOfEnoughBytes: every run of sixteen is found wherever it was cut out, and shorter ones, which say too
// little, are not.
func TestAnyPartOfEnoughBytes(t *testing.T) {
	s := newSet(t, Text("plain", plain))
	for _, write := range []func([]byte) []byte{
		func(b []byte) []byte { return b },
		func(b []byte) []byte { return []byte(hex.EncodeToString(b)) },
		func(b []byte) []byte { return fmt.Appendf(nil, "% x", b) },
		func(b []byte) []byte { return fmt.Appendf(nil, "%v", b) },
		func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) },
	} {
		for at := range len(plain) - 18 {
			text := write([]byte(plain[at : at+18]))
			if found := scan(t, s, within(text, uint64(at))); len(found) == 0 {
				t.Errorf("18 bytes from byte %d are not found: %s", at, text)
			}
			if found := scan(t, s, within(write([]byte(plain[at:at+10])), uint64(at))); len(found) != 0 {
				t.Errorf("10 bytes count as a leak: %v", found)
			}
		}
	}
	for at := range len(plain) - Enough + 1 {
		if found := scan(t, s, within([]byte(plain[at:at+Enough]), 7)); len(found) != 1 || found[0].Offset != 700 {
			t.Errorf("%d bytes from byte %d: %v", Enough, at, found)
		}
	}
}

// TestWrappedAndSplit: line breaks every few characters, as PEM and MIME have them, and a database's page border.
func TestWrappedAndSplit(t *testing.T) {
	s := newSet(t, Secret{Name: "binary", Value: octets, Number: true})
	text := base64.StdEncoding.EncodeToString(octets)
	if found := scan(t, s, []byte(text[:32]+"\n"+text[32:])); !has(found, "binary", "base64") {
		t.Errorf("wrapped base64: %v", found)
	}
	if found := scan(t, s, slices.Concat(octets[:16], []byte("\x00\x00\x00\x07"), octets[16:])); !has(found, "binary", "raw") {
		t.Errorf("split over two pages: %v", found)
	}
}

func TestALeastOfItsOwn(t *testing.T) {
	s := newSet(t, Secret{Name: "whole", Value: []byte(plain), Least: len(plain)})
	if found := scan(t, s, []byte(plain[1:]+" "+plain[:len(plain)-1])); len(found) != 0 {
		t.Errorf("a part counts: %v", found)
	}
	if found := scan(t, s, []byte("x"+plain+"x")); len(found) != 1 || found[0].Offset != 1 {
		t.Errorf("the whole: %v", found)
	}
	short := newSet(t, Text("short", "hunter2.com"))
	if found := scan(t, short, []byte("pass=hunter2.com&x")); !has(found, "short", "raw") {
		t.Errorf("a secret of %d bytes: %v", Shortest, found)
	}
	for _, bad := range []Secret{Text("tiny", "hunter2.co"), {Name: "beyond", Value: octets, Least: 33}, {Name: "below", Value: octets, Least: -1}, {Name: "nothing"}} {
		if _, err := New(bad); err == nil || !strings.Contains(err.Error(), bad.Name) {
			t.Errorf("%s: %v", bad.Name, err)
		}
	}
}

// TestNothingIsFoundInNoise: no false alarms in random bytes, in texts and in near misses.
func TestNothingIsFoundInNoise(t *testing.T) {
	s := newSet(t, append(Marks(), Text("plain", plain), Secret{Name: "binary", Value: octets, Number: true})...)
	near := []byte(strings.Repeat(plain, 3))
	for i := 9; i < len(near); i += 12 {
		near[i] ^= 1
	}
	for name, data := range map[string][]byte{
		"random": noise(5, 1<<19), "zeros": make([]byte, 1<<18), "near": near, "x": bytes.Repeat([]byte("x\x9c\x1f\x8b\x08x\x01"), 20000),
		"hex": []byte(hex.EncodeToString(noise(6, 1<<18))),
	} {
		if found := scan(t, s, data); len(found) != 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestBordersOfPieces: a secret at every place around the borders at which the scan cuts the data, however the reader
// gives it.
func TestBordersOfPieces(t *testing.T) {
	s := newSet(t, Text("plain", plain))
	s.piece = 4096
	data := noise(9, 3*s.piece)
	for _, border := range []int{s.piece, s.piece + s.carry, 2*s.piece + s.carry, len(data)} {
		for at := border - len(plain) - 2; at <= min(border+2, len(data)-len(plain)); at++ {
			copy(data[at:], plain)
			found, err := s.Scan("data", iotest.HalfReader(bytes.NewReader(data)))
			if err != nil || len(found) != 1 || found[0].Offset != int64(at) {
				t.Fatalf("at byte %d: %v, %v", at, found, err)
			}
			copy(data[at:], noise(9, 3*s.piece)[at:at+len(plain)])
		}
	}
}

func zipped(layers int, b []byte) []byte {
	for i := range layers {
		var out bytes.Buffer
		var z io.WriteCloser = gzip.NewWriter(&out)
		if i%2 == 1 {
			z = zlib.NewWriter(&out)
		}
		z.Write(b)
		z.Close()
		b = out.Bytes()
	}
	return b
}

func TestCompressedData(t *testing.T) {
	s := newSet(t, Text("plain", plain))
	text := slices.Concat(bytes.Repeat([]byte("nothing to see. "), 30000), []byte(base64.StdEncoding.EncodeToString([]byte("ci:"+plain))))
	for layers := 1; layers <= deepest; layers++ {
		found := scan(t, s, within(zipped(layers, text), 3))
		// What does not get smaller is stored as it is, so an inner layer may also be seen from outside.
		if !has(found, "plain", "base64") || !slices.ContainsFunc(found, func(f Finding) bool {
			return strings.HasPrefix(f.Where, "data, unpacked from byte 700") && strings.Count(f.Where, "unpacked from byte") == layers
		}) {
			t.Errorf("%d layers: %v", layers, found)
		}
	}
	for _, level := range []int{zlib.NoCompression, zlib.BestSpeed, zlib.DefaultCompression, zlib.BestCompression, zlib.HuffmanOnly} {
		var out bytes.Buffer
		z, err := zlib.NewWriterLevel(&out, level)
		if err != nil {
			t.Fatal(err)
		}
		z.Write(text)
		z.Close()
		if found := scan(t, s, within(out.Bytes(), 4)); !has(found, "plain", "base64") {
			t.Errorf("zlib level %d: %v", level, found)
		}
	}
	t.Run("cut", func(t *testing.T) {
		whole := zipped(1, slices.Concat([]byte(plain), noise(5, 100000)))
		found := scan(t, s, whole[:len(whole)/2])
		if !has(found, "plain", "raw") {
			t.Errorf("half a file: %v", found)
		}
	})
	t.Run("many members", func(t *testing.T) {
		var all []byte
		for range 500 {
			all = append(all, zipped(1, []byte("nothing to see"))...)
		}
		if found := scan(t, s, append(all, zipped(1, []byte(plain))...)); len(found) != 1 || !has(found, "plain", "raw") {
			t.Errorf("found %v", found)
		}
	})
	t.Run("around borders", func(t *testing.T) {
		one := zipped(1, []byte(plain))
		small := newSet(t, Text("plain", plain))
		small.piece = 1024
		for at := small.piece - len(one) - 2; at <= small.piece+small.carry+2; at++ {
			data := make([]byte, 2*small.piece)
			copy(data[at:], one)
			if found := scan(t, small, data); len(found) != 1 || !strings.HasSuffix(found[0].Where, fmt.Sprint("unpacked from byte ", at)) {
				t.Fatalf("at byte %d: %v", at, found)
			}
		}
	})
	t.Run("too large", func(t *testing.T) {
		small := newSet(t, Text("plain", plain))
		small.unpacked = 1 << 20
		_, err := small.Bytes("data", zipped(1, make([]byte, 1<<20+1)))
		if !errors.Is(err, errTooLarge) || !strings.Contains(err.Error(), "data, unpacked from byte 0") {
			t.Errorf("what is not searched is passed over: %v", err)
		}
		if _, err := small.Bytes("data", zipped(2, make([]byte, 1<<20+1))); !errors.Is(err, errTooLarge) {
			t.Errorf("what is not searched is passed over, further down: %v", err)
		}
		if _, err := small.Bytes("data", zipped(1, make([]byte, 1<<20))); err != nil {
			t.Error(err)
		}
	})
}

// TestReadersThatFail: what could not be searched is an error, and what came before it is still searched.
func TestReadersThatFail(t *testing.T) {
	s := newSet(t, Text("plain", plain))
	broken := errors.New("the disk is on fire")
	found, err := s.Scan("data", io.MultiReader(strings.NewReader(plain), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := s.File(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := s.Dir(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestDirectories(t *testing.T) {
	s := newSet(t, Text("plain", plain), Text("other", "another secret of some length"))
	dir := t.TempDir()
	deep := filepath.Join(dir, "a/b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"clean": noise(1, 1000), "deep.log": []byte("secret=" + plain), "deep.log.1.gz": zipped(1, []byte("secret="+plain)), plain + ".json": []byte("{}"),
	} {
		if err := os.WriteFile(filepath.Join(deep, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("another secret of some length", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	found, err := s.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprintf("%s|%s|%d", strings.ReplaceAll(f.Where, dir, "DIR"), f.Secret, f.Offset-int64(strings.Count(f.Where, "the name ")*len(dir))))
		if strings.Contains(f.Secret+f.Form, plain) {
			t.Error("a finding repeats the secret")
		}
	}
	want := []string{
		"DIR/a/b/deep.log|plain|7",
		"DIR/a/b/deep.log.1.gz, unpacked from byte 0|plain|7",
		"the link DIR/link|other|0",
		"the name DIR/a/b/" + plain + ".json|plain|5",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestTokens(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	header := `{"alg":"ES256","typ":"at+jwt","kid":"0123456789abcdef"}`
	payload := `{"iss":"https://id.example/acme","aud":"https://api.acme.example","sub":"ci","jti":"8f1c"}`
	signature := noise(2, 64)
	token := b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64(signature)
	secrets, err := Token("a token", token)
	if err != nil {
		t.Fatal(err)
	}
	s := newSet(t, secrets...)
	for name, c := range map[string]struct{ text, secret string }{
		"whole":             {token, "a token"},
		"header.payload":    {token[:strings.LastIndexByte(token, '.')], "a token"},
		"cut":               {token[:40] + "…", "a token"},
		"payload decoded":   {"entry " + payload, "decoded payload of a token"},
		"signature decoded": {string(signature), "decoded signature of a token"},
		"form":              {url.Values{"token": {token}}.Encode(), "a token"},
	} {
		if found := scan(t, s, []byte(c.text)); !has(found, c.secret, "raw") {
			t.Errorf("%s: %v", name, found)
		}
	}
	if found := scan(t, s, []byte(`{"iss":"https://id.example/acme","aud":"https://api.acme.example"} jti 8f1c kid 0123456789abcdef`)); len(found) != 0 {
		t.Errorf("public claims count as a leak: %v", found)
	}
	for _, bad := range []string{"", "a.b", "a.b.c.d", "a.!.c", "a." + b64([]byte("x")) + ".AAAA", "a." + b64([]byte("{}")) + ".!"} {
		if _, err := Token("bad", bad); err == nil {
			t.Errorf("%q is a token", bad)
		}
	}
}

func TestPrivateKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"P-256": ec, "RSA": rs, "Ed25519": ed} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		secrets, err := PKCS8(name, der)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		s := newSet(t, secrets...)
		for form, data := range map[string][]byte{"DER": der, "PEM": text, "hex": []byte(hex.EncodeToString(der)), "Go": fmt.Appendf(nil, "%v", key), "public": public} {
			if found := scan(t, s, data); (len(found) == 0) != (form == "public") {
				t.Errorf("%s key as %s: %v", name, form, found)
			}
		}
		marks := newSet(t, Marks()...)
		for form, data := range map[string][]byte{"DER": der, "PEM": text, "PEM without its lines": bytes.Join(bytes.Split(text, []byte("\n"))[1:3], nil)} {
			if found := scan(t, marks, data); len(found) == 0 {
				t.Errorf("no mark is found on a %s key as %s", name, form)
			}
		}
		if found := scan(t, marks, public); len(found) != 0 {
			t.Errorf("a public %s key has a mark: %v", name, found)
		}
	}
	if _, err := PrivateKey("other", "key"); err == nil {
		t.Error("a string is a private key")
	}
	if _, err := PKCS8("other", []byte("key")); err == nil {
		t.Error("a word is PKCS #8")
	}
}

func TestMarksOfTokens(t *testing.T) {
	s := newSet(t, Marks()...)
	for _, header := range []string{`{"alg":"ES256","typ":"at+jwt"}`, `{"typ":"JWT","alg":"RS256"}`, `{"kid":"1","alg":"EdDSA"}`} {
		token := base64.RawURLEncoding.EncodeToString([]byte(header)) + ".e30.AAAA"
		for name, text := range map[string][]byte{"raw": []byte(token), "gzip": zipped(1, []byte(token)), "hex": []byte(hex.EncodeToString([]byte(token))), "Basic": []byte(base64.StdEncoding.EncodeToString([]byte("x:" + token)))} {
			if found := scan(t, s, text); !has(found, "beginning of a token", "") {
				t.Errorf("%s as %s: %v", header, name, found)
			}
		}
	}
}

// FuzzScan: whatever surrounds a secret, and wherever it lies, it is found, and nothing else happens.
func FuzzScan(f *testing.F) {
	s := newSet(f, Text("plain", plain), Secret{Name: "binary", Value: octets, Number: true})
	f.Add([]byte("before"), []byte("after"), byte(0))
	f.Add([]byte{0x1f, 0x8b, 8}, []byte{0x78, 0x9c, 1}, byte(1))
	f.Add(zipped(2, []byte("zipped")), zipped(1, []byte("zipped")), byte(2))
	f.Add([]byte("swc_prod_"), []byte(plain[:12]), byte(3))
	f.Fuzz(func(t *testing.T, before, after []byte, form byte) {
		text := []byte(plain)
		switch form % 4 {
		case 1:
			text = []byte(base64.StdEncoding.EncodeToString(append(before[:min(2, len(before)):2], plain...)))
		case 2:
			text = zipped(1, text)
		case 3:
			text = zipped(2, []byte(hex.EncodeToString(text)))
		}
		found, err := s.Bytes("data", slices.Concat(before, text, after))
		if err != nil || !has(found, "plain", "") {
			t.Fatalf("%v, %v", found, err)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	var secrets []Secret
	for i := range 200 {
		secrets = append(secrets, Secret{Name: fmt.Sprint("secret ", i), Value: noise(uint64(i+10), 48), Number: i%4 == 0})
	}
	for i := range 30 {
		secrets = append(secrets, Secret{Name: fmt.Sprint("token ", i), Value: noise(uint64(i+500), 800)})
	}
	s := newSet(b, secrets...)
	for name, data := range map[string][]byte{"random": noise(1, 32<<20), "text": bytes.Repeat([]byte(`{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"next","x":"xyz"}`+"\n"), 460000), "zeros": make([]byte, 32<<20)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if found, err := s.Bytes("data", data); err != nil || len(found) != 0 {
					b.Fatal(found, err)
				}
			}
		})
	}
}
