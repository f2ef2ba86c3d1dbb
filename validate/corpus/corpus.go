// Package corpus runs package validate over a token-validation corpus: a JSON document of validator
// configurations and cases, each a token and what should become of it. It judges with the public
// API of validate alone, needs no network and no clock but the document's, and its output holds no
// part of a token.
//
// The document's form is described in testdata/vectors/README.md of package validate. Beside the
// members described there an issuer may have a "pin": then it is a seawall issuer with that ledger
// pin, and its jwks document holds the ledger.
package corpus

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"seawall/validate"
)

// Schema is the value of the document's member "schema".
const Schema = "token-validation-corpus/1"

// Document is a corpus.
type Document struct {
	Schema     string               `json:"schema"`
	Validators map[string]Validator `json:"validators"`
	Cases      []Case               `json:"cases"`
}

// Validator is a validator configuration. Times are Unix seconds, spans are seconds.
type Validator struct {
	Now         float64      `json:"now"`
	Issuers     []Issuer     `json:"issuers"`
	Audiences   []string     `json:"audiences"`
	Algorithms  []string     `json:"algorithms"`
	Types       []string     `json:"types"`
	Leeway      *float64     `json:"leeway_seconds,omitempty"`
	MaxLifetime *float64     `json:"max_lifetime_seconds,omitempty"`
	MaxBytes    int          `json:"max_token_bytes,omitempty"`
	Clients     []string     `json:"clients,omitzero"`
	DPoP        *DPoP        `json:"dpop,omitempty"`
	MTLS        bool         `json:"mtls_required,omitempty"`
	Revocations []Revocation `json:"revocations,omitempty"`
}

// Issuer is a trusted issuer with its keys.
type Issuer struct {
	Issuer  string          `json:"issuer"`
	Tenants []string        `json:"tenants,omitzero"`
	Pin     string          `json:"pin,omitempty"`
	JWKS    json.RawMessage `json:"jwks"`
}

// DPoP is what a validator demands of proofs of possession (RFC 9449).
type DPoP struct {
	Required bool     `json:"required"`
	MaxAge   *float64 `json:"max_age_seconds,omitempty"`
	Nonce    *string  `json:"nonce,omitempty"` // that every proof must carry
}

// Revocation is an entry of a validator's list of revocations.
type Revocation struct {
	Kind   string   `json:"kind"`
	Value  string   `json:"value"`
	Issuer string   `json:"issuer,omitempty"`
	Before *float64 `json:"before,omitempty"`
}

// Case is a token, how it was presented, and what should become of it.
type Case struct {
	Name      string   `json:"name"`
	Class     string   `json:"class,omitempty"`
	Validator string   `json:"validator"`
	Now       *float64 `json:"now,omitempty"`
	Session   string   `json:"session,omitempty"`
	Token     string   `json:"token,omitempty"`
	TokenB64  string   `json:"token_b64,omitempty"`
	Request   *Request `json:"request,omitempty"`
	Expect    string   `json:"expect,omitempty"`
	Subject   string   `json:"subject,omitempty"`
	Code      string   `json:"code,omitempty"` // the reason code, in corpora that name one
	Reason    string   `json:"reason,omitempty"`
}

// Request is how a token was presented.
type Request struct {
	Scheme     string   `json:"scheme,omitempty"`
	Method     string   `json:"method,omitempty"`
	URL        string   `json:"url,omitempty"`
	DPoP       []string `json:"dpop,omitempty"`
	ClientCert string   `json:"client_cert_sha256,omitempty"`
}

// Verdict is what became of a case. Subject, issuer and tenant are those of an accepted
// token, and the code says why another was refused.
type Verdict struct {
	Name    string
	Verdict string // accept or reject
	Subject string
	Issuer  string
	Tenant  string
	Code    string
}

// line is what is written of a verdict.
func (v Verdict) line() any {
	if v.Verdict == "accept" {
		return struct {
			Name    string `json:"name"`
			Verdict string `json:"verdict"`
			Subject string `json:"subject"`
			Issuer  string `json:"issuer"`
			Tenant  string `json:"tenant"`
		}{v.Name, v.Verdict, v.Subject, v.Issuer, v.Tenant}
	}
	return struct {
		Name    string `json:"name"`
		Verdict string `json:"verdict"`
		Code    string `json:"code"`
	}{v.Name, v.Verdict, v.Code}
}

// CodeConfig is the code of every case whose validator can't be built.
const CodeConfig = "config"

// Run reads a document from in and writes one JSON line a case to out, in the order of the cases.
func Run(ctx context.Context, in io.Reader, out io.Writer) error {
	var doc Document
	if err := json.NewDecoder(in).Decode(&doc); err != nil {
		return fmt.Errorf("reading the corpus: %w", err)
	}
	if doc.Schema != Schema {
		return fmt.Errorf("reading the corpus: its schema is not %q", Schema) // what it is may be anything, even a token
	}
	w := bufio.NewWriter(out)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for _, verdict := range doc.Judge(ctx) {
		if err := lines.Encode(verdict.line()); err != nil {
			return fmt.Errorf("writing a verdict: %w", err)
		}
	}
	return w.Flush()
}

// Judge gives a verdict on every case, in order.
func (d *Document) Judge(ctx context.Context) []Verdict {
	judges := make(map[string]*judge)
	proofs := &sessions{known: make(map[string]validate.Replays)}
	verdicts := make([]Verdict, 0, len(d.Cases))
	for _, c := range d.Cases {
		j := judges[c.Validator]
		if j == nil {
			j = newJudge(d.Validators, c.Validator, proofs)
			judges[c.Validator] = j
		}
		proofs.enter(c.Session)
		verdicts = append(verdicts, j.verdict(ctx, c))
	}
	return verdicts
}

// sessions is the memory for proofs of a whole document: cases of one session share what was used,
// across validators too, and a case without session begins with nothing.
type sessions struct {
	validate.Replays // of the case under way
	known            map[string]validate.Replays
}

func (s *sessions) enter(session string) {
	if s.Replays = s.known[session]; s.Replays == nil {
		s.Replays = validate.NewReplays(0)
	}
	if session != "" {
		s.known[session] = s.Replays
	}
}

// nonce is the one nonce that a document's proofs must carry.
type nonce string

func (n nonce) Nonce(time.Time) string               { return string(n) }
func (n nonce) Accepts(got string, _ time.Time) bool { return got == string(n) }

// judge is a validator at work, with a clock that stands where the case wants it.
type judge struct {
	validator *validate.Validator
	code      string // why there is no validator
	start     float64
	now       time.Time
}

func newJudge(validators map[string]Validator, name string, proofs validate.Replays) *judge {
	config, ok := validators[name]
	if !ok {
		return &judge{code: CodeConfig}
	}
	j := &judge{start: config.Now}
	var err error
	if j.validator, err = config.build(func() time.Time { return j.now }, proofs); err != nil {
		j.code = CodeConfig
		var refusal *validate.Error
		if errors.As(err, &refusal) {
			j.code = string(refusal.Code)
		}
	}
	return j
}

// build makes the validator that the configuration describes.
func (v Validator) build(now func() time.Time, proofs validate.Replays) (*validate.Validator, error) {
	revocations, err := revocations(v.Revocations)
	if err != nil {
		return nil, err
	}
	config := validate.Config{
		Audiences:   v.Audiences,
		Types:       v.Types,
		Leeway:      span(v.Leeway, validate.NoLeeway),
		MaxLifetime: span(v.MaxLifetime, 1),
		MaxBytes:    min(v.MaxBytes, 1<<20),
		Clients:     named(v.Clients),
		Revocations: revocations,
		DPoP:        v.DPoP.policy(proofs),
		RequireMTLS: v.MTLS,
		Now:         now,
	}
	// An algorithm that validate does not know can only ever be refused.
	for _, a := range v.Algorithms {
		if alg := validate.Alg(a); slices.Contains([]validate.Alg{validate.ES256, validate.RS256, validate.PS256, validate.EdDSA}, alg) {
			config.Algorithms = append(config.Algorithms, alg)
		}
	}
	if len(config.Algorithms) == 0 && v.Algorithms != nil || len(v.Types) == 0 && v.Types != nil {
		return nil, errors.New("no algorithm or type that could be accepted")
	}
	for _, i := range v.Issuers {
		config.Issuers = append(config.Issuers, i.trusted())
	}
	return validate.New(config)
}

// policy gives what the configuration demands of proofs; nil demands the usual.
func (d *DPoP) policy(proofs validate.Replays) *validate.DPoP {
	if d == nil {
		return &validate.DPoP{Replays: proofs}
	}
	policy := &validate.DPoP{Required: d.Required, MaxAge: span(d.MaxAge, 1), Replays: proofs}
	if d.Nonce != nil {
		policy.Nonces = nonce(*d.Nonce)
	}
	return policy
}

func (i Issuer) trusted() validate.Issuer {
	keys := validate.StaticKeys(i.JWKS)
	if i.Pin != "" {
		return validate.SeawallIssuer(i.Issuer, i.Pin).WithKeys(keys)
	}
	tenants := i.Tenants
	if strings.Contains(i.Issuer, "{tenantid}") {
		// Any other tenant can only ever be refused, and validate would not take it.
		tenants = slices.DeleteFunc(slices.Clone(tenants), func(t string) bool { return !uuid.MatchString(t) })
	}
	return validate.ForeignIssuer(validate.ForeignConfig{Issuer: i.Issuer, Tenants: tenants, Keys: keys})
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// named leaves the names out that nothing has: no claim that counts is empty.
func named(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool { return name == "" })
}

func revocations(list []Revocation) (*validate.Revocations, error) {
	var entries []validate.Revocation
	for _, r := range list {
		entry := validate.Revocation{Kind: validate.RevocationKind(r.Kind), Value: r.Value, Issuer: r.Issuer}
		if r.Before != nil {
			entry.Before = instant(*r.Before)
		}
		if r.Value != "" { // an entry that names nothing applies to nothing
			entries = append(entries, entry)
		}
	}
	return validate.NewRevocations(entries...)
}

// longest is as far as spans go, and much further than any token.
const longest = 100 * 365 * 24 * time.Hour

// span turns seconds into a duration; none stands for zero, because zero asks for a default.
func span(seconds *float64, none time.Duration) time.Duration {
	switch {
	case seconds == nil:
		return 0
	case *seconds == 0:
		return none
	case *seconds > longest.Seconds():
		return longest
	}
	return time.Duration(*seconds * float64(time.Second))
}

// instant turns Unix seconds into a time.
func instant(seconds float64) time.Time {
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e9)))
}

// verdict decides one case.
func (j *judge) verdict(ctx context.Context, c Case) Verdict {
	refused := func(code string) Verdict { return Verdict{Name: c.Name, Verdict: "reject", Code: code} }
	if j.code != "" {
		return refused(j.code)
	}
	j.now = instant(j.start)
	if c.Now != nil {
		j.now = instant(*c.Now)
	}
	raw := c.Token
	if c.TokenB64 != "" {
		b, err := base64.StdEncoding.DecodeString(c.TokenB64)
		if err != nil {
			return refused(CodeConfig)
		}
		raw = string(b)
	}
	t, err := j.validator.Presented(ctx, raw, c.Request.presentation())
	var refusal *validate.Error
	switch {
	case errors.As(err, &refusal):
		return refused(string(refusal.Code))
	case err != nil:
		return refused(CodeConfig)
	}
	return Verdict{Name: c.Name, Verdict: "accept", Subject: t.Subject(), Issuer: t.Issuer(), Tenant: t.Tenant()}
}

// presentation gives how the token was presented; without a request, as a plain bearer token.
func (r *Request) presentation() validate.Presentation {
	if r == nil {
		return validate.Presentation{}
	}
	p := validate.Presentation{Scheme: r.Scheme, Method: r.Method, URL: r.URL, Proofs: r.DPoP}
	if sum, err := base64.RawURLEncoding.Strict().DecodeString(r.ClientCert); err == nil && len(sum) == len(p.Certificate) {
		p.Certificate = (*validate.Thumbprint)(sum)
	}
	return p
}
