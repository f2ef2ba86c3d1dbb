// Package signer is the vault that makes tokens: it decides for itself what may be signed, has the ledger record it, and
// only then signs.
//
// The house asks with typed requests ([mint.Request]) that carry no policy, no time and no key. The signer holds each
// against the tenant's policy as it has it (policy.go, check.go), builds header and claims, sends those exact bytes to
// the ledger and signs what comes back with a receipt (mintpath.go). A refused request reaches neither the ledger nor a
// key. Without a ledger nothing is signed, while questions about keys are still answered.
//
// # What is in its directory
//
//	ceilings.json          what no policy may exceed; written once at the first start, then only read (ceilings.go)
//	kek                    the key-encryption key of the key store "file"
//	tenants/ID.json        the tenant's policy; ID.pending while one waits for the ledger
//	keys/ID/ring.json      the public records of the tenant's keys
//	keys/ID/KID.N.sealed   a private key as it was sealed for its step number N
//	keys/ID/pending.json   steps that wait for the ledger
//	ledger-root            the ledger root this signer trusts, pinned at the first contact
//	ledger-document        the receipt keys that root vouched for, as last heard
//	head                   the end of the log as last heard (mint.HeadFile)
//	clock                  what the clock guard goes by (clock.go)
//
// Every change of policy or key goes the same way: a pending file, the ledger's entry, the new state, and only then is
// the pending file removed. Whatever the instant of a crash, the ledger says afterwards whether the step was taken. If it
// was, it is completed; if not, it is asked for again with the times of now. State that is older than what the ledger
// recorded is never completed by guessing: the signer refuses to run (recover.go).
//
// # The clock
//
// Keys change by the clock, so a wrong clock could end a key too early or begin one before validators know it. The guard
// compares three sources: the wall clock, the time since boot, which nobody can set, and the time of the last entry in
// the ledger.
//
//   - Within one boot the wall clock must advance as the boot clock does, give or take five minutes in total.
//   - After a reboot, or on another machine, the boot clock says nothing. The wall clock may then be up to seven days
//     ahead of the ledger's last entry (the machine was off) and at most five minutes behind it.
//   - At any time the wall clock may be at most five minutes behind the ledger's last entry, and at most five minutes
//     away from the ledger's own clock.
//
// Otherwise key transitions are frozen, which is an alarm and an entry, until somebody who has looked at the clock says
// `seawall clock accept`, which is an entry too. Tokens are still minted: the ledger refuses any that are more than a
// minute away from its own clock.
package signer
