// Package oauth is the vocabulary of OAuth 2.0 and OpenID Connect as seawall speaks it: error codes and the one
// writer of error answers, grant types and client authentication methods, the metadata document, and the rules for
// scopes and resource indicators.
//
// It holds words and rules and does no I/O of its own. An error is a value, [*Error], that travels up from whichever
// room found it to the door, and only there [WriteError] turns it into an answer. An error that nobody classified
// becomes server_error with an incident number: the client learns the number, the log learns the cause.
//
// Names follow the standards; each carries its section where it is declared.
package oauth

// GrantType is a value of grant_type (RFC 6749 §4).
type GrantType string

// The grant types.
const (
	ClientCredentials GrantType = "client_credentials" // RFC 6749 §4.4, for a client that acts for itself
	AuthorizationCode GrantType = "authorization_code" // RFC 6749 §4.1, for a person who signed in
	RefreshToken      GrantType = "refresh_token"      // RFC 6749 §6
)

// GrantTypes lists the grant types that a client may be registered for.
func GrantTypes() []GrantType { return []GrantType{AuthorizationCode, ClientCredentials, RefreshToken} }

// AuthMethod is how a client authenticates at the token endpoint: a value of token_endpoint_auth_method (RFC 7591 §2).
type AuthMethod string

// The client authentication methods.
const (
	ClientSecretBasic AuthMethod = "client_secret_basic" // RFC 6749 §2.3.1, in the Authorization header
	ClientSecretPost  AuthMethod = "client_secret_post"  // RFC 6749 §2.3.1, in the form
	PrivateKeyJWT     AuthMethod = "private_key_jwt"     // OpenID Connect Core §9, RFC 7523 §2.2
	AuthNone          AuthMethod = "none"                // RFC 7591 §2: a public client, which can keep no secret
)

// AuthMethods lists every client authentication method.
func AuthMethods() []AuthMethod {
	return []AuthMethod{ClientSecretBasic, ClientSecretPost, PrivateKeyJWT, AuthNone}
}

// UsesSecret reports whether the method proves possession of a client secret.
func (m AuthMethod) UsesSecret() bool { return m == ClientSecretBasic || m == ClientSecretPost }

// ClientAssertionType is the one value of client_assertion_type that we take (RFC 7523 §2.2).
const ClientAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
