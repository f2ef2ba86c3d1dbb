package console

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/url"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// touch sends the browser to touch its passkey, and back to the page that it is on, with what was typed.
func (o *Console) touch(v *visit) error {
	here := v.URL.Path[len(o.home):]
	handle := newHandle()
	sealed, err := seal(o.Door.DraftKey(v.Request, v.tenant), v.typed)
	if err != nil {
		return err
	}
	draft := tenant.Interaction{Hash: handle.Hash(), Tenant: v.tenant.ID, Next: here, Person: v.who.Person, Draft: sealed, ExpiresAt: v.now.Add(tenant.InteractionLife)}
	if err := o.Drafts.SaveInteraction(context.WithoutCancel(v.Context()), draft); err != nil {
		return err
	}
	back := url.Values{"draft": {handle.Reveal()}}
	return o.Door.Ask(v.w, v.Request, v.tenant, tenant.Interaction{Next: here + "?" + back.Encode(), Person: v.who.Person, After: v.now})
}

// takeDraft fills the form with what the person had typed before they touched. It is shown to them only, at its own page.
func (o *Console) takeDraft(v *visit) error {
	text := v.URL.Query().Get("draft")
	if text == "" {
		return nil
	}
	i, err := o.Drafts.Interaction(v.Context(), v.tenant.ID, secret.New(text).Hash())
	if errors.Is(err, tenant.ErrNotFound) || err == nil && (i.Person != v.who.Person || i.Next != v.URL.Path[len(o.home):]) {
		return nil // over, or not theirs: an empty form
	}
	if err != nil {
		return err
	}
	if typed, ok := unseal(o.Door.DraftKey(v.Request, v.tenant), i.Draft); ok {
		v.typed, v.again = typed, true
	}
	return nil
}

// seal closes what was typed with the browser's key. It may be anything, also what should never have been typed there, and
// neither our disk nor a copy of it opens it. Without a key nothing is kept.
func seal(key []byte, typed url.Values) ([]byte, error) {
	if key == nil {
		return nil, nil
	}
	aead, err := sealer(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, []byte(typed.Encode()), nil), nil
}

// unseal opens what [seal] closed, with the same key.
func unseal(key, sealed []byte) (typed url.Values, ok bool) {
	aead, err := sealer(key)
	if err != nil {
		return nil, false
	}
	text, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, false
	}
	typed, err = url.ParseQuery(string(text))
	return typed, err == nil
}

func sealer(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func newHandle() secret.Text {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return secret.New(base64.RawURLEncoding.EncodeToString(b[:]))
}
