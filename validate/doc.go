// Package validate answers one question for an API: is this access token good, here, now?
//
// It is the half of seawall that runs in front of every API, and it uses nothing but the standard
// library. Three lines protect a handler:
//
//	v, err := validate.New(validate.Config{
//		Issuers:   []validate.Issuer{validate.SeawallIssuer("https://id.example/acme", "swl1-…")},
//		Audiences: []string{"https://api.example"},
//	})
//	http.ListenAndServe(addr, v.Handler(mux))
//
// A token of a seawall issuer is accepted only if the key that signed it is bound to that very
// issuer, is inside its window and is vouched for by the pinned ledger root, and if the token
// carries a receipt: the ledger's signature over exactly these claims. So a thief of a signing key
// forges nothing that passes here, and whoever swaps the published keys gets nothing accepted,
// because trust comes from the pin in your configuration and from no document on the network.
//
// A token of any other issuer ([ForeignIssuer], [PinnedIssuer], or a preset such as [KeycloakIssuer])
// goes through the same checks without receipts and statements. Key sets live under their issuer, so there is no name space of keys that two issuers
// share, and a key that names its issuer signs for that issuer only.
//
// A token that is bound to its sender is good only in the sender's hand: one with cnf.jkt needs a
// fresh DPoP proof by that key for exactly this request (RFC 9449), one with cnf.x5t#S256 the client
// certificate (RFC 8705), whether or not the configuration demands such tokens. What a route needs
// beyond a good token is said where the route is: [Validator.Handler] takes [RequireScope],
// [RequireACR] and [MaxAuthAge].
//
// Tokens of other kinds have judges of their own, [IDTokens] for a relying party, [LogoutTokens] and
// [SecurityEvents], and come out as types of their own, so that no program takes one for another.
//
// A seawall issuer can be asked what must not be believed any more: [Issuer.WithFeed] follows its
// distrust feed, which counts within the second for every token, also for one that was accepted
// before. What becomes of tokens when the feed falls silent must be chosen: see [StalePolicy].
//
// There is no option that turns a check off, a refused token is never returned, and errors carry
// one [Code] of a closed list and never any part of a token. Network access happens in the
// background; the usual call reads memory only.
//
// The order of the checks is part of the design. Everything cheap comes first: size, shape, JSON,
// header, issuer, claims, key. Then the signature. The receipt's verdict comes last, so
// [CodeReceiptMissing], [CodeReceiptKey], [CodeReceiptTime] and [CodeReceiptMismatch] each mean that
// the issuer's own key did sign this token while the ledger does not stand behind it: the mark of a
// stolen key, and worth an alarm. After it come the questions whose answers change while a token
// lives: is it revoked or distrusted, and who presents it? A token that was accepted before is asked
// these, and those about the clock and its key, every time; its signature and JSON are not looked at
// again while the issuer's key document stays the same.
package validate
