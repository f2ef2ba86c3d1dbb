package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"seawall/internal/durable"
	"seawall/internal/guard"
	"seawall/internal/process"
	"seawall/validate"
)

// runGuard is `seawall guard`, and `seawall guard explain`, which stands behind it because it needs the same configuration.
func runGuard(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "explain" {
		return adapt("guard explain", guardExplain)(ctx, args[1:], stdin, stdout, stderr)
	}
	return adapt("guard", guardRun)(ctx, args, stdin, stdout, stderr)
}

// guardFlags are those that say which guard is meant: a file, or the simple case in a few words.
type guardFlags struct {
	*flags
	config                                       *string
	listen, status, proxy, upstream, issuer, pin *string
	audiences, scopes                            *list
}

func newGuardFlags(c *call, usage, about string) *guardFlags {
	f := &guardFlags{flags: newFlags(c, usage, about)}
	f.config = f.String("config", "", "JSON `FILE` that says everything; docs/guard.md explains it")
	f.proxy = f.String("proxy", "", "without --config: the `KIND` of web server that asks: nginx, caddy, traefik or envoy")
	f.upstream = f.String("upstream", "", "without --config: the `URL` of the API, when the guard is the proxy")
	f.listen = f.String("listen", "", "without --config: `ADDRESS` to listen on, HOST:PORT or unix:PATH (default "+defaultGuard+")")
	f.status = f.String("status", "", "without --config: `ADDRESS` of /livez, /readyz and /jwks (default "+defaultStatus+" with --upstream)")
	f.issuer = f.String("issuer", "", "without --config: the tenant's issuer `URL`, as in the token's iss")
	f.pin = f.String("pin", "", "without --config: the `PIN` of the ledger's root, as 'seawall api create' shows it")
	f.audiences = f.list("audience", "without --config: the API's `NAME`, as in the token's aud; may be repeated")
	f.scopes = f.list("scope", "without --config: `SCOPE` that every request needs; may be repeated")
	return f
}

// settle reads the configuration, or makes the simple one: every path needs a good token.
func (f *guardFlags) settle() (*post, error) {
	if *f.config != "" {
		for _, name := range []string{"proxy", "upstream", "listen", "status", "issuer", "pin", "audience", "scope"} {
			if f.given(name) {
				return nil, f.wrong("--%s and --config exclude each other", name)
			}
		}
		var c guardConfig
		if err := readConfig(*f.config, &c); err != nil {
			return nil, err
		}
		p, err := c.settle(filepath.Dir(absolute(*f.config)))
		return p, within("configuration", err)
	}
	if *f.issuer == "" || *f.pin == "" || len(*f.audiences) == 0 || (*f.proxy == "") == (*f.upstream == "") {
		return nil, f.wrong("--config is needed, or --issuer, --pin, --audience and one of --proxy and --upstream")
	}
	c := guardConfig{
		Listen: *f.listen, Status: *f.status, Proxy: *f.proxy, Upstream: *f.upstream, Audiences: *f.audiences,
		Issuers: []guardIssuer{{Issuer: *f.issuer, Pin: *f.pin}},
		Routes:  []guardRoute{{Prefix: "/", Scopes: *f.scopes}},
	}
	return c.settle(".")
}

// within says where an error is, and keeps its hints.
func within(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// guardRun checks the configuration, and with --check stops there.
func guardRun(ctx context.Context, c *call) error {
	f := newGuardFlags(c, "--config FILE [--check] | --proxy KIND|--upstream URL --issuer URL --pin PIN --audience NAME",
		"Protects an API that is not written in Go. With a proxy it answers that proxy's question for every request; with an\n"+
			"upstream it is the proxy. The API gets a signed assertion of who is calling, for one method and one path. What has no\n"+
			"route is refused, and so is everything in doubt. 'seawall guard explain METHOD PATH' tells which route applies.")
	asJSON := f.json()
	check := f.Bool("check", false, "check the configuration, show the routes, and start nothing")
	if _, err := f.parse(); err != nil {
		return err
	}
	p, err := f.settle()
	if err != nil {
		return err
	}
	if *check {
		return p.show(ctx, c, *asJSON)
	}
	return p.run(ctx, c)
}

// build makes the guard. The validator begins to load keys; the caller closes it.
func (p *post) build(log *slog.Logger) (*guard.Guard, *validate.Validator, error) {
	rules := p.rules
	rules.Observe = func(e validate.Event) {
		switch e.Kind {
		case validate.TokenAccepted, validate.TokenRefused, validate.KeysLoaded:
		case validate.KeysRefused, validate.FeedRefused, validate.FeedOverdue:
			log.Warn("trouble with an issuer", "kind", string(e.Kind), "issuer", e.Issuer, "code", string(e.Code), "notes", e.Notes)
		default:
			log.Info("news of an issuer", "kind", string(e.Kind), "issuer", e.Issuer, "notes", e.Notes)
		}
	}
	v, err := validate.New(rules)
	if err != nil {
		return nil, nil, within("configuration", err)
	}
	c := p.Config
	c.Validator, c.Log = v, log
	g, err := guard.New(c)
	if err != nil {
		v.Close()
		return nil, nil, within("configuration", err)
	}
	return g, v, nil
}

// run serves until ctx ends.
func (p *post) run(ctx context.Context, c *call) error {
	log := process.Log(c.err, "guard")
	g, v, err := p.build(log)
	if err != nil {
		return err
	}
	defer v.Close()
	doors, err := p.doors(g)
	if err != nil {
		return err
	}
	if p.jwks != "" {
		if err := durable.Replace(p.jwks, append(g.JWKS(), '\n'), 0o644); err != nil {
			return fmt.Errorf("jwks_file: %w", err)
		}
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- guard.Serve(serving, log, doors...)
	}()
	if err := p.announce(serving, c, v); err != nil {
		stop()
		return errors.Join(err, <-served)
	}
	return <-served
}

// announce says that the guard is ready once it has every key. Until then it serves, and refuses with 503.
func (p *post) announce(ctx context.Context, c *call, v *validate.Validator) error {
	said := false
	for {
		err := v.Ready(ctx)
		if err == nil {
			_, err := fmt.Fprintf(c.out, "seawall: guard ready at %s\n  %s\n", p.at(), p.task())
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if !said {
			fmt.Fprintf(c.err, "seawall: guard: not ready: %v\nhint: until the keys are there, requests are answered with 503\n", err)
			said = true
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// at is where the guard is found.
func (p *post) at() string {
	switch {
	case p.listen.Network == "unix":
		return p.listen.String()
	case p.cert != "":
		return "https://" + p.listen.String()
	}
	return "http://" + p.listen.String()
}

// task says in one line what the guard does.
func (p *post) task() string {
	routes := fmt.Sprintf("%d routes", len(p.Routes))
	if len(p.Routes) == 1 {
		routes = "1 route"
	}
	if p.Upstream != nil {
		to := p.Upstream.String()
		if p.Upstream.Scheme == "unix" {
			to = "unix:" + p.Upstream.Path
		}
		return "passes on to " + to + ", " + routes + ", status at " + p.status.String()
	}
	return "answers " + string(p.Proxy) + " at " + guard.CheckPath + ", " + routes
}

// doors opens the listeners.
func (p *post) doors(g *guard.Guard) ([]guard.Door, error) {
	main := guard.Door{Handler: g.Handler()}
	if p.cert != "" {
		config, err := loadTLS(p.cert, p.key)
		if err != nil {
			return nil, err
		}
		if p.rules.RequireMTLS && p.Upstream != nil {
			config.ClientAuth = tls.RequireAnyClientCert // bound by thumbprint, whoever issued it (RFC 8705 §2.2)
		}
		main.TLS = config
	}
	var err error
	if main.Listener, err = p.listen.Listen(p.mode, p.connections); err != nil {
		return nil, err
	}
	if p.status == nil {
		return []guard.Door{main}, nil
	}
	status, err := p.status.Listen(p.mode, 64)
	if err != nil {
		return nil, errors.Join(err, main.Listener.Close())
	}
	return []guard.Door{main, {Listener: status, Handler: g.Status()}}, nil
}

// The members that scripts rely on.
type (
	guardTable struct {
		OK       bool            `json:"ok"`
		Listen   string          `json:"listen"`
		Status   string          `json:"status,omitempty"`
		Proxy    string          `json:"proxy,omitempty"`
		Upstream bool            `json:"upstream"`
		Routes   []guardRouteRow `json:"routes"`
	}
	guardRouteRow struct {
		Route      string   `json:"route"`
		Methods    []string `json:"methods"` // empty: all others
		Public     bool     `json:"public"`
		Scopes     []string `json:"scopes"`
		ACR        []string `json:"acr"`
		MaxAuthAge int64    `json:"max_auth_age,omitempty"` // seconds
	}
)

func routeRow(r *guard.Route) guardRouteRow {
	return guardRouteRow{r.String(), notNil(r.Methods), r.Public, notNil(r.Scopes), notNil(r.ACR), int64(r.MaxAuthAge / time.Second)}
}

// notNil makes JSON say [] instead of null.
func notNil(l []string) []string { return append([]string{}, l...) }

// show is what --check prints.
func (p *post) show(_ context.Context, c *call, asJSON bool) error {
	_, v, err := p.build(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	v.Close()
	if p.cert != "" {
		if _, err := loadTLS(p.cert, p.key); err != nil {
			return err
		}
	}
	answer := guardTable{OK: true, Listen: p.listen.String(), Proxy: string(p.Proxy), Upstream: p.Upstream != nil}
	if p.status != nil {
		answer.Status = p.status.String()
	}
	t := table{head: []string{"ROUTE", "METHODS", "NEEDS"}}
	for i := range p.Routes {
		r := &p.Routes[i]
		answer.Routes = append(answer.Routes, routeRow(r))
		methods := strings.Join(r.Methods, " ")
		if methods == "" {
			methods = "all others"
		}
		t.add(r.String(), methods, r.Needs())
	}
	if asJSON {
		return writeJSON(c.out, answer)
	}
	if err := t.write(c.out, "no routes"); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "\nThe configuration is fine: the guard would listen at %s; it %s.\n", p.at(), p.task())
	return err
}

// guardExplain says what would happen to one request.
func guardExplain(_ context.Context, c *call) error {
	f := newGuardFlags(c, "METHOD PATH --config FILE", "Says which route a request would take and what it would need, or why it would be refused. Nothing is started and\nnothing is asked.")
	asJSON := f.json()
	words, err := f.parse("METHOD", "PATH")
	if err != nil {
		return err
	}
	p, err := f.settle()
	if err != nil {
		return err
	}
	why, err := guard.Explain(p.Routes, words[0], words[1])
	if err != nil {
		return err
	}
	if *asJSON {
		answer := map[string]any{"method": words[0], "path": words[1], "refused": why.Route == nil}
		if why.Route != nil {
			answer["route"] = routeRow(why.Route)
		} else {
			answer["code"], answer["reason"] = why.Code, why.Reason
		}
		err = writeJSON(c.out, answer)
	} else if why.Route != nil {
		err = facts(c.out, [2]string{"route", why.Route.String()}, [2]string{"needs", why.Route.Needs()})
	} else {
		err = facts(c.out, [2]string{"refused", why.Code}, [2]string{"because", why.Reason})
	}
	if err == nil && why.Route == nil {
		return errAnswered
	}
	return err
}
