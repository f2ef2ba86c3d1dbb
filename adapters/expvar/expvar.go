// Package expvar shows the counts of a validate.Validator under /debug/vars, with nothing but the
// standard library:
//
//	import seawall "seawall/adapters/expvar"
//
//	expvar.Publish("seawall_validate", seawall.Var(v))
//
// It is a module of its own, because package expvar of the standard library opens its page in every
// program that links it, and validate must not do that to anybody. The page names issuers, audiences
// and keys, and nobody whom a token was about; whoever may not know those should not reach it.
package expvar

import (
	"expvar"

	"seawall/validate"
)

// page is what is shown. Its names are stable; members are added.
type page struct {
	Version string   `json:"version"`
	Tokens  []token  `json:"tokens"`
	Events  []event  `json:"events"`
	Issuers []issuer `json:"issuers"`
	Feeds   []feed   `json:"feeds"`
}

type token struct {
	Issuer   string        `json:"issuer"`
	Audience string        `json:"audience"`
	Type     string        `json:"type"`
	Key      string        `json:"key"`
	Code     validate.Code `json:"code"` // "" for accepted tokens
	Count    uint64        `json:"count"`
}

type event struct {
	Issuer string             `json:"issuer"`
	Event  validate.EventKind `json:"event"`
	Code   validate.Code      `json:"code"`
	Count  uint64             `json:"count"`
}

type issuer struct {
	Issuer  string   `json:"issuer"`
	KeysAge *float64 `json:"keys_age_seconds"` // null if there is none
}

type feed struct {
	Issuer   string             `json:"issuer"`
	Phase    validate.FeedPhase `json:"phase"`
	Sequence uint64             `json:"sequence"`
	Age      float64            `json:"age_seconds"`
	Alarms   uint64             `json:"alarms"`
}

// Source is what has counts: a validate.Validator, or one of its kin for other kinds of tokens.
type Source interface{ Stats() validate.Stats }

// Var gives a validator's counts, as they are whenever somebody looks, in JSON.
func Var(s Source) expvar.Var {
	return expvar.Func(func() any { return newPage(s.Stats()) })
}

func newPage(s validate.Stats) page {
	p := page{Version: s.Version, Tokens: []token{}, Events: []event{}, Issuers: []issuer{}, Feeds: []feed{}}
	for _, t := range s.Tokens {
		p.Tokens = append(p.Tokens, token{t.Issuer, t.Audience, t.Type, t.KeyID, t.Code, t.Count})
	}
	for _, e := range s.Events {
		p.Events = append(p.Events, event{e.Issuer, e.Kind, e.Code, e.Count})
	}
	for _, i := range s.Issuers {
		shown := issuer{Issuer: i.Issuer}
		if i.KeysAge >= 0 {
			age := i.KeysAge.Seconds()
			shown.KeysAge = &age
		}
		p.Issuers = append(p.Issuers, shown)
	}
	for _, f := range s.Feeds {
		p.Feeds = append(p.Feeds, feed{f.Issuer, f.Phase, f.Sequence, f.Age.Seconds(), f.Alarms})
	}
	return p
}
