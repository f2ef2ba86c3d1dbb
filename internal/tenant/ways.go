package tenant

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Ways are the ways in that a person has.
type Ways struct {
	Passkeys int // that work, and that the tenant admits
	Lesser   int // that would work if the tenant asked for less
	Code     bool
	// CodeUsed: the break-glass code was used, and no new one has taken its place.
	CodeUsed bool
	Proven   time.Time // when one of them was last seen to work; zero: never
}

// In is how many ways in there are.
func (w Ways) In() int {
	if w.Code {
		return w.Passkeys + 1
	}
	return w.Passkeys
}

// ownerGetsIn reports whether an owner other than one could get in. Break-glass principals do not count: they are for
// when there is nobody.
func ownerGetsIn(people []Person, ways map[string]Ways, except string) bool {
	return slices.ContainsFunc(people, func(p Person) bool {
		return p.ID != except && p.Live() && p.Kind == Human && p.Role == Owner && ways[p.ID].In() > 0
	})
}

// Owned reports whether an owner can sign in.
func Owned(people []Person, ways map[string]Ways) bool { return ownerGetsIn(people, ways, "") }

// MayLeave says whether a person may be disabled, given everybody of their tenant and the ways in of each: the last owner
// who could get in may not.
func MayLeave(leaving Person, people []Person, ways map[string]Ways) error {
	if leaving.Kind == BreakGlass {
		return Refuse(ErrConflict, "", "%s is for when nobody else gets in, and can't be disabled", leaving.Login)
	}
	return noLastOwner(leaving, people, ways)
}

// noLastOwner refuses to do without the last owner who could get in.
func noLastOwner(leaving Person, people []Person, ways map[string]Ways) error {
	if leaving.Role != Owner || ownerGetsIn(people, ways, leaving.ID) {
		return nil
	}
	return Refuse(ErrConflict, "make another owner first, who has a passkey", "%s is the last owner", leaving.Login)
}

// MayAsk says whether a tenant may ask for other passkeys than before, given everybody's ways in before and after: the
// last owner who could get in stays one.
func MayAsk(people []Person, before, after map[string]Ways) error {
	if !ownerGetsIn(people, before, "") || ownerGetsIn(people, after, "") {
		return nil
	}
	return Refuse(ErrConflict, "let an owner add such a passkey first, on their account page", "no owner has a passkey that would still be admitted, so nobody could run seawall any more")
}

// Finding is something that a tenant lacks.
type Finding struct {
	ID   string // stable: for machines
	What string // for people
	Hint string
}

// Findings lists what a tenant lacks so that its people are safe from being shut out, given its people and the ways in of
// each, by subject.
func (t Tenant) Findings(people []Person, ways map[string]Ways) []Finding {
	var list []Finding
	if t.Owner == Unnamed || len(t.Contacts) < MinContacts {
		list = append(list, Finding{"contacts", "nobody is named who answers for it", "run `seawall tenant complete " + t.ID + " --owner MAIL --contact MAIL --contact MAIL`"})
	}
	list = append(list, t.glassFindings(people, ways)...)
	if out := shutOut(people, ways); len(out) > 0 {
		list = append(list, Finding{"passkeys", fmt.Sprintf("it asks for passkeys that %s not have, so they can't sign in: %s", doOf(len(out)), few(out)),
			"each gets another by `seawall person recover`; or ask for less: `seawall tenant complete " + t.ID + " --passkeys any`"})
	}
	return list
}

// glassFindings is what break-glass principals lack.
func (t Tenant) glassFindings(people []Person, ways map[string]Ways) (list []Finding) {
	complete := "run `seawall tenant complete " + t.ID + "` on a terminal, or with --seal-to RECIPIENT for each code"
	glass, ready := 0, 0
	var used []string
	for _, p := range people {
		if p.Kind != BreakGlass || !p.Live() {
			continue
		}
		glass++
		switch w := ways[p.ID]; {
		case w.CodeUsed:
			used = append(used, p.Login)
			ready++ // whatever else it has, the paper is worth nothing
		case w.In() > 0:
			ready++
		}
	}
	if glass < BreakGlassPrincipals {
		list = append(list, Finding{"break-glass", "it has no break-glass principals: if everybody is shut out, nobody gets in", complete})
	} else if ready < glass {
		list = append(list, Finding{"break-glass-codes", fmt.Sprintf("%d of %d break-glass principals have no code and no passkey", glass-ready, glass), complete})
	}
	if len(used) > 0 {
		list = append(list, Finding{"break-glass-used", "the code of " + strings.Join(used, " and ") + " was used, and no new one has taken its place", complete})
	}
	return list
}

// shutOut are the logins of people who have passkeys that work, none of which their tenant admits.
func shutOut(people []Person, ways map[string]Ways) (logins []string) {
	for _, p := range people {
		if w := ways[p.ID]; p.Kind == Human && p.Live() && w.Lesser > 0 && w.In() == 0 {
			logins = append(logins, p.Login)
		}
	}
	return logins
}

func doOf(n int) string {
	if n == 1 {
		return "one of its people does"
	}
	return fmt.Sprintf("%d of its people do", n)
}

// few names some of many.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
