package mint

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
)

// agreed is a seal as both sides have it.
func agreed(t *testing.T, root ed25519.PrivateKey) (signer, ledger *Seal) {
	t.Helper()
	share := NewShare()
	ledger, public, signature, err := AnswerShare(root, share.Public())
	if err != nil {
		t.Fatal(err)
	}
	signer, err = share.Agree(root.Public().(ed25519.PublicKey), public, signature)
	if err != nil {
		t.Fatal(err)
	}
	return signer, ledger
}

// What the ledger answers counts only as a whole, for the tokens that were asked about, on the connection that it was
// sealed for, and with a certified key.
func TestAnswersAreSealedAsAWhole(t *testing.T) {
	_, root, _ := ed25519.GenerateKey(nil)
	signer, ledger := agreed(t, root)
	public, key, _ := ed25519.GenerateKey(nil)
	id := LedgerKeyID(public)
	digests := []Digest{{1}, {2}, {3}}
	head := Head{Size: 9, Millis: 8, Batch: Digest{7}}
	list := []Recorded{{Receipt: NewReceipt(key, id, 6, 8, digests[0])}, {Refusal: Refuse(KeyNotActive, "why")}, {Receipt: NewReceipt(key, id, 8, 8, digests[2])}}
	body := AppendRecorded(nil, ledger, id, head, digests, list)
	known := func(k KeyID) bool { return k == id }
	gotHead, got, err := ReadRecorded(body, signer, digests, known)
	if err != nil || gotHead != head || got[0].Receipt != list[0].Receipt || *got[1].Refusal != *list[1].Refusal || got[2].Receipt != list[2].Receipt {
		t.Fatalf("got %+v %+v, %v", gotHead, got, err)
	}
	for i := range body {
		bad := bytes.Clone(body)
		bad[i] ^= 1
		if _, _, err := ReadRecorded(bad, signer, digests, known); err == nil {
			t.Fatalf("counts with byte %d altered", i)
		}
	}
	for name, asked := range map[string][]Digest{
		"another token": {{1}, {2}, {4}}, "another order": {{2}, {1}, {3}}, "fewer": digests[:2], "more": {{1}, {2}, {3}, {4}}, "none": nil,
	} {
		if _, _, err := ReadRecorded(body, signer, asked, known); err == nil {
			t.Errorf("counts as the answer to %s", name)
		}
	}
	other, _ := agreed(t, root)
	for name, c := range map[string]struct {
		body  []byte
		seal  *Seal
		known func(KeyID) bool
		want  string
	}{
		"on another connection":   {body, other, known, "not sealed for this connection"},
		"before anything agreed":  {body, nil, known, "not sealed for this connection"},
		"without a certified key": {body, signer, func(KeyID) bool { return false }, "not certified by its pinned root"},
		"cut":                     {body[:len(body)-1], signer, known, "seal"},
	} {
		if _, _, err := ReadRecorded(c.body, c.seal, digests, c.known); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A share counts only under the pinned root, and for the connection that it answers.
func TestSharesAreBoundToTheirConnection(t *testing.T) {
	_, root, _ := ed25519.GenerateKey(nil)
	pinned := root.Public().(ed25519.PublicKey)
	share := NewShare()
	_, public, signature, err := AnswerShare(root, share.Public())
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, _ := ed25519.GenerateKey(nil)
	_, theirs, theirSignature, _ := AnswerShare(stranger, share.Public())
	zero := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	for name, c := range map[string]struct {
		share             *Share
		public, signature string
		want              string
	}{
		"of a stranger":                  {share, theirs, theirSignature, "not signed by its pinned root"},
		"with a stranger's share":        {share, theirs, signature, "not signed by its pinned root"},
		"played again to another share":  {NewShare(), public, signature, "not signed by its pinned root"},
		"without a signature":            {share, public, "", "not signed by its pinned root"},
		"of 31 bytes":                    {share, base64.RawURLEncoding.EncodeToString(make([]byte, 31)), signature, "share"},
		"missing, as an old one answers": {share, "", "", "share"},
	} {
		if _, err := c.share.Agree(pinned, c.public, c.signature); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A point of low order would make the same secret with everybody.
	for name, bad := range map[string]string{"low order": zero, "padded": share.Public() + "=", "cut": share.Public()[:42], "none": ""} {
		if _, _, _, err := AnswerShare(root, bad); err == nil {
			t.Errorf("the ledger agrees with a share of %s", name)
		}
	}
	signed := ed25519.Sign(root, shareInput(share.private.PublicKey(), mustShare(t, zero)))
	if _, err := share.Agree(pinned, zero, base64.RawURLEncoding.EncodeToString(signed)); err == nil {
		t.Error("the signer agrees with a share of low order")
	}
}

func mustShare(t *testing.T, text string) *ecdh.PublicKey {
	t.Helper()
	public, err := readShare(text)
	if err != nil {
		t.Fatal(err)
	}
	return public
}
