package grant

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"seawall/internal/oauth"
)

func TestParseForm(t *testing.T) {
	good := map[string][]parameter{
		"":                        nil,
		"&":                       nil,
		"a=1":                     {{"a", "1"}},
		"a=1&b=2":                 {{"a", "1"}, {"b", "2"}},
		"a=1&&b=2&":               {{"a", "1"}, {"b", "2"}},
		"a":                       {{"a", ""}},
		"a=":                      {{"a", ""}},
		"a=b=c":                   {{"a", "b=c"}},
		"a=x+y%20z%2B%26%3D":      {{"a", "x y z+&="}},
		"%61=%C3%A9":              {{"a", "é"}},
		"a=é":                     {{"a", "é"}},
		"resource=1&resource=2":   {{"resource", "1"}, {"resource", "2"}},
		"resource=1&res%6Furce=1": {{"resource", "1"}, {"resource", "1"}},
	}
	for body, want := range good {
		f, err := ParseForm(body, "resource")
		if err != nil || !slices.Equal(f.list, want) {
			t.Errorf("%q: got %v, %v", body, f, err)
		}
	}
	bad := map[string]error{
		"a=1&a=2":                        errTwice,
		"a=1&a=1":                        errTwice,
		"a&a=1":                          errTwice,
		"a=1&%61=2":                      errTwice,
		"scope=a&x=1&scope=b":            errTwice,
		"=1":                             errForm,
		"=":                              errForm,
		"a=%":                            errForm,
		"a=%4":                           errForm,
		"a=%zz":                          errForm,
		"a=%00":                          errForm,
		"a=1%0a":                         errForm,
		"a=\r":                           errForm,
		"a=%7f":                          errForm,
		"a=%ff":                          errForm,
		"a=%C3":                          errForm,
		"a\x00=1":                        errForm,
		"a=\xff":                         errForm,
		strings.Repeat("resource=&", 65): errMany,
	}
	for body, want := range bad {
		if f, err := ParseForm(body, "resource"); !errors.Is(err, want) || f != nil {
			t.Errorf("%.40q: got %v, want %v", body, err, want)
		}
	}
	if _, err := ParseForm("resource=1&resource=2", ""); !errors.Is(err, errTwice) {
		t.Errorf("nothing may be repeated: got %v", err)
	}
}

func TestReadForm(t *testing.T) {
	r := func(target, body string, header ...string) *http.Request {
		r := httptest.NewRequest("POST", target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		return r
	}
	typed := func(types ...string) *http.Request {
		r := r("/t", "a=1")
		r.Header["Content-Type"] = types
		return r
	}
	chunked := r("/t", strings.Repeat("a", MaxBody+1))
	chunked.ContentLength, chunked.Body = -1, io.NopCloser(io.MultiReader(strings.NewReader("a="), strings.NewReader(strings.Repeat("a", MaxBody))))
	broken := r("/t", "")
	broken.ContentLength, broken.Body = 10, io.NopCloser(io.MultiReader(strings.NewReader("a=1"), brokenReader{}))
	for name, c := range map[string]struct {
		r    *http.Request
		want error
	}{
		"plain":                    {r("/t", "a=1"), nil},
		"charset":                  {typed("application/x-www-form-urlencoded; charset=UTF-8"), nil},
		"quoted charset":           {typed(`application/x-www-form-urlencoded;charset="utf-8"`), nil},
		"case":                     {typed("Application/X-WWW-Form-URLEncoded"), nil},
		"largest":                  {r("/t", "a="+strings.Repeat("b", MaxBody-2)), nil},
		"too long":                 {r("/t", "a="+strings.Repeat("b", MaxBody-1)), errLong},
		"too long, chunked":        {chunked, errLong},
		"cut":                      {broken, errBody},
		"query":                    {r("/t?client_secret=x", "a=1"), errQuery},
		"empty query":              {r("/t?", "a=1"), errQuery},
		"correlation":              {r("/t?client-request-id=6e948251-8d8a-44a3-8d5d-fa17258f6ea4", "a=1"), nil},
		"correlation and more":     {r("/t?client-request-id=6e948251-8d8a-44a3-8d5d-fa17258f6ea4&a=2", "a=1"), errQuery},
		"no correlation at all":    {r("/t?client-request-id=sws_prod_0123456789abcdefghijklmnopqr", "a=1"), errQuery},
		"no type":                  {typed(), errType},
		"two types":                {typed("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"), errType},
		"JSON":                     {typed("application/json"), errType},
		"multipart":                {typed("multipart/form-data; boundary=x"), errType},
		"other charset":            {typed("application/x-www-form-urlencoded; charset=utf-16"), errType},
		"compressed":               {r("/t", "a=1", "Content-Encoding", "gzip"), errType},
		"look-alike type":          {typed("application/x-www-form-urlencodedx"), errType},
		"type with two parameters": {typed("application/x-www-form-urlencoded; charset=utf-8; charset=utf-16"), errType},
	} {
		f, err := ReadForm(c.r, "")
		if !errors.Is(err, c.want) || (c.want == nil) != (f != nil) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if errLong.Status != http.StatusRequestEntityTooLarge {
		t.Error("a long body is not a 413")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

// FuzzParseForm compares with net/url: whatever we accept, it reads in the same way, and no name comes twice.
func FuzzParseForm(f *testing.F) {
	for _, s := range []string{"", "a=1&b=2", "a=x+y%20z%2B", "resource=1&resource=2", "a=%C3%A9", "a=b=c", "&&a", "a=%", "a=1&%61=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := ParseForm(body, "resource")
		if err != nil {
			if e := (*oauth.Error)(nil); !errors.As(err, &e) || e.Code != oauth.InvalidRequest {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if strings.Contains(body, ";") {
			return // net/url refuses semicolons, which are plain characters to the WHATWG
		}
		values, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("accepted %q, which net/url refuses: %v", body, err)
		}
		n := 0
		for name, list := range values {
			if name != "resource" && len(list) > 1 {
				t.Fatalf("%q comes %d times", name, len(list))
			}
			n += len(list)
			if form.Value(name) != list[0] && name != "resource" {
				t.Fatalf("%q is %q, and net/url says %q", name, form.Value(name), list[0])
			}
		}
		if n != len(form.list) {
			t.Fatalf("%d parameters, and net/url sees %d", len(form.list), n)
		}
	})
}

func FuzzReadBasic(f *testing.F) {
	for _, s := range []string{"", "Basic", "Basic Y2k6cw==", "basic  Y2k6cw==", "Basic Y2k6cw", "Bearer x", "Basic OnM=", "Basic Y2klMDA6cw=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		b, err := ReadBasic(http.Header{"Authorization": {value}})
		if err != nil {
			if b != nil {
				t.Fatal("credentials came with an error")
			}
			return
		}
		if b == nil || b.ID == "" || b.Secret.IsZero() {
			t.Fatal("accepted without an id or a secret")
		}
		again := url.QueryEscape(b.ID) + ":" + url.QueryEscape(b.Secret.Reveal())
		c, err := ReadBasic(http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(again))}})
		if len(again) < 3000 && (err != nil || c.ID != b.ID || !c.Secret.Equal(b.Secret)) {
			t.Fatal("the same credentials, written again, are read in another way")
		}
	})
}

// TestBodyBuffersAreWiped looks into the pool: a credential must not stay there.
func TestBodyBuffersAreWiped(t *testing.T) {
	for range 100 {
		if _, err := ReadForm(request("client_secret=marker-of-a-secret"), ""); err != nil {
			t.Fatal(err)
		}
		buf := bodies.Get().(*[MaxBody + 1]byte)
		if bytes.Contains(buf[:], []byte("marker")) {
			t.Fatal("a body is left in the pool")
		}
		bodies.Put(buf)
	}
}
