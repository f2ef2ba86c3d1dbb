package tenant

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Invalid says why a value cannot be. It is written for the person at the command line: Error is "what: why", and
// [Invalid.Hint] what to do.
type Invalid struct {
	What string // the setting, in words
	Why  string
	hint string
}

func invalid(what, why, hint string) *Invalid { return &Invalid{What: what, Why: why, hint: hint} }

// Error is what and why.
func (e *Invalid) Error() string { return e.What + ": " + e.Why }

// Hint says what to do, and may be empty.
func (e *Invalid) Hint() string { return e.hint }

// quote shows what somebody typed, shortened and escaped.
func quote(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return strconv.Quote(s)
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// mailAddress checks that an address looks like one that a message could reach, and returns it trimmed and with its
// domain in lower case. We take the dot-atom form only: no display names, quoting, comments or address literals.
func mailAddress(what, s string) (string, error) {
	s = strings.TrimSpace(s)
	hint := "give a mail address that somebody reads, such as ops@acme.example"
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "", invalid(what, quote(s)+" is not a mail address", hint)
	}
	local, domain := s[:at], foldASCII(s[at+1:])
	labels := strings.Split(domain, ".")
	if len(s) > 254 || len(local) > 64 || !dotAtom(local) || len(labels) < 2 || slices.ContainsFunc(labels, notHostLabel) {
		return "", invalid(what, quote(s)+" is not a mail address that could be reached", hint)
	}
	return local + "@" + domain, nil
}

func dotAtom(s string) bool {
	for _, part := range strings.Split(s, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return r <= ' ' || r > '~' || strings.ContainsRune(`"(),:;<>@[\]`, r)
		}) {
			return false
		}
	}
	return true
}

func notHostLabel(s string) bool {
	return s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	})
}

// contacts checks that there are enough of them, and that they are not one mailbox spelled twice.
func contacts(given []string) ([]string, error) {
	var out, seen []string
	for _, s := range given {
		address, err := mailAddress("contact", s)
		if err != nil {
			return nil, err
		}
		if folded := strings.ToLower(address); !slices.Contains(seen, folded) {
			out, seen = append(out, address), append(seen, folded)
		}
	}
	if len(out) < MinContacts {
		return nil, invalid("contacts", fmt.Sprintf("there must be %d different ones and there is %d", MinContacts, len(out)), "name two people or teams who can be reached, with --contact twice")
	}
	if len(out) > MaxContacts {
		return nil, invalid("contacts", fmt.Sprintf("%d are more than %d", len(out), MaxContacts), "name a list address instead")
	}
	slices.Sort(out)
	return out, nil
}
