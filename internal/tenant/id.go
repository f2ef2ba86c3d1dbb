package tenant

import (
	"crypto/rand"
	"slices"
	"strings"
)

// Reserved lists the ids that nobody may have: names of paths beside a tenant's, now or likely, and names that would
// read like seawall itself in a log. "support" is not here: it belongs to the tenant of class support.
func Reserved() []string {
	return []string{
		"about", "account", "accounts", "admin", "administrator", "anonymous", "api", "apis", "app", "apps", "asset", "assets",
		"auth", "authorize", "callback", "client", "clients", "console", "debug", "device", "docs", "error", "events",
		"favicon", "feed", "guest", "health", "healthz", "help", "home", "house", "id", "index", "internal", "introspect", "issuer",
		"jwks", "key", "keys", "ledger", "livez", "localhost", "log", "login", "logout", "logs", "me", "metrics", "mint", "nobody",
		"none", "null", "oauth", "oauth2", "oidc", "openid", "openid-configuration", "operator", "operators", "par", "ping",
		"public", "ready", "readyz", "register", "revoke", "robots", "root", "saml", "scim", "seawall", "self", "session",
		"sessions", "setup", "sign", "signer", "signin", "signout", "signup", "sso", "static", "status", "system", "tenant",
		"tenants", "token", "tokens", "undefined", "user", "userinfo", "users", "v1", "v2", "version", "well-known", "www",
	}
}

// MaxIDLength is how many characters an id may have; a DNS label may have as many.
const MaxIDLength = 63

// ParseID folds an id to lower case and checks it: [a-z0-9-]{1,63}, no hyphen at either end, not reserved. What names
// the setting in the error, such as "client id". Ids in protocol messages are compared as they are, never folded.
func ParseID(what, s string) (string, error) {
	id := foldASCII(s)
	if reason := badID(id); reason != "" {
		return "", invalid(what, quote(s)+" "+reason, "use 1 to 63 letters a-z, digits and hyphens, such as acme-orders")
	}
	if slices.Contains(Reserved(), id) {
		return "", invalid(what, quote(s)+" is reserved for seawall itself", "choose another, such as "+id+"-team")
	}
	return id, nil
}

// foldASCII lowers A-Z only: strings.ToLower would also turn the Kelvin sign into a k.
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// badID says what is wrong with the form of an id, or nothing. Length is checked before characters because a reason
// should not repeat a page of input.
func badID(id string) string {
	switch {
	case id == "":
		return "is empty"
	case len(id) > MaxIDLength:
		return "is longer than 63 characters"
	case id[0] == '-' || id[len(id)-1] == '-':
		return "starts or ends with a hyphen"
	case strings.HasPrefix(id, "xn--"):
		return "starts with xn--, which is how host names hide other scripts"
	}
	for i := range len(id) {
		if c := id[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return "has a character that is not a letter a-z, a digit or a hyphen"
		}
	}
	return ""
}

// randomID makes an id for something that was given none: the prefix and 80 random bits.
func randomID(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:16]) }
