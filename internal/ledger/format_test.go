package ledger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"seawall/internal/mint"
)

// treeHash is the definition of RFC 6962 §2.1, word for word.
func treeHash(leaves [][]byte) hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	left, right := treeHash(leaves[:k]), treeHash(leaves[k:])
	return sha256.Sum256(bytes.Join([][]byte{{1}, left[:], right[:]}, nil))
}

func TestMerkleIsRFC6962(t *testing.T) {
	var leaves [][]byte
	var tree merkle
	for n := range 300 {
		if got, want := tree.root(), treeHash(leaves); got != want {
			t.Fatalf("%d leaves: %s, want %s", n, got, want)
		}
		leaf := []byte(fmt.Sprint("leaf ", n))
		leaves = append(leaves, leaf)
		tree.add(append([]byte{0}, leaf...))
	}
	for tree.count < maxBatchEntries {
		leaf := []byte(fmt.Sprint("leaf ", tree.count))
		leaves = append(leaves, leaf)
		tree.add(append([]byte{0}, leaf...))
	}
	if tree.root() != treeHash(leaves) {
		t.Error("the root of a full batch is wrong")
	}
}

// sampleBatch writes a batch of n entries.
func sampleBatch(first uint64, n int, prev hash) ([]byte, trailer) {
	b := beginBatch(nil)
	var tree merkle
	for i := range n {
		b = appendLeaf(b, &tree, &mint.Entry{Kind: mint.ClockWasFrozen, Millis: 7, Detail: []mint.Field{{Name: "reason", Value: fmt.Sprint("reason ", i)}}})
	}
	t := trailer{first: first, count: uint32(n), millis: 7, root: tree.root(), prev: prev, key: mint.KeyID{1, 2, 3}}
	return finishBatch(b, 0, &t), t
}

func TestBatchRoundTrip(t *testing.T) {
	raw, want := sampleBatch(41, 5, hash{9})
	got, err := readBatch(append(raw, 1, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	if got.trailer != want || got.size() != int64(len(raw)) {
		t.Errorf("trailer %+v of %d bytes, want %+v of %d", got.trailer, got.size(), want, len(raw))
	}
	if root, err := got.computeRoot(); err != nil || root != want.root {
		t.Errorf("root %s, %v; want %s", root, err, want.root)
	}
	list, err := got.decode()
	if err != nil || len(list) != 5 || detail(list[4], "reason") != "reason 4" {
		t.Errorf("entries %v, %v", list, err)
	}
	for cut := range len(raw) {
		if _, err := readBatch(raw[:cut]); !errors.Is(err, errBatchCut) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}

// TestEveryByteOfABatchCounts flips each bit-bearing byte: the form, the root or the hash of the trailer notices.
func TestEveryByteOfABatchCounts(t *testing.T) {
	raw, want := sampleBatch(0, 3, hash{9})
	wantHash := want.hash()
	for i := range raw {
		raw[i] ^= 0x40
		b, err := readBatch(raw)
		if err == nil {
			root, rootErr := b.computeRoot()
			if rootErr == nil && root == want.root && b.trailer.hash() == wantHash {
				t.Errorf("a change of byte %d is not noticed", i)
			}
		}
		raw[i] ^= 0x40
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	want := header{origin: originID{1}, first: 77, prev: hash{2}}
	raw := want.append(nil)
	if len(raw) != segmentHeader {
		t.Fatalf("the header has %d bytes", len(raw))
	}
	if got, err := readHeader(raw); err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if _, err := readHeader(bad); err == nil {
			t.Errorf("a change of byte %d is not noticed", i)
		}
	}
	newer := bytes.Clone(raw)
	newer[15] = 2
	var n *newerError
	if _, err := readHeader(newer); !errors.As(err, &n) || n.version != 2 {
		t.Errorf("a newer format: %v", err)
	}
	if _, err := readHeader([]byte("something else altogether")); !errors.Is(err, errForeign) {
		t.Errorf("a foreign file: %v", err)
	}
}

// FuzzSegment reads whatever bytes as the inside of a segment: everything that is read as batches is written the same
// way again, and what follows is the end, damage, or torn.
func FuzzSegment(f *testing.F) {
	one, t1 := sampleBatch(0, 2, hash{})
	two, _ := sampleBatch(2, 1, t1.hash())
	f.Add(one)
	f.Add(append(bytes.Clone(one), two...))
	f.Add(append(bytes.Clone(one), two[:len(two)-20]...))
	f.Add(append(bytes.Clone(one), make([]byte, 2000)...))
	f.Add([]byte(batchMagic + "\x00\x00\x10\x00\x00\x80\x00\x00"))
	f.Fuzz(func(t *testing.T, inside []byte) {
		d := newFaultDisk(1)
		h := header{}
		d.names[segmentName(0)] = &faultFile{disk: d, now: append(h.append(nil), inside...)}
		r, err := openSegment(d, 0)
		if err != nil {
			t.Fatal(err)
		}
		var again []byte
		for c := new(chunk); ; {
			if err = r.read(c); err != nil {
				break
			}
			for i := range c.batches {
				again = appendBatch(t, again, &c.batches[i])
			}
		}
		if !bytes.Equal(again, inside[:len(again)]) {
			t.Fatal("a batch was read that would not be written so")
		}
		rest := trimZeros(inside[len(again):])
		var found *damage
		switch {
		case err == io.EOF && len(rest) > 0:
			t.Fatalf("%d bytes behind the last batch were passed over", len(rest))
		case err != io.EOF && !errors.As(err, &found):
			t.Fatalf("unclassified error %v", err)
		case found != nil && (found.bytes != int64(len(rest)) || found.offset != int64(segmentHeader+len(again))):
			t.Fatalf("damage of %d bytes at %d, want %d at %d", found.bytes, found.offset, len(rest), segmentHeader+len(again))
		}
	})
}

// appendBatch writes a batch that was read.
func appendBatch(t *testing.T, b []byte, read *batch) []byte {
	if root, err := read.computeRoot(); err == nil {
		list, err := read.decode()
		if err == nil {
			out := beginBatch(nil)
			var tree merkle
			for _, e := range list {
				out = appendLeaf(out, &tree, e)
			}
			if !bytes.Equal(out[batchHead:], read.leaves) || tree.root() != root {
				t.Fatal("entries were read that would not be written so")
			}
		}
	}
	start := len(b)
	b = append(beginBatch(b), read.leaves...)
	return finishBatch(b, start, &read.trailer)
}

func FuzzEntry(f *testing.F) {
	f.Add((&mint.Entry{Kind: mint.AuthFailed, Millis: 1, Tenant: "acme", Detail: []mint.Field{{Name: "reason", Value: "x"}}}).Append(nil))
	f.Add(distrustEntry(&mint.Distrust{Issuer: "https://id.example/acme", N: 1, Act: mint.ActDistrust, Kind: mint.DistrustSession, Value: "s", Before: 1, Until: 2,
		Reason: mint.ByUser, Signature: "x"}, "acme", "uid:0").Append(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := mint.ReadEntry(raw)
		if err != nil {
			return
		}
		if kind := peekKind(raw); len(e.Kind) < 0x80 && kind != e.Kind {
			t.Fatalf("the kind is %q, and at a glance %q", e.Kind, kind)
		}
		if k := kindOf(e.Kind); k != nil {
			checkForeign(e, k.Writer)
			newState().admit(e)
		}
	})
}

func FuzzHeader(f *testing.F) {
	h := header{first: 3}
	f.Add(h.append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if h, err := readHeader(raw); err == nil && !bytes.Equal(h.append(nil), raw[:segmentHeader]) {
			t.Fatal("a header was read that would not be written so")
		}
	})
}

// FuzzDraft reads whatever bytes as a token: what is accepted becomes an entry that can be read again, and that says what
// the bytes say.
func FuzzDraft(f *testing.F) {
	k := mint.Key{Alg: "ES256", KID: "k"}
	i, now := &issuer{url: "https://id.example/acme", key: k, idKey: k}, time.Unix(1790000000, 0)
	for _, good := range []mint.Unsigned{i.token(now), i.personToken(now), i.idToken(now)} {
		f.Add(good.Header, good.Payload)
	}
	f.Add([]byte("{}"), []byte("{}"))
	f.Fuzz(func(t *testing.T, bareHeader, payload []byte) {
		u := mint.Unsigned{Header: bareHeader, Payload: payload, Evidence: [32]byte{1}}
		d, refusal := readDraft(&u)
		if refusal != nil {
			return
		}
		d.entry.Tenant, d.entry.Millis = "acme", 1
		if len(d.entry.KID) > mint.MaxText || len(d.entry.Issuer) > mint.MaxText {
			return // no key was ever recorded for these
		}
		again, err := mint.ReadEntry(d.entry.Append(nil))
		if err != nil {
			t.Fatalf("an entry that cannot be read again: %v", err)
		}
		if again.Digest != mint.TokenDigest(bareHeader, payload) || again.Subject != d.entry.Subject || again.JTI != d.entry.JTI {
			t.Fatal("the entry says something else")
		}
		if again.TokenKind == string(mint.IDToken) && (len(again.Audience) != 1 || again.Audience[0] != again.Client) {
			t.Fatal("an ID token is for somebody else than its client")
		}
		if k := kindOf(again.Kind); d.entry.KID != "" && d.entry.Issuer != "" && d.entry.IssuedAt != 0 && k.check(again) != nil {
			t.Fatalf("the entry is not of its kind: %v", k.check(again))
		}
	})
}
