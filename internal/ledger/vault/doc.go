// Package vault is the ledger as a process: walls first, then keys, then the links to signer and house.
//
// It runs in two ways. Under a supervisor (`seawall up` starts it with --supervised) its directory and its links are
// handed to it and it makes its ledger on the first start. Alone (--config FILE), on a machine of its own, it listens for
// its two writers itself, and a ledger is made only when --create says so: an empty directory there is more often a disk
// that was not mounted than a first start.
package vault
