package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// form is one way in which a secret may be written down.
type form struct {
	secret string // name of the secret
	name   string // of the form
	text   []byte // the secret in this form
	least  int    // how many bytes of text in a row are a leak
}

// forms returns all forms of a secret, without those that read like an earlier one.
func forms(s *Secret) []form {
	var list []form
	add := func(name string, text []byte) {
		if !slices.ContainsFunc(list, func(f form) bool { return bytes.Equal(f.text, text) }) {
			list = append(list, form{s.Name, name, text, least(s, len(text))})
		}
	}
	addBytes(s.Value, "", add)
	addEscaped(s.Value, add)
	if s.Number {
		reversed := slices.Clone(s.Value)
		slices.Reverse(reversed)
		addBytes(reversed, "reversed, ", add)
		add("decimal number", []byte(new(big.Int).SetBytes(s.Value).String()))
	}
	return list
}

// least translates how much of the secret counts into bytes of a form. Fifteen is the shortest run that is sure to
// hold a whole seed: see Set.
func least(s *Secret, length int) int {
	n := s.Least
	if n == 0 {
		n = Enough
	}
	return min(length, max(2*seedSize-1, length*n/len(s.Value)))
}

// addBytes adds the forms that treat a secret as bytes.
func addBytes(value []byte, prefix string, add func(string, []byte)) {
	add(prefix+"raw", value)
	lower := hex.EncodeToString(value)
	add(prefix+"hex", []byte(lower))
	add(prefix+"HEX", []byte(strings.ToUpper(lower)))
	for _, enc := range []struct {
		name string
		*base64.Encoding
	}{{"base64", base64.RawStdEncoding}, {"base64url", base64.RawURLEncoding}} {
		for before := range 3 {
			add(fmt.Sprintf("%s%s after %d bytes", prefix, enc.name, before), inside(enc.Encoding, value, before))
		}
	}
	// What Go prints for a []byte (%v, % x, %#v), and what other languages do.
	add(prefix+"hex with spaces", fmt.Appendf(nil, "% x", value))
	add(prefix+"HEX with spaces", fmt.Appendf(nil, "% X", value))
	add(prefix+"hex with colons", bytes.ReplaceAll(fmt.Appendf(nil, "% x", value), []byte(" "), []byte(":")))
	decimal := bytes.Trim(fmt.Append(nil, value), "[]")
	add(prefix+"decimal with spaces", decimal)
	add(prefix+"decimal with commas", bytes.ReplaceAll(decimal, []byte(" "), []byte(",")))
	add(prefix+"decimal with commas and spaces", bytes.ReplaceAll(decimal, []byte(" "), []byte(", ")))
	add(prefix+"Go syntax", bytes.TrimSuffix(bytes.TrimPrefix(fmt.Appendf(nil, "%#v", value), []byte("[]byte{")), []byte("}")))
}

// inside returns the characters that value has within the base64 of something longer, where before mod 3 bytes come
// before it: only those that do not depend on its neighbours.
func inside(enc *base64.Encoding, value []byte, before int) []byte {
	text := enc.AppendEncode(nil, append(make([]byte, before), value...))
	first := (8*before + 5) / 6
	last := 8 * (before + len(value)) / 6
	return text[first:last]
}

// addEscaped adds the forms that treat a secret as text.
func addEscaped(value []byte, add func(string, []byte)) {
	add("URL-escaped", []byte(url.QueryEscape(string(value))))
	add("URL-escaped for a path", []byte(url.PathEscape(string(value))))
	add("Go-quoted", []byte(unquote(strconv.Quote(string(value)))))
	add("Go-quoted in ASCII", []byte(unquote(strconv.QuoteToASCII(string(value)))))
	if !utf8.Valid(value) {
		return // what follows would replace bytes
	}
	add("JSON-escaped", jsonText(string(value), true))
	add("JSON-escaped without HTML", jsonText(string(value), false))
	add("JSON-escaped with \\/", bytes.ReplaceAll(jsonText(string(value), false), []byte("/"), []byte(`\/`)))
	add("HTML-escaped", []byte(html.EscapeString(string(value))))
}

func unquote(s string) string { return s[1 : len(s)-1] }

func jsonText(value string, escapeHTML bool) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(escapeHTML)
	if err := enc.Encode(value); err != nil {
		panic(err) // a string always has a JSON form
	}
	return []byte(unquote(strings.TrimSuffix(b.String(), "\n")))
}
