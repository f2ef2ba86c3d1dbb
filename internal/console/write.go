package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"

	"seawall/internal/look"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// maxForm bounds a form: a client's key set of 32 KiB fits.
const maxForm = 96 << 10

// tokenField has the session's token in every form.
const tokenField = "form"

// write takes a form. What can't be done is said on the page that it came from, with everything as it was typed; when a
// fresh touch is wanted, the browser goes to touch and comes back to that page.
func (o *Console) write(v *visit, to route) error {
	v.Body = http.MaxBytesReader(v.w, v.Body, maxForm)
	if err := v.ParseForm(); err != nil {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusRequestEntityTooLarge, Description: "the form is longer than 96 KiB, or was cut short"}
	}
	v.typed = v.PostForm
	given := v.typed[tokenField]
	v.typed.Del(tokenField)
	err := error(nil)
	if token := o.Door.FormToken(v.Request, v.tenant); token == "" || len(given) != 1 || subtle.ConstantTimeCompare([]byte(token), []byte(given[0])) != 1 {
		err = &adminapi.Error{Code: adminapi.CodeForbidden, Status: http.StatusForbidden,
			Description: "this page is from before you signed in, and nothing was done", Hint: "look it over and press the button once more"}
	} else {
		err = to.post(o, v)
	}
	var e *adminapi.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Code == adminapi.CodeStepUp {
		return o.touch(v)
	}
	v.trouble, v.status = e, max(e.Status, http.StatusBadRequest)
	err = to.get(o, v)
	if gone := (*adminapi.Error)(nil); errors.As(err, &gone) { // there is no page to say it on any more
		v.trouble, err = nil, e
	}
	return err
}

// touch sends the browser to touch its passkey, and back to the page that it is on, with what was typed.
func (o *Console) touch(v *visit) error {
	here := v.URL.Path[len(o.home):]
	handle := newHandle()
	draft := tenant.Interaction{Hash: handle.Hash(), Tenant: v.tenant.ID, Next: here, Person: v.who.Person, Typed: v.typed, ExpiresAt: v.now.Add(tenant.InteractionLife)}
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
	v.typed, v.again = i.Typed, true
	return nil
}

func newHandle() secret.Text {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return secret.New(base64.RawURLEncoding.EncodeToString(b[:]))
}

// done sends the browser to where what was done can be seen.
func (o *Console) done(v *visit, path, what string) error {
	look.Guard(v.w.Header())
	http.Redirect(v.w, v.Request, o.root+path+"?done="+what, http.StatusSeeOther)
	return nil
}
