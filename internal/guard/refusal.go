package guard

import "net/http"

// RefusalHeader carries the code of a refusal of the guard's own. Refused tokens are answered by package validate, with the
// challenges of RFC 6750, RFC 9449 and RFC 9470.
const RefusalHeader = "Seawall-Refusal"

// refusal is an answer that lets nothing through.
type refusal struct {
	status int
	code   string // stable, for programs
	reason string // one plain clause, for people
}

// All refusals of the guard's own.
var (
	notAsked       = refusal{http.StatusBadRequest, "not_asked", "this is not how the configured proxy asks: it must say method and target exactly once each"}
	noSecret       = refusal{http.StatusForbidden, "proxy_secret", "only the proxy may ask: its secret is missing or wrong"}
	badHeader      = refusal{http.StatusBadRequest, "header", "the request carries a header that only the guard may set, or one that makes an API see another request than the one checked"}
	badMethod      = refusal{http.StatusForbidden, "method", "no request with this method can pass"}
	badPath        = refusal{http.StatusBadRequest, "path", "the path has more than one reading"}
	noRoute        = refusal{http.StatusForbidden, "no_route", "no route of the guard covers this method and path"}
	badCertificate = refusal{http.StatusBadRequest, "client_certificate", "the proxy's header holds no client certificate in the configured form"}
	tooLarge       = refusal{http.StatusRequestEntityTooLarge, "body", "the request's body is larger than the guard lets through"}
	tooSlow        = refusal{http.StatusRequestTimeout, "slow_body", "the request's body did not come in time"}
	noAnswer       = refusal{http.StatusBadGateway, "upstream", "the API did not answer"}
	broken         = refusal{http.StatusServiceUnavailable, "broken", "the guard made a mistake, so nothing passes"}
)

// write answers. Whatever was prepared for a request that passes is taken back.
func (r *refusal) write(w http.ResponseWriter) {
	h := w.Header()
	clear(h)
	h.Set("Cache-Control", "no-store")
	h.Set(RefusalHeader, r.code)
	http.Error(w, r.reason, r.status)
}
