package oauth

import (
	"fmt"
	"net/http"
	"time"
)

// Code is the machine-readable error of an answer: the member "error".
type Code string

// The error codes that we answer with, and where each is defined.
const (
	InvalidRequest         Code = "invalid_request"         // RFC 6749 §5.2
	InvalidClient          Code = "invalid_client"          // RFC 6749 §5.2
	InvalidGrant           Code = "invalid_grant"           // RFC 6749 §5.2
	UnauthorizedClient     Code = "unauthorized_client"     // RFC 6749 §5.2
	UnsupportedGrantType   Code = "unsupported_grant_type"  // RFC 6749 §5.2
	InvalidScope           Code = "invalid_scope"           // RFC 6749 §5.2
	InvalidTarget          Code = "invalid_target"          // RFC 8707 §2
	UnsupportedTokenType   Code = "unsupported_token_type"  // RFC 7009 §2.2.1
	ServerError            Code = "server_error"            // RFC 6749 §4.1.2.1
	TemporarilyUnavailable Code = "temporarily_unavailable" // RFC 6749 §4.1.2.1
	InvalidDPoPProof       Code = "invalid_dpop_proof"      // RFC 9449 §5
	UseDPoPNonce           Code = "use_dpop_nonce"          // RFC 9449 §8
	InvalidToken           Code = "invalid_token"           // RFC 6750 §3.1
)

// The error codes that only an authorization response has; it takes some of the others too.
const (
	AccessDenied            Code = "access_denied"             // RFC 6749 §4.1.2.1
	UnsupportedResponseType Code = "unsupported_response_type" // RFC 6749 §4.1.2.1
	LoginRequired           Code = "login_required"            // OpenID Connect Core §3.1.2.6
	ConsentRequired         Code = "consent_required"          // OpenID Connect Core §3.1.2.6
	RequestNotSupported     Code = "request_not_supported"     // OpenID Connect Core §3.1.2.6
	// OpenID Connect Core Error Code unmet_authentication_requirements 1.0 §2
	UnmetAuthenticationRequirements Code = "unmet_authentication_requirements"
	RequestURINotSupported          Code = "request_uri_not_supported" // OpenID Connect Core §3.1.2.6
)

// Status is the HTTP status that goes with the code unless an [Error] sets its own.
func (c Code) Status() int {
	switch c {
	case InvalidClient, InvalidToken:
		return http.StatusUnauthorized
	case ServerError:
		return http.StatusInternalServerError
	case TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// Error is a protocol failure as a value. Every field but the cause may reach the client.
type Error struct {
	Code        Code
	Description string        // error_description: one sentence for the client's developer; never credentials
	Status      int           // HTTP status; 0 is the code's own
	RetryAfter  time.Duration // sent as Retry-After, rounded up to seconds; 0 sends none
	Challenge   string        // WWW-Authenticate of a 401 answer; empty is Basic (RFC 7617)
	Incident    string        // set by WriteError on an error that nobody classified; also in Description

	cause error
}

// Errorf makes an Error. The description is formatted as by fmt.Sprintf; keep what the client sent out of it, unless it
// was checked to be a plain name.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// Unavailable says that a part of the server is away for the moment: temporarily_unavailable, 503, Retry-After.
func Unavailable(after time.Duration, cause error) *Error {
	e := Errorf(TemporarilyUnavailable, "The server cannot do this at the moment. Try again shortly.")
	e.RetryAfter, e.cause = after, cause
	return e
}

// TooManyRequests says that a limit is reached: temporarily_unavailable, 429 (RFC 6585 §4), Retry-After. OAuth has no
// code of its own for it.
func TooManyRequests(after time.Duration) *Error {
	e := Errorf(TemporarilyUnavailable, "Too many requests. Slow down and try again.")
	e.Status, e.RetryAfter = http.StatusTooManyRequests, after
	return e
}

// Because returns a copy of e that carries cause for our own log. The client never sees it.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Error is for logs: code, description and cause.
func (e *Error) Error() string {
	text := string(e.Code)
	if e.Description != "" {
		text += ": " + e.Description
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause given to [Error.Because].
func (e *Error) Unwrap() error { return e.cause }

// Is matches an error of the same code, so that errors.Is(err, &Error{Code: InvalidScope}) asks for the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Description == ""
}

// status is the HTTP status of the answer.
func (e *Error) status() int {
	if e.Status != 0 {
		return e.Status
	}
	return e.Code.Status()
}
