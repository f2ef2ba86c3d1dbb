package ledger

import (
	"slices"

	"seawall/internal/mint"
)

// draft is a token on its way into the log: what its own bytes say. The tenant is not among that; it comes from the
// record of the key.
type draft struct {
	entry    mint.Entry
	alg      string
	digest   mint.Digest
	sequence uint64 // once it has a place
}

// readDraft reads the bytes that the signer is about to sign. What the log will say about a token is taken from them and
// from nowhere else: a writer who could name the subject beside the bytes could make every search lie.
func readDraft(u *mint.Unsigned) (d draft, refusal *mint.Refusal) {
	d.digest = mint.TokenDigest(u.Header, u.Payload)
	t, err := mint.ReadToken(u.Header, u.Payload)
	if err != nil {
		return d, mint.Refuse(mint.NotCanonical, "the bytes are not those that a signer writes")
	}
	if r := checkToken(t); r != nil {
		return d, r
	}
	d.alg = t.Alg
	d.entry = mint.Entry{
		Kind: mint.TokenIssued, Issuer: t.Issuer, Client: clientOf(t), Subject: t.Subject, KID: t.KID,
		TokenKind: string(t.Kind), Audience: t.Audience, JTI: t.JTI, IssuedAt: t.IssuedAt, Expires: t.Expires, Digest: d.digest,
	}
	if u.Evidence != [32]byte{} {
		d.entry.Detail = []mint.Field{{Name: "evidence", Value: rawURL.EncodeToString(u.Evidence[:])}}
	}
	if t.Session != "" {
		d.entry.Detail = append(d.entry.Detail, mint.Field{Name: "sid", Value: t.Session})
	}
	return d, nil
}

// clientOf is the client that a token was issued to.
func clientOf(t *mint.Token) string {
	if t.Kind == mint.IDToken {
		return t.Audience[0]
	}
	return t.ClientID
}

func checkToken(t *mint.Token) *mint.Refusal {
	if _, minted := t.Kind.Family(); !minted {
		return mint.Refuse(mint.KindUnsupported, "no token of this kind is recorded")
	}
	if !named(t.Subject) {
		return mint.Refuse(mint.SubjectInvalid, "sub is empty, too long or not plain text")
	}
	check := checkAccessToken
	if t.Kind == mint.IDToken {
		check = checkIDToken
	}
	if r := check(t); r != nil {
		return r
	}
	if !mint.ValidJTI(t.JTI) {
		return mint.Refuse(mint.JTIInvalid, "jti is not a token id")
	}
	if t.Expires <= t.IssuedAt {
		return mint.Refuse(mint.LifetimeInvalid, "exp is not after iat")
	}
	if r := checkAudience(t); r != nil {
		return r
	}
	return checkSignIn(t)
}

func checkAccessToken(t *mint.Token) *mint.Refusal {
	switch {
	case !named(t.ClientID):
		return mint.Refuse(mint.ClientInvalid, "client_id is empty, too long or not plain text")
	case t.Nonce != "":
		return mint.Refuse(mint.NonceNotAllowed, "an access token has no nonce")
	case t.KeyThumbprint != "" && !mint.ValidThumbprint(t.KeyThumbprint):
		return mint.Refuse(mint.BindingInvalid, "jkt is not the thumbprint of a key")
	case len(t.Custom) > mint.MaxCustom:
		return mint.Refuse(mint.ClaimInvalid, "there are more than %d custom claims", mint.MaxCustom)
	case slices.Contains(t.Audience, t.ClientID):
		return mint.Refuse(mint.AudienceClient, "an access token for its own client could be taken for an ID token")
	}
	return nil
}

func checkIDToken(t *mint.Token) *mint.Refusal {
	switch {
	case t.ClientID != "":
		return mint.Refuse(mint.ClientNotAllowed, "an ID token has no client_id")
	case t.Scope != "":
		return mint.Refuse(mint.ScopeNotAllowed, "an ID token has no scope")
	case t.KeyThumbprint != "":
		return mint.Refuse(mint.BindingNotAllowed, "an ID token is bound to no key")
	case len(t.Custom) > 0:
		return mint.Refuse(mint.CustomNotAllowed, "an ID token has no custom claims")
	case len(t.Audience) != 1:
		return mint.Refuse(mint.AudienceSeveral, "an ID token is for one client")
	case len(t.Nonce) > mint.MaxNonce || !plain(t.Nonce):
		return mint.Refuse(mint.NonceInvalid, "nonce is too long or not plain text")
	case t.AuthTime == 0:
		return mint.Refuse(mint.AuthTimeMissing, "an ID token says when the person signed in")
	}
	return nil
}

func checkAudience(t *mint.Token) *mint.Refusal {
	if len(t.Audience) > mint.MaxAudiences {
		return mint.Refuse(mint.EntryInvalid, "aud has more than %d names", mint.MaxAudiences)
	}
	for i, a := range t.Audience {
		if a == "" {
			return mint.Refuse(mint.AudienceMissing, "aud has an empty name")
		}
		if !named(a) {
			return mint.Refuse(mint.EntryInvalid, "aud has a name that is too long or not plain text")
		}
		if slices.Contains(t.Audience[:i], a) {
			return mint.Refuse(mint.AudienceRepeated, "aud has the same name twice")
		}
	}
	return nil
}

// checkSignIn holds a sign-in against the token's own time: that it is the ledger's time too is asked with the key.
func checkSignIn(t *mint.Token) *mint.Refusal {
	switch {
	case t.AuthTime > t.IssuedAt+mint.MaxClockDrift/1000:
		return mint.Refuse(mint.AuthTimeInvalid, "auth_time is after iat")
	case t.ACR != "" && !named(t.ACR):
		return mint.Refuse(mint.ACRInvalid, "acr is too long or not plain text")
	case t.Session != "" && !named(t.Session):
		return mint.Refuse(mint.SessionInvalid, "sid is too long or not plain text")
	case len(t.AMR) > mint.MaxAMR:
		return mint.Refuse(mint.AMRInvalid, "amr has more than %d methods", mint.MaxAMR)
	}
	for i, method := range t.AMR {
		if !named(method) || slices.Contains(t.AMR[:i], method) {
			return mint.Refuse(mint.AMRInvalid, "amr has a method that is empty, repeated, too long or not plain text")
		}
	}
	return nil
}

func named(s string) bool { return s != "" && len(s) <= mint.MaxText && plain(s) }
