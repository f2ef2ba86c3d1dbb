package server

import (
	"net/http"
	"strconv"
	"time"
)

// Answers to browsers: an application that runs in one calls from another origin. Nothing here goes by cookies, so any
// origin may ask, and what it may read is what it may have anyway (Fetch §3.2).
var (
	anyOrigin     = []string{"*"}
	corsHeaders   = []string{"Authorization, Content-Type, DPoP"}
	corsMethods   = []string{"GET, HEAD, POST"}
	corsShown     = []string{"DPoP-Nonce, WWW-Authenticate, Retry-After"}
	corsRemembers = []string{strconv.Itoa(int(time.Hour / time.Second))}
)

// forBrowsers reports whether an application in a browser may call a path below an issuer from its own origin.
func forBrowsers(rest string) bool {
	switch rest {
	case pathToken, pathUserinfo, pathRevoke, pathKeys, pathOpenID, pathOAuth:
		return true
	}
	return false
}

// preflight answers the question that a browser asks before such a call, and reports whether this was one.
func preflight(w http.ResponseWriter, r *http.Request, rest string) bool {
	if !forBrowsers(rest) {
		return false
	}
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = corsShown
	if r.Method != http.MethodOptions || len(r.Header["Access-Control-Request-Method"]) == 0 {
		return false
	}
	h["Access-Control-Allow-Headers"] = corsHeaders
	h["Access-Control-Allow-Methods"] = corsMethods
	h["Access-Control-Max-Age"] = corsRemembers
	w.WriteHeader(http.StatusNoContent)
	return true
}
