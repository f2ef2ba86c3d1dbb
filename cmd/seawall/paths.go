package main

// The processes' own directories, relative to the data directory.
const (
	houseDir  = "house"
	signerDir = "signer"
	ledgerDir = "ledger"
)
