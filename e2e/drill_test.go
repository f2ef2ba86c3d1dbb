package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

type drillReport struct {
	Passed  bool    `json:"passed"`
	Seconds float64 `json:"seconds"`
	Steps   []struct {
		Name    string  `json:"name"`
		Passed  bool    `json:"passed"`
		Seawall verdict `json:"seawall"`
		Twin    verdict `json:"twin"`
	} `json:"steps"`
}

type verdict struct {
	Accepted bool   `json:"accepted"`
	Code     string `json:"code"`
}

func runDrill(t *testing.T, binary string) (report drillReport, status int) {
	t.Helper()
	cmd := exec.Command(binary, "drill", "run", "storm-0558", "--json")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if _, exit := err.(*exec.ExitError); err != nil && !exit {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("the drill's report: %v\n%s%s", err, out, stderr.String())
	}
	return report, cmd.ProcessState.ExitCode()
}

func TestDrillStorm0558(t *testing.T) {
	report, status := runDrill(t, program)
	if !report.Passed || status != 0 {
		t.Fatalf("the drill failed with status %d: %+v", status, report)
	}
	want := map[string]string{
		"genuine token": "", "consumer key": "key_issuer", "expired key": "key_expired", "smuggled key": "key_statement",
		"perfect forgery": "receipt_missing", "moved receipt": "receipt_mismatch", "other ledger key": "receipt_key",
		"rewritten signature": "", "re-signed token": "", "swapped documents": "ledger_pin",
		"genuine sign-in": "", "sign-in by the API's key": "key_kind", "sign-in by access token": "typ",
		"access by the sign-in key": "key_kind", "access by ID token": "typ",
	}
	for _, s := range report.Steps {
		code, known := want[s.Name]
		delete(want, s.Name)
		if !known || s.Seawall.Code != code || s.Seawall.Accepted != (code == "") {
			t.Errorf("step %q: %+v, want code %q", s.Name, s.Seawall, code)
		}
		if !s.Twin.Accepted {
			t.Errorf("step %q: the ordinary library refused it, so the step shows no difference", s.Name)
		}
	}
	for name := range want {
		t.Errorf("step %q is missing", name)
	}
}

// A drill that would pass without the defence it names proves nothing. Each case takes one defence out of validate, by
// an overlay at build time, and the drill must see it, in the step that names it.
func TestDrillSeesEachMissingDefence(t *testing.T) {
	kinds := []edit{{"validate/check.go", "case !kind:\n\t\treturn CodeKeyKind", "case false:\n\t\treturn CodeKeyKind"}}
	types := []edit{
		{"validate/header.go", "if h.kind == \"\" {\n\t\treturn CodeTyp", "if false {\n\t\treturn CodeTyp"},
		{"validate/rule.go", "if !slices.Contains(i.types, w.header.kind) {\n\t\treturn CodeTyp", "if false {\n\t\treturn CodeTyp"},
	}
	for _, c := range []struct {
		name  string
		step  string // that must fail
		edits []edit
	}{
		{"key binding", "consumer key", []edit{
			{"validate/keyset.go", "return k.bound && !k.issuer.match(iss, tid)", "return false"},
			{"validate/keyset.go", "if k.flaw == \"\" && !k.names(iss) && set.literal[string(iss)] {", "if false {"},
		}},
		{"key expiry", "expired key", []edit{{"validate/keyset.go", "case k.hasExp && !k.exp.after(now):", "case false:"}}},
		{"key statement", "smuggled key", []edit{{"validate/keyset.go", "case k.unvouched:\n\t\treturn CodeKeyStatement", "case false:\n\t\treturn CodeKeyStatement"}}},
		{"receipt presence", "perfect forgery", []edit{{"validate/check.go", "if w.bare == nil {\n\t\treturn CodeReceiptMissing", "if w.bare == nil {\n\t\treturn \"\""}}},
		{"receipt signature", "moved receipt", []edit{{"validate/verify.go", "if !ed25519.Verify(k.public, w.signed, r.Signature[:]) {", "if false {"}}},
		{"receipt key", "other ledger key", []edit{{"validate/verify.go", "code := CodeReceiptKey\n", "code := Code(\"\")\n"}}},
		{"key kinds at the application", "sign-in by the API's key", kinds},
		{"key kinds at the API", "access by the sign-in key", kinds},
		{"types at the application", "sign-in by access token", types},
		{"types at the API", "access by ID token", types},
		{"ledger pin", "swapped documents", []edit{{"validate/keyset.go", "case wire.Pin(root) != pin:", "case wire.Pin(root) == \"\":"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, status := runDrill(t, buildWithout(t, c.edits))
			if report.Passed || status != 1 {
				t.Fatalf("the drill passed with status %d without the defence", status)
			}
			for _, s := range report.Steps {
				if s.Name == c.step && s.Passed {
					t.Errorf("step %q passed without the defence", s.Name)
				}
			}
		})
	}
}
