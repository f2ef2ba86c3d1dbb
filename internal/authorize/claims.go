package authorize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"seawall/internal/login"
	"seawall/internal/oauth"
	"seawall/internal/tenant"
)

// What we honour of the claims parameter (OpenID Connect Core §5.5): what the acr of the ID token must or may be, and whose
// sign-in it must be. An auth_time is in each ID token anyway. Everything else is ignored, essential or not, as §5.5 and §5.5.1
// want it.
const (
	maxClaims = 2048 // bytes
	maxACR    = 16   // values
)

// claims is what a request asks for in that way.
type claims struct {
	must    []string // what the sign-in must prove, one of these; empty: nothing in particular
	wishes  []string // what it may prove
	subject string   // who it must be; empty: anybody
}

var errClaims = errors.New("not an object of JSON in which each member is there once")

// readClaims reads the parameter. It is empty where there is none.
func readClaims(text string) (c claims, err error) {
	if text == "" {
		return c, nil
	}
	all, err := members([]byte(text)) // never nil without a text
	if err != nil {
		return c, err
	}
	for _, place := range []string{"id_token", "userinfo"} {
		wishes, err := members(all[place])
		if err != nil {
			return c, err
		}
		subject, err := readWanted(wishes["sub"])
		if err != nil {
			return c, fmt.Errorf("sub: %w", err)
		}
		if err := c.about(subject.values); err != nil {
			return c, err
		}
		if place == "userinfo" { // which says nothing of the sign-in
			continue
		}
		acr, err := readWanted(wishes["acr"])
		if err != nil {
			return c, fmt.Errorf("acr: %w", err)
		}
		if acr.essential {
			c.must = acr.values
		} else {
			c.wishes = acr.values
		}
	}
	return c, nil
}

// about notes who it must be.
func (c *claims) about(subjects []string) error {
	switch {
	case len(subjects) == 0:
		return nil
	case len(subjects) > 1 || c.subject != "" && c.subject != subjects[0]:
		return errors.New("sub: it can only be one person")
	}
	c.subject = subjects[0]
	return nil
}

// wanted is what a request says about one claim.
type wanted struct {
	essential bool
	values    []string // one of which it should have
}

// readWanted reads what is said about a claim whose values are text: null, or an object with what we know of §5.5.1.
func readWanted(raw json.RawMessage) (w wanted, err error) {
	said, err := members(raw)
	if err != nil {
		return w, err
	}
	value, one := said["value"]
	values, some := said["values"]
	switch {
	case one && some:
		return w, errors.New("value and values can't both be there")
	case one:
		values = slices.Concat([]byte("["), value, []byte("]"))
	}
	if essential, ok := said["essential"]; ok {
		if err := json.Unmarshal(essential, &w.essential); err != nil || bytes.Equal(essential, []byte("null")) {
			return w, errors.New("essential is neither true nor false")
		}
	}
	var list []*string
	if (one || some) && (json.Unmarshal(values, &list) != nil || len(list) == 0 || len(list) > maxACR) {
		return w, fmt.Errorf("the values are not texts, one to %d of them", maxACR)
	}
	for _, v := range list {
		if v == nil || *v == "" || !plain(*v) {
			return w, errors.New("a value is empty, or not printable ASCII")
		}
		w.values = append(w.values, *v)
	}
	return w, nil
}

// members reads an object, or null, or nothing. A name that is there twice could be read in two ways, and package json would take a
// name for another that differs in its case.
func members(raw []byte) (map[string]json.RawMessage, error) {
	if len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, errClaims
	}
	all := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		text, ok := name.(string)
		if _, twice := all[text]; err != nil || !ok || twice {
			return nil, errClaims
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errClaims
		}
		all[text] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errClaims
	}
	if _, err := d.Token(); err != io.EOF { // there is something behind it
		return nil, errClaims
	}
	return all, nil
}

// errUnmet is for a client whose essential acr could not be proven (OpenID Connect Core Error Code unmet_authentication_requirements
// 1.0 §2).
var errUnmet = oauth.Errorf(oauth.UnmetAuthenticationRequirements, "The person has not proven what the application needs.")

// met returns what a sign-in that proved acr has proven of what a request needs, in the word that the request has for it: hardware is
// phishing-resistant too, and who needs that is told so (OpenID Connect Core §5.5.1.1). Where nothing is needed it is what it is.
func (q *request) met(acr string) (says string, ok bool) {
	if len(q.must) == 0 || slices.Contains(q.must, acr) {
		return acr, true
	}
	for _, wanted := range q.must {
		if tenant.Proves(acr, wanted) {
			return wanted, true
		}
	}
	return "", false
}

// metBy reports whether a sign-in proves what a request needs; who is nobody proves nothing.
func (q *request) metBy(who *login.SignIn) bool {
	acr := ""
	if who != nil {
		acr = who.ACR
	}
	_, ok := q.met(acr)
	return ok
}

// attainable reports whether anybody at a tenant could prove what a request needs.
func (q *request) attainable(t *tenant.Tenant) bool {
	return slices.ContainsFunc(ACRValues(t), func(acr string) bool { _, ok := q.met(acr); return ok })
}
