package console

import (
	"crypto/subtle"
	"errors"
	"net/http"

	"seawall/internal/look"
	"seawall/internal/server/adminapi"
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

// sure is an act that wants a word of agreement, as on the command line: by the box that a page has whose form is Sure.
func sure(post func(*Console, *visit) error) func(*Console, *visit) error {
	return func(o *Console, v *visit) error {
		if v.value(confirmField) != "yes" {
			return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: "nothing was done: it wants to be confirmed", Hint: "look at what will happen, tick the box, and press the button once more"}
		}
		return post(o, v)
	}
}

// confirmField is what the box of [sure] is called.
const confirmField = "confirm"

func confirmation() field {
	return field{Name: confirmField, Label: "console.confirm", Kind: "checks", Options: []option{{Value: "yes", Key: "console.confirmed"}}, Required: true}
}

// done sends the browser to where what was done can be seen.
func (o *Console) done(v *visit, path, what string) error {
	look.Guard(v.w.Header())
	http.Redirect(v.w, v.Request, o.root+path+"?done="+what, http.StatusSeeOther)
	return nil
}
