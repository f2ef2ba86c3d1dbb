//go:build !race

package token

const raced = 0
