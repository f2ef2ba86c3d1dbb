package mint

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// Limits of one request. A request beyond them is refused as malformed.
const (
	MaxAudiences = 16
	MaxCustom    = 32
	MaxText      = 1024 // bytes of any one string
	MaxScope     = 4096
	MaxNonce     = 512
	MaxAMR       = 8  // methods of one sign-in
	MaxBatch     = 64 // requests in one message
	// MaxRequest is the largest encoded request in bytes: a full message, and the
	// answer to it, fit into a frame.
	MaxRequest = 8 << 10
)

// Request asks the signer for one token. It carries no policy, no time and no
// key: the signer has its own.
type Request struct {
	Tenant   string
	Issuer   string
	Kind     Kind
	Subject  string
	Audience []string // of an ID token, the client alone
	ClientID string   // of an access token
	Scope    string   // space separated
	JTI      string   // see NewJTI; a retry keeps it
	Lifetime int64    // seconds asked for
	Custom   []Claim
	// Evidence is the digest of what proved the client: its secret's id or the
	// assertion. It ties the token to an authentication and is recorded.
	Evidence [32]byte

	Nonce string // of an ID token
	SignIn
	KeyThumbprint string // of an access token
}

// Token returns what the signer is asked to write, less what it adds itself:
// key and times.
func (q *Request) Token() Token {
	return Token{Kind: q.Kind, Issuer: q.Issuer, Subject: q.Subject, Audience: q.Audience, ClientID: q.ClientID, Scope: q.Scope,
		Nonce: q.Nonce, SignIn: q.SignIn, KeyThumbprint: q.KeyThumbprint, JTI: q.JTI, Custom: q.Custom}
}

// NewJTI returns a fresh token id: 128 random bits as base64url.
func NewJTI() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ValidJTI reports whether s can be a token id: 16 to 64 characters of the
// base64url alphabet.
func ValidJTI(s string) bool {
	if len(s) < 16 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// ValidThumbprint reports whether s is the thumbprint of a key (RFC 7638): 32
// bytes as base64url, in their one spelling.
func ValidThumbprint(s string) bool {
	var sum [32]byte
	if len(s) != rawURL.EncodedLen(len(sum)) {
		return false
	}
	n, err := rawURL.Decode(sum[:], []byte(s))
	return err == nil && n == len(sum)
}

// The versions of a request. One that says nothing of a person or a key is
// written as it was before there were those, so a signer of that time knows it.
const (
	requestOfClient byte = 1
	requestOfPerson byte = 2
)

func (q *Request) version() byte {
	if q.Nonce == "" && q.SignIn.IsZero() && q.KeyThumbprint == "" {
		return requestOfClient
	}
	return requestOfPerson
}

// Append writes the request's canonical form to b.
func (q *Request) Append(b []byte) []byte {
	version := q.version()
	b = append(b, version)
	b = appendString(b, q.Tenant)
	b = appendString(b, q.Issuer)
	b = appendString(b, string(q.Kind))
	b = appendString(b, q.Subject)
	b = appendStrings(b, q.Audience)
	b = appendString(b, q.ClientID)
	b = appendString(b, q.Scope)
	b = appendString(b, q.JTI)
	b = appendUint(b, uint64(q.Lifetime))
	b = appendUint(b, uint64(len(q.Custom)))
	for i := range q.Custom {
		c := &q.Custom[i]
		b = appendString(b, c.Name)
		if c.List == nil {
			b = appendString(append(b, 0), c.Text)
		} else {
			b = appendStrings(append(b, 1), c.List)
		}
	}
	b = append(b, q.Evidence[:]...)
	if version == requestOfClient {
		return b
	}
	b = appendString(b, q.Nonce)
	b = appendUint(b, uint64(q.AuthTime))
	b = appendString(b, q.ACR)
	b = appendStrings(b, q.AMR)
	b = appendString(b, q.Session)
	return appendString(b, q.KeyThumbprint)
}

// ReadRequest reads one request. Nothing in it is checked beyond its form.
func ReadRequest(b []byte) (*Request, error) {
	r := reader{b: b}
	q := new(Request)
	version := r.byte("version")
	q.Tenant = r.string(MaxText, "tenant")
	q.Issuer = r.string(MaxText, "issuer")
	q.Kind = Kind(r.string(MaxText, "kind"))
	q.Subject = r.string(MaxText, "subject")
	q.Audience = r.strings(MaxAudiences, MaxText, "audience")
	q.ClientID = r.string(MaxText, "client")
	q.Scope = r.string(MaxScope, "scope")
	q.JTI = r.string(MaxText, "jti")
	if q.Lifetime = int64(r.uint("lifetime")); q.Lifetime < 0 {
		r.fail("lifetime")
	}
	n := r.uint("custom claims")
	if n > MaxCustom {
		r.fail("custom claims")
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		q.Custom = append(q.Custom, r.claim())
	}
	copy(q.Evidence[:], r.fixed(32, "evidence"))
	if version == requestOfPerson {
		r.person(q)
	}
	if version != q.version() {
		r.fail("request version")
	}
	if err := r.end("request"); err != nil {
		return nil, err
	}
	return q, nil
}

func (r *reader) person(q *Request) {
	q.Nonce = r.string(MaxNonce, "nonce")
	if q.AuthTime = int64(r.uint("auth_time")); q.AuthTime < 0 {
		r.fail("auth_time")
	}
	q.ACR = r.string(MaxText, "acr")
	q.AMR = r.strings(MaxAMR, MaxText, "amr")
	q.Session = r.string(MaxText, "sid")
	q.KeyThumbprint = r.string(MaxText, "thumbprint")
}

func (r *reader) claim() (c Claim) {
	c.Name = r.string(MaxText, "claim name")
	switch r.byte("claim form") {
	case 0:
		c.Text = r.string(MaxText, "claim value")
	case 1:
		if c.List = r.strings(MaxAudiences, MaxText, "claim value"); c.List == nil {
			c.List = []string{}
		}
	default:
		r.fail("claim form")
	}
	return c
}

// RequestDigest is how an answer names the request it belongs to.
func RequestDigest(encoded []byte) Digest { return sha256.Sum256(encoded) }

// Answer is what the signer says to one request: a token, or a refusal.
type Answer struct {
	Request Digest
	Token   []byte // compact JWS; nil when refused
	Refusal *Refusal
}

// AppendRequests writes the body of a [MsgMint] message.
func AppendRequests(b []byte, encoded [][]byte) []byte {
	b = appendUint(b, uint64(len(encoded)))
	for _, e := range encoded {
		b = appendString(b, e)
	}
	return b
}

// ReadRequests splits the body of a [MsgMint] message into encoded requests,
// which are views into it.
func ReadRequests(body []byte) ([][]byte, error) {
	r := reader{b: body}
	n := r.uint("requests")
	if n == 0 || n > MaxBatch {
		r.fail("number of requests")
	}
	list := make([][]byte, 0, min(n, MaxBatch))
	for i := uint64(0); i < n && r.err == nil; i++ {
		list = append(list, r.bytes(MaxFrame, "request"))
	}
	return list, r.end("mint message")
}

// AppendAnswers writes the body of the answer to a [MsgMint] message: the
// ledger's head as the signer saw it, and one answer per request in order.
func AppendAnswers(b []byte, head Head, answers []Answer) []byte {
	b = head.append(b)
	b = appendUint(b, uint64(len(answers)))
	for i := range answers {
		a := &answers[i]
		b = append(b, a.Request[:]...)
		if a.Refusal == nil {
			b = appendString(append(b, 0), a.Token)
			continue
		}
		b = append(b, 1)
		b = appendString(b, string(a.Refusal.Code))
		b = appendString(b, a.Refusal.Detail)
	}
	return b
}

// ReadAnswers reads the body written by [AppendAnswers]. Tokens are views into
// it.
func ReadAnswers(body []byte) (head Head, list []Answer, err error) {
	r := reader{b: body}
	head = r.head()
	n := r.uint("answers")
	if n == 0 || n > MaxBatch {
		r.fail("number of answers")
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		var a Answer
		copy(a.Request[:], r.fixed(32, "digest"))
		switch r.byte("answer") {
		case 0:
			a.Token = r.bytes(MaxFrame, "token")
		case 1:
			a.Refusal = &Refusal{Code: Code(r.string(MaxText, "code")), Detail: r.string(MaxText, "detail")}
		default:
			r.fail("answer")
		}
		list = append(list, a)
	}
	return head, list, r.end("answers")
}
