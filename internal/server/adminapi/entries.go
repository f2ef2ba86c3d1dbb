package adminapi

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// EntryQuery asks for the newest entries of the ledger that have all of the values that are not empty: GET /v1/entries.
type EntryQuery struct {
	Kind, Tenant, Client, Subject, KID, JTI string
	Before                                  uint64 // Next of the page before; 0: from the end
	Limit                                   int    // 1 to 200; 0: 50
}

// EntryPage answers EntryQuery. A page reads a part of the log only, so it may be short and still go on.
type EntryPage struct {
	Entries []Entry `json:"entries"`        // the newest first
	Next    uint64  `json:"next,omitempty"` // ask again with it as Before; none: that was all
	Size    uint64  `json:"size"`           // of the log
}

// Entry is a line of the ledger: what was done, by whom, to whom, as metadata.
type Entry struct {
	Sequence  uint64            `json:"sequence"`
	Time      time.Time         `json:"time"`
	Kind      string            `json:"kind"`
	Tenant    string            `json:"tenant,omitempty"`
	Issuer    string            `json:"issuer,omitempty"`
	Client    string            `json:"client,omitempty"`
	Subject   string            `json:"subject,omitempty"`
	KID       string            `json:"kid,omitempty"`
	Actor     string            `json:"actor,omitempty"`
	TokenKind string            `json:"token_kind,omitempty"`
	Audience  []string          `json:"audience,omitempty"`
	JTI       string            `json:"jti,omitempty"`
	Expires   time.Time         `json:"expires,omitzero"`
	Detail    map[string]string `json:"detail,omitempty"`
}

// values are the query of the address.
func (q EntryQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"kind": q.Kind, "tenant": q.Tenant, "client": q.Client, "subject": q.Subject, "kid": q.KID, "jti": q.JTI} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Before != 0 {
		v.Set("before", strconv.FormatUint(q.Before, 10))
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Entries returns a page of the ledger, the newest entries first.
func (o *Operator) Entries(ctx context.Context, q EntryQuery) (*EntryPage, error) {
	return ask[EntryPage](ctx, o, "GET", nil, q.values(), "entries")
}
