package mint

// SearchQuery asks for the newest entries of the log that have all of the values that are not empty, of whatever kind and
// writer. Before is 0 at first, then Next of the page before.
type SearchQuery struct {
	Kind    EntryKind `json:"kind,omitempty"`
	Tenant  string    `json:"tenant,omitempty"`
	Client  string    `json:"client,omitempty"`
	Subject string    `json:"subject,omitempty"`
	KID     string    `json:"kid,omitempty"`
	JTI     string    `json:"jti,omitempty"`
	Before  uint64    `json:"before,omitempty"` // entries with a smaller sequence only; 0: from the end of the log
	Since   uint64    `json:"since,omitempty"`  // Unix milliseconds: no earlier entries; 0: from the beginning
	Limit   int       `json:"limit"`            // 1 to MaxFound
}

// MaxFound is how many entries one page of a search holds at most. It may hold fewer, and even none, and still go on: a
// page reads a part of the log only.
const MaxFound = 200

// Found answers [SearchQuery]: entries by falling sequence.
type Found struct {
	Entries []NumberedEntry `json:"entries"`
	Next    uint64          `json:"next"` // 0: that was all
	Size    uint64          `json:"size"` // of the log
}

// NumberedEntry is an entry with its place in the log.
type NumberedEntry struct {
	Sequence uint64 `json:"sequence"`
	Entry    Entry  `json:"entry"`
}
