package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// upConfig is the file that --config names. Each member does what the flag of the same name does, and the flag wins.
type upConfig struct {
	// Data is the directory that seawall lives in, relative to this file. Default ./data.
	Data string `json:"data,omitempty"`
	// Listen is the address to serve HTTP on. Default localhost:8420.
	Listen string `json:"listen,omitempty"`
	// Base is the base URL: tenants are found beneath it. Default: follows listen, on loopback.
	Base string `json:"base,omitempty"`
	// TLSCert and TLSKey are PEM files of the certificate to serve HTTPS with, relative to this file. Default: plain HTTP,
	// which needs loopback or a proxy.
	TLSCert string `json:"tls_cert,omitempty"`
	TLSKey  string `json:"tls_key,omitempty"`
	// FIDOMetadata is the FIDO Metadata Service's document, by which certified security keys are told; FIDOMetadataRoot is
	// the PEM certificate that it is signed under. Relative to this file. Default: none, and the FIDO Alliance's.
	FIDOMetadata     string `json:"fido_metadata,omitempty"`
	FIDOMetadataRoot string `json:"fido_metadata_root,omitempty"`
}

// defaultListen is where seawall serves when nobody says otherwise.
// A name, because browsers bind passkeys to one.
const defaultListen = "localhost:8420"

// upSettings is what `seawall up` was asked for, checked as far as that goes without touching anything.
type upSettings struct {
	data            string // absolute
	listen, base    string
	tlsCert, tlsKey string // absolute, or both empty
	fido, fidoRoot  string // absolute, or empty
}

func runUp(ctx context.Context, c *call) error {
	f := newFlags(c, "[--data DIR] [--listen HOST:PORT] [--base URL]",
		"Starts seawall: house, signer and ledger, each behind its walls, on one data directory. Prints `seawall: ready at\nURL` on standard output once it serves; logs go to standard error. SIGTERM and Ctrl-C end it in order.")
	data := f.data()
	config := f.String("config", "", "`FILE` with these settings as JSON; flags win over it")
	listen := f.String("listen", "", "`HOST:PORT` to serve on (default "+defaultListen+")")
	base := f.String("base", "", "`URL` beneath which tenants are found, once and for all (default: follows --listen, on loopback)")
	cert := f.String("tls-cert", "", "PEM `FILE` of the certificate to serve HTTPS with")
	key := f.String("tls-key", "", "PEM `FILE` of its private key")
	fido := f.String("fido-metadata", "", "`FILE` with the FIDO metadata, for tenants that ask for certified security keys")
	fidoRoot := f.String("fido-metadata-root", "", "PEM `FILE` of the certificate it is signed under (default: the FIDO Alliance's)")
	if _, err := f.parse(); err != nil {
		return err
	}
	var s upSettings
	if *config != "" {
		read, err := readUpConfig(*config)
		if err != nil {
			return err
		}
		s = *read
	}
	if s.data == "" || f.given("data") {
		dir, err := data()
		if err != nil {
			return err
		}
		s.data = dir
	}
	for _, one := range []struct {
		name   string
		value  *string
		into   *string
		isFile bool
	}{{"listen", listen, &s.listen, false}, {"base", base, &s.base, false}, {"tls-cert", cert, &s.tlsCert, true}, {"tls-key", key, &s.tlsKey, true},
		{"fido-metadata", fido, &s.fido, true}, {"fido-metadata-root", fidoRoot, &s.fidoRoot, true}} {
		if !f.given(one.name) {
			continue
		}
		*one.into = *one.value
		if one.isFile && *one.value != "" {
			path, err := filepath.Abs(*one.value)
			if err != nil {
				return err
			}
			*one.into = path
		}
	}
	if err := s.settle(); err != nil {
		return err
	}
	return up(ctx, c, &s)
}

// settle fills in defaults and checks what can be checked without touching anything.
func (s *upSettings) settle() error {
	if s.listen == "" {
		s.listen = defaultListen
	}
	if (s.tlsCert == "") != (s.tlsKey == "") {
		return usage("--tls-cert and --tls-key go together")
	}
	for _, path := range []string{s.tlsCert, s.tlsKey, s.fido, s.fidoRoot} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("reading what was given: %w", err)
		}
	}
	return nil
}

// readUpConfig reads a configuration file and makes its paths absolute.
func readUpConfig(path string) (*upSettings, error) {
	var c upConfig
	if err := readConfig(path, &c); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	beside := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	return &upSettings{data: beside(c.Data), listen: c.Listen, base: c.Base, tlsCert: beside(c.TLSCert), tlsKey: beside(c.TLSKey),
		fido: beside(c.FIDOMetadata), fidoRoot: beside(c.FIDOMetadataRoot)}, nil
}

// maxConfig is more than any configuration needs.
const maxConfig = 1 << 20

// readConfig reads a configuration file strictly: an unknown key is an error, and the nearest known one is named.
func readConfig(path string, into any) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if info.Size() > maxConfig {
		return fmt.Errorf("configuration: %s is over %d KiB", path, maxConfig>>10)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := parseConfig(text, into); err != nil {
		return fmt.Errorf("configuration: %s: %w", path, err)
	}
	return nil
}

func parseConfig(text []byte, into any) error {
	err := readStrict(strings.NewReader(string(text)), into)
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		if near := nearest(name, jsonNames(into)); near != "" {
			return fmt.Errorf("no setting %q: did you mean %q?", name, near)
		}
		return hint(fmt.Errorf("no setting %q", name), "the settings are "+strings.Join(jsonNames(into), ", "))
	}
	return fmt.Errorf("it is not the JSON it should be: %w", err)
}
