package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"seawall/internal/login"
)

// address is where seawall listens and what it is called from outside.
type address struct {
	listen string // host:port
	tls    bool   // the house speaks TLS itself
	base   string // base URL, without a slash at the end
	given  bool   // the base was given, so it is recorded
}

// named reports whether the base URL has a name, to which browsers can bind a passkey.
func (a address) named() bool {
	u, err := url.Parse(a.base)
	return err == nil && login.Nameable(u.Hostname())
}

// resolveAddress checks what was asked for against what was recorded. The rule: plain HTTP never leaves the machine, so
// without TLS seawall listens on loopback only, unless --base says that a proxy in front of it speaks HTTPS.
func resolveAddress(listen, base, recorded string, tls bool) (address, error) {
	a := address{listen: listen, tls: tls}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return a, usage(fmt.Sprintf("--listen %s: it wants HOST:PORT, such as localhost:8420", listen))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return a, usage(fmt.Sprintf("--listen %s: the port must be a number from 1 to 65535", listen))
	}
	if base != "" {
		if a.base, err = checkBase(base); err != nil {
			return a, err
		}
		if recorded != "" && recorded != a.base {
			return a, hint(fmt.Errorf("--base %s: this seawall has the base URL %s, and every token and validator knows it by that", a.base, recorded),
				"leave --base out, or start a new seawall in another directory with --data")
		}
		a.given = true
	} else {
		a.base = recorded
	}
	local := loopback(host)
	scheme := "http"
	if tls {
		scheme = "https"
	}
	switch {
	case a.base == "" && !local && !tls:
		return a, hint(fmt.Errorf("--listen %s: tokens and secrets would cross the network in the clear", listen),
			"give --tls-cert and --tls-key, and --base https://NAME",
			"or let a proxy speak HTTPS in front of it, and give --base https://NAME",
			"or listen on loopback: --listen 127.0.0.1:"+port)
	case a.base == "" && !local:
		return a, hint(fmt.Errorf("--listen %s: under which name will clients reach it?", listen), "give --base https://NAME")
	case a.base == "":
		a.base = scheme + "://" + net.JoinHostPort(host, port)
	case tls && strings.HasPrefix(a.base, "http://"):
		return a, hint(fmt.Errorf("the base URL %s is plain HTTP, and --tls-cert was given", a.base), "leave --tls-cert and --tls-key out, or choose an https base URL for a new data directory")
	case !local && strings.HasPrefix(a.base, "http://"):
		return a, hint(fmt.Errorf("--listen %s: the base URL %s is plain HTTP, which must not leave this machine", listen, a.base), "listen on loopback: --listen 127.0.0.1:"+port)
	}
	return a, nil
}

// checkBase returns the canonical form of a base URL.
func checkBase(text string) (string, error) {
	u, err := url.Parse(text)
	wrong := func(why string) error { return usage(fmt.Sprintf("--base %s: %s", text, why)) }
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", usage("--base: it wants a URL such as https://id.example")
	case u.User != nil:
		return "", usage("--base: a URL with a user name or password in it can't be published")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return "", wrong("a base URL has no query and no fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", wrong("plain HTTP is for loopback only: it must begin with https://")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", wrong("it must begin with https://")
	case u.RawPath != "" || strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/./") || strings.Contains(u.Path+"/", "/../"):
		return "", wrong("its path must be plain")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimSuffix(u.Path, "/"), nil
}

// loopback reports whether a host never leaves this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// readStrict reads one JSON value and nothing else, and refuses members that v does not have.
func readStrict(r io.Reader, v any) error {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the JSON")
	}
	return nil
}
