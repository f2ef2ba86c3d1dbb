package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"seawall/internal/process"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

func personCommands() []command {
	return []command{
		{name: "create", help: "make a person", run: adapt("person create", personCreate)},
		{name: "list", help: "list a tenant's people", run: adapt("person list", personList)},
		{name: "show", help: "show one person, their passkeys and sessions", run: adapt("person show", personShow)},
		{name: "enrol", help: "make a link by which a person registers a passkey", run: adapt("person enrol", personEnrol)},
		{name: "recover", help: "ask for, approve or stop the slow way back for somebody who lost their passkeys", run: adapt("person recover", personRecover)},
		{name: "set-role", help: "give a person of the tenant operators another role", run: adapt("person set-role", personSetRole)},
		{name: "sign-out", help: "end a person's sessions", run: adapt("person sign-out", personSignOut)},
		{name: "disable", help: "stop a person, for good", run: adapt("person disable", personDisable)},
	}
}

func personCreate(ctx context.Context, c *call) error {
	f := newFlags(c, "LOGIN --tenant TENANT [--name NAME]",
		"Makes a person. The login is what they are told apart by: their mail address, or a short name. They can sign in once\nthey have a passkey, for which `seawall person enrol` makes a link.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	var q adminapi.CreatePerson
	f.StringVar(&q.Name, "name", "", "`NAME` for people, such as 'Ada Lovelace'")
	f.StringVar(&q.Role, "role", "", "`ROLE` in the tenant operators: owner, operator, help-desk or auditor; nowhere else")
	words, err := f.parse("LOGIN")
	if err != nil {
		return err
	}
	q.Login = words[0]
	p, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Person, error) {
		return o.CreatePerson(ctx, *tenant, q)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, p)
	}
	fmt.Fprintf(c.out, "%s is one of %s now.\n", p.Name, p.Tenant)
	return facts(c.out, [2]string{"login", p.Login}, [2]string{"subject", p.Subject}, [2]string{"role", p.Role},
		[2]string{"next", "seawall person enrol " + p.Login + " --tenant " + p.Tenant})
}

func personList(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT", "Lists a tenant's people by login.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	if _, err := f.parse(); err != nil {
		return err
	}
	all, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) ([]adminapi.Person, error) {
		return o.People(ctx, *tenant)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"people": orEmpty(all)})
	}
	t := table{head: []string{"LOGIN", "NAME", "KIND", "ROLE", "STATE", "WAYS IN", "PROVEN", "SUBJECT"}}
	for _, p := range all {
		role := p.Role
		if role == "" {
			role = "–"
		}
		t.add(p.Login, p.Name, p.Kind, role, state(p.Disabled), fmt.Sprint(p.WaysIn), proven(p.Proven), p.Subject)
	}
	return t.write(c.out, "No people yet. Make the first with `seawall person create`.")
}

// proven says when a way in was last seen to work. The day is enough: it is about whether anybody has tried lately.
func proven(t time.Time) string {
	switch days := int(time.Since(t).Hours() / 24); {
	case t.IsZero():
		return "never"
	case days < 1:
		return "today"
	case days == 1:
		return "yesterday"
	default:
		return fmt.Sprintf("%d days ago", days)
	}
}

func personShow(ctx context.Context, c *call) error {
	f := newFlags(c, "PERSON --tenant TENANT", "Shows one person, by login or subject, with their passkeys and the browsers in which they are signed in.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	words, err := f.parse("PERSON")
	if err != nil {
		return err
	}
	p, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Person, error) {
		return o.Person(ctx, *tenant, words[0])
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, p)
	}
	return describePerson(c, p)
}

func describePerson(c *call, p *adminapi.Person) error {
	now := time.Now()
	fmt.Fprintln(c.out, p.Name)
	if err := facts(c.out, [2]string{"state", state(p.Disabled)}, [2]string{"login", p.Login}, [2]string{"subject", p.Subject}, [2]string{"kind", p.Kind},
		[2]string{"role", p.Role}, [2]string{"created", moment(p.Created, now)}, [2]string{"recovery", recoveryText(p.Recovery, now)}); err != nil {
		return err
	}
	keys := table{head: []string{"PASSKEY", "TYPE", "CREATED", "LAST USED", "REFERENCE"}}
	for _, k := range p.Passkeys {
		kind := "on one device"
		switch {
		case k.SuspendedWhy == "recovery":
			kind = "left behind"
		case !k.Suspended.IsZero():
			kind = "SUSPENDED"
		case k.Lesser:
			kind = "not enough"
		case k.Attested:
			kind = "certified"
		case k.Synced:
			kind = "synced"
		}
		keys.add(k.Name, kind, day(k.Created), moment(k.Used, now), k.Reference)
	}
	fmt.Fprintln(c.out)
	if err := keys.write(c.out, "No passkey yet: `seawall person enrol "+p.Login+" --tenant "+p.Tenant+"` makes a link."); err != nil {
		return err
	}
	sessions := table{head: []string{"SIGNED IN ON", "FROM", "SINCE", "SEEN", "PROVED"}}
	for _, n := range p.Sessions {
		sessions.add(n.Device, n.Place, moment(n.SignedIn, now), span(now.Sub(n.Seen))+" ago", n.ACR+" ("+strings.Join(n.AMR, " ")+")")
	}
	fmt.Fprintln(c.out)
	return sessions.write(c.out, "Signed in nowhere.")
}

func recoveryText(r *adminapi.Recovery, now time.Time) string {
	switch {
	case r == nil:
		return ""
	case r.ApprovedBy == "":
		return "asked for by " + r.RequestedBy + ", waits for " + waitsFor(r)
	}
	return "asked for by " + r.RequestedBy + ", approved by " + r.FirstBy + " and " + r.ApprovedBy + ", ready " + moment(r.UsableFrom, now)
}

func waitsFor(r *adminapi.Recovery) string {
	if r.FirstBy == "" {
		return "two administrators"
	}
	return "a second administrator"
}

const linkHelp = "new `FILE` for the link, readable by you only, instead of the screen"

// linkHolder is where a link will go, settled before it is made: a terminal, or a file that is nobody else's. A link is a
// credential, so it never goes into a pipe or into JSON by accident.
func linkHolder(c *call, save string, asJSON bool) (*keepsake, error) {
	switch elsewhere := "give --save FILE to keep it in a file that only you can read"; {
	case save == "" && asJSON:
		return nil, hint(errors.New("a link is never in JSON"), elsewhere)
	case save == "" && !process.Terminal(c.out):
		return nil, hint(errors.New("a link is shown on a terminal only"), elsewhere)
	}
	return openKeepsake(save)
}

// keepLink puts a link into the keepsake, if there is one, takes it out of what will be printed, and returns the file's name.
func keepLink(l *adminapi.Link, keep *keepsake) (saved string, err error) {
	if keep == nil {
		return "", nil
	}
	if err := keep.write("ENROL_LINK", l.Link); err != nil {
		return "", fmt.Errorf("saving the link: %w", err)
	}
	l.Link = ""
	return keep.file.Name(), nil
}

// madeLink is a link in JSON, where the link itself never is.
type madeLink struct {
	Login   string    `json:"login"`
	Subject string    `json:"subject"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"`
	Saved   string    `json:"saved,omitempty"`
}

// showLink hands a link over.
func showLink(c *call, l *adminapi.Link, keep *keepsake, asJSON bool) error {
	saved, err := keepLink(l, keep)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(c.out, madeLink{l.Login, l.Subject, l.Reason, l.Expires, saved})
	}
	return tellLink(c, l, saved)
}

// tellLink says where a link is, or shows it.
func tellLink(c *call, l *adminapi.Link, saved string) error {
	fmt.Fprintf(c.out, "A link for %s, which works once until %s:\n", l.Login, moment(l.Expires, time.Now()))
	if saved != "" {
		return facts(c.out, [2]string{"saved in", saved})
	}
	_, err := fmt.Fprintf(c.out, "\n  %s\n\nHand it over on a way that only they can read. Whoever opens it first gets the passkey.\n", l.Link)
	return err
}

func personEnrol(ctx context.Context, c *call) error {
	f := newFlags(c, "PERSON --tenant TENANT [--save FILE]",
		"Makes a link by which a person registers a passkey: it works once, for 15 minutes, and makes earlier ones useless. The\nsecret is in the part after #, which browsers send to nobody. Somebody who has a passkey gets a link only through\n`seawall person recover`.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	save := f.String("save", "", linkHelp)
	words, err := f.parse("PERSON")
	if err != nil {
		return err
	}
	keep, err := linkHolder(c, *save, *asJSON)
	if err != nil {
		return err
	}
	l, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Link, error) {
		return o.EnrolPerson(ctx, *tenant, words[0])
	})
	if err != nil {
		keep.drop()
		return err
	}
	return showLink(c, l, keep, *asJSON)
}

func personRecover(ctx context.Context, c *call) error {
	f := newFlags(c, "PERSON --tenant TENANT [--approve | --stop]",
		"The slow way back for somebody who has lost all their passkeys. Two administrators approve it with their passkeys, each\non their page at …/operators/account; the person sees it and may stop it; a day later, and for three days,\n`seawall person enrol` makes one link, good for 15 minutes. Asking over the operators' socket counts for nothing.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	approve := f.Bool("approve", false, "approve what another administrator asked for")
	stop := f.Bool("stop", false, "stop it")
	words, err := f.parse("PERSON")
	if err != nil {
		return err
	}
	q := adminapi.RecoverPerson{Step: "request"}
	switch {
	case *approve && *stop:
		return f.wrong("--approve and --stop exclude each other")
	case *approve:
		q.Step = "approve"
	case *stop:
		q.Step = "stop"
	}
	r, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Recovery, error) {
		return o.RecoverPerson(ctx, *tenant, words[0], q)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, r)
	}
	switch {
	case *stop:
		_, err = fmt.Fprintf(c.out, "No recovery of %s is under way any more.\n", words[0])
	case *approve && r.ApprovedBy == "":
		_, err = fmt.Fprintf(c.out, "Approved. It waits for %s, at …/operators/account.\n", waitsFor(r))
	case *approve:
		_, err = fmt.Fprintf(c.out, "Approved. `seawall person enrol %s --tenant %s` makes a link from %s, unless they stop it.\n", words[0], *tenant, moment(r.UsableFrom, time.Now()))
	default:
		_, err = fmt.Fprintf(c.out, "Asked for. It waits for %s, who approve it at …/operators/account.\n", waitsFor(r))
	}
	return err
}

func personDisable(ctx context.Context, c *call) error {
	f := newFlags(c, "PERSON --tenant TENANT [--yes]", "Stops a person for good: their sessions end, and none of their passkeys signs in any more.")
	to, asJSON, tenant, yes := f.seawall(), f.json(), f.tenant(), f.yes()
	words, err := f.parse("PERSON")
	if err != nil {
		return err
	}
	p, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Person, error) {
		present, err := o.Person(ctx, *tenant, words[0])
		if err != nil {
			return nil, err
		}
		if err := agree(c, *yes, words[0], []string{
			fmt.Sprintf("%s (%s) will not be able to sign in at %s any more.", present.Name, present.Login, present.Tenant),
			fmt.Sprintf("  affected  %s, %s", many(len(present.Passkeys), "passkey"), many(len(present.Sessions), "session")),
			"  undo      none: a disabled person stays disabled, and their subject is never used again",
		}); err != nil {
			return nil, err
		}
		return o.DisablePerson(ctx, *tenant, present.Subject)
	})
	if err != nil {
		return err
	}
	return c.tell(*asJSON, p, "%s is disabled.\n", p.Login)
}

func tenantComplete(ctx context.Context, c *call) error {
	f := newFlags(c, "ID [--owner MAIL] [--contact MAIL …] [--passkeys TIER] [--seal-to RECIPIENT --seal-to RECIPIENT] [--yes]",
		"Gives a tenant what it lacks: its two break-glass principals if there are none, a code for each that has no way in, and\nwhat is given here. `seawall tenant show` lists what is missing.\n"+sealAbout)
	to, asJSON := f.seawall(), f.json()
	var q adminapi.CompleteTenant
	f.StringVar(&q.Owner, "owner", "", "`MAIL` address of who is responsible")
	contacts := f.list("contact", "`MAIL` address that is reached in an emergency; at least two")
	f.StringVar(&q.Passkeys, "passkeys", "", "`TIER` of passkeys that its people sign in with: any, device-bound or attested")
	models := f.list("model", "`AAGUID` that attested admits; may be repeated (the default is every certified one)")
	yes := f.yes()
	sealTo := f.sealTo(tenant.BreakGlassPrincipals)
	fresh := f.Bool("new-codes", false, "make new break-glass codes, also for principals that have one")
	words, err := f.parse("ID")
	if err != nil {
		return err
	}
	g, err := sealTo()
	if err != nil {
		return err
	}
	if *fresh && !g.able(*asJSON) {
		return hint(errors.New("new codes are shown on a terminal only, so none were made"), "run it on a terminal, without --json", "or give --seal-to RECIPIENT for each: then they leave encrypted")
	}
	q.Contacts, q.Models = *contacts, *models
	t, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Tenant, error) {
		people, err := o.People(ctx, words[0])
		if err != nil {
			return nil, err
		}
		if err := g.enough(codesDue(people, *fresh)); err != nil {
			return nil, err
		}
		if err := previewTier(ctx, c, o, words[0], q, *yes); err != nil {
			return nil, err
		}
		t, err := o.CompleteTenant(ctx, words[0], q)
		if err != nil || !g.able(*asJSON) {
			return t, err
		}
		if err := g.complete(ctx, o, t, *fresh); err != nil {
			return t, err
		}
		return o.Tenant(ctx, words[0])
	})
	if *asJSON {
		return g.answer(tenantAndCodes{t, g.sealed}, err)
	}
	if err = g.tell(err); err != nil {
		return err
	}
	if len(t.Findings) == 0 {
		_, err = fmt.Fprintf(c.out, "Tenant %s is complete.\n", t.Tenant)
		return err
	}
	fmt.Fprintf(c.out, "Tenant %s still lacks something:\n", t.Tenant)
	return tellFindings(c, t)
}

// tenantAndCodes is a tenant in JSON, with the codes that were made for it.
type tenantAndCodes struct {
	*adminapi.Tenant
	Codes []sealedCode `json:"codes,omitempty"`
}

const sealAbout = "Codes are shown on a terminal. With --seal-to they leave encrypted instead, also without a terminal and with --json: the first\nRECIPIENT reads the code of break-glass-1, the second that of break-glass-2. Where only one code is made, one will do."

// previewTier shows whom a tenant shuts out that asks for other passkeys, and wants that confirmed.
func previewTier(ctx context.Context, c *call, o *adminapi.Operator, id string, q adminapi.CompleteTenant, yes bool) error {
	if q.Passkeys == "" && len(q.Models) == 0 {
		return nil
	}
	q.DryRun = true
	would, err := o.CompleteTenant(ctx, id, q)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(would.Findings, func(f adminapi.Finding) bool { return f.ID == "passkeys" })
	if i < 0 {
		return nil
	}
	return agree(c, yes, id, []string{
		fmt.Sprintf("Tenant %s will ask for other passkeys: %s.", would.Tenant, would.Passkeys),
		"  affected  " + would.Findings[i].What,
		"  they will be signed out at once, and need another passkey to come back: `seawall person recover`",
		"  undo      ask for less again: their passkeys stay, and work again then",
	})
}

// tellFindings shows what a tenant lacks.
func tellFindings(c *call, t *adminapi.Tenant) error {
	style := styleFor(c.out)
	for _, f := range t.Findings {
		if _, err := fmt.Fprintf(c.out, "  %s\n    %s\n", style.warn(f.What), f.Hint); err != nil {
			return err
		}
	}
	return nil
}

// invitation is the first administrator's link on its way from the house.
type invitation struct {
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

// invitationFile is where the link goes when nobody sits at a terminal.
const invitationFile = "first-administrator.txt"

// forgetInvitation removes an earlier link, which is worth nothing once the house has started again.
func forgetInvitation(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// consoleOf is where the console is, next to where a link leads.
func consoleOf(link string) string {
	issuer, _, _ := strings.Cut(link, "/enrol#")
	return issuer + "/console"
}

// tell shows the link on a terminal, or puts it into a file that only its owner can read and that is not there yet.
func (i *invitation) tell(c *call, path string) error {
	if i == nil || i.Link == "" {
		return nil
	}
	if process.Terminal(c.out) {
		program, console := asTyped(os.Args[0]), consoleOf(i.Link)
		_, err := fmt.Fprintf(c.out, "\n%s Open this link within %s and create your passkey; it works once:\n\n  %s\n\nToo late? `%s person enrol administrator --tenant operators` makes another.\nFrom then on you change things in the console, at %s, or after `%s login %s`.\n\n",
			styleFor(c.out).strong("You are its first administrator."), span(time.Until(i.Expires).Round(time.Minute)), i.Link, program, console, program, strings.TrimSuffix(console, "/operators/console"))
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, i.Link)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "  the first administrator's link is in %s, for 15 minutes\n", absolute(path))
	return err
}
