package adminapi

// Codes of [Error]. Besides them a vault's own code (see mint.Code) is passed on
// when it refused.
const (
	CodeInvalid     = "invalid_request"                  // something in the request is not possible
	CodeNotFound    = "not_found"                        // no such tenant, API, client or path
	CodeExists      = "already_exists"                   // the id is in use
	CodeUsedBefore  = "id_used_before"                   // the id was in use once, and ids are never reused
	CodeConflict    = "conflict"                         // the present state forbids it
	CodeDisabled    = "disabled"                         // the tenant, API or client is disabled
	CodeForbidden   = "forbidden"                        // not the operator's user id, or a role that may not
	CodeStepUp      = "insufficient_user_authentication" // a change wants a fresh touch: sign in again (RFC 9470)
	CodeReadOnly    = "socket_reads_only"                // over the socket: there are owners, so changes are made by people
	CodeToken       = "invalid_token"                    // over the network: the access token is no good
	CodeMethod      = "method_not_allowed"
	CodeUnavailable = "temporarily_unavailable" // a vault is away; the act is finished when it is back, if the hint says so
	CodeUnwritten   = "not_written"             // the disk is full or failing; nothing was changed
	CodeServer      = "server_error"            // ours; the log has the cause under the incident id in the description
	CodeNotRunning  = "not_running"             // made by the Client: nobody listens on the socket
)

// Error is the one shape of everything that goes wrong.
type Error struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	Hint        string `json:"hint,omitempty"` // what to do
	// MaxAge comes with CodeStepUp: how old a touch may be, in seconds (RFC 9470 §3).
	MaxAge int64 `json:"max_age,omitempty"`
	Status int   `json:"-"` // HTTP status; 0 when there was no answer
}

// Error returns the description, without the hint: the command line prints that
// on a line of its own.
func (e *Error) Error() string { return e.Description }
