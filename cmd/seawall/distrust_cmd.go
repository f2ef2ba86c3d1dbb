package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"seawall/internal/server/adminapi"
)

func tokenCommands() []command {
	return []command{
		{name: "revoke", help: "revoke a token, or the tokens of a session, a subject or a client", run: adapt("token revoke", tokenRevoke)},
		{name: "restore", help: "take a revocation back", run: adapt("token restore", tokenRestore)},
	}
}

func distrustCommands() []command {
	return []command{
		{name: "list", help: "list what is distrusted now", run: adapt("distrust list", distrustList)},
	}
}

const reasonHelp = "`REASON`: key-compromise, leaked-token, provider-hygiene, admin, user or mistake"

func keysDistrust(ctx context.Context, c *call) error {
	f := newFlags(c, "KID --tenant TENANT --reason REASON [--final] [--young-spare] [--undo] [--yes]",
		"Ends the trust in a key: validators that follow the distrust feed refuse its tokens within a second, introspection\nat once, and it leaves the key document. When it is the key that signs, the spare takes its place in the same\nact. The private part is destroyed. A suspended key can be given back with --undo, and then only verifies.")
	to, asJSON, tenant, yes := f.seawall(), f.json(), f.tenant(), f.yes()
	var q adminapi.Distrust
	f.StringVar(&q.Reason, "reason", "", reasonHelp)
	f.needs("reason")
	f.BoolVar(&q.Final, "final", false, "revoke it for good")
	f.BoolVar(&q.YoungSpare, "young-spare", false, "let a spare take over that validators may not know yet")
	f.BoolVar(&q.Undo, "undo", false, "give a suspended key back")
	words, err := f.parse("KID")
	if err != nil {
		return err
	}
	q.Kind, q.Value = "key", words[0]
	done, err := distrust(ctx, c, to, *tenant, q, *yes, words[0])
	if err != nil {
		return err
	}
	return c.tell(*asJSON, done, "Key %s of %s is %s; %s signs.\n", done.KID, *tenant, stepWord(done.Step), orNobody(done.Signs))
}

func stepWord(step string) string {
	switch step {
	case "key.suspended":
		return "suspended"
	case "key.revoked":
		return "revoked for good"
	}
	return "given back, to verify only"
}

func orNobody(kid string) string {
	if kid == "" {
		return "no key"
	}
	return kid
}

func tokenRevoke(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT (--jti JTI | --token-from-stdin | --session ID | --subject ID | --client ID) --reason REASON [--yes]",
		"Revokes one token, or all tokens that a session, a subject or a client has now. Tokens that are issued afterwards\ncount. It says nothing about anybody's account, blocks no sign-in, and can be taken back with token restore.")
	to, asJSON, tenant, yes := f.seawall(), f.json(), f.tenant(), f.yes()
	var q adminapi.Distrust
	f.StringVar(&q.Reason, "reason", "", reasonHelp)
	f.needs("reason")
	jti := f.String("jti", "", "`JTI` of the token")
	fromStdin := f.Bool("token-from-stdin", false, "read the token from standard input; only its jti is used")
	session := f.String("session", "", "`ID` of the session")
	subject := f.String("subject", "", "`ID` of the subject")
	client := f.String("client", "", "`ID` of the client")
	before := f.String("before", "", "only tokens issued before this `TIME`: 2026-03-31T12:00:00Z, or 2h for two hours ago")
	if _, err := f.parse(); err != nil {
		return err
	}
	for _, one := range [...][2]string{{"token", *jti}, {"session", *session}, {"subject", *subject}, {"client", *client}} {
		if one[1] != "" && q.Kind != "" {
			return f.wrong("it revokes one thing at a time: a token, a session, a subject or a client")
		}
		if one[1] != "" {
			q.Kind, q.Value = one[0], one[1]
		}
	}
	if *fromStdin && q.Kind != "" || !*fromStdin && q.Kind == "" {
		return f.wrong("say what to revoke: --jti, --token-from-stdin, --session, --subject or --client")
	}
	if *fromStdin {
		id, err := readTokenID(c.in)
		if err != nil {
			return err
		}
		q.Kind, q.Value = "token", id
	}
	if *before != "" {
		t, err := parseMoment(*before, time.Now())
		if err != nil {
			return f.wrong("--before %v", err)
		}
		q.Before = t.Unix()
	}
	done, err := distrust(ctx, c, to, *tenant, q, *yes, q.Value)
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, done)
	}
	d := done.Statement
	_, err = fmt.Fprintf(c.out, "Revoked: %s %s of %s (statement %d). Take it back with: seawall token restore %d --tenant %s --reason mistake\n",
		d.Kind, d.Value, *tenant, d.N, d.N, *tenant)
	return err
}

// maxToken is more than any token of ours.
const maxToken = 64 << 10

// readTokenID takes the jti out of a token on standard input. What it reads is never shown, and goes nowhere.
func readTokenID(in io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	parts := strings.Split(strings.TrimSpace(string(raw)), ".")
	notOne := hint(errors.New("what is on standard input is not a token of ours: it has no jti"), "pipe the token in as it is, or name it by --jti")
	if len(raw) > maxToken || len(parts) != 3 {
		return "", notOne
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", notOne
	}
	var claims struct {
		ID string `json:"jti"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.ID == "" {
		return "", notOne
	}
	return claims.ID, nil
}

func tokenRestore(ctx context.Context, c *call) error {
	f := newFlags(c, "N --tenant TENANT [--reason REASON] [--yes]", "Takes a revocation back, named by the number of its statement: the very tokens count again that have not ended\nmeanwhile. A key is given back with keys distrust --undo.")
	to, asJSON, tenant, yes := f.seawall(), f.json(), f.tenant(), f.yes()
	q := adminapi.Distrust{}
	f.StringVar(&q.Reason, "reason", "mistake", reasonHelp)
	words, err := f.parse("N")
	if err != nil {
		return err
	}
	if q.Restores, err = strconv.ParseUint(words[0], 10, 64); err != nil || q.Restores == 0 {
		return f.wrong("'%s' is not the number of a statement", words[0])
	}
	done, err := distrust(ctx, c, to, *tenant, q, *yes, words[0])
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, done)
	}
	d := done.Statement
	_, err = fmt.Fprintf(c.out, "Taken back: %s %s of %s counts again (statement %d).\n", d.Kind, d.Value, *tenant, d.N)
	return err
}

func distrustList(ctx context.Context, c *call) error {
	f := newFlags(c, "--tenant TENANT", "Lists what is distrusted now: what was neither taken back nor concerns only tokens that have ended.")
	to, asJSON, tenant := f.seawall(), f.json(), f.tenant()
	if _, err := f.parse(); err != nil {
		return err
	}
	all, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) ([]adminapi.Statement, error) {
		return o.Distrusted(ctx, *tenant)
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, map[string]any{"tenant": *tenant, "statements": orEmpty(all)})
	}
	now := time.Now()
	t := table{head: []string{"N", "KIND", "NAME", "TOKENS ISSUED BEFORE", "REASON", "STATED", "MATTERS UNTIL"}}
	for _, d := range all {
		before := "any time"
		if !d.Before.IsZero() {
			before = moment(d.Before, now)
		}
		t.add(strconv.FormatUint(d.N, 10), d.Kind, d.Value, before, d.Reason, moment(d.Time, now), moment(d.Until, now))
	}
	return t.write(c.out, "Nothing is distrusted.")
}

// distrust shows whom q affects, has it confirmed by name, and does it.
func distrust(ctx context.Context, c *call, to *reach, tenant string, q adminapi.Distrust, yes bool, name string) (*adminapi.Distrusted, error) {
	return operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Distrusted, error) {
		seen, err := o.PreviewDistrust(ctx, tenant, q)
		if err != nil {
			return nil, err
		}
		preview := previewDistrust(tenant, &q, seen, time.Now())
		if q.Kind == "client" {
			var refused *adminapi.Error
			if _, err := o.Client(ctx, tenant, q.Value); errors.As(err, &refused) && refused.Code == adminapi.CodeNotFound {
				// It is done all the same: a house whose database was set back does not know every client that has tokens.
				preview = append(preview, "  note      "+tenant+" has no client "+q.Value+" now: is the name right?")
			}
		}
		if err := agree(c, yes, name, preview); err != nil {
			return nil, err
		}
		return o.Distrust(ctx, tenant, q)
	})
}

// previewDistrust says what will happen, to whom, and how it can be undone.
func previewDistrust(tenant string, q *adminapi.Distrust, p *adminapi.DistrustPreview, now time.Time) []string {
	verb, undo := "will be refused", "seawall token restore, with the number that the answer shows"
	what := fmt.Sprintf("The tokens of the %s %s", q.Kind, q.Value)
	switch {
	case q.Kind == "token":
		what = "The token " + q.Value
	case q.Kind == "key" && q.Undo:
		what, verb, undo = "The tokens under the key "+q.Value, "will count again", "distrust it again"
	case q.Kind == "key" && q.Final:
		what, undo = "The tokens under the key "+q.Value, "none: a revoked key stays revoked"
	case q.Kind == "key":
		what, undo = "The tokens under the key "+q.Value, "seawall keys distrust --undo gives it back, to verify only"
	case p.Restores != nil:
		what, verb, undo = fmt.Sprintf("The tokens of the %s %s", p.Restores.Kind, p.Restores.Value), "will count again", "revoke again"
	}
	if q.Before != 0 {
		what += ", as far as they were issued before " + time.Unix(q.Before, 0).UTC().Format("2006-01-02 15:04:05 UTC") + ","
	}
	more := ""
	if p.AtLeast {
		more = "at least "
	}
	lines := []string{fmt.Sprintf("%s of %s %s.", what, tenant, verb),
		fmt.Sprintf("  alive     %s%s of %s", more, many(int(p.Tokens), "token"), many(p.Subjects, "subject"))}
	if p.Tokens > 0 {
		lines = append(lines, "  clients   "+sharesText(p.Clients), "  APIs      "+sharesText(p.APIs), "  ends      the last of them ends by itself "+moment(p.LastEnds, now))
	}
	if p.KeyState != "" && !q.Undo {
		lines = append(lines, "  key       "+keyText(p, now))
	}
	return append(lines, "  people    nobody's account is touched, and no sign-in is blocked", "  undo      "+undo)
}

func keyText(p *adminapi.DistrustPreview, now time.Time) string {
	switch {
	case p.KeyState != "active":
		return "it is " + p.KeyState + " and does not sign: nothing takes its place"
	case p.NextKey == "":
		return "it signs, and no other key can yet"
	case p.NextKnown.After(now):
		return fmt.Sprintf("it signs; %s takes its place, which validators may not know before %s", p.NextKey, moment(p.NextKnown, now))
	}
	return fmt.Sprintf("it signs; %s takes its place, published %s: every validator knows it", p.NextKey, moment(p.NextPublished, now))
}

// mostShares is how many names a preview shows.
const mostShares = 5

func sharesText(list []adminapi.Share) string {
	var parts []string
	for i, s := range list {
		if i == mostShares {
			parts = append(parts, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s (%d)", s.Name, s.Tokens))
	}
	return strings.Join(parts, ", ")
}
