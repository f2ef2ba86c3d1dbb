package console

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"seawall/internal/server/adminapi"
)

// ledgerView is a page of the ledger, the newest entries first.
type ledgerView struct {
	Fields  []field
	Kinds   []string
	Entries []entryView
	Older   string // where the page behind is; empty: that was all
	Newest  string // where the first page is, if this is not it
	Size    uint64
	Part    bool // only a part of the log was read, and nothing was found in it
}

// entryView is an entry as a row: what, to whom, by whom, and the rest.
type entryView struct {
	Sequence uint64
	Time     cell
	Kind     string
	About    []named
	More     []named
}

type named struct{ Name, Value, Path string }

// usualKinds are offered where a kind is typed; any other can be typed too.
var usualKinds = []string{"token.issued", "person.signed-in", "person.sign-in-refused", "person.created", "person.role-changed", "passkey.added", "passkey.suspended",
	"enrolment.issued", "enrolment.used", "recovery.requested", "recovery.approved", "session.ended", "client.created", "client.secret-rotated", "client.authentication-failed",
	"tenant.created", "policy.applied", "key.activated", "key.rotation-asked", "key.revoked", "distrust.stated", "break-glass.sealed", "break-glass.used"}

func (o *Console) ledger(v *visit) error {
	asked := v.URL.Query()
	q := adminapi.EntryQuery{Tenant: trimmed(asked, "tenant"), Kind: trimmed(asked, "kind"), Client: trimmed(asked, "client"), Subject: trimmed(asked, "subject"), JTI: trimmed(asked, "jti"), KID: trimmed(asked, "kid")}
	if text := trimmed(asked, "before"); text != "" {
		var err error
		if q.Before, err = strconv.ParseUint(text, 10, 63); err != nil {
			return &adminapi.Error{Code: adminapi.CodeInvalid, Status: 400, Description: "before is the number of an entry", Hint: "go back to the newest"}
		}
	}
	found, err := v.api.Entries(v.Context(), q)
	if err != nil {
		return err
	}
	view := ledgerView{Kinds: usualKinds, Size: found.Size, Part: len(found.Entries) == 0 && found.Next > 0, Fields: []field{
		{Name: "tenant", Label: "console.tenant", Value: q.Tenant}, {Name: "kind", Label: "console.entrykind", Value: q.Kind}, {Name: "client", Label: "console.client", Value: q.Client},
		{Name: "subject", Label: "console.subject", Value: q.Subject}, {Name: "jti", Label: "console.jti", Value: q.JTI}, {Name: "kid", Label: "console.key", Value: q.KID},
	}}
	filter := url.Values{}
	for name, value := range map[string]string{"tenant": q.Tenant, "kind": q.Kind, "client": q.Client, "subject": q.Subject, "jti": q.JTI, "kid": q.KID} {
		if value != "" {
			filter.Set(name, value)
		}
	}
	if q.Before > 0 {
		view.Newest = "/ledger?" + filter.Encode()
	}
	if found.Next > 0 {
		filter.Set("before", strconv.FormatUint(found.Next, 10))
		view.Older = "/ledger?" + filter.Encode()
	}
	for i := range found.Entries {
		view.Entries = append(view.Entries, v.entry(&found.Entries[i]))
	}
	return o.render(v, "ledger", page{Title: "console.ledgertitle", Lead: "console.ledgerlead", Section: "ledger", Body: view})
}

func trimmed(v url.Values, name string) string { return strings.TrimSpace(v.Get(name)) }

// entry says what an entry is about first, and the rest behind it. Signatures and hashes are for the command line.
func (v *visit) entry(e *adminapi.Entry) entryView {
	row := entryView{Sequence: e.Sequence, Time: v.when(e.Time), Kind: e.Kind}
	about := func(name, value, path string) {
		if value != "" {
			row.About = append(row.About, named{name, value, path})
		}
	}
	about("tenant", e.Tenant, "/ledger?tenant="+url.QueryEscape(e.Tenant))
	about("client", e.Client, "/ledger?client="+url.QueryEscape(e.Client))
	about("subject", e.Subject, "/ledger?subject="+url.QueryEscape(e.Subject))
	about("by", e.Actor, "")
	more := func(name, value string) {
		if value != "" {
			row.More = append(row.More, named{name, value, ""})
		}
	}
	more("jti", e.JTI)
	more("key", e.KID)
	more("audience", strings.Join(e.Audience, " "))
	if !e.Expires.IsZero() {
		more("expires", e.Expires.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Detail)) {
		more(name, e.Detail[name])
	}
	return row
}
