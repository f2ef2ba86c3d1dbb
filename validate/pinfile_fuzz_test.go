package validate

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzPin: what is read can be written and read again without a difference, so a pin that people
// review is the pin that counts.
func FuzzPin(f *testing.F) {
	const rest = `"jwks_uri":"https://id.example/keys","algorithms":["ES256","RS256"],"types":["JWT"],"only_these_keys":`
	f.Add([]byte(`{"seawall_issuer_pin":1,"issuer":"https://id.example",` + rest + `false,"keys":[]}`))
	f.Add([]byte(`{"seawall_issuer_pin":1,"issuer":"https://id.example/{tenantid}","key_issuer":"x","tenants":[],"claims":[{"path":["a","b"],"one_of":[]},{"path":["c"]}],` + rest +
		`true,"keys":[{"kid":"a","thumbprint":"b","algorithms":["ES256"],"issuer":"\u0041"}]}`))
	f.Add([]byte(`{"seawall_issuer_pin":2}`))
	f.Add([]byte(`{"keys":[{"kid":1}],"claims":{},"types":[[]]}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := ParsePin(file)
		if err != nil {
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := ParsePin(again); err != nil || !reflect.DeepEqual(p, q) {
			t.Errorf("read %+v, wrote %s, read %+v, %v", p, again, q, err)
		}
	})
}

// FuzzMetadata: what a strange server says about itself is read as any reader of JSON would.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://id.example","jwks_uri":"https://id.example/keys","id_token_signing_alg_values_supported":["RS256"],"x":{"a":1,"a":2}}`))
	f.Add([]byte(`{"issuer":1,"jwks_uri":null,"seawall_ledger":{}}`))
	f.Add([]byte(`{"issuer":"\ud800","issuer":"b"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, ok := readMetadata(body)
		var all map[string]any
		if !ok || !utf8.Valid(body) || json.Unmarshal(body, &all) != nil {
			return
		}
		issuer, _ := all["issuer"].(string)
		jwks, _ := all["jwks_uri"].(string)
		if _, ledger := all["seawall_ledger"]; m.issuer != issuer || m.jwks != jwks || m.ledger != ledger {
			t.Errorf("read %+v of %q", m, body)
		}
	})
}
