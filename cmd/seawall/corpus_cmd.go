package main

import (
	"context"
	"io"

	"seawall/validate/corpus"
)

// runCorpus judges a token-validation corpus.
func runCorpus(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return adapt("corpus", judgeCorpus)(ctx, args, stdin, stdout, stderr)
}

func judgeCorpus(ctx context.Context, c *call) error {
	f := newFlags(c, "< corpus.json",
		"Reads a token-validation corpus from standard input and prints one JSON line a case: accept with subject, issuer and\n"+
			"tenant, or reject with a reason code. It uses no network and no clock but the document's, and prints no part of a token.")
	if _, err := f.parse(); err != nil {
		return err
	}
	return corpus.Run(ctx, c.in, c.out)
}
