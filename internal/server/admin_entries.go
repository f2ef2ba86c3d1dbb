package server

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
)

// entriesShown is how many entries a page has unless somebody asks for more or less.
const entriesShown = 50

// listEntries asks the ledger for a page of its newest entries.
func (s *Server) listEntries(a act) (any, error) {
	q, err := entryQuery(a.URL.Query())
	if err != nil {
		return nil, err
	}
	found := new(mint.Found)
	if err := s.vaults.askLedger(a.Context(), mint.MsgSearch, q, found); err != nil {
		return nil, err
	}
	page := adminapi.EntryPage{Entries: items(found.Entries, showEntry).Items, Next: found.Next, Size: found.Size}
	return page, nil
}

// entryQuery reads what is asked for out of an address.
func entryQuery(v url.Values) (*mint.SearchQuery, error) {
	wrong := func(text string) error {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Status: http.StatusBadRequest, Description: text}
	}
	q := &mint.SearchQuery{Kind: mint.EntryKind(v.Get("kind")), Tenant: v.Get("tenant"), Client: v.Get("client"), Subject: v.Get("subject"),
		KID: v.Get("kid"), JTI: v.Get("jti"), Limit: entriesShown}
	for name, values := range v {
		if len(values) != 1 || len(values[0]) > mint.MaxText {
			return nil, wrong(strconv.Quote(short(name)) + " is there twice, or longer than " + strconv.Itoa(mint.MaxText) + " bytes")
		}
	}
	var err error
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > mint.MaxFound {
			return nil, wrong("the limit is a number from 1 to " + strconv.Itoa(mint.MaxFound))
		}
	}
	if text := v.Get("before"); text != "" {
		if q.Before, err = strconv.ParseUint(text, 10, 63); err != nil {
			return nil, wrong("before is the number of an entry")
		}
	}
	return q, nil
}

func showEntry(n *mint.NumberedEntry) adminapi.Entry {
	e := &n.Entry
	shown := adminapi.Entry{Sequence: n.Sequence, Time: time.UnixMilli(int64(e.Millis)).UTC(), Kind: string(e.Kind), Tenant: e.Tenant, Issuer: e.Issuer,
		Client: e.Client, Subject: e.Subject, KID: e.KID, Actor: e.Actor, TokenKind: e.TokenKind, Audience: e.Audience, JTI: e.JTI, Expires: moment(e.Expires)}
	if len(e.Detail) > 0 {
		shown.Detail = make(map[string]string, len(e.Detail))
	}
	for _, d := range e.Detail {
		shown.Detail[d.Name] = d.Value
	}
	return shown
}
