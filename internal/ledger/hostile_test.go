package ledger

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
)

// TestHostileTokens sends the ledger what a signer in the wrong hands could: each is refused with its own code, and nothing
// is recorded.
func TestHostileTokens(t *testing.T) {
	r, p, i := ready(t)
	other := p.issuer("globex", r.clock.now())
	staged := newKey(t, "acme", i.url, r.clock.now())
	if _, err := p.steps(step(&staged, mint.KeyStaged)); err != nil {
		t.Fatal(err)
	}
	ended := newKey(t, "globex", other.url, r.clock.now())
	ended.Alg, ended.JWK = "EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": strings.Repeat("A", 42) + "E"}
	retag(t, &ended)
	if _, err := p.steps(step(&ended, mint.KeyStaged), step(&ended, mint.KeyActivated), step(&ended, mint.KeyVerifyOnly)); err != nil {
		t.Fatal(err)
	}
	short := newKey(t, "acme", i.url, r.clock.now())
	short.Alg, short.JWK = "EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": strings.Repeat("B", 42) + "E"}
	short.SigningEnds, short.Expires = r.clock.now().Unix()+30, r.clock.now().Unix()+40
	retag(t, &short)
	if _, err := p.steps(step(&short, mint.KeyStaged), step(&short, mint.KeyActivated)); err != nil {
		t.Fatal(err)
	}
	late := newKey(t, "globex", other.url, r.clock.now())
	late.Alg, late.JWK = "EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": strings.Repeat("C", 42) + "E"}
	late.NotBefore = r.clock.now().Unix() + 50
	retag(t, &late)
	if _, err := p.steps(step(&late, mint.KeyStaged), step(&late, mint.KeyActivated)); err != nil {
		t.Fatal(err)
	}
	under := func(k *mint.Key) func(*mint.Token) {
		return func(tok *mint.Token) { tok.KID, tok.Alg, tok.Issuer = k.KID, k.Alg, k.Issuer }
	}
	now := r.clock.now()
	for name, c := range map[string]struct {
		change func(*mint.Token)
		want   mint.Code
	}{
		"a kid nobody recorded":      {func(tok *mint.Token) { tok.KID = "unknown" }, mint.KeyNotActive},
		"no kid":                     {func(tok *mint.Token) { tok.KID = "" }, mint.KeyNotActive},
		"a staged key":               {under(&staged), mint.KeyNotActive},
		"an ended key":               {under(&ended), mint.KeyNotActive},
		"another tenant's issuer":    {func(tok *mint.Token) { tok.Issuer = other.url }, mint.KeyMismatch},
		"another tenant's key":       {func(tok *mint.Token) { tok.KID = other.key.KID }, mint.KeyMismatch},
		"another algorithm":          {func(tok *mint.Token) { tok.Alg = "RS256" }, mint.KeyMismatch},
		"no algorithm":               {func(tok *mint.Token) { tok.Alg = "none" }, mint.KeyMismatch},
		"a kind that is not minted":  {func(tok *mint.Token) { tok.Kind = "logout+jwt" }, mint.KindUnsupported},
		"an ID token's kind":         {func(tok *mint.Token) { tok.Kind = "jwt" }, mint.KindUnsupported},
		"iat in the past":            {func(tok *mint.Token) { tok.IssuedAt -= 70 }, mint.ClockSkew},
		"iat in the future":          {func(tok *mint.Token) { tok.IssuedAt += 70; tok.Expires += 70 }, mint.ClockSkew},
		"iat at the key's end":       {func(tok *mint.Token) { under(&short)(tok); tok.IssuedAt += 30; tok.Expires = tok.IssuedAt + 5 }, mint.KeyOverdue},
		"exp after the key's":        {func(tok *mint.Token) { under(&short)(tok); tok.Expires = short.Expires + 1 }, mint.KeyOutlived},
		"iat before the key's nbf":   {func(tok *mint.Token) { under(&late)(tok) }, mint.KeyNotActive},
		"no lifetime":                {func(tok *mint.Token) { tok.Expires = tok.IssuedAt }, mint.LifetimeInvalid},
		"no subject":                 {func(tok *mint.Token) { tok.Subject = "" }, mint.SubjectInvalid},
		"an endless subject":         {func(tok *mint.Token) { tok.Subject = strings.Repeat("x", 1025) }, mint.SubjectInvalid},
		"a subject with an escape":   {func(tok *mint.Token) { tok.Subject = "a\x1b[2Jb" }, mint.SubjectInvalid},
		"a subject written backward": {func(tok *mint.Token) { tok.Subject = "a\u202eb" }, mint.SubjectInvalid},
		"no client":                  {func(tok *mint.Token) { tok.ClientID = "" }, mint.ClientInvalid},
		"an endless client":          {func(tok *mint.Token) { tok.ClientID = strings.Repeat("x", 1025) }, mint.ClientInvalid},
		"a short jti":                {func(tok *mint.Token) { tok.JTI = "short" }, mint.JTIInvalid},
		"an endless jti":             {func(tok *mint.Token) { tok.JTI = strings.Repeat("x", 65) }, mint.JTIInvalid},
		"an empty audience":          {func(tok *mint.Token) { tok.Audience = []string{""} }, mint.AudienceMissing},
		"an endless audience":        {func(tok *mint.Token) { tok.Audience = []string{strings.Repeat("x", 1025)} }, mint.EntryInvalid},
		"17 audiences":               {func(tok *mint.Token) { tok.Audience = strings.Split("a b c d e f g h i j k l m n o p q", " ") }, mint.EntryInvalid},
		"an audience twice":          {func(tok *mint.Token) { tok.Audience = []string{"a", "a"} }, mint.AudienceRepeated},
		"33 custom claims":           {manyClaims, mint.ClaimInvalid},
	} {
		refuseToken(t, r, p, name, i.token(now, c.change), c.want)
	}
	good := i.token(now)
	for name, c := range map[string]mint.Unsigned{
		"white space":           {Header: good.Header, Payload: []byte(strings.Replace(string(good.Payload), ",", ", ", 1))},
		"another order":         {Header: []byte(`{"typ":"at+jwt","alg":"ES256","kid":"` + i.key.KID + `"}`), Payload: good.Payload},
		"a receipt of its own":  {Header: []byte(strings.Replace(string(good.Header), "}", `,"rcpt":"x"}`, 1)), Payload: good.Payload},
		"sub twice":             {Header: good.Header, Payload: []byte(strings.Replace(string(good.Payload), `"sub":"ci"`, `"sub":"ci","sub":"admin"`, 1))},
		"sub among the customs": {Header: good.Header, Payload: []byte(strings.Replace(string(good.Payload), "}", `,"SUB":"admin"}`, 1))},
		"escaped letters":       {Header: good.Header, Payload: []byte(strings.Replace(string(good.Payload), `"sub":"ci"`, `"sub":"\u0063i"`, 1))},
		"a nested claim":        {Header: good.Header, Payload: []byte(strings.Replace(string(good.Payload), "}", `,"x":{"sub":"admin"}}`, 1))},
		"not UTF-8":             {Header: good.Header, Payload: []byte(strings.Replace(string(good.Payload), `"sub":"ci"`, "\"sub\":\"\xff\"", 1))},
		"bytes behind":          {Header: good.Header, Payload: append([]byte(nil), string(good.Payload)+" "...)},
		"raw bytes":             {Header: []byte{0, 1, 2}, Payload: []byte{3}},
		"nothing":               {},
		"a digest":              {Header: make([]byte, 32), Payload: make([]byte, 32)},
	} {
		refuseToken(t, r, p, name, c, mint.NotCanonical)
	}
}

// TestHostilePeople sends what a signer in the wrong hands could about people.
func TestHostilePeople(t *testing.T) {
	r, p, i := ready(t)
	now := r.clock.now()
	p.forPeople(i, now)
	for name, c := range map[string]struct {
		change func(*mint.Token)
		want   mint.Code
	}{
		"under the key of access tokens": {func(tok *mint.Token) { tok.KID = i.key.KID }, mint.KeyMismatch},
		"without auth_time":              {func(tok *mint.Token) { tok.AuthTime = 0 }, mint.AuthTimeMissing},
		"of a sign-in to come":           {func(tok *mint.Token) { tok.AuthTime = now.Unix() + 62 }, mint.AuthTimeInvalid},
		"for two clients":                {func(tok *mint.Token) { tok.Audience = []string{"web", "spa"} }, mint.AudienceSeveral},
		"for nobody":                     {func(tok *mint.Token) { tok.Audience = []string{""} }, mint.AudienceMissing},
		"for an endless client":          {func(tok *mint.Token) { tok.Audience = []string{strings.Repeat("x", 1025)} }, mint.EntryInvalid},
		"with a client_id":               {func(tok *mint.Token) { tok.ClientID = "web" }, mint.ClientNotAllowed},
		"with a scope":                   {func(tok *mint.Token) { tok.Scope = "openid" }, mint.ScopeNotAllowed},
		"bound to a key":                 {func(tok *mint.Token) { tok.KeyThumbprint = strings.Repeat("A", 43) }, mint.BindingNotAllowed},
		"with a custom claim":            {func(tok *mint.Token) { tok.Custom = []mint.Claim{{Name: "dept", Text: "x"}} }, mint.CustomNotAllowed},
		"with a nonce that clears":       {func(tok *mint.Token) { tok.Nonce = "\x1b[2J" }, mint.NonceInvalid},
		"with an endless nonce":          {func(tok *mint.Token) { tok.Nonce = strings.Repeat("n", 513) }, mint.NonceInvalid},
		"with an acr that clears":        {func(tok *mint.Token) { tok.ACR = "\x1b[2J" }, mint.ACRInvalid},
		"with a method twice":            {func(tok *mint.Token) { tok.AMR = []string{"hwk", "hwk"} }, mint.AMRInvalid},
		"with an empty method":           {func(tok *mint.Token) { tok.AMR = []string{""} }, mint.AMRInvalid},
		"with nine methods":              {func(tok *mint.Token) { tok.AMR = strings.Fields("a b c d e f g h i") }, mint.AMRInvalid},
		"with an endless session":        {func(tok *mint.Token) { tok.Session = strings.Repeat("s", 1025) }, mint.SessionInvalid},
		"about nobody":                   {func(tok *mint.Token) { tok.Subject = "" }, mint.SubjectInvalid},
		"without an id":                  {func(tok *mint.Token) { tok.JTI = "" }, mint.JTIInvalid},
		"without a life":                 {func(tok *mint.Token) { tok.Expires = tok.IssuedAt }, mint.LifetimeInvalid},
		"of another time":                {func(tok *mint.Token) { tok.IssuedAt -= 70 }, mint.ClockSkew},
	} {
		refuseToken(t, r, p, "ID token "+name, i.idToken(now, c.change), c.want)
	}
	for name, c := range map[string]struct {
		change func(*mint.Token)
		want   mint.Code
	}{
		"under the key of ID tokens": {func(tok *mint.Token) { tok.KID = i.idKey.KID }, mint.KeyMismatch},
		"with a nonce":               {func(tok *mint.Token) { tok.Nonce = "n" }, mint.NonceNotAllowed},
		"for its own client":         {func(tok *mint.Token) { tok.Audience = []string{"https://api.example", "web"} }, mint.AudienceClient},
		"bound to 44 characters":     {func(tok *mint.Token) { tok.KeyThumbprint += "A" }, mint.BindingInvalid},
		"bound in another spelling":  {func(tok *mint.Token) { tok.KeyThumbprint = tok.KeyThumbprint[:42] + "J" }, mint.BindingInvalid},
		"of a sign-in to come":       {func(tok *mint.Token) { tok.AuthTime = now.Unix() + 62 }, mint.AuthTimeInvalid},
		"with a broken session":      {func(tok *mint.Token) { tok.Session = "a\u202eb" }, mint.SessionInvalid},
	} {
		refuseToken(t, r, p, "access token "+name, i.personToken(now, c.change), c.want)
	}
}

// TestWhatTheLogSaysOfPeople: the entries of both kinds, read back from the disk.
func TestWhatTheLogSaysOfPeople(t *testing.T) {
	r, p, i := ready(t)
	now := r.clock.now()
	p.forPeople(i, now)
	first := r.l.Head().Size
	if _, got, err := p.tokens(r.l, i.personToken(now), i.idToken(now), i.token(now)); err != nil || got[0].Refusal != nil || got[1].Refusal != nil || got[2].Refusal != nil {
		t.Fatal(err, got)
	}
	evidence := mint.Field{Name: "evidence", Value: rawURL.EncodeToString(slices.Concat([]byte{7}, make([]byte, 31)))}
	session := mint.Field{Name: "sid", Value: "session-7"}
	for n, want := range []mint.Entry{
		{TokenKind: "at+jwt", Client: "web", Subject: "ada", KID: i.key.KID, Audience: []string{"https://api.example"}, Detail: []mint.Field{evidence, session}},
		{TokenKind: "JWT", Client: "web", Subject: "ada", KID: i.idKey.KID, Audience: []string{"web"}, Detail: []mint.Field{evidence, session}},
		{TokenKind: "at+jwt", Client: "ci", Subject: "ci", KID: i.key.KID, Audience: []string{"https://api.example"}, Detail: []mint.Field{evidence}},
	} {
		e, err := mint.ReadEntry(nthEntry(t, r, first+uint64(n)))
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != mint.TokenIssued || e.TokenKind != want.TokenKind || e.Client != want.Client || e.Subject != want.Subject || e.KID != want.KID ||
			!slices.Equal(e.Audience, want.Audience) || !slices.Equal(e.Detail, want.Detail) || e.Tenant != "acme" || e.Digest == (mint.Digest{}) {
			t.Errorf("entry %d is %+v", n, e)
		}
	}
}

func manyClaims(tok *mint.Token) {
	for n := range mint.MaxCustom + 1 {
		tok.Custom = append(tok.Custom, mint.Claim{Name: "claim_" + string(rune('A'+n)), Text: "x"})
	}
}

// retag gives a key the thumbprint and kid that fit its public part.
func retag(t *testing.T, k *mint.Key) {
	t.Helper()
	sum, err := thumbprint(k.Alg, k.JWK)
	if err != nil {
		t.Fatal(err)
	}
	k.Thumbprint = rawURL.EncodeToString(sum[:])
	k.KID = k.Thumbprint[:16]
}

// refuseToken sends a bad token between two good ones.
func refuseToken(t *testing.T, r *rig, p *peer, name string, bad mint.Unsigned, want mint.Code) {
	t.Helper()
	before := r.l.Head().Size
	_, got, err := p.tokens(r.l, bad)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got[0].Refusal == nil || got[0].Refusal.Code != want {
		t.Errorf("%s: %v, want %s", name, got[0].Refusal, want)
	}
	if got[0].Receipt != (mint.Receipt{}) {
		t.Errorf("%s: there is a receipt", name)
	}
	if after := r.l.Head().Size; after != before {
		t.Errorf("%s: %d entries were recorded", name, after-before)
	}
}

func TestABadTokenDoesNotHarmItsNeighbours(t *testing.T) {
	r, p, i := ready(t)
	now := r.clock.now()
	before := r.l.Head().Size
	_, got, err := p.tokens(r.l, i.token(now), i.token(now, func(tok *mint.Token) { tok.KID = "unknown" }), i.token(now))
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Refusal != nil || got[1].Refusal == nil || got[2].Refusal != nil {
		t.Fatalf("refusals %v %v %v", got[0].Refusal, got[1].Refusal, got[2].Refusal)
	}
	if got[0].Receipt.Sequence() != before || got[2].Receipt.Sequence() != before+1 || r.l.Head().Size != before+2 {
		t.Errorf("sequences %d and %d in a log of %d", got[0].Receipt.Sequence(), got[2].Receipt.Sequence(), r.l.Head().Size)
	}
}

// TestHostileEntries has each writer try to record what is not its own, or not well-formed.
func TestHostileEntries(t *testing.T) {
	r, p, i := ready(t)
	house := r.dial(House)
	house.mustHello()
	jwt := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl"
	d := func(pairs ...string) (list []mint.Field) {
		for n := 0; n < len(pairs); n += 2 {
			list = append(list, mint.Field{Name: pairs[n], Value: pairs[n+1]})
		}
		return list
	}
	created := func(change func(*mint.Entry)) *mint.Entry {
		e := &mint.Entry{Kind: mint.ClientCreated, Tenant: "acme", Client: "ci", Actor: "uid:0"}
		change(e)
		return e
	}
	token := &mint.Entry{Kind: mint.TokenIssued, Tenant: "acme", Issuer: i.url, Client: "ci", Subject: "admin", KID: i.key.KID, TokenKind: "at+jwt",
		Audience: []string{"a"}, JTI: mint.NewJTI(), IssuedAt: time.Now().Unix(), Expires: time.Now().Unix() + 9, Digest: hash{1}}
	stepEntry := &mint.Entry{Kind: mint.KeyRevoked, Tenant: "acme", Issuer: i.url, KID: i.key.KID, Detail: d("alg", "ES256", "epoch", "3", "exp", "3",
		"family", "access", "kinds", "at+jwt", "nbf", "1", "signing_ends", "2", "thumbprint", i.key.Thumbprint)}
	for name, c := range map[string]struct {
		from  *peer
		entry *mint.Entry
		want  mint.Code
	}{
		"house: a token":                     {house, token, mint.EntryNotAllowed},
		"signer: a token as an entry":        {p, token, mint.EntryNotAllowed},
		"house: a step":                      {house, stepEntry, mint.EntryNotAllowed},
		"signer: a step as an entry":         {p, stepEntry, mint.EntryNotAllowed},
		"house: a policy":                    {house, policyEntry("acme", i.url, 2), mint.EntryNotAllowed},
		"house: a clock accepted":            {house, &mint.Entry{Kind: mint.ClockWasAccepted, Actor: "uid:0"}, mint.EntryNotAllowed},
		"signer: a client":                   {p, created(func(*mint.Entry) {}), mint.EntryNotAllowed},
		"signer: a ledger key":               {p, &mint.Entry{Kind: mint.LedgerKeyAdded, KID: "x"}, mint.EntryNotAllowed},
		"house: a ledger":                    {house, &mint.Entry{Kind: mint.LedgerCreated}, mint.EntryNotAllowed},
		"house: no kind":                     {house, &mint.Entry{}, mint.EntryNotAllowed},
		"house: a kind of its own":           {house, &mint.Entry{Kind: "house.party"}, mint.EntryNotAllowed},
		"house: a time":                      {house, created(func(e *mint.Entry) { e.Millis = 1 }), mint.EntryInvalid},
		"house: no client":                   {house, created(func(e *mint.Entry) { e.Client = "" }), mint.EntryInvalid},
		"house: a jti too many":              {house, created(func(e *mint.Entry) { e.JTI = mint.NewJTI() }), mint.EntryInvalid},
		"house: a digest too many":           {house, created(func(e *mint.Entry) { e.Digest = hash{1} }), mint.EntryInvalid},
		"house: a detail too many":           {house, created(func(e *mint.Entry) { e.Detail = d("secret", "x") }), mint.EntryInvalid},
		"house: an empty detail":             {house, created(func(e *mint.Entry) { e.Detail = d("auth", "") }), mint.EntryInvalid},
		"house: an endless detail":           {house, created(func(e *mint.Entry) { e.Detail = d("auth", strings.Repeat("x", 1025)) }), mint.EntryInvalid},
		"house: a token in a detail":         {house, created(func(e *mint.Entry) { e.Detail = d("name", "my "+jwt) }), mint.EntryInvalid},
		"house: a key in a detail":           {house, created(func(e *mint.Entry) { e.Detail = d("name", "-----BEGIN PRIVATE KEY-----") }), mint.EntryInvalid},
		"house: a secret as the client":      {house, created(func(e *mint.Entry) { e.Client = "swc_prod_" + strings.Repeat("A", 33) + "4Fwg8b" }), mint.EntryInvalid},
		"house: a terminal's escape":         {house, created(func(e *mint.Entry) { e.Actor = "uid:0\x1b[1A" }), mint.EntryInvalid},
		"house: a line end":                  {house, created(func(e *mint.Entry) { e.Actor = "uid:0\nuid:1" }), mint.EntryInvalid},
		"house: not UTF-8":                   {house, created(func(e *mint.Entry) { e.Actor = "\xff" }), mint.EntryInvalid},
		"house: no reason":                   {house, &mint.Entry{Kind: mint.AuthFailed, Tenant: "acme"}, mint.EntryInvalid},
		"signer: a policy skipping ahead":    {p, policyEntry("acme", i.url, 3), mint.PolicyVersion},
		"signer: a policy again":             {p, policyEntry("acme", i.url, 1), mint.PolicyVersion},
		"signer: a tenant's other issuer":    {p, policyEntry("acme", i.url+"2", 2), mint.PolicyIssuerTaken},
		"signer: another tenant's issuer":    {p, policyEntry("globex", i.url, 1), mint.PolicyIssuerTaken},
		"signer: a policy without a version": {p, &mint.Entry{Kind: mint.PolicyChanged, Tenant: "x", Issuer: "y", Detail: d("digest", hash{1}.String())}, mint.EntryInvalid},
		"signer: a policy, odd version":      {p, &mint.Entry{Kind: mint.PolicyChanged, Tenant: "x", Issuer: "y", Detail: d("digest", hash{1}.String(), "version", "one")}, mint.EntryInvalid},
		"signer: a policy, odd digest":       {p, &mint.Entry{Kind: mint.PolicyChanged, Tenant: "x", Issuer: "y", Detail: d("digest", "d", "version", "1")}, mint.EntryInvalid},
	} {
		before := r.l.Head().Size
		good := &mint.Entry{Kind: mint.ClockWasFrozen, Detail: d("reason", "test")}
		if c.from == house {
			good = created(func(*mint.Entry) {})
		}
		if _, err := c.from.entries(c.entry); !isRefusal(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if _, err := c.from.entries(good, c.entry); !isRefusal(err, c.want) {
			t.Errorf("%s, behind a good one: %v, want %s", name, err, c.want)
		}
		if after := r.l.Head().Size; after != before {
			t.Errorf("%s: %d entries were recorded", name, after-before)
		}
	}
}

// TestHostileMessages sends messages that the role, the order or the form forbids.
func TestHostileMessages(t *testing.T) {
	r, p, i := ready(t)
	house := r.dial(House)
	house.mustHello()
	now := r.clock.now()
	before := r.l.Head().Size
	for name, c := range map[string]struct {
		from *peer
		typ  mint.MsgType
		body []byte
		want mint.Code
	}{
		"house: tokens":         {house, mint.MsgTokens, mint.AppendTokens(nil, []mint.Unsigned{i.token(now)}), mint.EntryNotAllowed},
		"house: steps":          {house, mint.MsgKey, []byte(`{"steps":[]}`), mint.EntryNotAllowed},
		"signer: search":        {p, mint.MsgSearch, []byte(`{"limit":1}`), mint.EntryNotAllowed},
		"search: not JSON":      {house, mint.MsgSearch, []byte("x"), mint.Malformed},
		"search: too many":      {house, mint.MsgSearch, []byte(`{"limit":201}`), mint.Malformed},
		"search: none":          {house, mint.MsgSearch, []byte(`{}`), mint.Malformed},
		"signer: mint":          {p, mint.MsgMint, []byte{1}, mint.Malformed},
		"no such message":       {p, 99, nil, mint.Malformed},
		"hello: not JSON":       {p, mint.MsgHello, []byte("hello"), mint.Malformed},
		"hello: unknown member": {p, mint.MsgHello, []byte(`{"size":0,"role":"signer"}`), mint.Malformed},
		"hello: bad head":       {p, mint.MsgHello, []byte(`{"size":3,"batch":"x"}`), mint.Malformed},
		"entries: not a list":   {p, mint.MsgEntries, []byte{0xff}, mint.Malformed},
		"entries: none":         {p, mint.MsgEntries, []byte{0}, mint.Malformed},
		"entries: 65":           {p, mint.MsgEntries, []byte{65}, mint.Malformed},
		"entries: no entry":     {p, mint.MsgEntries, []byte{1, 3, 1, 2, 3}, mint.Malformed},
		"steps: not JSON":       {p, mint.MsgKey, []byte("{"), mint.Malformed},
		"steps: none":           {p, mint.MsgKey, []byte(`{"steps":[]}`), mint.Malformed},
		"steps: 17":             {p, mint.MsgKey, []byte(`{"steps":[` + strings.Repeat("{},", 16) + `{}]}`), mint.Malformed},
	} {
		if err := c.from.refused(c.typ, c.body); !isRefusal(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for name, body := range map[string][]byte{"no number": {0xff}, "none": {0}, "65": {65}, "cut short": {1, 5, 'a'}} {
		q := r.dial(Signer)
		q.mustHello()
		if _, err := q.ask(mint.MsgTokens, body); err == nil {
			t.Errorf("tokens, %s: answered", name)
		}
	}
	silent := r.dial(Signer)
	if _, err := silent.entries(policyEntry("acme", i.url, 2)); !isRefusal(err, mint.Malformed) {
		t.Errorf("entries before hello: %v", err)
	}
	if err := silent.refused(mint.MsgTokens, mint.AppendTokens(nil, []mint.Unsigned{i.token(now)})); !isRefusal(err, mint.Malformed) {
		t.Errorf("tokens before hello: %v", err)
	}
	if _, err := silent.steps(step(&mint.Key{}, mint.KeyStaged)); !isRefusal(err, mint.Malformed) {
		t.Errorf("steps before hello: %v", err)
	}
	if err := silent.askJSON(mint.MsgHello, mint.HelloQuery{Share: base64.RawURLEncoding.EncodeToString(make([]byte, 32))}, new(mint.Hello)); !isRefusal(err, mint.Malformed) {
		t.Errorf("a share of low order, which makes every secret zero: %v", err)
	}
	if err := silent.askJSON(mint.MsgHello, mint.HelloQuery{}, new(mint.Hello)); err != nil {
		t.Fatal(err)
	}
	if err := silent.refused(mint.MsgTokens, mint.AppendTokens(nil, []mint.Unsigned{i.token(now)})); !isRefusal(err, mint.Malformed) {
		t.Errorf("tokens after a hello without a share: %v", err)
	}
	if after := r.l.Head().Size; after != before {
		t.Errorf("%d entries were recorded", after-before)
	}
}

// TestCredentialsAreTold tells credentials from what else looks random: a key id that is taken for a secret could never be recorded.
func TestCredentialsAreTold(t *testing.T) {
	for s, want := range map[string]bool{
		"swc_prod_" + strings.Repeat("A", 39):                          true,
		"the secret is swa_dev_" + strings.Repeat("z", 39):             true,
		"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln":                    true,
		"-----BEGIN EC PRIVATE KEY-----":                               true,
		"abswx_" + strings.Repeat("A", 40):                             false,
		"eyJhbGciOiJFUzI1NiJ9":                                         false,
		"https://api.example/v1.2/eyJ":                                 false,
		"switch_prod_1":                                                false,
		"sw":                                                           false,
		"_prod_" + strings.Repeat("A", 40):                             false,
		"https://swan_dev_environment.example/a/long/path/to/anywhere": false,
	} {
		if got := credential(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
	for range 200_000 { // as many as a large deployment makes in years
		if s := rand.Text() + mint.NewJTI() + mint.NewJTI(); credential(s) {
			t.Fatalf("%q was taken for a credential", s)
		}
	}
}
