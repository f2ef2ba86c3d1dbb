package grant

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"seawall/internal/oauth"
)

const (
	// MaxBody is the largest request body, in bytes. An RSA-signed client assertion is about 1 KiB.
	MaxBody       = 16 << 10
	maxParameters = 64
)

// Form holds the parameters of one request, in their order. Reading it is strict: a parameter that is not spelled in
// exactly one way is refused, because the next program to read it might see something else.
type Form struct {
	few  [12]parameter // what any honest request fits into
	list []parameter
}

type parameter struct{ name, value string }

// Value returns the value of the parameter called name, or "" when it is missing or empty, which RFC 6749 §3.2 makes
// the same.
func (f *Form) Value(name string) string {
	for i := range f.list {
		if f.list[i].name == name {
			return f.list[i].value
		}
	}
	return ""
}

// Has reports whether there is a parameter called name, even an empty one.
func (f *Form) Has(name string) bool {
	for i := range f.list {
		if f.list[i].name == name {
			return true
		}
	}
	return false
}

// Values returns the values of a parameter that may be repeated, without empty ones.
func (f *Form) Values(name string) []string {
	var list []string
	for i := range f.list {
		if f.list[i].name == name && f.list[i].value != "" {
			list = append(list, f.list[i].value)
		}
	}
	return list
}

// ReadForm reads the body of a POST request. repeatable names the one parameter that may come more than once ("" for
// none); RFC 6749 §3.2 forbids it for all others, known or not. The error is an *[oauth.Error].
func ReadForm(r *http.Request, repeatable string) (*Form, error) {
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return ParseForm(body, repeatable)
}

var (
	errQuery = oauth.Errorf(oauth.InvalidRequest, "The URL has a query. Parameters belong in the body of the request, and credentials must never be part of a URL.")
	errType  = oauth.Errorf(oauth.InvalidRequest, "The body must be of the type application/x-www-form-urlencoded, which exactly one Content-Type header says.")
	errLong  = &oauth.Error{Code: oauth.InvalidRequest, Status: http.StatusRequestEntityTooLarge, Description: "The body is longer than 16 KiB."}
	errBody  = oauth.Errorf(oauth.InvalidRequest, "The body could not be read to its end.")
	errForm  = oauth.Errorf(oauth.InvalidRequest, "The form is malformed: names and values must be percent-encoded UTF-8 without control characters.")
	errMany  = oauth.Errorf(oauth.InvalidRequest, "The form has more than 64 parameters.")
	errTwice = oauth.Errorf(oauth.InvalidRequest, "A parameter is repeated (RFC 6749, section 3.2).")
)

// checkRequest looks at everything around the body. A query is refused as a whole: URLs end up in logs and histories,
// so the client's developer should learn early not to put anything there. The one exception is not the developer's doing.
func checkRequest(r *http.Request) error {
	if (r.URL.RawQuery != "" || r.URL.ForceQuery) && !correlation(r.URL.RawQuery) {
		return errQuery
	}
	if types := r.Header["Content-Type"]; len(types) != 1 || !formType(types[0]) {
		return errType
	}
	if len(r.Header["Content-Encoding"]) != 0 {
		return errType
	}
	if r.ContentLength > MaxBody {
		return errLong
	}
	return nil
}

// correlation reports whether a query is the name that Microsoft's libraries give each of their requests, a UUID, and nothing
// else. It means nothing to us.
func correlation(query string) bool {
	id, ok := strings.CutPrefix(query, "client-request-id=")
	return ok && len(id) == 36 && strings.Trim(id, "0123456789abcdef-") == ""
}

// formType accepts the media type alone or with a charset of UTF-8.
func formType(s string) bool {
	const form = "application/x-www-form-urlencoded"
	if s == form {
		return true
	}
	media, parameters, more := strings.Cut(s, ";")
	if !strings.EqualFold(strings.TrimSpace(media), form) {
		return false
	}
	parameters = strings.TrimSpace(parameters)
	return !more || parameters == "" || strings.EqualFold(parameters, "charset=utf-8") || strings.EqualFold(parameters, `charset="utf-8"`)
}

// bodies holds buffers one byte larger than the largest body, so that a longer one shows.
var bodies = sync.Pool{New: func() any { return new([MaxBody + 1]byte) }}

func readBody(r *http.Request) (string, error) {
	buf := bodies.Get().(*[MaxBody + 1]byte)
	n, err := io.ReadFull(r.Body, buf[:])
	body := string(buf[:n])
	clear(buf[:n]) // it may hold a credential
	bodies.Put(buf)
	switch err {
	case io.EOF, io.ErrUnexpectedEOF:
		return body, nil
	case nil:
		return "", errLong
	}
	return "", errBody
}

// ParseForm reads an application/x-www-form-urlencoded body: see [ReadForm].
func ParseForm(body, repeatable string) (*Form, error) {
	f := new(Form)
	f.list = f.few[:0]
	for rest, more := body, body != ""; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		if len(f.list) == maxParameters {
			return nil, errMany
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, ok := unescape(rawName)
		value, ok2 := unescape(rawValue)
		if !ok || !ok2 || name == "" {
			return nil, errForm
		}
		if name != repeatable && f.Has(name) {
			return nil, errTwice
		}
		f.list = append(f.list, parameter{name, value})
	}
	return f, nil
}

// unescape decodes percent-encoding and "+" (WHATWG URL §5.1). It refuses escapes that are cut short, text that is not
// UTF-8 and control characters. Text without escapes is returned as it is.
func unescape(s string) (string, bool) {
	i := 0
	for i < len(s) && s[i] != '%' && s[i] != '+' && s[i] >= 0x20 && s[i] < 0x7f {
		i++
	}
	if i == len(s) {
		return s, true
	}
	b := make([]byte, i, len(s))
	copy(b, s)
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", false
			}
			c, i = unhex(s[i+1])<<4|unhex(s[i+2]), i+2
		}
		if c < 0x20 || c == 0x7f {
			return "", false
		}
		b = append(b, c)
	}
	if !utf8.Valid(b) {
		return "", false
	}
	return string(b), true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
