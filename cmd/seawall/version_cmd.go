package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionText is what the release was called when it was built (-ldflags -X); otherwise the binary says what it knows.
var versionText string

func version() string {
	if versionText != "" {
		return versionText
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "built from " + s.Value[:12]
		}
	}
	return "development build"
}

func runVersion(_ context.Context, c *call) error {
	f := newFlags(c, "", "Prints the version of this binary and what it was built with.")
	asJSON := f.json()
	if _, err := f.parse(); err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, struct {
			Version  string `json:"version"`
			Go       string `json:"go"`
			Platform string `json:"platform"`
		}{version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
	}
	_, err := fmt.Fprintf(c.out, "seawall %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
