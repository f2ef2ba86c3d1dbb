package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"seawall/internal/durable"
	"seawall/validate"
)

func issuerCommands() []command {
	return []command{
		{name: "pin", help: "look at an issuer that is not a seawall, and write down what to trust of it", run: adapt("issuer pin", issuerPin)},
	}
}

// pinAnswer is what the command found and made of it, as --json prints it.
type pinAnswer struct {
	Survey   *validate.Survey `json:"survey"`
	Findings []finding        `json:"findings"`
	Pin      *validate.Pin    `json:"pin,omitempty"` // none if a finding forbids it
	Output   string           `json:"output,omitempty"`
}

// finding is something that a person should know before trusting the issuer.
type finding struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Forbid bool   `json:"forbids_pin"` // no pin can make this good
}

// issuerPin surveys a foreign issuer and writes a pin file.
func issuerPin(ctx context.Context, c *call) error {
	f := newFlags(c, "URL [--output FILE] [--type TYPE] [--claim NAME=VALUE] …",
		"Fetches the metadata and the keys of an issuer that is not a seawall, tells what it finds, and writes a pin file for\n"+
			"validate.PinnedIssuer: the issuer, the place of its keys, its algorithms, and the rules that you give. Read it before\n"+
			"you commit it: whoever answers at URL decides what is in it. When FILE holds a pin of the same issuer, it is replaced\n"+
			"and the difference is told.")
	asJSON := f.json()
	output := f.String("output", "", "write the pin to `FILE`")
	issuer := f.String("issuer", "", "the `NAME` in its tokens' iss, where that is not URL; it may contain {tenantid}")
	var o pinOptions
	o.compare = f.list("compare", "another issuer's `URL` that must not share keys with this one; may be repeated")
	o.types = f.list("type", "`TYPE` (typ) of its access tokens; may be repeated (at+jwt if none is given)")
	o.tenants = f.list("tenant", "`ID` of a tenant (tid) that counts; may be repeated")
	o.claims = f.list("claim", "demand that the claim NAME, or /OUTER/INNER, is VALUE, as `NAME=VALUE`; may be repeated")
	f.BoolVar(&o.onlyThese, "only-these-keys", false, "refuse every key that is not published now; needs a new pin before each rotation")
	words, err := f.parse("URL")
	if err != nil {
		return err
	}
	rules, err := claimRules(*o.claims)
	if err != nil {
		return f.wrong("%v", err)
	}
	survey, err := validate.FetchSurvey(ctx, words[0], *issuer)
	if err != nil {
		return explainSurvey(err)
	}
	a := pinAnswer{Survey: survey, Findings: []finding{}}
	if err := a.examine(ctx, &o, words[0], len(rules) > 0); err != nil {
		return err
	}
	changes := []string{}
	if !a.forbidden() {
		a.Pin = newPin(survey, &o, rules)
		// What this command writes, validate must take.
		if err := checkPin(a.Pin); err != nil {
			return err
		}
		if *output != "" {
			if changes, err = writePin(*output, a.Pin); err != nil {
				return err
			}
			a.Output = *output
		}
	}
	if *asJSON {
		err = writeJSON(c.out, a)
	} else {
		err = a.tell(c, changes)
	}
	if err == nil && a.forbidden() {
		return errAnswered
	}
	return err
}

// pinOptions are what the caller wants pinned.
type pinOptions struct {
	compare, types, tenants, claims *list
	onlyThese                       bool
}

// claimRules reads NAME=VALUE, where NAME may be a JSON pointer (RFC 6901); values of one name are
// alternatives.
func claimRules(given []string) (rules []validate.ClaimRule, err error) {
	for _, g := range given {
		name, value, ok := strings.Cut(g, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("--claim %s is not NAME=VALUE", g)
		}
		path := []string{name}
		if inner, nested := strings.CutPrefix(name, "/"); nested {
			path = strings.Split(inner, "/")
			for i := range path {
				path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(path[i])
			}
		}
		at := slices.IndexFunc(rules, func(r validate.ClaimRule) bool { return slices.Equal(r.Path, path) })
		if at < 0 {
			at, rules = len(rules), append(rules, validate.ClaimRule{Path: path})
		}
		rules[at].OneOf = append(rules[at].OneOf, value)
	}
	return rules, nil
}

// explainSurvey adds what to try.
func explainSurvey(err error) error {
	switch {
	case errors.Is(err, validate.CodeLedgerAnnounced):
		return hint(err, "'seawall api create' shows the pin of a seawall's ledger; validate.SeawallIssuer takes it")
	case errors.Is(err, validate.CodeIssuer):
		return hint(err, "give the issuer exactly as its metadata do, or say by --issuer what stands in its tokens' iss")
	}
	return err
}

// signsForAnybody are issuers at which anybody can have an account, and the preset that knows what to ask.
var signsForAnybody = map[string]string{
	"https://accounts.google.com":                 "validate.GoogleIssuer",
	"https://token.actions.githubusercontent.com": "validate.GitHubActionsIssuer",
	"https://gitlab.com":                          "",
}

// examine looks at what was published for anything that a person should know.
func (a *pinAnswer) examine(ctx context.Context, o *pinOptions, address string, ruled bool) error {
	s := a.Survey
	preset, anybody := signsForAnybody[s.Issuer]
	many := strings.Contains(s.Issuer, "{tenantid}")
	switch {
	case many && len(*o.tenants) == 0:
		a.find(true, "signs_for_anybody", "%s signs for every tenant there is: say by --tenant which count (validate.EntraIssuer knows more about Entra)", s.Issuer)
	case anybody && !ruled:
		a.find(true, "signs_for_anybody", "%s signs for anybody who has an account there: demand by --claim an id that only yours have%s", s.Issuer, knows(preset))
	}
	if from, to := host(address), host(s.JWKS); from != to {
		a.find(false, "keys_elsewhere", "the keys are on another host, %s: whoever holds that one signs for %s", to, s.Issuer)
	}
	for _, k := range s.Keys {
		if k.Fault != "" {
			a.find(false, "key_skipped", "key %.64q can't be used: %s", k.ID, k.Fault)
		}
	}
	if len(s.Usable()) == 0 {
		a.find(true, "no_usable_key", "none of its %d keys can verify a token", len(s.Keys))
	}
	a.examineNames()
	for _, other := range *o.compare {
		if err := a.compare(ctx, other); err != nil {
			return err
		}
	}
	return nil
}

func knows(preset string) string {
	if preset == "" {
		return ""
	}
	return "; " + preset + " knows which"
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// examineNames looks at whom the keys name. A key that names nobody signs for whoever trusts the set.
func (a *pinAnswer) examineNames() {
	counts := map[string]int{}
	for _, k := range a.Survey.Usable() {
		counts[k.Issuer]++
	}
	var names []string
	for name := range counts {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	mine := counts[a.Survey.Issuer]
	switch {
	case len(names) == 0:
		return
	case mine == 0:
		a.find(true, "keys_of_others", "the set names %s, and no key names %s: none of them signs for it", strings.Join(names, ", "), a.Survey.Issuer)
	case len(names) > 1:
		var told []string
		for _, name := range names {
			told = append(told, fmt.Sprintf("%d for %s", counts[name], name))
		}
		a.find(false, "several_issuers", "the set serves several issuers: %s; the pin demands that a key name %s", strings.Join(told, ", "), a.Survey.Issuer)
	}
	if silent := counts[""]; silent > 0 && mine > 0 {
		a.find(false, "silent_keys", "%d of its keys name no issuer while others do: they will be refused", silent)
	}
}

// compare looks for keys that another issuer publishes too.
func (a *pinAnswer) compare(ctx context.Context, address string) error {
	other, err := validate.FetchSurvey(ctx, address, "")
	if err != nil {
		return explainSurvey(err)
	}
	for _, k := range a.Survey.Usable() {
		shared := slices.ContainsFunc(other.Usable(), func(o validate.SurveyedKey) bool { return o.Thumbprint == k.Thumbprint })
		if shared {
			bound := k.Issuer == a.Survey.Issuer
			a.find(!bound, "shared_key", "key %.64q (%s) is published by %s too: whoever holds it signs for both%s", k.ID, k.Thumbprint, other.Issuer, boundTo(bound, a.Survey.Issuer))
		}
	}
	return nil
}

func boundTo(bound bool, issuer string) string {
	if bound {
		return ", but the key itself names " + issuer
	}
	return ", and nothing in the key says for whom it is"
}

func (a *pinAnswer) find(forbid bool, code, format string, args ...any) {
	a.Findings = append(a.Findings, finding{code, fmt.Sprintf(format, args...), forbid})
}

func (a *pinAnswer) forbidden() bool {
	return slices.ContainsFunc(a.Findings, func(f finding) bool { return f.Forbid })
}

// newPin binds what was found. If keys name issuers, only those that name this one are seen as its own.
func newPin(s *validate.Survey, o *pinOptions, rules []validate.ClaimRule) *validate.Pin {
	p := &validate.Pin{
		Version: validate.PinVersion, Issuer: s.Issuer, JWKS: s.JWKS, Tenants: *o.tenants, Types: *o.types, Claims: rules, OnlyTheseKeys: o.onlyThese, Keys: s.Usable(),
	}
	mine := func(k validate.SurveyedKey) bool { return k.Issuer == s.Issuer }
	if slices.ContainsFunc(p.Keys, mine) {
		p.KeyIssuer = s.Issuer
		p.Keys = slices.DeleteFunc(p.Keys, func(k validate.SurveyedKey) bool { return !mine(k) })
	}
	for _, k := range p.Keys {
		for _, alg := range k.Algorithms {
			if !slices.Contains(p.Algorithms, alg) {
				p.Algorithms = append(p.Algorithms, alg)
			}
		}
	}
	slices.Sort(p.Algorithms)
	if len(p.Types) == 0 {
		p.Types = []string{"at+jwt"}
	}
	return p
}

// checkPin makes sure that validate takes the pin.
func checkPin(p *validate.Pin) error {
	v, err := validate.New(validate.Config{
		Issuers:   []validate.Issuer{validate.PinnedIssuer(encodePin(p)).WithKeys(validate.StaticKeys([]byte(`{"keys":[]}`)))},
		Audiences: []string{"any"},
	})
	if err != nil {
		return usage(err.Error())
	}
	v.Close()
	return nil
}

// encodePin gives the file: members in one order and keys by name, so that a difference is a change.
func encodePin(p *validate.Pin) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(p); err != nil {
		panic("seawall: encoding a pin: " + err.Error()) // can't be: it is text, numbers and lists
	}
	return b.Bytes()
}

// writePin writes the file, and tells how it differs from the pin of the same issuer that was there.
func writePin(path string, p *validate.Pin) (changes []string, err error) {
	before, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		old, err := validate.ParsePin(before)
		if err != nil {
			return nil, hint(fmt.Errorf("%s is there already and is no pin: %w", path, err), "give another file, or take this one away")
		}
		if old.Issuer != p.Issuer {
			return nil, hint(fmt.Errorf("%s holds the pin of %s", path, old.Issuer), "give another file: one file pins one issuer")
		}
		changes = differences(&old, p)
	}
	return changes, durable.Replace(path, encodePin(p), 0o644) // it is no secret
}

// differences tells what a new pin changes.
func differences(old, fresh *validate.Pin) []string {
	changes := []string{}
	thumbprints := func(p *validate.Pin) (list []string) {
		for _, k := range p.Keys {
			list = append(list, k.Thumbprint)
		}
		return list
	}
	before, after := thumbprints(old), thumbprints(fresh)
	for _, k := range fresh.Keys {
		if !slices.Contains(before, k.Thumbprint) {
			changes = append(changes, fmt.Sprintf("new key %.64q %s", k.ID, k.Thumbprint))
		}
	}
	for _, k := range old.Keys {
		if !slices.Contains(after, k.Thumbprint) {
			changes = append(changes, fmt.Sprintf("gone key %.64q %s", k.ID, k.Thumbprint))
		}
	}
	bare := func(p validate.Pin) string {
		p.Keys = nil
		return string(encodePin(&p))
	}
	if bare(*old) != bare(*fresh) {
		changes = append(changes, "what is demanded of tokens or of the place of the keys changes: compare the files")
	}
	return changes
}

// tell prints the answer for people.
func (a *pinAnswer) tell(c *call, changes []string) error {
	s := a.Survey
	algorithms := make([]string, len(s.Algorithms))
	for i, alg := range s.Algorithms {
		algorithms[i] = string(alg)
	}
	fmt.Fprintf(c.out, "Issuer %s\n", s.Issuer)
	if err := facts(c.out, [2]string{"keys at", s.JWKS}, [2]string{"algorithms", strings.Join(algorithms, " ")}); err != nil {
		return err
	}
	fmt.Fprintln(c.out)
	t := table{head: []string{"KEY", "ALGORITHMS", "THUMBPRINT", "NAMES"}}
	for _, k := range s.Usable() {
		var serves []string
		for _, alg := range k.Algorithms {
			serves = append(serves, string(alg))
		}
		t.add(fmt.Sprintf("%.64q", k.ID), strings.Join(serves, " "), k.Thumbprint, orDash(k.Issuer))
	}
	if err := t.write(c.out, "It has no usable key."); err != nil {
		return err
	}
	style := styleFor(c.out)
	for _, f := range a.Findings {
		word := "note"
		if f.Forbid {
			word = "refused"
		}
		fmt.Fprintf(c.out, "\n%s %s: %s\n", style.warn(word), f.Code, f.Text)
	}
	switch {
	case a.forbidden():
		fmt.Fprintln(c.out, "\nNothing was pinned.")
	case a.Output == "":
		fmt.Fprintln(c.out, "\nGive --output FILE to write the pin.")
	default:
		fmt.Fprintf(c.out, "\nThe pin is in %s. Read it, and commit it.\n", a.Output)
		for _, change := range changes {
			fmt.Fprintf(c.out, "  %s\n", change)
		}
	}
	return nil
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}
