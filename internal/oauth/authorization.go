package oauth

import (
	"net/url"
	"strings"

	"seawall/internal/secret"
)

// Scopes that seawall itself gives a meaning to (OpenID Connect Core §5.4, §11). No API can have one of these names.
const (
	ScopeOpenID  = "openid"         // an ID token, and what userinfo says
	ScopeProfile = "profile"        // the person's name
	ScopeOffline = "offline_access" // tokens after the person has left
)

// Scopes lists the scopes that seawall itself gives a meaning to.
func Scopes() Scope { return Scope{ScopeOffline, ScopeOpenID, ScopeProfile} }

// ResponseCode is the one response_type that we take (RFC 6749 §4.1.1); what is left of the others is not in OAuth 2.1.
const ResponseCode = "code"

// ResponseQuery is the one response_mode that we take.
const ResponseQuery = "query"

// ChallengeS256 is the one code_challenge_method that we take (RFC 7636 §4.2). With plain, who sees the request has the
// verifier.
const ChallengeS256 = "S256"

// Prompt is a value of prompt (OpenID Connect Core §3.1.2.1).
type Prompt string

// The prompts.
const (
	PromptNone          Prompt = "none"           // show nothing: answer, or say what it would take
	PromptLogin         Prompt = "login"          // another touch
	PromptConsent       Prompt = "consent"        // ask although it was agreed to before
	PromptSelectAccount Prompt = "select_account" // let the person say who they are
)

// Prompts lists every prompt.
func Prompts() []Prompt {
	return []Prompt{PromptNone, PromptLogin, PromptConsent, PromptSelectAccount}
}

// AuthorizationResponse goes back to the client through the person's browser: a code (RFC 6749 §4.1.2) or an error
// (§4.1.2.1), with the state that the client sent, and always with the issuer, so that a client who talks to several can
// tell which one answers (RFC 9207 §2).
type AuthorizationResponse struct {
	Code   secret.Text
	Err    *Error // nil: there is a code
	State  string
	Issuer string
}

// URL is the response on its way: the redirect URI with the parameters behind whatever query it has by registration,
// which must not have one of their names.
func (a AuthorizationResponse) URL(redirectURI string) string {
	parameters := [][2]string{{"code", a.Code.Reveal()}, {"state", a.State}, {"iss", a.Issuer}}
	if a.Err != nil {
		parameters = [][2]string{{"error", string(a.Err.Code)}, {"error_description", describe(a.Err.Description)}, {"state", a.State}, {"iss", a.Issuer}}
	}
	return WithQuery(redirectURI, parameters...)
}

// ResponseParameters are the names that an authorization or logout response can have.
func ResponseParameters() []string {
	return []string{"code", "error", "error_description", "error_uri", "iss", "response", "session_state", "state"}
}

// WithQuery is a URI without a fragment, with parameters added to its query. One without a value is left out.
func WithQuery(uri string, parameters ...[2]string) string {
	var b strings.Builder
	b.WriteString(uri)
	separator := byte('?')
	if strings.Contains(uri, "?") {
		separator = '&'
	}
	for _, p := range parameters {
		if p[1] == "" {
			continue
		}
		b.WriteByte(separator)
		b.WriteString(p[0])
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p[1]))
		separator = '&'
	}
	return b.String()
}
