//go:build linux

package main

import (
	"context"
	"strings"
	"testing"

	"seawall/bench/internal/tokencheck"
	"seawall/validate/validatetest"
)

const audience = "https://api.bench.example"

// question asks about tokens of an issuer that is served on loopback.
func question(t *testing.T, tokens int) tokencheck.Question {
	t.Helper()
	server := validatetest.NewServer(validatetest.Config{})
	t.Cleanup(server.Close)
	q := tokencheck.Question{Issuer: server.URL(), Pin: server.Pin(), Audience: audience, JWKS: server.Keys(), Rounds: 3}
	for range tokens {
		q.Tokens = append(q.Tokens, server.Token(validatetest.Claims{"aud": audience}))
	}
	return q
}

func TestMeasureChecksGenuineTokensBothWays(t *testing.T) {
	answer, err := measure(context.Background(), question(t, 101))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Token <= 0 || answer.Raw <= 0 || answer.Ratio <= 0 {
		t.Errorf("impossible answer %+v", answer)
	}
	t.Logf("validate.Token %v, signatures alone %v, ratio %.3f", answer.Token, answer.Raw, answer.Ratio)
}

func TestMeasureFailsIfATokenIsRefused(t *testing.T) {
	q := question(t, 3)
	q.Audience = "https://other.example"
	if _, err := measure(context.Background(), q); err == nil || !strings.Contains(err.Error(), "a genuine token was refused") {
		t.Errorf("measure = %v", err)
	}
	q = question(t, 3)
	q.Tokens[2] = q.Tokens[2][:len(q.Tokens[2])-86] + q.Tokens[1][len(q.Tokens[1])-86:]
	if _, err := measure(context.Background(), q); err == nil || !strings.Contains(err.Error(), "did not verify") {
		t.Errorf("measure = %v", err)
	}
}
