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
		Kind: mint.TokenIssued, Issuer: t.Issuer, Client: t.ClientID, Subject: t.Subject, KID: t.KID,
		TokenKind: string(t.Kind), Audience: t.Audience, JTI: t.JTI, IssuedAt: t.IssuedAt, Expires: t.Expires, Digest: d.digest,
	}
	if u.Evidence != [32]byte{} {
		d.entry.Detail = []mint.Field{{Name: "evidence", Value: rawURL.EncodeToString(u.Evidence[:])}}
	}
	return d, nil
}

func checkToken(t *mint.Token) *mint.Refusal {
	if _, minted := t.Kind.Family(); !minted {
		return mint.Refuse(mint.KindUnsupported, "no token of this kind is recorded")
	}
	if !named(t.Subject) {
		return mint.Refuse(mint.SubjectInvalid, "sub is empty, too long or not plain text")
	}
	if !named(t.ClientID) {
		return mint.Refuse(mint.ClientInvalid, "client_id is empty, too long or not plain text")
	}
	if !mint.ValidJTI(t.JTI) {
		return mint.Refuse(mint.JTIInvalid, "jti is not a token id")
	}
	if t.Expires <= t.IssuedAt {
		return mint.Refuse(mint.LifetimeInvalid, "exp is not after iat")
	}
	if len(t.Audience) > mint.MaxAudiences {
		return mint.Refuse(mint.EntryInvalid, "aud has more than %d names", mint.MaxAudiences)
	}
	if len(t.Custom) > mint.MaxCustom {
		return mint.Refuse(mint.ClaimInvalid, "there are more than %d custom claims", mint.MaxCustom)
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

func named(s string) bool { return s != "" && len(s) <= mint.MaxText && plain(s) }
