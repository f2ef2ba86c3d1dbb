//go:build linux

package main

import (
	"context"
	"fmt"

	"seawall/bench/internal/subject"
	"seawall/bench/internal/tokencheck"
)

// tokenCheck is what validate.Token costs.
type tokenCheck struct {
	tokencheck.Answer
	tokens, rounds int
}

// measureTokenCheck gets genuine tokens from seawall and has them checked in a process of its own.
func (b *bench) measureTokenCheck(ctx context.Context) error {
	const tokens, rounds = 400, 15
	question := tokencheck.Question{Issuer: b.wall.Issuer, Pin: b.wall.Pin, Audience: subject.Audience, Rounds: rounds}
	if b.quick {
		question.Rounds = 3
	}
	b.check.tokens, b.check.rounds = tokens, question.Rounds
	err := b.whileRunning(ctx, b.wall, func(*subject.Server) error {
		var err error
		if question.JWKS, err = subject.Document(ctx, b.wall.Issuer+"/jwks"); err != nil {
			return err
		}
		for i := range tokens + 1 {
			token, err := subject.Token(ctx, b.wall.TokenEndpoint, b.wall.Clients[i%len(b.wall.Clients)])
			if err != nil {
				return err
			}
			question.Tokens = append(question.Tokens, token)
		}
		return b.consult(ctx, "tokencheck", question, &b.check.Answer)
	})
	if err != nil {
		return fmt.Errorf("measuring validate.Token: %w", err)
	}
	b.say("validation · %.1f µs CPU a token, %.1f µs of it the two signatures", microseconds(b.check.Token), microseconds(b.check.Raw))
	return nil
}
