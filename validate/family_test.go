package validate_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/validatetest"
)

const (
	clientID       = "shop"
	logoutEvent    = "http://schemas.openid.net/event/backchannel-logout"
	sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
)

// judges are one judge of each kind, all for one audience and one issuer, and told to take the types.
type judges struct {
	access *validate.Validator
	id     *validate.IDTokens
	logout *validate.LogoutTokens
	event  *validate.SecurityEvents
}

func newJudges(t *testing.T, issuer *validatetest.Issuer, types ...string) (j judges) {
	t.Helper()
	c := validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Now: issuer.Clock().Now, Types: types}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	j.id, err = validate.NewIDTokens(clientID, c)
	must(err)
	j.logout, err = validate.NewLogoutTokens(clientID, c, nil)
	must(err)
	c.Audiences = []string{clientID}
	j.access, err = validate.New(c)
	must(err)
	j.event, err = validate.NewSecurityEvents(c)
	must(err)
	return j
}

// of gives what each judge says about a token: a code, or "" for accepted.
func (j judges) of(t *testing.T, raw string) (verdicts [4]validate.Code) {
	t.Helper()
	ctx := context.Background()
	_, access := j.access.Token(ctx, raw)
	_, id := j.id.Token(ctx, raw, validate.Login{Nonce: "n"})
	_, logout := j.logout.Token(ctx, raw)
	_, event := j.event.Token(ctx, raw)
	for n, err := range []error{access, id, logout, event} {
		var refusal *validate.Error
		if errors.As(err, &refusal) {
			verdicts[n] = refusal.Code
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return verdicts
}

// Every kind of token meets every judge: once with the types that standards give them, and once with
// everything alike, issuer, key, audience and the type JWT, so that only what they say can tell them
// apart. (An access token of type JWT without nonce, and an ID token as an access token, are told
// apart by their audiences in practice; here the nonce does, and a claim rule would.)
func TestKindsAreNeverConfused(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		issuer := validatetest.NewIssuer(validatetest.Config{Foreign: foreign, Clock: still()})
		aud := validatetest.Claims{"aud": clientID}
		prover := validatetest.NewProver("", issuer.Clock())
		tokens := []func(...validatetest.Defect) string{
			func(d ...validatetest.Defect) string { return issuer.Token(aud, d...) },
			func(d ...validatetest.Defect) string {
				return issuer.IDToken(validatetest.Claims{"aud": clientID, "nonce": "n"}, d...)
			},
			func(d ...validatetest.Defect) string { return issuer.LogoutToken(aud, d...) },
			func(d ...validatetest.Defect) string { return issuer.SecurityEvent(aud, d...) },
			func(...validatetest.Defect) string { return prover.Proof("x", "GET", itemsURL, aud) },
		}
		typ := validate.CodeTyp
		standard := [5][4]validate.Code{
			{"", typ, typ, typ},
			{typ, "", typ, typ},
			{typ, typ, "", typ},
			{typ, typ, typ, ""},
			{typ, typ, typ, typ},
		}
		j := newJudges(t, issuer)
		for n, token := range tokens {
			if got := j.of(t, token()); got != standard[n] {
				t.Errorf("foreign %v, kind %d by its type: %q, want %q", foreign, n, got, standard[n])
			}
		}
		if !foreign {
			continue // a seawall issuer has a key for each kind, which settles it
		}
		kind := validate.CodeKind
		alike := [4][4]validate.Code{
			{"", validate.CodeNonce, kind, kind},
			{"", "", kind, kind}, // an ID token whose audience is an API's is an access token by all that it says
			{kind, kind, "", kind},
			{kind, kind, kind, ""},
		}
		j = newJudges(t, issuer, "JWT")
		for n, token := range tokens[:4] {
			if got := j.of(t, token(validatetest.Type("JWT"))); got != alike[n] {
				t.Errorf("kind %d by what it says: %q, want %q", n, got, alike[n])
			}
		}
		// Even the type of another kind does not help: a judge that was told to take it looks further.
		j = newJudges(t, issuer, "at+jwt", "JWT", "logout+jwt", "secevent+jwt")
		alike[2][0], alike[3][0] = kind, kind
		for n, token := range tokens[:4] {
			if got := j.of(t, token()); got != alike[n] {
				t.Errorf("kind %d where all types are taken: %q, want %q", n, got, alike[n])
			}
		}
	}
	// The type at+jwt says what a token is; then a claim named events is one that nobody knows.
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: still()})
	accepted(t, newValidator(t, issuer), issuer.Token(validatetest.Claims{"aud": audience, "events": map[string]any{}}))
}

func TestIDTokens(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: still()})
	foreign := validatetest.NewIssuer(validatetest.Config{Clock: issuer.Clock(), Foreign: true, URL: "https://other.invalid", Algorithm: validate.EdDSA})
	ids, err := validate.NewIDTokens(clientID, validate.Config{Issuers: []validate.Issuer{issuer.Trusted(), foreign.Trusted()}, Audiences: []string{"sister"}, Now: issuer.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	defer ids.Close()
	half := func(sum []byte) string { return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]) }
	s256 := func(text string) string { sum := sha256.Sum256([]byte(text)); return half(sum[:]) }
	s512 := func(text string) string { sum := sha512.Sum512([]byte(text)); return half(sum[:]) }
	now := issuer.Clock().Now().Unix()
	type object = validatetest.Claims
	login := validate.Login{Nonce: "n"}
	for name, c := range map[string]struct {
		change object
		login  validate.Login
		needs  []validate.Requirement
		want   validate.Code
	}{
		"good":                  {object{}, login, nil, ""},
		"no typ":                {nil, login, nil, ""},
		"list of one":           {object{"aud": []string{clientID}}, login, nil, ""},
		"other audience":        {object{"aud": "api"}, login, nil, validate.CodeAudience},
		"no audience":           {object{"aud": nil}, login, nil, validate.CodeAudience},
		"stranger beside":       {object{"aud": []string{clientID, "stranger"}, "azp": clientID}, login, nil, validate.CodeAudience},
		"sister beside":         {object{"aud": []string{clientID, "sister"}, "azp": clientID}, login, nil, ""},
		"sister, no azp":        {object{"aud": []string{clientID, "sister"}}, login, nil, validate.CodeClient},
		"sister alone":          {object{"aud": "sister"}, login, nil, validate.CodeAudience},
		"azp":                   {object{"azp": clientID}, login, nil, ""},
		"other azp":             {object{"azp": "sister"}, login, nil, validate.CodeClient},
		"empty azp":             {object{"azp": ""}, login, nil, validate.CodeClaims},
		"no nonce":              {object{"nonce": nil}, login, nil, validate.CodeNonce},
		"other nonce":           {object{"nonce": "N"}, login, nil, validate.CodeNonce},
		"nonce is a list":       {object{"nonce": []string{"n"}}, login, nil, validate.CodeNonce},
		"nonce unasked":         {object{}, validate.Login{}, nil, validate.CodeNonce},
		"empty nonce unasked":   {object{"nonce": ""}, validate.Login{}, nil, validate.CodeNonce},
		"none asked, none sent": {object{"nonce": nil}, validate.Login{}, nil, ""},
		"at_hash":               {object{"at_hash": s256("at")}, validate.Login{Nonce: "n", AccessToken: "at"}, nil, ""},
		"at_hash unasked":       {object{"at_hash": "x"}, login, nil, ""},
		"other at_hash":         {object{"at_hash": s256("other")}, validate.Login{Nonce: "n", AccessToken: "at"}, nil, validate.CodeHash},
		"no at_hash":            {object{}, validate.Login{Nonce: "n", AccessToken: "at"}, nil, validate.CodeHash},
		"whole at_hash":         {object{"at_hash": base64.RawURLEncoding.EncodeToString(sha256.New().Sum(nil))}, validate.Login{Nonce: "n", AccessToken: "at"}, nil, validate.CodeHash},
		"at_hash as c_hash":     {object{"c_hash": s256("at")}, validate.Login{Nonce: "n", AccessToken: "at"}, nil, validate.CodeHash},
		"c_hash":                {object{"c_hash": s256("code"), "at_hash": s256("at")}, validate.Login{Nonce: "n", AccessToken: "at", Code: "code"}, nil, ""},
		"other c_hash":          {object{"c_hash": s256("codf")}, validate.Login{Nonce: "n", Code: "code"}, nil, validate.CodeHash},
		"no c_hash":             {object{}, validate.Login{Nonce: "n", Code: "code"}, nil, validate.CodeHash},
		"just signed in":        {object{"auth_time": now - 60}, login, []validate.Requirement{validate.MaxAuthAge(time.Minute)}, ""},
		"long signed in":        {object{"auth_time": now - 61}, login, []validate.Requirement{validate.MaxAuthAge(time.Minute)}, validate.CodeAuthTime},
		"sign-in unknown":       {object{"auth_time": nil}, login, []validate.Requirement{validate.MaxAuthAge(time.Minute)}, validate.CodeAuthTime},
		"acr":                   {object{"acr": "phr"}, login, []validate.Requirement{validate.RequireACR("phr")}, ""},
		"other acr":             {object{"acr": "pwd"}, login, []validate.Requirement{validate.RequireACR("phr")}, validate.CodeACR},
		"events":                {object{"events": object{}}, login, nil, validate.CodeKind},
		"expired":               {object{"iat": now - 600, "exp": now - 60}, login, nil, validate.CodeExpired},
		"no exp":                {object{"exp": nil}, login, nil, validate.CodeClaims},
		"no iat":                {object{"iat": nil}, login, nil, validate.CodeClaims},
		"no sub":                {object{"sub": nil}, login, nil, validate.CodeClaims},
		"other issuer":          {object{"iss": "https://elsewhere.invalid"}, login, nil, validate.CodeIssuer},
	} {
		all := object{"aud": clientID, "nonce": "n"}
		maps.Copy(all, c.change)
		raw := issuer.IDToken(all)
		if c.change == nil {
			raw = foreign.IDToken(all, validatetest.Type(""))
		}
		token, err := ids.Token(context.Background(), raw, c.login, c.needs...)
		if c.want == "" && (err != nil || token.Subject() != "someone") || c.want != "" && (!errors.Is(err, c.want) || token != nil) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	raw := foreign.IDToken(object{"aud": clientID, "at_hash": s512("at"), "jti": "j", "sid": "s", "acr": "phr", "amr": []string{"hwk"}, "tid": "t", "secret": "secret-claim"})
	token, err := ids.Token(context.Background(), raw, validate.Login{AccessToken: "at"})
	if err != nil {
		t.Fatal(err)
	}
	at, ok := token.AuthTime()
	var all map[string]any
	if err := token.Claims(&all); err != nil || all["secret"] != "secret-claim" {
		t.Error(err)
	}
	if token.Issuer() != "https://other.invalid" || token.ID() != "j" || token.SessionID() != "s" || token.ACR() != "phr" || token.Tenant() != "t" || !ok || at.Unix() != now ||
		!reflect.DeepEqual(token.AMR(), []string{"hwk"}) || !reflect.DeepEqual(token.Audience(), []string{clientID}) || token.IssuedAt().Unix() != now || token.Expires().Unix() != now+600 {
		t.Errorf("got %v", all)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", token, *token, token, token); strings.Contains(text, "secret") || strings.Contains(text, "someone") {
		t.Errorf("printed: %s", text)
	}
	for _, token := range ids.Stats().Tokens {
		if token.Audience != "" && token.Audience != clientID {
			t.Errorf("counted %+v", token)
		}
	}
}

func TestLogoutTokens(t *testing.T) {
	clock := still()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	logouts, err := validate.NewLogoutTokens(clientID, validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Now: clock.Now}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer logouts.Close()
	now := clock.Now().Unix()
	type object = validatetest.Claims
	for name, c := range map[string]struct {
		change object
		want   validate.Code
	}{
		"sub":                {object{}, ""},
		"sid":                {object{"sub": nil, "sid": "s"}, ""},
		"both":               {object{"sid": "s"}, ""},
		"neither":            {object{"sub": nil}, validate.CodeClaims},
		"empty sid":          {object{"sub": nil, "sid": ""}, validate.CodeClaims},
		"odd sid":            {object{"sid": 5}, validate.CodeClaims},
		"empty sub":          {object{"sub": "", "sid": "s"}, validate.CodeClaims},
		"nonce":              {object{"nonce": "n"}, validate.CodeKind},
		"nonce null":         {object{"nonce": json.RawMessage("null")}, validate.CodeKind},
		"no events":          {object{"events": nil}, validate.CodeKind},
		"empty events":       {object{"events": object{}}, validate.CodeKind},
		"events are a text":  {object{"events": logoutEvent}, validate.CodeKind},
		"other event":        {object{"events": object{sessionRevoked: object{}}}, validate.CodeKind},
		"two events":         {object{"events": object{sessionRevoked: object{}, logoutEvent: object{"x": 1}}}, ""},
		"event is no object": {object{"events": object{logoutEvent: true}}, validate.CodeClaims},
		"no jti":             {object{"jti": nil}, validate.CodeClaims},
		"no exp":             {object{"exp": nil}, validate.CodeClaims},
		"no iat":             {object{"iat": nil}, validate.CodeClaims},
		"expired":            {object{"iat": now - 130, "exp": now - 31}, validate.CodeExpired},
		"too long":           {object{"exp": now + 601}, validate.CodeLifetime},
		"other client":       {object{"aud": "other"}, validate.CodeAudience},
	} {
		all := object{"aud": clientID}
		maps.Copy(all, c.change)
		raw := issuer.LogoutToken(all)
		token, err := logouts.Token(context.Background(), raw)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, c.want) || token != nil) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if c.want != "" {
			continue
		}
		if again, err := logouts.Token(context.Background(), raw); again != nil || !errors.Is(err, validate.CodeReplay) {
			t.Errorf("%s: a second use gives %v", name, err)
		}
	}
	full, err := validate.NewLogoutTokens(clientID, validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Now: clock.Now}, validate.NewReplays(1))
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []error{nil, validate.CodeFull} {
		token, err := full.Token(context.Background(), issuer.LogoutToken(object{"aud": clientID, "sid": "s", "jti": fmt.Sprint(n)}))
		if want == nil && (err != nil || token.Issuer() != issuer.URL() || token.Subject() != "someone" || token.SessionID() != "s" || token.ID() != "0" || token.IssuedAt().Unix() != now) || want != nil && !errors.Is(err, want) {
			t.Errorf("%d: %v %v, want %v", n, token, err, want)
		}
	}
}

// TestEveryJudgeIsReadyAndCounts: what is not an access token is watched like one.
func TestEveryJudgeIsReadyAndCounts(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	trusted := []validate.Issuer{issuer.Trusted()}
	ids, err := validate.NewIDTokens(clientID, validate.Config{Issuers: trusted})
	logouts, err2 := validate.NewLogoutTokens(clientID, validate.Config{Issuers: trusted}, nil)
	events, err3 := validate.NewSecurityEvents(validate.Config{Issuers: trusted, Audiences: []string{"receiver"}})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		judge interface {
			Ready(context.Context) error
			Stats() validate.Stats
			Close()
		}
		ask func(raw string) error
		raw string
	}{
		"ID tokens": {ids, func(raw string) error {
			_, err := ids.Token(t.Context(), raw, validate.Login{})
			return err
		}, issuer.IDToken(validatetest.Claims{"aud": clientID})},
		"logout tokens": {logouts, func(raw string) error {
			_, err := logouts.Token(t.Context(), raw)
			return err
		}, issuer.LogoutToken(validatetest.Claims{"aud": clientID})},
		"security events": {events, func(raw string) error {
			_, err := events.Token(t.Context(), raw)
			return err
		}, issuer.SecurityEvent(validatetest.Claims{"aud": "receiver"})},
	} {
		t.Run(name, func(t *testing.T) {
			defer one.judge.Close()
			if err := one.judge.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := one.ask(one.raw); err != nil {
				t.Fatal(err)
			}
			if err := one.ask("nonsense"); !errors.Is(err, validate.CodeMalformed) {
				t.Errorf("nonsense: %v", err)
			}
			counts := map[validate.Code]uint64{}
			for _, c := range one.judge.Stats().Tokens {
				counts[c.Code] += c.Count
			}
			if counts[""] != 1 || counts[validate.CodeMalformed] != 1 || len(counts) != 2 {
				t.Errorf("counted %v", counts)
			}
		})
	}
}

func TestSecurityEvents(t *testing.T) {
	clock := still()
	issuer := validatetest.NewIssuer(validatetest.Config{Clock: clock})
	events, err := validate.NewSecurityEvents(validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}, Audiences: []string{"receiver"}, MaxLifetime: time.Hour, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	now := clock.Now().Unix()
	type object = validatetest.Claims
	for name, c := range map[string]struct {
		change object
		want   validate.Code
	}{
		"good":           {object{}, ""},
		"sub":            {object{"sub": "s"}, ""},
		"list":           {object{"aud": []string{"other", "receiver"}}, ""},
		"other receiver": {object{"aud": "other"}, validate.CodeAudience},
		"no receiver":    {object{"aud": nil}, validate.CodeAudience},
		"exp":            {object{"exp": now + 60}, validate.CodeKind},
		"exp null":       {object{"exp": json.RawMessage("null")}, validate.CodeKind},
		"nonce":          {object{"nonce": "n"}, validate.CodeKind},
		"logout":         {object{"events": object{logoutEvent: object{}}}, validate.CodeKind},
		"no events":      {object{"events": nil}, validate.CodeKind},
		"empty events":   {object{"events": object{}}, validate.CodeClaims},
		"odd events":     {object{"events": []string{sessionRevoked}}, validate.CodeClaims},
		"odd event":      {object{"events": object{sessionRevoked: object{}, "x": 1}}, validate.CodeClaims},
		"no jti":         {object{"jti": nil}, validate.CodeClaims},
		"no iat":         {object{"iat": nil}, validate.CodeClaims},
		"iat to come":    {object{"iat": now + 31}, validate.CodeNotYetValid},
		"an hour old":    {object{"iat": now - 3629}, ""},
		"older":          {object{"iat": now - 3630}, validate.CodeExpired},
	} {
		all := object{"aud": "receiver"}
		maps.Copy(all, c.change)
		// A receipt is given when the token is issued, so an old token has an old one.
		age := time.Duration(0)
		if iat, ok := c.change["iat"].(int64); ok {
			age = time.Duration(iat-now) * time.Second
		}
		raw := issuer.SecurityEvent(all, validatetest.Recorded(age))
		for range 2 { // delivered twice, accepted twice
			token, err := events.Token(context.Background(), raw)
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, c.want) || token != nil) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	}
	token, err := events.Token(context.Background(), issuer.SecurityEvent(object{"aud": "receiver", "jti": "j", "events": object{sessionRevoked: object{"reason_admin": "test"}, "urn:x": object{}}}))
	if err != nil {
		t.Fatal(err)
	}
	var event struct {
		Reason string `json:"reason_admin"`
	}
	found, err := token.Event(sessionRevoked, &event)
	missing, none := token.Event("urn:y", &event)
	if !found || err != nil || event.Reason != "test" || missing || none != nil || !reflect.DeepEqual(token.Events(), []string{sessionRevoked, "urn:x"}) {
		t.Errorf("%v %v %+v, %v %v, %q", found, err, event, missing, none, token.Events())
	}
	var claims struct {
		Subject struct {
			Sub string `json:"sub"`
		} `json:"sub_id"`
	}
	if err := token.Claims(&claims); err != nil || claims.Subject.Sub != "someone" || token.ID() != "j" || token.Issuer() != issuer.URL() || token.IssuedAt().Unix() != now || token.Audience()[0] != "receiver" {
		t.Errorf("%v %+v %v", err, claims, token)
	}
}

func TestFamiliesRefuseWhatHasNoMeaning(t *testing.T) {
	issuer := validatetest.NewIssuer(validatetest.Config{})
	for name, change := range map[string]func(*validate.Config){
		"dpop": func(c *validate.Config) { c.DPoP = &validate.DPoP{} }, "mtls": func(c *validate.Config) { c.RequireMTLS = true }, "remember": func(c *validate.Config) { c.Remember = 5 },
		"no issuer": func(c *validate.Config) { c.Issuers = nil },
	} {
		c := validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}}
		change(&c)
		if i, err := validate.NewIDTokens(clientID, c); i != nil || err == nil {
			t.Errorf("ID tokens take %s", name)
		}
		if l, err := validate.NewLogoutTokens(clientID, c, nil); l != nil || err == nil {
			t.Errorf("logout tokens take %s", name)
		}
		c.Audiences = []string{"a"}
		if s, err := validate.NewSecurityEvents(c); s != nil || err == nil {
			t.Errorf("security events take %s", name)
		}
	}
	c := validate.Config{Issuers: []validate.Issuer{issuer.Trusted()}}
	if _, err := validate.NewIDTokens("", c); err == nil {
		t.Error("ID tokens for nobody")
	}
	if _, err := validate.NewLogoutTokens("", c, nil); err == nil {
		t.Error("logout tokens for nobody")
	}
	if _, err := validate.NewSecurityEvents(c); err == nil {
		t.Error("security events for nobody")
	}
}
