// Package adminapi is the house's admin API as its users see it: the JSON types
// and a client that speaks them, over the Unix socket in the house's directory
// ([Dial]) or over whatever way leads to a house elsewhere ([Over]).
//
// Every write is recorded in the ledger before it happens, and is answered when
// the signer has the policy that follows from it. A write that was cut short by
// a crash or by a vault that was away is finished later; [Error] says so.
// Secrets appear in exactly one answer and can't be read again.
package adminapi
