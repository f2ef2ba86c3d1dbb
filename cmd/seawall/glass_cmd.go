package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"seawall/internal/envelope"
	"seawall/internal/process"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

func breakGlassCommands() []command {
	return []command{
		{name: "use", help: "use a code: it gives its principal a link for one passkey", run: adapt("break-glass use", breakGlassUse)},
		{name: "prove", help: "show that a code is at hand and works, without using it up", run: adapt("break-glass prove", glassProve)},
	}
}

func breakGlassUse(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT [--save FILE] [--seal-to RECIPIENT]",
		"Uses a break-glass code, read from standard input. A code signs nobody in: it gives its principal a link for one passkey.\nIt works once, it is recorded and told loudly, and a new code takes its place at once: shown on a terminal, or encrypted\nto whom --seal-to names.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	save := f.String("save", "", linkHelp)
	sealTo := f.sealTo(1)
	if _, err := f.parse(); err != nil {
		return err
	}
	g, err := sealTo()
	if err != nil {
		return err
	}
	keep, err := linkHolder(c, *save, *asJSON)
	if err != nil {
		return err
	}
	l, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Link, error) {
		code, err := readCode(c)
		if err != nil {
			return nil, err
		}
		return o.BreakGlass(ctx, *tenant, adminapi.BreakGlass{Code: code.Reveal()})
	})
	if err != nil {
		keep.drop()
		return err
	}
	saved, err := keepLink(l, keep)
	if err == nil && !*asJSON {
		err = tellLink(c, l, saved)
	}
	if err != nil {
		return err
	}
	if g.able(*asJSON) {
		_, err = operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (struct{}, error) {
			t, err := o.Tenant(ctx, *tenant)
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, g.renew(ctx, o, t, 0, l.Subject, l.Login)
		})
	}
	if *asJSON {
		return g.answer(struct {
			madeLink
			Codes []sealedCode `json:"codes,omitempty"`
		}{madeLink{l.Login, l.Subject, l.Reason, l.Expires, saved}, g.sealed}, err)
	}
	if g.made() == 0 {
		fmt.Fprintf(c.out, "\nThe code is used up, and nothing has taken its place yet: %s.\n", anotherCode(*tenant))
	}
	return g.tell(err)
}

func glassProve(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT",
		"Shows that a break-glass code, read from standard input, is at hand and works. It uses nothing up: do it now and then, so\nthat nobody finds out on the bad day. `seawall tenant show` says when a way in was last proven.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	if _, err := f.parse(); err != nil {
		return err
	}
	p, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.ProvenGlass, error) {
		code, err := readCode(c)
		if err != nil {
			return nil, err
		}
		return o.ProveGlass(ctx, *tenant, adminapi.BreakGlass{Code: code.Reveal()})
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, p, "The code of %s works. It was not used up: put it back where it was.\n", p.Login)
}

// glassText says in a line how each break-glass principal of a tenant gets in, and when that was last seen to work.
func glassText(all []adminapi.Glass) string {
	var each []string
	for _, g := range all {
		var ways []string
		if g.Passkeys > 0 {
			ways = append(ways, many(g.Passkeys, "passkey"))
		}
		if g.Code {
			ways = append(ways, "a code")
		}
		if len(ways) == 0 {
			ways = []string{"no way in"}
		}
		each = append(each, fmt.Sprintf("%s: %s, proven %s", g.Login, strings.Join(ways, " and "), proven(g.Proven)))
	}
	return strings.Join(each, "; ")
}

// readers are who new break-glass codes are encrypted to: the first for a tenant's first principal by login, the second for
// its second. Where only one code is made there may be one reader, whose it is then.
type readers []*envelope.Recipient

// of is who reads the code of the principal with this number.
func (r readers) of(number int) *envelope.Recipient {
	switch {
	case len(r) == 0:
		return nil
	case len(r) == 1:
		return r[0]
	}
	return r[number]
}

// glazier gives break-glass principals new codes. Codes are made here and stay here: seawall gets their hashes. Each is shown
// on a terminal or, with readers, leaves encrypted and in no other form.
type glazier struct {
	call   *call
	to     readers
	sealed []sealedCode // for their readers, to be handed over whatever happens to the rest of the command
	shown  int          // on the terminal
	tenant string       // whose they are
}

// sealedCode is a new code that only its reader can read.
type sealedCode struct {
	Login     string `json:"login"`
	Subject   string `json:"subject"`
	Recipient string `json:"recipient"` // fingerprint of who can read it
	Sealed    string `json:"sealed"`    // an armored age file
}

const sealHelp = "`RECIPIENT` that a new break-glass code is encrypted to: age1…, or the line of an ssh-ed25519 public key"

// sealTo adds --seal-to, which may be given most times. Who is named is looked at before anything is done.
func (f *flags) sealTo(most int) func() (*glazier, error) {
	given := f.list("seal-to", sealHelp)
	return func() (*glazier, error) {
		if len(*given) > most {
			return nil, f.wrong("--seal-to is given %d times, and %s can be made", len(*given), many(most, "code"))
		}
		g := &glazier{call: f.call}
		for _, text := range *given {
			one, err := envelope.ParseRecipient(text)
			if err != nil {
				return nil, usage(fmt.Sprintf("%s: --seal-to: %v", f.call.name, err), recipientHints(err)...)
			}
			if len(g.to) > 0 && g.to[0].Fingerprint() == one.Fingerprint() {
				return nil, usage(f.call.name+": --seal-to names the same recipient twice: both codes would be lost with one key", "give two people's keys, one for each code")
			}
			g.to = append(g.to, one)
		}
		return g, nil
	}
}

func recipientHints(err error) []string {
	switch {
	case errors.Is(err, envelope.ErrPrivate):
		return []string{"`age-keygen -y FILE` prints the public half of an age key, and FILE.pub has that of an SSH key", "don't use this key any more: it was in a command line"}
	case errors.Is(err, envelope.ErrPlugin):
		return []string{"compare it with what `age-keygen -y FILE` prints", "who has a security key needs no code: `seawall person enrol` gives a break-glass principal a passkey on it"}
	}
	return []string{"its reader finds it with `age-keygen -y FILE`, or in FILE.pub: --seal-to \"$(cat FILE.pub)\""}
}

// able reports whether new codes can be handed over at all.
func (g *glazier) able(asJSON bool) bool {
	return len(g.to) > 0 || !asJSON && process.Terminal(g.call.out)
}

// made is how many new codes there are.
func (g *glazier) made() int { return len(g.sealed) + g.shown }

// enough refuses to make so many codes where a reader would get more than one: whoever loses one key, loses one code.
func (g *glazier) enough(codes int) error {
	if len(g.to) != 1 || codes <= 1 {
		return nil
	}
	return hint(fmt.Errorf("%s: %d codes are to be made, and --seal-to names one recipient: both would be lost with one key", g.call.name, codes),
		"give --seal-to twice: the first is for break-glass-1, the second for break-glass-2")
}

// lacksCode reports whether somebody is a break-glass principal who is to get a new code: who has no way in, or all of them.
func lacksCode(p *adminapi.Person, all bool) bool {
	return isGlass(p) && (all || p.WaysIn == 0 || p.CodeUsed)
}

func isGlass(p *adminapi.Person) bool {
	return p.Kind == string(tenant.BreakGlass) && p.Disabled.IsZero()
}

// codesDue counts the codes that completing a tenant makes. Principals who are not there yet will get one, too.
func codesDue(people []adminapi.Person, all bool) int {
	codes := tenant.BreakGlassPrincipals
	for i := range people {
		if isGlass(&people[i]) && !lacksCode(&people[i], all) {
			codes--
		}
	}
	return codes
}

// complete gives a code to each break-glass principal who lacks one, or to all of them.
func (g *glazier) complete(ctx context.Context, o *adminapi.Operator, t *adminapi.Tenant, all bool) error {
	people, err := o.People(ctx, t.Tenant)
	number := 0
	for i := range people {
		p := &people[i]
		if err == nil && lacksCode(p, all) {
			err = g.renew(ctx, o, t, number, p.Subject, p.Login)
		}
		if isGlass(p) {
			number++
		}
	}
	return err
}

// renew makes a code for a principal, number by login, and leaves its hash with seawall. It is encrypted before, so that no
// code ever counts that could not be handed over.
func (g *glazier) renew(ctx context.Context, o *adminapi.Operator, t *adminapi.Tenant, number int, subject, login string) (err error) {
	g.tenant = t.Tenant
	code := secret.Generate(secret.BreakGlass, envOf(t.Class))
	hash := code.Hash()
	q, one := adminapi.SealGlass{Hash: hash[:]}, sealedCode{Login: login, Subject: subject}
	to := g.to.of(number)
	if to != nil {
		one.Recipient, q.Recipient = to.Fingerprint(), to.Fingerprint()
		if one.Sealed, err = to.Seal(code, aboutCode(t, login)); err != nil {
			return err
		}
	}
	if err := o.SealGlass(ctx, t.Tenant, subject, q); err != nil {
		return fmt.Errorf("the code of %s: %w", login, err)
	}
	if to != nil {
		g.sealed = append(g.sealed, one)
		return nil
	}
	g.shown++
	_, err = fmt.Fprintf(g.call.out, "\n  %s\n  %s\n", styleFor(g.call.out).strong(t.Tenant+" · "+login), code.Reveal())
	return err
}

// aboutCode stands under a code in its envelope, for whoever opens it years later. `break-glass use` reads the line above it.
func aboutCode(t *adminapi.Tenant, login string) string {
	return fmt.Sprintf("The break-glass code of %s at %s, made on %s. Leave it encrypted until the day on which nobody gets in:\nage -d -i KEY FILE | seawall break-glass use --tenant %s\n",
		login, t.Issuer, day(time.Now()), t.Tenant)
}

const (
	paperNote = "\nWrite each code on paper and keep the papers apart, in places that two people know. Seawall has only their hashes, so\nthis is the only time they are shown. `seawall break-glass use` takes one."
	sealNote  = "\nGive each to whom it is for: `age -d -i KEY FILE` opens it, and nobody else can. Seawall has only the hash of what is inside,\nso there is no other copy. `age -d -i KEY FILE | seawall break-glass prove --tenant %s` shows that it works.\n"
)

// tell hands over what was made, for people, and returns err, or why it could not.
func (g *glazier) tell(err error) error {
	out := g.call.out
	for _, one := range g.sealed {
		if _, werr := fmt.Fprintf(out, "\n%s\n\n%s", styleFor(out).strong("The code of "+one.Login+", for "+one.Recipient+":"), one.Sealed); werr != nil {
			return g.lost(werr)
		}
	}
	if g.shown > 0 {
		fmt.Fprintln(out, paperNote)
	}
	if len(g.sealed) > 0 {
		fmt.Fprintf(out, sealNote, g.tenant)
	}
	return err
}

// answer hands over what was made as JSON, also when the command failed afterwards.
func (g *glazier) answer(v any, err error) error {
	if err != nil && len(g.sealed) == 0 {
		return err
	}
	if werr := writeJSON(g.call.out, v); werr != nil && len(g.sealed) > 0 {
		return g.lost(werr)
	} else if werr != nil {
		return werr
	}
	return err
}

// lost says that codes count which nobody has.
func (g *glazier) lost(err error) error {
	return hint(fmt.Errorf("new codes were made, and could not be handed over: %w", err), "`seawall tenant complete "+g.tenant+" --new-codes` makes others in their place")
}

// anotherCode says how to get a new code.
func anotherCode(tenantID string) string {
	return "`seawall tenant complete " + tenantID + "` on a terminal, or with --seal-to RECIPIENT"
}

// envOf is the word inside credentials for a class of tenant.
func envOf(class string) secret.Env {
	switch class {
	case "production":
		return secret.Production
	case "staging":
		return secret.Staging
	case "support":
		return secret.Support
	}
	return secret.Development
}

// readCode reads a code from standard input, and refuses one that is mistyped before anybody hears of it.
func readCode(c *call) (secret.Text, error) {
	if process.Terminal(c.in) {
		fmt.Fprint(c.err, "Code: ")
	}
	line, err := bufio.NewReader(c.in).ReadString('\n')
	if err != nil && line == "" {
		return secret.Text{}, hint(errors.New("no code was given"), "give it on standard input")
	}
	code := strings.TrimSpace(line)
	kind, _, err := secret.Parse(code)
	if errors.Is(err, secret.ErrChecksum) {
		return secret.Text{}, hint(errors.New("the code is mistyped: a character is wrong or missing"), "0 and O, 1, l and I look alike: compare with the paper")
	}
	if err != nil || kind != secret.BreakGlass {
		return secret.Text{}, hint(errors.New("this is no break-glass code"), "it begins with swb_")
	}
	return secret.New(code), nil
}
