package supervise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Control messages are JSON objects, one to a packet of the control socket.
const (
	maxMessage = 32 << 10
	maxInfo    = 16 << 10
	maxReason  = 4 << 10
)

// order is what the supervisor tells a child.
type order struct {
	Do   string `json:"do"`
	Link string `json:"link,omitempty"`
}

const (
	doLink  = "link"  // one descriptor comes along: the child's end of Link
	doDrain = "drain" // take nothing new, finish, end
)

// report is what a child tells the supervisor.
type report struct {
	Say    string          `json:"say"`
	Link   string          `json:"link,omitempty"`
	Info   json.RawMessage `json:"info,omitempty"`
	Reason string          `json:"reason,omitempty"`
}

const (
	sayReady   = "ready"   // it serves; Info is the caller's
	sayRedial  = "redial"  // the connection of Link is of no use any more
	sayRefused = "refused" // it is about to end with ExitRefused, for Reason
)

// parseReport reads a packet from a child, which may be hostile: nothing but the three reports, in exactly their form.
func parseReport(packet []byte) (report, error) {
	var r report
	decoder := json.NewDecoder(bytes.NewReader(packet))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return report{}, fmt.Errorf("reading a report: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return report{}, errors.New("reading a report: more than one")
	}
	switch r.Say {
	case sayReady:
		if len(r.Info) > maxInfo || r.Link != "" || r.Reason != "" {
			return report{}, errors.New("reading a report: not the form of ready")
		}
	case sayRedial:
		if !namePattern.MatchString(r.Link) || r.Info != nil || r.Reason != "" {
			return report{}, errors.New("reading a report: not the form of redial")
		}
	case sayRefused:
		if r.Link != "" || r.Info != nil {
			return report{}, errors.New("reading a report: not the form of refused")
		}
		r.Reason = printable(r.Reason)
	default:
		return report{}, errors.New("reading a report: of no known kind")
	}
	return r, nil
}

// printable cuts a reason to size and takes out what could play tricks on a terminal.
func printable(reason string) string {
	reason = strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return -1
	}, reason)
	for len(reason) > maxReason {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return reason
}
