// Package ledger is the vault that remembers: an append-only log of security acts, and the keys that vouch for it.
//
// Nothing counts before it is in the log. The signer sends the exact bytes of a token it is about to sign; the ledger
// reads them itself, appends what they say as metadata, makes it durable and only then hands out the receipt without
// which the signer does not sign ([Ledger.Serve] speaks to signer and house, commit.go is the way of an entry to the
// disk). The steps of issuer keys and the policies of tenants are entries too, and the ledger keeps them in mind: a token
// under a key that it has not recorded as active is refused, whoever asks. Its root key states every issuer key and
// certifies its own receipt keys (keys.go).
//
// The log is a folder of segment files, described byte by byte in format.go. Batches are hash-chained and signed, so
// [Verify] can check the files without the ledger, a database or a key. Cutting whole batches off the end leaves a
// valid log, and therefore others remember its head: a ledger whose log is shorter than a head that somebody remembers
// refuses to go on.
//
// What a person can look for, [Search] finds by reading the files in order.
package ledger
