package mint

// StateQuery asks the ledger to state that tokens must not be believed, or may be believed again. Keys are not stated so:
// the ledger states them itself when it records the step that suspends, revokes or restores one.
//
// For tokens Value is a jti and Before is 0. For sessions, subjects and clients Before is when the tokens concerned were
// issued at the latest, not included; 0 stands for now, and it can't lie ahead: tokens that nobody has issued yet can't
// be distrusted. Ends makes a statement be forgotten earlier than keys allow, and never later. To take a statement back, Act is [ActRestore] and Undoes its number, and Kind, Value and Before are empty.
type StateQuery struct {
	Tenant string       `json:"tenant"`
	Issuer string       `json:"issuer"`
	Act    Act          `json:"act"`
	Kind   DistrustKind `json:"kind,omitempty"`
	Value  string       `json:"value,omitempty"`
	Before int64        `json:"before,omitempty"` // Unix seconds
	Undoes uint64       `json:"undoes,omitempty"`
	Ends   int64        `json:"ends,omitempty"` // Unix seconds: the last token concerned has ended then, if the house knows; 0: it doesn't
	Reason Reason       `json:"reason"`
	Actor  string       `json:"actor"`
}

// Stated answers [StateQuery]: the statement is durable, and in the feed.
type Stated struct {
	Statement Distrust `json:"statement"`
	Sequence  uint64   `json:"sequence"` // of its entry
	Size      uint64   `json:"size"`     // the head after it
	Millis    uint64   `json:"ms"`
	Batch     string   `json:"batch"`
}

// Head returns the head after the statement.
func (a *Stated) Head() (Head, error) { return answeredHead(a.Size, a.Millis, a.Batch) }

// FeedQuery asks how an issuer's feed goes on after the statement After. With Live it asks for the statements that are
// live, those after After.
type FeedQuery struct {
	Issuer string `json:"issuer"`
	After  uint64 `json:"after,omitempty"`
	Live   bool   `json:"live,omitempty"`
}

// Feed answers [FeedQuery] with statements in order, and the head at the moment of asking. Several pages belong together
// only if their heads have the same N.
type Feed struct {
	Statements []Distrust `json:"statements"`
	More       bool       `json:"more,omitempty"` // ask again after the last of them
	Gap        bool       `json:"gap,omitempty"`  // After lies too far back: ask for what is live
	Head       FeedHead   `json:"head"`
	// Snapshot is the signature of the snapshot of the head's time: over the head's members and everything live then.
	Snapshot string `json:"snapshot,omitempty"`
}

// WatchQuery asks to be told when a feed grows. Since is Next of the answer before; 0 at first. The answer comes at once
// if one has grown since then, else when one does, or after [WatchTime] with nothing.
type WatchQuery struct {
	Since uint64 `json:"since"`
}

// WatchTime is how long the ledger leaves a [WatchQuery] unanswered at most, in milliseconds.
const WatchTime = 20_000

// Watched answers [WatchQuery].
type Watched struct {
	Next    uint64   `json:"next"`
	Issuers []string `json:"issuers"`
	All     bool     `json:"all,omitempty"` // too much has happened: any feed may have grown
}

// CountQuery asks what a statement would concern: the tokens of a tenant that are alive, by what the log says of them.
// Kind and Value are those of a statement, a key's included; Before is a time in Unix seconds, or 0. From is 0 at first,
// then Next of the page before.
type CountQuery struct {
	Tenant string       `json:"tenant"`
	Kind   DistrustKind `json:"kind"`
	Value  string       `json:"value"`
	Before int64        `json:"before,omitempty"`
	From   uint64       `json:"from,omitempty"`
}

// Counted is one page of the answer to [CountQuery]. The pages are to be added up.
type Counted struct {
	Tokens  uint64            `json:"tokens"`
	Clients map[string]uint64 `json:"clients"` // tokens by client
	APIs    map[string]uint64 `json:"apis"`    // access tokens by audience; one may have several
	// Subjects holds the first 8 bytes of the SHA-256 of each subject, once a page: enough to count them, and no list of
	// people.
	Subjects []string `json:"subjects"`
	Last     int64    `json:"last"` // when the last of the tokens ends, Unix seconds
	Next     uint64   `json:"next"` // 0: that was all
}

// KeyDistrust asks the signer to end the trust in a key, or to give it back. Its private part is destroyed either way, so
// a key that is believed again goes on verifying and never signs. When the key is the active one, the spare takes its
// place in the same record.
type KeyDistrust struct {
	Tenant string `json:"tenant"`
	KID    string `json:"kid"`
	Reason Reason `json:"reason"`
	Actor  string `json:"actor"`
	// Final revokes the key for good. Otherwise it is suspended.
	Final bool `json:"final,omitempty"`
	// YoungSpare lets a spare take over that validators may not know yet.
	YoungSpare bool `json:"young_spare,omitempty"`
	// Undo gives a suspended key back.
	Undo bool `json:"undo,omitempty"`
}

// KeyDistrusted answers [KeyDistrust].
type KeyDistrusted struct {
	KID   string    `json:"kid"`
	Step  EntryKind `json:"step"`
	Signs string    `json:"signs,omitempty"` // kid of the key that is active now
}
