//go:build race

package token

// raced is what the race detector adds to an issue: one value that it keeps off the stack.
const raced = 1
