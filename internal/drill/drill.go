// Package drill rehearses attacks against a running seawall, from outside and
// with an attacker's reach: stolen keys, key documents it can alter, tokens it
// has captured. A drill never asks the defence how it is built. It sends what
// the attacker would send to an API behind validate and to a twin behind an
// ordinary library, and compares what they do.
//
// A step passes only if validate refuses for the reason the step names (or
// accepts where that is right): a refusal for another reason proves nothing
// about the defence under test.
//
// The package holds the attacks. Who builds the range for them (issuers,
// signer, ledger, on a throw-away directory) is the caller's business.
package drill

import (
	"context"
	"crypto"
	"time"
)

// All lists the drills by name.
var All = []Drill{
	{ID: "storm-0558", Title: "A stolen, expired consumer key forges enterprise tokens",
		Incident: "Storm-0558, 2023: one consumer signing key, issued 2016 and expired 2021, was accepted for enterprise mail for a month.",
		Run:      storm0558},
}

// Drill is one rehearsed attack.
type Drill struct {
	ID       string
	Title    string
	Incident string // what happened in the world
	Run      func(context.Context, *Range) ([]Step, error)
}

// ByID finds a drill.
func ByID(id string) (Drill, bool) {
	for _, d := range All {
		if d.ID == id {
			return d, true
		}
	}
	return Drill{}, false
}

// Range is the ground a drill runs on: real issuers, and what the attacker has
// stolen from them.
type Range struct {
	Pin        string // the ledger root's fingerprint, as an API would pin it
	Audience   string // the API under attack
	Client     string // the application under attack, which people sign in to
	Consumer   Issuer
	Enterprise Issuer
	// Expired is a genuine key of the enterprise issuer whose time has passed.
	Expired Stolen
	Now     func() time.Time
}

// Issuer is a genuine issuer and the attacker's copies of its active keys.
type Issuer struct {
	URL      string
	Stolen   Stolen
	StolenID Stolen // the key of ID tokens, if it has one
	// Keys fetches the issuer's genuine key document.
	Keys func(context.Context) ([]byte, error)
	// Token gets a genuine token for the range's audience.
	Token func(context.Context) (string, error)
	// IDToken gets a genuine ID token for the range's client.
	IDToken func(context.Context) (string, error)
}

// Stolen is a signing key in the attacker's hands.
type Stolen struct {
	KID     string
	Private crypto.Signer
	JWK     []byte // its public entry as it was once published
}

// Verdict is what an API did with a token.
type Verdict struct {
	Accepted bool   `json:"accepted"`
	Code     string `json:"code,omitempty"` // validate's reason
}

func (v Verdict) String() string {
	if v.Accepted {
		return "accepted"
	}
	if v.Code == "" {
		return "refused"
	}
	return "refused: " + v.Code
}

// Step is one attack and what came of it.
type Step struct {
	Name    string  `json:"name"`
	Attack  string  `json:"attack"`
	Want    Verdict `json:"want"`
	Seawall Verdict `json:"seawall"`
	Twin    Verdict `json:"twin"` // the same token at an API, or a client, behind an ordinary library
	Passed  bool    `json:"passed"`
	Note    string  `json:"note,omitempty"`
}
