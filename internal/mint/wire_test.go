package mint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func sampleRequest() *Request {
	return &Request{Tenant: "acme", Issuer: "https://id.example/acme", Kind: AccessToken, Subject: "ci", Audience: []string{"a", "b"},
		ClientID: "ci", Scope: "read", JTI: "0123456789abcdef", Lifetime: 300, Custom: sample().Custom, Evidence: [32]byte{1}}
}

func samplePersonRequest() *Request {
	q := sampleRequest()
	q.SignIn, q.KeyThumbprint, q.Nonce = signIn, thumbprint, "n"
	return q
}

func sampleEntry() *Entry {
	return &Entry{Kind: TokenIssued, Millis: 7, Tenant: "acme", Issuer: "i", Client: "c", Subject: "s", KID: "k", Actor: "a", TokenKind: "at+jwt",
		Audience: []string{"a"}, JTI: "j", IssuedAt: 1, Expires: 2, Digest: Digest{1}, Detail: []Field{{"a", "1"}, {"b", "2"}}}
}

// Every decoder accepts exactly one encoding of what it returns: whatever it accepts, encoding it again gives the same
// bytes. So no two readers can differ about what was said.

func FuzzReadRequest(f *testing.F) {
	good := sampleRequest().Append(nil)
	f.Add(good)
	f.Add(samplePersonRequest().Append(nil))
	f.Add(append([]byte{2}, good[1:]...))
	f.Add((&Request{}).Append(nil))
	f.Add(append(good[:0:0], append(good, 0)...))
	f.Add(append([]byte{1, 0x80, 0x00}, good[2:]...)) // a length of 0 in two bytes
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := ReadRequest(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if again := q.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("read from other bytes than it is written in:\n%x\n%x", b, again)
		}
	})
}

func FuzzReadRequests(f *testing.F) {
	f.Add(AppendRequests(nil, [][]byte{sampleRequest().Append(nil), {}, {1}}))
	f.Add([]byte{65})
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ReadRequests(b)
		if err != nil {
			return
		}
		if len(list) == 0 || len(list) > MaxBatch || !bytes.Equal(AppendRequests(nil, list), b) {
			t.Fatalf("%d requests from %x", len(list), b)
		}
	})
}

func FuzzReadAnswers(f *testing.F) {
	f.Add(AppendAnswers(nil, Head{Size: 1, Millis: 2, Batch: Digest{3}}, []Answer{{Request: Digest{1}, Token: []byte("a.b.c")}, {Refusal: Refuse(Busy, "x")}}))
	f.Add(AppendAnswers(nil, Head{}, []Answer{{}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		head, list, err := ReadAnswers(b)
		if err != nil {
			return
		}
		if !bytes.Equal(AppendAnswers(nil, head, list), b) {
			t.Fatalf("%d answers from other bytes", len(list))
		}
	})
}

func FuzzReadTokens(f *testing.F) {
	f.Add(AppendTokens(nil, []Unsigned{{Header: sample().Header(nil), Payload: sample().Payload(nil), Evidence: [32]byte{9}}}))
	f.Add(AppendTokens(nil, []Unsigned{{}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ReadTokens(b)
		if err != nil {
			return
		}
		if !bytes.Equal(AppendTokens(nil, list), b) {
			t.Fatalf("%d tokens from other bytes", len(list))
		}
	})
}

func FuzzReadEntry(f *testing.F) {
	f.Add(sampleEntry().Append(nil))
	f.Add((&Entry{}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ReadEntry(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Append(nil), b) {
			t.Fatalf("read from other bytes than it is written in: %+v", e)
		}
	})
}

func FuzzReadEntries(f *testing.F) {
	f.Add(AppendEntries(nil, []*Entry{sampleEntry(), {Kind: PolicyChanged}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ReadEntries(b)
		if err != nil {
			return
		}
		if !bytes.Equal(AppendEntries(nil, list), b) {
			t.Fatalf("%d entries from other bytes", len(list))
		}
	})
}

func FuzzReadHead(f *testing.F) {
	f.Add(Head{Size: 1, Millis: 2, Batch: Digest{3}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ReadHead(b); err == nil && !bytes.Equal(h.append(nil), b) {
			t.Fatalf("%+v", h)
		}
	})
}

// FuzzReadToken: the ledger reads what the signer wrote, and nobody else's spelling of it.
func FuzzReadToken(f *testing.F) {
	full := sample()
	f.Add(full.Header(nil), full.Payload(nil))
	short := &Token{Alg: "EdDSA", KID: "k", Kind: AccessToken, Issuer: "i", Subject: "s", Audience: []string{"a", "b"}, ClientID: "c", JTI: "j", IssuedAt: 0, Expires: 1}
	f.Add(short.Header(nil), short.Payload(nil))
	f.Add(samplePerson().Header(nil), samplePerson().Payload(nil))
	f.Add(sampleID().Header(nil), sampleID().Payload(nil))
	for _, payload := range []string{
		`{"iss":"i","sub":"s","aud":["a"],"client_id":"c","jti":"j","iat":1,"exp":2}`,                          // a list of one
		`{"iss":"i","sub":"s","aud":"a","client_id":"c","scope":"","jti":"j","iat":1,"exp":2}`,                 // an empty scope
		`{"iss":"i","sub":"s","aud":"a","client_id":"c","jti":"j","iat":01,"exp":2}`,                           // a number in another spelling
		`{"iss":"i","sub":"\u0073","aud":"a","client_id":"c","jti":"j","iat":1,"exp":2}`,                       // an escape that is not needed
		`{"iss":"i","sub":"s","aud":"a","client_id":"c","jti":"j","iat":1,"exp":2,"sub":"admin"}`,              // a claim twice
		`{"iss":"i","sub":"s","aud":"a","client_id":"c","jti":"j","iat":1,"exp":2,"x":"1","a":"2"}`,            // custom claims out of order
		`{"iss":"i","sub":"s","aud":"a","client_id":"c","jti":"j","iat":1,"exp":2,"\u017fub":"admin"}`,         // a long s
		`{"iss":"i","sub":"s","aud":"a","client_id":"c","jti":"j","iat":1,"exp":2} `,                           // white space
		"{\"iss\":\"\xff\",\"sub\":\"s\",\"aud\":\"a\",\"client_id\":\"c\",\"jti\":\"j\",\"iat\":1,\"exp\":2}", // not UTF-8
		`{"iss":"i","sub":"s","aud":"a","client_id":"c","jti":"j","iat":1,"exp":2,"x":["a","b"]}`,
		`{"iss":"i","sub":"s","aud":"a","nonce":"n","auth_time":1,"amr":["pop"],"jti":"j","iat":1,"exp":2}`,
		`{"iss":"i","sub":"s","aud":"a","auth_time":1,"nonce":"n","jti":"j","iat":1,"exp":2}`, // in another order
		`{"iss":"i","sub":"s","aud":"a","auth_time":0,"amr":[],"jti":"j","iat":1,"exp":2}`,    // said, and nothing
		`{"iss":"i","sub":"s","aud":"a","cnf":{"jkt":"k","x":"y"},"jti":"j","iat":1,"exp":2}`, // bound twice
		`{"iss":"i\"\\\u0001","sub":"s","aud":"a","client_id":"c","jti":"j","iat":9223372036854775807,"exp":0}`,
	} {
		f.Add(short.Header(nil), []byte(payload))
	}
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		token, err := ReadToken(header, payload)
		if err != nil {
			if !errors.Is(err, ErrNotCanonical) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(token.Header(nil), header) || !bytes.Equal(token.Payload(nil), payload) {
			t.Fatalf("read from other bytes than it is written in: %+v", token)
		}
		// And an ordinary reader of JSON sees the same.
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatalf("not JSON: %v", err)
		}
		for name, want := range map[string]string{"iss": token.Issuer, "sub": token.Subject, "jti": token.JTI, "client_id": token.ClientID,
			"scope": token.Scope, "nonce": token.Nonce, "acr": token.ACR, "sid": token.Session} {
			got, there := claims[name]
			if there != (want != "") && name != "iss" && name != "sub" && name != "jti" || there && got != want {
				t.Fatalf("JSON says %v, ReadToken %+v", claims, token)
			}
		}
		if cnf, there := claims["cnf"].(map[string]any); there != (token.KeyThumbprint != "") || there && (len(cnf) != 1 || cnf["jkt"] != token.KeyThumbprint) {
			t.Fatalf("JSON says %v, ReadToken %+v", claims, token)
		}
	})
}

func TestReadTokenRefusesOtherSpellings(t *testing.T) {
	good := samplePerson()
	header, payload := string(good.Header(nil)), string(good.Payload(nil))
	for name, c := range map[string][2]string{
		"header with a space":        {strings.Replace(header, ",", ", ", 1), payload},
		"header in another order":    {`{"typ":"at+jwt","alg":"ES256","kid":"k1"}`, payload},
		"header with another":        {strings.Replace(header, "}", `,"jku":"https://evil.example"}`, 1), payload},
		"header with a receipt":      {strings.Replace(header, "}", `,"rcpt":"x"}`, 1), payload},
		"header with a member less":  {`{"alg":"ES256","typ":"at+jwt"}`, payload},
		"payload with nbf":           {header, strings.Replace(payload, `,"exp"`, `,"nbf":1,"exp"`, 1)},
		"exp as text":                {header, strings.Replace(payload, `"exp":1790000300`, `"exp":"1790000300"`, 1)},
		"exp as a float":             {header, strings.Replace(payload, `"exp":1790000300`, `"exp":1790000300.0`, 1)},
		"negative iat":               {header, strings.Replace(payload, `"iat":1790000000`, `"iat":-1`, 1)},
		"iat too large":              {header, strings.Replace(payload, `"iat":1790000000`, `"iat":9223372036854775808`, 1)},
		"a number for a claim":       {header, strings.Replace(payload, `"dept":"a\"b\\c\u0001é"`, `"dept":1`, 1)},
		"an upper-case escape":       {header, strings.Replace(payload, `\u0001`, `\u001F`, 1)},
		"a short escape":             {header, strings.Replace(payload, `\u0001`, `\n`, 1)},
		"an escaped slash":           {header, strings.Replace(payload, "https://id", `https:\/\/id`, 1)},
		"nested lists":               {header, strings.Replace(payload, `["x","y"]`, `[["x"],"y"]`, 1)},
		"a list with a comma":        {header, strings.Replace(payload, `["x","y"]`, `["x","y",]`, 1)},
		"a standard claim":           {header, strings.Replace(payload, `"dept"`, `"act"`, 1)},
		"a standard claim's capital": {header, strings.Replace(payload, `"dept"`, `"ROLES"`, 1)},
		"a claim twice":              {header, strings.Replace(payload, `"teams"`, `"dept"`, 1)},
		"an empty scope":             {header, strings.Replace(payload, `"scope":"read write"`, `"scope":""`, 1)},
		"an empty client":            {header, strings.Replace(payload, `"client_id":"ci"`, `"client_id":""`, 1)},
		"an empty nonce":             {header, strings.Replace(payload, `,"auth_time"`, `,"nonce":"","auth_time"`, 1)},
		"an empty acr":               {header, strings.Replace(payload, `"acr":"phr"`, `"acr":""`, 1)},
		"an empty session":           {header, strings.Replace(payload, `"sid":"session-7"`, `"sid":""`, 1)},
		"no methods":                 {header, strings.Replace(payload, `["hwk","user"]`, `[]`, 1)},
		"methods as text":            {header, strings.Replace(payload, `["hwk","user"]`, `"hwk"`, 1)},
		"auth_time of nothing":       {header, strings.Replace(payload, `"auth_time":1789999000`, `"auth_time":0`, 1)},
		"auth_time as text":          {header, strings.Replace(payload, `"auth_time":1789999000`, `"auth_time":"1789999000"`, 1)},
		"a sign-in in another order": {header, strings.Replace(payload, `"acr":"phr","amr":["hwk","user"]`, `"amr":["hwk","user"],"acr":"phr"`, 1)},
		"bound to no key":            {header, strings.Replace(payload, thumbprint, "", 1)},
		"bound twice":                {header, strings.Replace(payload, `"},"jti"`, `","x5t#S256":"x"},"jti"`, 1)},
		"bound by a certificate":     {header, strings.Replace(payload, `{"jkt"`, `{"x5t#S256"`, 1)},
		"a list of one":              {header, strings.Replace(payload, `"aud":"https://api.example"`, `"aud":["https://api.example"]`, 1)},
		"cut":                        {header, payload[:len(payload)-1]},
		"longer":                     {header, payload + "}"},
		"nothing":                    {"", ""},
	} {
		if c[0] == header && c[1] == payload {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ReadToken([]byte(c[0]), []byte(c[1])); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestStandardClaimsInDisguise(t *testing.T) {
	for _, name := range []string{"iss", "ISS", "Aud", "\u017fub", "\u212aid", "cli\u0065nt_id", "ro\u017f", "role\u017f", "rcpt", "RCPT"} {
		if name == "ro\u017f" {
			continue
		}
		if !StandardClaim(name) {
			t.Errorf("%q passes as custom", name)
		}
	}
	for _, name := range []string{"dept", "Dept", "https://acme.example/sub", "", "é"} {
		if StandardClaim(name) {
			t.Errorf("%q is taken for a standard claim", name)
		}
	}
}

func FuzzFrames(f *testing.F) {
	frame := func(typ byte, body string) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(9+len(body)))
		return append(binary.BigEndian.AppendUint64(append(b, typ), 7), body...)
	}
	f.Add(append(frame(1, "hello"), frame(2, "")...))
	f.Add([]byte{0, 0, 0, 8})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r, rest := NewFrameReader(bytes.NewReader(stream)), stream
		for fresh := false; ; fresh = !fresh {
			ready := r.Ready()
			got, err := r.Next(fresh)
			if ready && errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal("a frame that is not whole was ready")
			}
			if err != nil {
				if len(rest) >= 4 {
					n := uint64(binary.BigEndian.Uint32(rest))
					if n >= 9 && n <= MaxFrame-4 && uint64(len(rest)) >= 4+n {
						t.Fatalf("a whole frame was refused: %v", err)
					}
				}
				return
			}
			n := binary.BigEndian.Uint32(rest)
			if want := rest[13 : 4+n]; !bytes.Equal(got.Body, want) || byte(got.Type) != rest[4] || got.ID != binary.BigEndian.Uint64(rest[5:]) {
				t.Fatalf("got %+v, want a body of %x", got, want)
			}
			rest = rest[4+n:]
		}
	})
}

func TestFrameLimits(t *testing.T) {
	for _, n := range []uint32{0, 8, MaxFrame - 3, 1 << 31} {
		b := append(binary.BigEndian.AppendUint32(nil, n), make([]byte, 64)...)
		if _, err := NewFrameReader(bytes.NewReader(b)).Next(true); !errors.Is(err, ErrMalformed) {
			t.Errorf("a frame of %d bytes: %v", n, err)
		}
	}
	b := append(binary.BigEndian.AppendUint32(nil, 20), make([]byte, 12)...)
	if _, err := NewFrameReader(bytes.NewReader(b)).Next(true); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a frame cut short: %v", err)
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	w := NewFrameWriter(ours)
	if err := w.Write(MsgMint, 1, func(b []byte) []byte { return append(b, make([]byte, MaxFrame)...) }); err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("a frame over the limit was sent: %v", err)
	}
}

// A peer that does not read must not hold its caller for ever.
func TestAStuckPeerEndsTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		w, words := NewFrameWriter(ours), func(b []byte) []byte { return append(b, "nobody reads this"...) }
		go NewFrameReader(theirs).Next(true)
		if err := w.Write(MsgMint, 1, words); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeSlack) // the first one's deadline serves the second one too
		began := time.Now()
		if err := w.Write(MsgMint, 2, words); err == nil || time.Since(began) != writeTime {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if err := w.Write(MsgMint, 3, words); err == nil {
			t.Error("written though the peer was given up")
		}
	})
}

func TestControlAnswers(t *testing.T) {
	answer := func(v any, err error) []byte {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			_ = NewFrameWriter(theirs).WriteJSON(MsgRotate, 3, v, err)
			theirs.Close()
		}()
		f, ferr := NewFrameReader(ours).Next(true)
		if ferr != nil || f.Type != MsgRotate || f.ID != 3 {
			t.Fatalf("got %+v, %v", f, ferr)
		}
		return f.Body
	}
	var got Rotated
	if err := ReadJSONAnswer(answer(Rotated{From: "a", To: "b"}, nil), &got); err != nil || got != (Rotated{"a", "b"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	err := ReadJSONAnswer(answer(nil, Refuse(SpareTooYoung, "not yet")), &got)
	if refusal := (*Refusal)(nil); !errors.As(err, &refusal) || *refusal != (Refusal{SpareTooYoung, "not yet"}) {
		t.Errorf("got %v", err)
	}
	// What is not a refusal stays inside: it may say anything.
	err = ReadJSONAnswer(answer(nil, errors.New("open /secret/path: permission denied")), &got)
	if !errors.Is(err, Refuse(Unavailable, "")) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	for name, body := range map[string]string{
		"nothing": "", "another lead": "\x02{}", "no JSON": "\x00", "an unknown member": "\x00{\"via\":\"c\"}",
		"two objects": "\x00{}{}", "a refusal that is none": "\x01[]",
	} {
		if err := ReadJSONAnswer([]byte(body), &got); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestKeysAreGatheredFromPages(t *testing.T) {
	ctx := t.Context()
	signer := newFakeSigner()
	pages := []Keys{
		{Generation: 4, Keys: []Key{{KID: "a"}}, More: "acme"},
		{Generation: 5, Keys: []Key{{KID: "b"}}}, // changed in between
		{Generation: 5, Keys: []Key{{KID: "a2"}}, More: "acme"},
		{Generation: 5, Keys: []Key{{KID: "b2"}}},
	}
	var asked []KeysQuery
	ours, theirs := net.Pipe()
	signer.conns <- ours
	go func() {
		r, w := NewFrameReader(theirs), NewFrameWriter(theirs)
		for _, page := range pages {
			f, err := r.Next(true)
			if err != nil {
				return
			}
			var q KeysQuery
			if err := ReadJSON(f.Body, &q); err != nil {
				return
			}
			asked = append(asked, q)
			_ = w.WriteJSON(f.Type, f.ID, page, nil)
		}
	}()
	c := NewCaller(ctx, signer.dial, nil)
	keys, err := c.Keys(ctx, KeysQuery{After: 3})
	if err != nil || len(keys.Keys) != 2 || keys.Keys[0].KID != "a2" || keys.Keys[1].KID != "b2" || keys.Generation != 5 {
		t.Fatalf("got %+v, %v", keys, err)
	}
	want := []KeysQuery{{After: 3}, {From: "acme"}, {}, {From: "acme"}}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
}

func TestIDsAndKinds(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewJTI()
		if !ValidJTI(id) || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
	for _, bad := range []string{"", strings.Repeat("a", 15), strings.Repeat("a", 65), "0123456789abcde+", "0123456789abcdé", "0123456789 abcdef"} {
		if ValidJTI(bad) {
			t.Errorf("%q is a token id", bad)
		}
	}
	for kind, family := range map[Kind]Family{AccessToken: FamilyAccess, IDToken: FamilyID} {
		if f, ok := kind.Family(); !ok || f != family || !slices.Equal(f.Kinds(), []string{string(kind)}) || !slices.Contains(Families(), f) {
			t.Errorf("%s is of the family %s, which signs %s", kind, f, f.Kinds())
		}
	}
	for _, kind := range []Kind{"", "jwt", "AT+JWT", "application/at+jwt"} {
		if _, ok := kind.Family(); ok {
			t.Errorf("%q has a family", kind)
		}
	}
	if Family("identity").Kinds() != nil || len(Families()) != 2 {
		t.Error("a family signs what it should not")
	}
}
