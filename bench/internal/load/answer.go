//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

var (
	endOfHeader  = []byte("\r\n\r\n")
	lengthHeader = []byte("\r\nContent-Length: ")
	good         = []byte("HTTP/1.1 200 OK\r\n")
	oauthError   = regexp.MustCompile(`"error":\s*"([a-z_]{1,40})"`)
)

// complete reports whether raw holds one whole HTTP answer, and its body. It understands what Go's servers
// send to a small request on a keep-alive connection and refuses the rest.
func complete(raw []byte) (body []byte, done bool, err error) {
	header, body, found := bytes.Cut(raw, endOfHeader)
	if !found {
		return nil, false, nil
	}
	_, value, found := bytes.Cut(header, lengthHeader)
	if !found {
		return nil, false, errors.New("the answer has no Content-Length")
	}
	value, _, _ = bytes.Cut(value, []byte("\r\n"))
	length, err := strconv.Atoi(string(value))
	switch {
	case err != nil || length < 0:
		return nil, false, errors.New("the answer's Content-Length is not a number")
	case len(body) < length:
		return nil, false, nil
	case len(body) > length:
		return nil, false, errors.New("bytes follow the answer")
	}
	return body, true, nil
}

// check refuses an answer that is not 200 or lacks what is expected. The error never holds the body, which
// may be a token.
func check(raw, body, expect []byte) error {
	if !bytes.HasPrefix(raw, good) {
		status, _, _ := bytes.Cut(raw, []byte("\r\n"))
		code := "no OAuth error code"
		if match := oauthError.FindSubmatch(body); match != nil {
			code = string(match[1])
		}
		return fmt.Errorf("a request was answered %q (%s)", status, code)
	}
	if !bytes.Contains(body, expect) {
		return fmt.Errorf("an answer of %d bytes lacks %s", len(body), expect)
	}
	return nil
}
