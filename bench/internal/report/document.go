package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	begin = "<!-- make bench writes from here … -->"
	end   = "<!-- … to here -->"

	// opening starts a document that did not exist.
	opening = `# Performance

What seawall costs, as ratios to a server that does the least possible on the same machine in the same minutes.
Absolute times of another machine say little; the ratios should hold.

`
)

// Insert puts text between the markers of the document at path. It makes the document if there is none, and
// appends markers and text if the document has no markers.
func Insert(path, text string) error {
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = []byte(opening)
	case err != nil:
		return err
	}
	document, err := insert(string(old), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// Written beside and renamed, so that an interrupted bench leaves the last report whole.
	beside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(beside, []byte(document), 0o644); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

func insert(document, text string) (string, error) {
	block := begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end
	before, rest, found := strings.Cut(document, begin)
	if !found {
		return strings.TrimRight(document, "\n") + "\n\n" + block + "\n", nil
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("the marker %q has no %q after it: put it back where the measured part ends", begin, end)
	}
	return before + block + after, nil
}
