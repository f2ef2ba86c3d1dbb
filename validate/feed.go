package validate

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Feed connects an API to the distrust feed of a seawall issuer: what must not be believed any more
// (keys, tokens, sessions, subjects, clients), and what may be believed again. Each statement is
// signed by the pinned ledger root, numbered and chained, so whoever carries the feed can neither
// invent a statement nor keep one back without being noticed. It counts for every token from the
// moment it arrives, also for tokens that were accepted before.
//
// ID, Secret and OnStale are required. Give it to an issuer with [Issuer.WithFeed].
type Feed struct {
	// ID and Secret are the API's credentials at its issuer, by HTTP Basic as in RFC 6749 §2.3.1: a
	// feed tells who was revoked, so it is not for everybody. "seawall api create" shows both.
	ID     string
	Secret Secret

	// OnStale says what happens to tokens when the feed falls silent: [RefuseWhenStale] or
	// [ServeWithAlarm]. There is no default, because only you know which harm is greater.
	OnStale StalePolicy

	// ColdStart says what happens before the first valid snapshot. Default: refuse.
	ColdStart ColdStart

	// URL is where the feed is, if not at {issuer}/distrust. It must be https, or http on a loopback
	// address. The credentials go there and nowhere else; redirects are not followed.
	URL string

	// Transport sends the HTTP requests, if set; for example one that knows a private certificate
	// authority. Limits on time and size hold as before.
	Transport http.RoundTripper
}

// Secret is a credential. It can be used and not be printed.
type Secret struct{ reveal func() string }

// NewSecret keeps a credential.
func NewSecret(text string) Secret { return Secret{reveal: func() string { return text }} }

// SecretFrom asks for the credential each time that it is needed, so that it can be changed while
// the program runs.
func SecretFrom(read func() string) Secret { return Secret{reveal: read} }

// Format prints a placeholder, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// MarshalText gives a placeholder to encoding/json, log/slog and their like.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// StalePolicy says what happens to tokens when nothing that is fresh is heard of a feed. The zero
// StalePolicy is refused by [New]: make one with [RefuseWhenStale] or [ServeWithAlarm].
type StalePolicy struct {
	chosen bool
	serve  time.Duration
}

// RefuseWhenStale refuses every token of the issuer with [CodeFeedStale] once the last signed head
// has expired, about a minute after the feed fell silent. Choose it where a revoked token does more
// harm than an outage.
func RefuseWhenStale() StalePolicy { return StalePolicy{chosen: true} }

// ServeWithAlarm goes on for d after the last signed head has expired, by what was known then, and
// reports [FeedOverdue]; after that it refuses as [RefuseWhenStale] does. d is a day at most.
func ServeWithAlarm(d time.Duration) StalePolicy { return StalePolicy{chosen: true, serve: d} }

const maxServe = 24 * time.Hour

// ColdStart says what happens to tokens before the first valid snapshot of a feed.
type ColdStart int

const (
	// RefuseBeforeFirstSnapshot refuses every token of the issuer with [CodeFeedUnavailable] until it
	// is known what is distrusted, and [Validator.Ready] waits for that. This is the default.
	RefuseBeforeFirstSnapshot ColdStart = iota

	// ServeBeforeFirstSnapshot accepts tokens without knowing what is distrusted, so that an API can
	// start while its issuer is down. A token that was revoked before is accepted too, for as long as
	// that lasts.
	ServeBeforeFirstSnapshot
)

// WithFeed gives the same issuer with its distrust feed, which only a seawall issuer has.
func (i Issuer) WithFeed(f Feed) Issuer {
	i.feed = &f
	return i
}

// check finds what is wrong with a Feed before anything is made of it.
func (f *Feed) check(t terms) error {
	switch {
	case !t.seawall:
		return errors.New("it is signed by a seawall's ledger: use SeawallIssuer, or Config.Revocations")
	case f.ID == "" || f.Secret.reveal == nil:
		return errors.New("it needs the API's ID and Secret, which \"seawall api create\" shows")
	case !f.OnStale.chosen:
		return errors.New("say in OnStale what happens when it falls silent: RefuseWhenStale() or ServeWithAlarm(how long)")
	case f.OnStale.serve < 0 || f.OnStale.serve > maxServe:
		return fmt.Errorf("ServeWithAlarm(%v): it must lie between 0 and %v", f.OnStale.serve, maxServe)
	case f.ColdStart != RefuseBeforeFirstSnapshot && f.ColdStart != ServeBeforeFirstSnapshot:
		return errors.New("ColdStart is neither RefuseBeforeFirstSnapshot nor ServeBeforeFirstSnapshot")
	case f.URL != "":
		return checkURL(f.URL)
	}
	return nil
}

// The kinds of events about distrust feeds. Sequence is the number of the newest statement.
const (
	FeedLoaded    EventKind = "feed_loaded"    // a snapshot was verified and is in use
	FeedChanged   EventKind = "feed_changed"   // a statement was verified and counts from now on
	FeedRefused   EventKind = "feed_refused"   // Code and Notes say why; what was known before stays in use, and ages
	FeedOverdue   EventKind = "feed_overdue"   // the last head has expired; Notes say what becomes of tokens
	FeedRecovered EventKind = "feed_recovered" // a fresh head came after that
)

// The reasons for refusing a token because of its issuer's distrust feed. What the feed says of
// tokens, sessions, subjects and clients is CodeRevoked.
const (
	CodeFeedUnavailable Code = "feed_unavailable" // there is no valid snapshot yet
	CodeFeedStale       Code = "feed_stale"       // nothing fresh was heard for longer than Feed.OnStale allows
	CodeKeyDistrusted   Code = "key_distrusted"   // the key must not be believed any more
)

// The reasons in FeedRefused events, beside CodeFeedUnavailable. All but CodeFeedDenied are alarms:
// somebody or something between the ledger and this validator does what it should not.
const (
	CodeFeedDenied     Code = "feed_denied"      // the credentials of Feed are not accepted
	CodeFeedMalformed  Code = "feed_malformed"   // not what a feed looks like, or too large
	CodeFeedSignature  Code = "feed_signature"   // not signed by the pinned root for this issuer
	CodeFeedTime       Code = "feed_time"        // signed for the future, or expired before it arrived
	CodeFeedRolledBack Code = "feed_rolled_back" // a number lower than one that was seen before
	CodeFeedForked     Code = "feed_forked"      // another history for a number that was seen before
	CodeFeedGap        Code = "feed_gap"         // a statement is missing
	CodeFeedFull       Code = "feed_full"        // more live statements than a validator remembers
)

// alarm reports whether a refusal means more than a failure to connect.
func (c Code) alarm() bool {
	return c != CodeFeedUnavailable && c != CodeFeedDenied
}

// FeedPhase says how far a feed can be relied on.
type FeedPhase string

// The phases of a feed.
const (
	FeedStarting FeedPhase = "starting" // no valid snapshot yet
	FeedFresh    FeedPhase = "fresh"    // the latest head has not expired
	FeedServing  FeedPhase = "serving"  // it has, and ServeWithAlarm still allows tokens
	FeedStale    FeedPhase = "stale"    // it has, and tokens are refused
)

// FeedState tells how an issuer's feed is doing.
type FeedState struct {
	Issuer      string
	Phase       FeedPhase
	Sequence    uint64        // number of the newest statement
	Statements  int           // that are live
	Age         time.Duration // since the time that the ledger signed into the latest head; 0 before the first
	Streaming   bool          // events arrive as they happen, rather than by long polls
	Alarms      uint64        // FeedRefused events that mean more than a failure to connect
	LastRefusal Code          // of the latest FeedRefused event; "" if there was none
}

// Feeds tells how the feeds of all issuers that have one are doing.
func (v *Validator) Feeds() (list []FeedState) {
	for _, f := range v.feeds() {
		list = append(list, f.state())
	}
	return list
}
