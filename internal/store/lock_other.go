//go:build !unix

package store

import (
	"errors"
	"os"
)

// acquire refuses: without flock nothing would keep a second process out.
func acquire(string) (*os.File, error) {
	return nil, errors.New("seawall keeps its database on Unix systems only: this one has no flock")
}
