// Package mint is the counter between the house and the two vaults: the words
// they use and how those words look on the wire.
//
// The house asks for a token with a typed [Request], never with bytes or a
// digest. The signer checks it against its own [Policy], builds header and
// claims itself ([Token.Header], [Token.Payload]) and sends exactly those bytes
// to the ledger, which reads them again with [ReadToken], records them and
// answers with one [Receipt] per token. Only then does the signer sign.
//
// Everything a room needs to talk to another is here and nothing else is: no
// policy is decided, no key is held, nothing is stored. Both encodings are
// canonical, so there is one way to write a thing and the reader refuses every
// other. The byte layouts that leave the house are in docs/formats.md.
package mint
