package validatetest

import (
	"maps"
	"slices"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
)

// Defect spoils a token in one way.
type Defect struct {
	Name string
	Code validate.Code // what the token must be refused with; "" if it stays good
	// receipts tells that the defect needs a seawall issuer.
	receipts bool
	apply    func(*draft)
}

// draft is a token in the making.
type draft struct {
	issuer  *Issuer
	key     *forge.Key
	alg     string // "" for the key's
	typ     string
	header  map[string]any // further members
	claims  Claims
	signed  Claims // what the receipt is for, if not claims
	ledger  *forge.Ledger
	receipt time.Time // zero for no receipt
	resign  func(token string) string
}

// Defects that a signature check alone would find, or any good library.
var (
	BadSignature = Defect{Name: "bad signature", Code: validate.CodeSignature, apply: func(d *draft) {
		d.resign = func(token string) string {
			input, sig := forge.SplitSignature(token)
			sig[len(sig)/2] ^= 1
			return input + "." + forge.Text(sig)
		}
	}}
	Unsigned = Defect{Name: "algorithm none", Code: validate.CodeAlg, apply: func(d *draft) { d.alg = "none" }}
	Expired  = Defect{Name: "expired", Code: validate.CodeExpired, apply: func(d *draft) {
		now := d.issuer.clock.Now().Unix()
		d.claims["iat"], d.claims["exp"] = now-1200, now-600
	}}
	NotYetValid = Defect{Name: "not yet valid", Code: validate.CodeNotYetValid, apply: func(d *draft) {
		now := d.issuer.clock.Now().Unix()
		d.claims["iat"], d.claims["exp"] = now+3000, now+3600
	}}
	Endless = Defect{Name: "a lifetime of a year", Code: validate.CodeLifetime, apply: func(d *draft) {
		d.claims["exp"] = d.issuer.clock.Now().Unix() + 365*day
	}}
	OtherAudience = Defect{Name: "other audience", Code: validate.CodeAudience, apply: func(d *draft) {
		d.claims["aud"] = "https://elsewhere.invalid"
	}}
	OtherIssuer = Defect{Name: "other issuer", Code: validate.CodeIssuer, apply: func(d *draft) {
		d.claims["iss"] = "https://elsewhere.invalid"
	}}
	NoSubject = Defect{Name: "no subject", Code: validate.CodeClaims, apply: func(d *draft) { d.claims["sub"] = nil }}
	OtherType = Defect{Name: "an ID token's type", Code: validate.CodeTyp, apply: func(d *draft) { d.typ = "JWT" }}
	Critical  = Defect{Name: "critical extension", Code: validate.CodeCrit, apply: func(d *draft) { d.header["crit"] = []string{"exp"} }}
	Bound     = Defect{Name: "bound to a sender", Code: validate.CodeDPoPScheme, apply: func(d *draft) {
		d.claims["cnf"] = map[string]any{"jkt": "NGy8x0fuVDdHL-wVoZTuhMk6XCaCUFGjmjS4f8rjF-I"}
	}}
)

// Defects of keys: the ones that Storm-0558 was made of.
var (
	ConsumerKey = Defect{Name: "key of another issuer in this one's set", Code: validate.CodeKeyIssuer, apply: func(d *draft) { d.key = d.issuer.stranger }}
	ExpiredKey  = Defect{Name: "expired key", Code: validate.CodeKeyExpired, apply: func(d *draft) { d.key = d.issuer.expired }}
	RevokedKey  = Defect{Name: "revoked key", Code: validate.CodeKeyRevoked, apply: func(d *draft) { d.key = d.issuer.revoked }}
	UnknownKey  = Defect{Name: "key that the issuer does not have", Code: validate.CodeKeyUnknown, apply: func(d *draft) { d.key = d.issuer.unlisted }}
)

// Defects that a thief of the active key would make: all signatures are good.
var (
	NoReceipt     = Defect{Name: "no receipt", Code: validate.CodeReceiptMissing, receipts: true, apply: func(d *draft) { d.receipt = time.Time{} }}
	ForgedClaims  = Defect{Name: "genuine receipt on other claims", Code: validate.CodeReceiptMismatch, receipts: true, apply: func(d *draft) { d.signed = maps.Clone(d.claims); d.claims["sub"] = "admin" }}
	ForeignLedger = Defect{Name: "receipt by another ledger's key", Code: validate.CodeReceiptKey, receipts: true, apply: func(d *draft) { d.ledger = d.issuer.other }}
	LateReceipt   = Defect{Name: "receipt from another time", Code: validate.CodeReceiptTime, receipts: true, apply: func(d *draft) { d.receipt = d.receipt.Add(time.Hour) }}
)

// Resigned is no defect: anybody can rewrite an ECDSA signature into its second form, and both must
// be accepted. It needs an issuer that signs with ES256.
var Resigned = Defect{Name: "signature rewritten into its other form", apply: func(d *draft) { d.resign = forge.OtherForm }}

// Claim gives a token with one claim set as given; nil leaves it out. Code is what you expect.
func Claim(name string, value any, code validate.Code) Defect {
	return Defect{Name: "claim " + name, Code: code, apply: func(d *draft) { d.claims[name] = value }}
}

// Type gives a token with another typ; "" leaves it out. It is no defect where that type is accepted.
func Type(typ string) Defect {
	return Defect{Name: "type " + typ, Code: validate.CodeTyp, apply: func(d *draft) { d.typ = typ }}
}

// Recorded gives a token whose receipt was given at another time, so much later than now. It is no
// defect if the token's iat is from that time too.
func Recorded(later time.Duration) Defect {
	return Defect{Name: "recorded at another time", Code: validate.CodeReceiptTime, receipts: true, apply: func(d *draft) { d.receipt = d.receipt.Add(later) }}
}

// Defects lists the defects that apply to this kind of issuer.
func (i *Issuer) Defects() []Defect {
	all := []Defect{
		BadSignature, Unsigned, Expired, NotYetValid, Endless, OtherAudience, OtherIssuer, NoSubject, OtherType, Critical, Bound,
		ConsumerKey, ExpiredKey, RevokedKey, UnknownKey,
		NoReceipt, ForgedClaims, ForeignLedger, LateReceipt,
	}
	return slices.DeleteFunc(all, func(d Defect) bool { return d.receipts && i.foreign })
}

// token signs the draft.
func (d *draft) token() string {
	alg := d.alg
	if alg == "" {
		alg = d.key.Alg
	}
	header := forge.Header(alg, d.typ, d.key.ID)
	if d.typ == "" {
		header = forge.JSON(map[string]string{"alg": alg, "kid": d.key.ID})
	}
	for name, value := range d.header {
		header = append(header[:len(header)-1], `,`+string(forge.JSON(name))+`:`...)
		header = append(append(header, forge.JSON(value)...), '}')
	}
	payload := forge.JSON(d.claims)
	if !d.issuer.foreign && !d.receipt.IsZero() {
		recorded := payload
		if d.signed != nil {
			recorded = forge.JSON(d.signed)
		}
		header = forge.WithReceipt(header, d.ledger.Receipt(header, recorded, d.issuer.entries.Add(1)-1, d.receipt.UnixMilli()))
	}
	token := d.key.Sign(header, payload)
	if d.resign != nil {
		token = d.resign(token)
	}
	return token
}
