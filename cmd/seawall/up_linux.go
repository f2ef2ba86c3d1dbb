package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"seawall/internal/fence"
	"seawall/internal/process"
	"seawall/internal/supervise"
)

// up runs seawall until ctx ends.
func up(ctx context.Context, c *call, s *upSettings) error {
	d, err := openData(s.data)
	if err != nil {
		return err
	}
	defer d.Close()
	a, err := resolveAddress(s.listen, s.base, d.Base, s.tlsCert != "")
	if err != nil {
		return err
	}
	if err := canListen(a.listen); err != nil {
		return err
	}
	announced := announcer{call: c, data: d, address: a, levels: map[string]string{}}
	err = supervise.Run(ctx, supervise.Config{
		Data:     d.Data,
		Children: children(d, a, s),
		Links: []supervise.Link{
			{Name: linkMint, Dialler: houseDir, Server: signerDir},
			{Name: linkRecord, Dialler: signerDir, Server: ledgerDir},
			{Name: linkEntries, Dialler: houseDir, Server: ledgerDir},
		},
		Log:   process.Log(c.err, "supervisor"),
		Ready: announced.ready,
	})
	return explainRefusal(err)
}

// canListen tries the address before three processes are started for nothing. Whoever takes it in between is found by the
// house, see [explainRefusal].
func canListen(address string) error {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l.Close()
	}
	what := "--listen " + address + ": "
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return hint(errors.New(what+"the address is in use"), "another program listens there: stop it, or choose another port with --listen")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return hint(errors.New(what+"this machine has no such address"), "choose another with --listen")
	case errors.Is(err, syscall.EACCES):
		return hint(errors.New(what+"this user may not listen there"), "choose a port above 1023, or start seawall as root: it gives its rights away")
	}
	return fmt.Errorf("%s%w", what, err)
}

// children are the three processes, in the order in which they end: the house first, so that what it has begun is
// finished while the vaults are there.
func children(d *dataDir, a address, s *upSettings) []supervise.Child {
	apart := func(own string) []string {
		args := []string{"--supervised"}
		for _, part := range []string{houseDir, signerDir, ledgerDir} {
			if part != own {
				args = append(args, "--forbidden", d.Path(part))
			}
		}
		return args
	}
	house := append([]string{"serve"}, apart(houseDir)...)
	house = append(house, "--listen", a.listen, "--base", a.base)
	if a.tls {
		house = append(house, "--tls-cert", s.tlsCert, "--tls-key", s.tlsKey)
	}
	if s.fido != "" {
		house = append(house, "--fido-metadata", s.fido)
	}
	if s.fidoRoot != "" {
		house = append(house, "--fido-metadata-root", s.fidoRoot)
	}
	return []supervise.Child{
		{Name: houseDir, Args: house, UID: fence.HouseUID, Drain: 15 * time.Second},
		{Name: signerDir, Args: append([]string{"signer"}, apart(signerDir)...), UID: fence.SignerUID},
		{Name: ledgerDir, Args: append([]string{"ledger"}, apart(ledgerDir)...), UID: fence.LedgerUID},
	}
}

// announcer tells, once, that seawall serves. The supervisor calls it from one goroutine.
type announcer struct {
	call    *call
	data    *dataDir
	address address
	levels  map[string]string // as the processes measured themselves
	done    bool
}

// ready hears from each process that serves, after each of its starts. The house is ready only when both vaults are.
func (n *announcer) ready(child string, info json.RawMessage) {
	var said struct {
		Level      *fence.Level `json:"level"`
		Invitation *invitation  `json:"invitation"`
	}
	if err := json.Unmarshal(info, &said); err == nil && said.Level != nil {
		n.levels[child] = said.Level.String()
	}
	if child != houseDir {
		return
	}
	if err := forgetInvitation(n.data.Path(invitationFile)); err != nil { // before anybody hears that seawall is ready
		fmt.Fprintf(n.call.err, "seawall: an earlier link of the first administrator could not be removed: %v\n", err)
	}
	defer func() { // a house that starts again makes a new link
		if err := said.Invitation.tell(n.call, n.data.Path(invitationFile)); err != nil {
			fmt.Fprintf(n.call.err, "seawall: the first administrator's link could not be told: %v\n", err)
		}
	}()
	if n.done {
		return
	}
	n.done = true
	if n.address.given {
		if err := n.data.recordBase(n.address.base); err != nil {
			fmt.Fprintf(n.call.err, "seawall: the base URL could not be recorded: %v\n", err)
		}
	}
	fmt.Fprintf(n.call.out, "seawall: ready at %s\n", n.address.base)
	var levels []partLevel
	for _, part := range []string{houseDir, signerDir, ledgerDir} {
		levels = append(levels, partLevel{part, n.levels[part]})
	}
	if n.data.fresh {
		welcome(n.call.out, n.data, n.address, levels)
	} else {
		returned(n.call.out, levels)
	}
}

// explainRefusal adds what to do to what a process gave as its reason for not running.
func explainRefusal(err error) error {
	var refused *supervise.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case strings.Contains(refused.Reason, "address already in use"):
		return hint(err, "another program listens there: stop it, or choose another port with --listen")
	case strings.Contains(refused.Reason, "cannot assign requested address"):
		return hint(err, "this machine has no such address: choose another with --listen")
	case strings.Contains(refused.Reason, "no space left on device"):
		return hint(err, "make room on the disk of the data directory, then start again: nothing was left half-written")
	}
	return err
}
