package main

import (
	ledgervault "seawall/internal/ledger/vault"
	signervault "seawall/internal/signer/vault"
)

// The processes' own directories, relative to the data directory.
const (
	houseDir  = "house"
	signerDir = "signer"
	ledgerDir = "ledger"
)

// The links between the processes: the name under which both ends ask for the connection.
const (
	linkMint    = signervault.HouseLink  // house to signer
	linkRecord  = ledgervault.SignerLink // signer to ledger
	linkEntries = ledgervault.HouseLink  // house to ledger: its own kinds of entry only
)
