package validate_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/validatetest"
)

func decodeToken(t *testing.T, claims validatetest.Claims) *validate.Token {
	t.Helper()
	issuer := validatetest.NewIssuer(validatetest.Config{Foreign: true})
	claims["aud"] = audience
	return accepted(t, newValidator(t, issuer), issuer.Token(claims))
}

func TestClaims(t *testing.T) {
	token := decodeToken(t, validatetest.Claims{
		"SUB": "admin", "text": "ü\n", "int": 7, "big": json.RawMessage("9007199254740993"), "float": 1.5, "yes": true, "nothing": json.RawMessage("null"), "list": []string{"a", "b"},
		"map": map[string]int{"x": 1}, "nested": map[string]any{"deep": map[string]any{"n": 3}}, "when": "2026-09-22T00:00:00Z", "raw": []any{1, "x"}, "inner": "i",
	})
	type deep struct {
		N int8 `json:"n"`
	}
	type inner struct {
		Inner string `json:"inner"`
	}
	var got struct {
		inner
		Subject string  `json:"sub"`
		Text    string  `json:"text"`
		Int     uint8   `json:"int"`
		Big     int64   `json:"big"`
		Number  float64 `json:"float"`
		Yes     bool    `json:"yes"`
		Nothing *string `json:"nothing"`
		List    []string
		list    []string
		Names   []string       `json:"list"`
		Map     map[string]int `json:"map"`
		Nested  struct {
			Deep *deep `json:"deep"`
		} `json:"nested"`
		When   time.Time       `json:"when,omitempty"`
		Raw    json.RawMessage `json:"raw"`
		Hidden string          `json:"-"`
		Any    any             `json:"big2"`
	}
	if err := token.Claims(&got); err != nil {
		t.Fatal(err)
	}
	if got.Subject != "someone" || got.Text != "ü\n" || got.Int != 7 || got.Big != 9007199254740993 || got.Number != 1.5 || !got.Yes || got.Nothing != nil || got.List != nil || got.list != nil ||
		!reflect.DeepEqual(got.Names, []string{"a", "b"}) || got.Map["x"] != 1 || got.Nested.Deep.N != 3 || got.When.Year() != 2026 || string(got.Raw) != `[1,"x"]` || got.Inner != "i" || got.Any != nil {
		t.Errorf("got %+v", got)
	}
	var all map[string]any
	if err := token.Claims(&all); err != nil {
		t.Fatal(err)
	}
	if all["big"] != json.Number("9007199254740993") || all["SUB"] != "admin" || all["sub"] != "someone" || all["nothing"] != nil || !reflect.DeepEqual(all["raw"], []any{json.Number("1"), "x"}) {
		t.Errorf("got %v", all)
	}
	var raw json.RawMessage
	if err := token.Claims(&raw); err != nil || !json.Valid(raw) || !strings.Contains(string(raw), `"SUB":"admin"`) {
		t.Errorf("got %s, %v", raw, err)
	}
}

func TestClaimsRefuses(t *testing.T) {
	token := decodeToken(t, validatetest.Claims{"n": 300, "neg": -1, "frac": 1.5, "text": "secret-claim", "list": []any{1, "x"}, "obj": map[string]any{"a": "secret-claim"}})
	for name, dst := range map[string]any{
		"overflow": new(struct {
			N uint8 `json:"n"`
		}),
		"negative": new(struct {
			N uint `json:"neg"`
		}),
		"fraction": new(struct {
			N int `json:"frac"`
		}),
		"text as number": new(struct {
			N int `json:"text"`
		}),
		"number as text": new(struct {
			N string `json:"n"`
		}),
		"text as bool": new(struct {
			N bool `json:"text"`
		}),
		"mixed list": new(struct {
			N []int `json:"list"`
		}),
		"list as text": new(struct {
			N string `json:"list"`
		}),
		"text as list": new(struct {
			N []string `json:"text"`
		}),
		"text as map": new(struct {
			N map[string]int `json:"text"`
		}),
		"text as struct": new(struct {
			N struct{} `json:"text"`
		}),
		"text as time": new(struct {
			N time.Time `json:"text"`
		}),
		"channel": new(struct {
			N chan int `json:"n"`
		}),
		"interface": new(struct {
			N error `json:"n"`
		}),
		"map of ints":  new(map[int]any),
		"list":         new([]any),
		"map of texts": new(map[string]string),
	} {
		err := token.Claims(dst)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, dst := range []any{nil, struct{}{}, (*struct{})(nil), map[string]any{}} {
		if token.Claims(dst) == nil {
			t.Errorf("%T was taken", dst)
		}
	}
}
