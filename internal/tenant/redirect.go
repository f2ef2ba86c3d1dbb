package tenant

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"seawall/internal/oauth"
)

// Bounds of a client's redirect URIs.
const (
	MaxRedirectURIs   = 20
	MaxRedirectLength = 512
)

// redirectURIs checks where a client's people may be sent back to and returns the addresses sorted. what is what they are
// called in an error, and flag where they are given.
func redirectURIs(what, flag string, t ClientType, given []string) ([]string, error) {
	if len(given) > MaxRedirectURIs {
		return nil, invalid(what, fmt.Sprintf("%d are more than %d", len(given), MaxRedirectURIs), "make a client for each application")
	}
	out := slices.Clone(given)
	slices.Sort(out)
	for i, uri := range out {
		if i > 0 && uri == out[i-1] {
			return nil, invalid(what, quote(uri)+" is named twice", "name it once")
		}
		if why, hint := badRedirect(t, uri); why != "" {
			return nil, invalid(what, quote(uri)+" "+why, strings.ReplaceAll(hint, "--redirect", flag))
		}
	}
	return out, nil
}

const plainRedirect = "give the application's own address, such as --redirect https://app.example.com/callback"

// badRedirect says what is wrong with a redirect URI of a client of some type, and what to do; nothing if it is fine.
// Redirect URIs are compared byte by byte (RFC 9700 §4.1.3), so whatever a browser would spell differently on its way
// could never work, or would lead somewhere else than it seems to; and whatever could hide where it leads is refused.
func badRedirect(t ClientType, s string) (why, hint string) {
	scheme, _, found := strings.Cut(s, ":")
	switch {
	case s == "":
		return "is empty", plainRedirect
	case len(s) > MaxRedirectLength:
		return fmt.Sprintf("is longer than %d bytes", MaxRedirectLength), plainRedirect
	case strings.Contains(s, "#"):
		return "has a fragment (RFC 6749, section 3.1.2)", plainRedirect
	case strings.Contains(s, "*"):
		return "has a wildcard: each address is compared as it is", "name every address with a --redirect of its own"
	case !oauth.PrintableURI(s) || !found || scheme != strings.ToLower(scheme):
		return "is not a URI in its plainest form", plainRedirect
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.String() != s:
		return "is not a URI in its plainest form", plainRedirect
	case u.User != nil:
		return "has user information before the host, which hides where it leads", plainRedirect
	case dotted(u.EscapedPath()):
		return "has a path with . or .. or an empty step", "write the path as browsers would"
	case reservedQuery(u):
		return "has a parameter in its query that our answer has too", "choose another name than " + strings.Join(oauth.ResponseParameters(), ", ")
	case scheme == "https" || scheme == "http":
		return badWebRedirect(t, u)
	}
	return badPrivateRedirect(t, scheme, s[len(scheme)+1:])
}

// badWebRedirect is about https, and http on a loopback interface. Whether a tenant takes the latter for clients that are
// not native is for [Tenant.AdmitsClient] to say.
func badWebRedirect(t ClientType, u *url.URL) (why, hint string) {
	host := u.Hostname()
	switch {
	case host == "" || u.Opaque != "" || host != strings.ToLower(host) || strings.HasSuffix(host, "."):
		return "has no host in its plainest form", plainRedirect
	case net.ParseIP(host) == nil && slices.ContainsFunc(strings.Split(host, "."), notHostLabel):
		return "has a host that is no name", "write international names in their xn-- form"
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !plainPort(u.Scheme, u.Port()):
		return "has a port that browsers leave out or don't know", "leave out the port that the scheme has anyway"
	case u.Scheme == "http" && !loopback(host):
		return "does not start with https://, so anybody on the way could read the code", "serve the application over https; plain http is for 127.0.0.1, [::1] and localhost"
	}
	return "", ""
}

// badPrivateRedirect is about schemes of a native application's own (RFC 8252 §7.1): the reverse of a domain name that its
// makers have, so that no two applications have the same by accident, and one slash, because no host follows.
func badPrivateRedirect(t ClientType, scheme, rest string) (why, hint string) {
	labels := strings.Split(scheme, ".")
	switch {
	case t != Native:
		return "does not start with https://", plainRedirect
	case len(labels) < 2 || slices.ContainsFunc(labels, notHostLabel):
		return "has a scheme that is not the reverse of a domain name (RFC 8252, section 7.1)", "write a domain of yours backwards, such as --redirect com.example.app:/callback"
	case !strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "//"):
		return "has something else than one slash after the scheme (RFC 8252, section 7.1)", "such as --redirect " + scheme + ":/callback"
	}
	return "", ""
}

func plainPort(scheme, port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port && !(scheme == "https" && n == 443) && !(scheme == "http" && n == 80)
}

// dotted reports whether a path has a step that browsers would resolve, or an empty one inside.
func dotted(path string) bool {
	steps := strings.Split(strings.ToLower(path), "/")
	for i, step := range steps {
		step = strings.ReplaceAll(step, "%2e", ".")
		if step == "." || step == ".." || step == "" && i > 0 && i < len(steps)-1 {
			return true
		}
	}
	return false
}

// reservedQuery reports whether a query has one of the parameters that our answers have, or can't be read.
func reservedQuery(u *url.URL) bool {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return true
	}
	for name := range values {
		if slices.Contains(oauth.ResponseParameters(), strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// Redirect is a client with other addresses for its people to come back to, after signing in and after signing out.
func (t Tenant) Redirect(c Client, redirects, logouts []string) (Client, error) {
	c.RedirectURIs, c.LogoutURIs = redirects, logouts
	c, err := NewClient(c)
	if err != nil {
		return Client{}, err
	}
	return c, t.admitsSignIn(c)
}

// RedirectsTo reports whether uri is one of the client's redirect URIs, byte by byte. A native client's on a loopback
// address fits with any port, because the port is the system's choice at the moment it is opened (RFC 8252 §7.3); a name
// such as localhost is no address, and fits as it is or not at all.
func (c Client) RedirectsTo(uri string) bool {
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	if c.Type != Native || len(uri) > MaxRedirectLength {
		return false
	}
	address, rest, ok := loopbackURI(uri)
	return ok && slices.ContainsFunc(c.RedirectURIs, func(known string) bool {
		a, r, ok := loopbackURI(known)
		return ok && a == address && r == rest
	})
}

// LogsOutTo reports whether uri is one of the client's post-logout redirect URIs, byte by byte.
func (c Client) LogsOutTo(uri string) bool { return slices.Contains(c.LogoutURIs, uri) }

// loopbackURI takes the port out of a URI on a loopback address.
func loopbackURI(uri string) (address, rest string, ok bool) {
	for _, address := range [...]string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(uri, address)
		if !ok {
			continue
		}
		if after, ported := strings.CutPrefix(rest, ":"); ported {
			end := strings.IndexAny(after, "/?")
			if end < 0 {
				end = len(after)
			}
			if n, err := strconv.ParseUint(after[:end], 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != after[:end] {
				return "", "", false
			}
			rest = after[end:]
		}
		return address, rest, rest == "" || rest[0] == '/' || rest[0] == '?'
	}
	return "", "", false
}
