package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"

	"seawall/bench/internal/peer"
	"seawall/validate/corpus"
)

const ourName = "seawall"

// subject judges all cases of a document, in order.
type subject struct {
	name  string
	judge func(ctx context.Context, doc *corpus.Document) []verdict
}

// verdict is the subject of an accepted token, or that it was refused.
type verdict struct {
	accepted bool
	subject  string
}

// outcome is what became of a case that expects something.
type outcome struct {
	class  string
	attack bool
	wrong  map[string]bool // by subject
}

// choose gives the subjects: always ourselves, and the peers that were asked for.
func choose(peers []string) ([]subject, error) {
	list := []subject{{ourName, ours}}
	var known []string
	for _, l := range peer.Libraries() {
		if !l.Clock {
			continue // the corpus brings its own clock
		}
		known = append(known, l.Name)
		asked := len(peers) == 0
		for _, name := range peers {
			asked = asked || name == l.Name
		}
		if asked {
			list = append(list, subject{l.Name, theirs(l)})
		}
	}
	for _, name := range peers {
		if !strings.Contains(" "+strings.Join(known, " ")+" ", " "+name+" ") {
			return nil, fmt.Errorf("no peer %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	return list, nil
}

func names(subjects []subject) (list []string) {
	for _, s := range subjects {
		list = append(list, s.name)
	}
	return list
}

// judge asks every subject about every case that expects something.
func judge(ctx context.Context, doc *corpus.Document, subjects []subject) []outcome {
	verdicts := map[string][]verdict{}
	for _, s := range subjects {
		verdicts[s.name] = s.judge(ctx, doc)
	}
	var list []outcome
	for i, c := range doc.Cases {
		if c.Expect != "accept" && c.Expect != "reject" {
			continue
		}
		o := outcome{class: c.Class, attack: c.Expect == "reject", wrong: map[string]bool{}}
		for _, s := range subjects {
			v := verdicts[s.name][i]
			o.wrong[s.name] = v.accepted == o.attack || v.accepted && c.Subject != "" && v.subject != c.Subject
		}
		list = append(list, o)
	}
	return list
}

func ours(ctx context.Context, doc *corpus.Document) (list []verdict) {
	for _, v := range doc.Judge(ctx) {
		list = append(list, verdict{v.Verdict == "accept", v.Subject})
	}
	return list
}

// theirs judges by a library. It gets the token alone: how it was presented is nothing that these libraries look at.
func theirs(l peer.Library) func(context.Context, *corpus.Document) []verdict {
	return func(_ context.Context, doc *corpus.Document) (list []verdict) {
		var now time.Time
		verifiers := map[string]*peer.Verifier{}
		for name, v := range doc.Validators {
			verifiers[name] = l.New(setup(v, func() time.Time { return now }))
		}
		for _, c := range doc.Cases {
			v, known := verifiers[c.Validator]
			token, err := tokenOf(c)
			if !known || err != nil {
				list = append(list, verdict{})
				continue
			}
			now = clock(doc.Validators[c.Validator].Now)
			if c.Now != nil {
				now = clock(*c.Now)
			}
			subject, err := v.Verify(token)
			list = append(list, verdict{err == nil, subject})
		}
		return list
	}
}

func tokenOf(c corpus.Case) (string, error) {
	if c.TokenB64 == "" {
		return c.Token, nil
	}
	raw, err := base64.StdEncoding.DecodeString(c.TokenB64)
	return string(raw), err
}

// setup gives a library what it can make use of in a validator's configuration.
func setup(v corpus.Validator, now func() time.Time) peer.Setup {
	s := peer.Setup{Audiences: v.Audiences, Algorithms: v.Algorithms, Now: now}
	if v.Leeway != nil {
		s.Leeway = time.Duration(*v.Leeway * float64(time.Second))
	}
	for _, i := range v.Issuers {
		s.Issuers = append(s.Issuers, peer.Issuer{Name: i.Issuer, Tenants: i.Tenants, JWKS: i.JWKS})
	}
	return s
}

func clock(seconds float64) time.Time {
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e9)))
}
