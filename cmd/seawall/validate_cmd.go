package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"seawall/validate"
)

// maxTokenInput bounds what is read from standard input, far above any token that could be accepted.
const maxTokenInput = 1 << 20

// keysWait is how long the command waits for the issuer's keys.
const keysWait = 10 * time.Second

// runValidate reads a token and says whether it is good.
func runValidate(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return adapt("validate", validateToken)(ctx, args, stdin, stdout, stderr)
}

// validateToken tells what a good token says, or the reason code of a bad one. In JSON the claims get one member more: trust,
// which says where the trust in the ledger's root came from.
func validateToken(ctx context.Context, c *call) error {
	f := newFlags(c, "--issuer URL --audience URL [--pin PIN] < token",
		"Reads a token from standard input and checks it as an API would: tells what it says, with --json all its\n"+
			"claims, or one reason code. It follows no distrust feed, so it does not know what was revoked; introspection does.\n"+
			"Without --pin the ledger's root is fetched from the issuer itself, and the answer says so: trust is then \"fetched\"\n"+
			"instead of \"pinned\", and proves only that issuer and token fit together.")
	issuer := f.String("issuer", "", "the tenant's issuer `URL`, as in the token's iss")
	pin := f.String("pin", "", "the `PIN` of the ledger's root (swl1-…), as 'seawall api create' shows it")
	asJSON := f.json()
	audiences := f.list("audience", "the API's `NAME`, as in the token's aud; may be repeated")
	if _, err := f.parse(); err != nil {
		return err
	}
	if *issuer == "" || len(*audiences) == 0 {
		return f.wrong("--issuer and --audience are needed")
	}
	raw, err := io.ReadAll(io.LimitReader(c.in, maxTokenInput))
	if err != nil {
		return fmt.Errorf("reading the token from standard input: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, keysWait)
	defer cancel()
	trusted, trust, err := trustIssuer(ctx, c, *issuer, *pin)
	if err != nil {
		return refusal(c, *asJSON, err)
	}
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{trusted}, Audiences: *audiences})
	if why := (*validate.Error)(nil); errors.As(err, &why) {
		return refusal(c, *asJSON, err)
	}
	if err != nil {
		return usage(err.Error())
	}
	defer v.Close()
	if err := v.Ready(ctx); err != nil {
		return refusal(c, *asJSON, err)
	}
	token, err := v.Token(ctx, string(bytes.TrimSpace(raw)))
	if err != nil {
		return refusal(c, *asJSON, err)
	}
	if *asJSON {
		return writeClaims(c.out, token, trust)
	}
	return showToken(c.out, token, time.Now())
}

// showToken says for a person what an API would learn.
func showToken(w io.Writer, token *validate.Token, now time.Time) error {
	fmt.Fprintln(w, styleFor(w).strong("The token is good."))
	return facts(w,
		[2]string{"issuer", token.Issuer()},
		[2]string{"subject", token.Subject()},
		[2]string{"client", token.Client()},
		[2]string{"audience", strings.Join(token.Audience(), " ")},
		[2]string{"scopes", strings.Join(token.Scopes(), " ")},
		[2]string{"issued", moment(token.IssuedAt(), now)},
		[2]string{"ends", moment(token.Expires(), now)},
		[2]string{"jti", token.ID()},
		[2]string{"revoked", "not asked: this command follows no feed"})
}

// trustIssuer gives the issuer to validate against and where the trust in it came from, which it tells the person too.
func trustIssuer(ctx context.Context, c *call, issuer, pin string) (trusted validate.Issuer, trust string, err error) {
	if pin != "" {
		fmt.Fprintln(c.err, "trust: pinned")
		return validate.SeawallIssuer(issuer, pin), "pinned", nil
	}
	pin, keys, err := validate.FetchPin(ctx, issuer)
	if err != nil {
		return trusted, "", err
	}
	fmt.Fprintf(c.err, "trust: fetched: the issuer itself says that its ledger's pin is %s; compare it and give it as --pin\n", pin)
	return validate.SeawallIssuer(issuer, pin).WithKeys(validate.StaticKeys(keys)), "fetched", nil
}

// writeClaims prints the claims with trust among them; a claim of that name would have to give way.
func writeClaims(out io.Writer, token *validate.Token, trust string) error {
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return err
	}
	claims["trust"] = json.RawMessage(`"` + trust + `"`)
	return writeJSON(out, claims)
}

// refusal prints the reason code for programs and gives the error for people.
func refusal(c *call, asJSON bool, err error) error {
	var why *validate.Error
	if !errors.As(err, &why) {
		return err
	}
	if err := c.tell(asJSON, map[string]validate.Code{"refused": why.Code}, "%s\n", why.Code); err != nil {
		return err
	}
	return hint(err, refusalHints[why.Code]...)
}

// refusalHints say what to try where a mistake in the call is more likely than a bad token.
var refusalHints = map[validate.Code][]string{
	validate.CodeMissing:         {"pipe the token into the command: seawall validate … < token"},
	validate.CodeIssuer:          {"--issuer must be the token's iss, letter by letter"},
	validate.CodeAudience:        {"--audience must be one of the token's aud, letter by letter"},
	validate.CodeDPoPScheme:      {"the token is good only with a proof by its holder's DPoP key, which this command does not have"},
	validate.CodeMTLSMissing:     {"the token is good only with its holder's client certificate, which this command does not have"},
	validate.CodeKeysUnavailable: {"is seawall running, and is --issuer its tenant's issuer?"},
	validate.CodeLedgerPin:       {"'seawall api show' shows the pin; if that is the one you gave, somebody serves other keys than the ledger's"},
}
