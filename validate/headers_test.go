package validate

import (
	"bytes"
	"hash/maphash"
	"strings"
	"testing"

	"seawall/validate/internal/wire"
)

// judgeHeaders gives what the second header comes to for a validator that has kept the first.
func judgeHeaders(first, second string) (kept bool, w *work, code Code) {
	v := &Validator{types: []string{"at+jwt", "jwt"}, algorithms: []Alg{ES256, EdDSA}, headers: headers{seed: maphash.MakeSeed()}}
	for range 2 {
		w = &work{headerBytes: []byte(first)}
		if v.readHeader(w) == "" {
			kept = len(w.unkept.begin) > 0
			w.unkept.keep(w.header)
		}
	}
	w = &work{headerBytes: []byte(second)}
	return kept, w, v.readHeader(w)
}

// sameHeader fails unless the second header comes to what it comes to for a validator that has kept none.
func sameHeader(t *testing.T, first, second string) (kept bool) {
	t.Helper()
	kept, w, code := judgeHeaders(first, second)
	_, fresh, want := judgeHeaders("", second)
	if code != want {
		t.Fatalf("%q after %q: %q, and %q by itself", second, first, code, want)
	}
	if code != "" {
		return kept
	}
	if h, f := w.header, fresh.header; h.alg != f.alg || h.kind != f.kind || !bytes.Equal(h.kid, f.kid) || h.receipts != f.receipts {
		t.Fatalf("%q after %q: %v, and %v by itself", second, first, h, f)
	}
	if w.bare != nil && (!fresh.cutReceipt() || !bytes.Equal(w.bare, fresh.bare) || w.receipt != fresh.receipt) {
		t.Fatalf("%q after %q: %q without its receipt, and %q by itself", second, first, w.bare, fresh.bare)
	}
	return kept
}

// receiptOf gives the end of a header with a receipt that is all one character but for its version.
func receiptOf(c string) string {
	return wire.ReceiptOpen + "AQ" + strings.Repeat(c, wire.ReceiptChars-2) + wire.ReceiptClose
}

const begin = `{"alg":"ES256","typ":"at+jwt","kid":"k"`

// headerSeeds are headers, some of which begin like others.
var headerSeeds = []string{
	begin + "}", begin + receiptOf("A"), begin + receiptOf("Q"), begin + receiptOf(`"`), begin + receiptOf("="), begin + receiptOf("\\"),
	begin + ` }`, begin + `} `, begin + `,"rcpt":1}`, begin + `,"rcpt":1` + receiptOf("A"), begin + `,"\u0072cpt":1` + receiptOf("A"),
	begin + `,"x":{"rcpt":1}` + receiptOf("A"), begin + `,"x":{"rcpt":1}}`, begin + `,"crit":[]}`, begin + `,"crit":[]` + receiptOf("A"),
	begin, begin + "}}", "{}", "{" + receiptOf("A"), "}", "", `{"alg":"none","typ":"at+jwt","kid":"k"}`, `{"typ":"JWT","alg":"EdDSA","kid":"\u006b"}`,
}

// What a validator has kept of one header changes nothing about another, nor about the same one again.
func TestKeptHeader(t *testing.T) {
	kept := 0
	for _, first := range headerSeeds {
		for _, second := range headerSeeds {
			if sameHeader(t, first, second) {
				kept++
			}
		}
	}
	if want := 6 * len(headerSeeds); kept != want {
		t.Errorf("%d headers were kept, not %d", kept, want)
	}
}

func FuzzKeptHeader(f *testing.F) {
	for _, first := range headerSeeds {
		f.Add(first, begin+receiptOf("Q"))
		f.Add(begin+receiptOf("A"), first)
	}
	f.Fuzz(func(t *testing.T, first, second string) { sameHeader(t, first, second) })
}
