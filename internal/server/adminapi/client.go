package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Socket is where the API listens, relative to the house's directory.
const Socket = "run/admin.sock"

const (
	// answerTime bounds one call: an act waits for the ledger and for the signer.
	answerTime = 30 * time.Second
	maxAnswer  = 16 << 20
	// maxSocketPath is what sockaddr_un holds on Linux, less its final NUL.
	maxSocketPath = 107
)

// Operator talks to a running house. Make one with [Dial] or [Over]; it needs
// no Close.
type Operator struct {
	base    string
	http    http.Client
	explain func(error) error                          // what a call that got no answer means
	other   func(context.Context, *Operator) *Operator // for what the socket may not do; nil: nobody
}

// Dial returns an operator of the house whose directory is houseDir. It does not
// connect: the first call does, and says [CodeNotRunning] when nobody answers.
func Dial(houseDir string) *Operator {
	socket := filepath.Join(houseDir, Socket)
	o := Over("http://seawall", &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, socket) },
	})
	o.http.Timeout = answerTime
	o.explain = func(err error) error { return noSocket(socket, err) }
	return o
}

// Or lets another operator do what o may not do because its socket only reads.
// other is asked for it, with o, when it is needed, and may return nil.
func (o *Operator) Or(other func(context.Context, *Operator) *Operator) *Operator {
	o.other = other
	return o
}

// Over returns an operator whose calls go to base, without a slash at its end,
// by way of t. What t says when there is no answer is returned as it is.
func Over(base string, t http.RoundTripper) *Operator {
	return &Operator{base: base, explain: withoutURL, http: http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// withoutURL takes off what net/http puts around an error: the method and the URL of our own call, which mean nothing to who
// typed a command.
func withoutURL(err error) error {
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// dialSocket connects to path. One that is too long for the kernel is reached
// through a descriptor of its directory.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	if len(path) <= maxSocketPath {
		return d.DialContext(ctx, "unix", path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return d.DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(int(dir.Fd()))+"/"+filepath.Base(path))
}

// CreateTenant creates a tenant.
func (o *Operator) CreateTenant(ctx context.Context, q CreateTenant) (*Tenant, error) {
	return call[Tenant](ctx, o, "POST", q, "tenants")
}

// Tenants lists all tenants by id.
func (o *Operator) Tenants(ctx context.Context) ([]Tenant, error) {
	return list[Tenant](ctx, o, "tenants")
}

// Tenant returns one tenant.
func (o *Operator) Tenant(ctx context.Context, tenant string) (*Tenant, error) {
	return call[Tenant](ctx, o, "GET", nil, "tenants", tenant)
}

// DisableTenant stops a tenant's issuance for good; its key document stays.
func (o *Operator) DisableTenant(ctx context.Context, tenant string) (*Tenant, error) {
	return call[Tenant](ctx, o, "POST", struct{}{}, "tenants", tenant, "disable")
}

// CreateAPI registers an API.
func (o *Operator) CreateAPI(ctx context.Context, tenant string, q CreateAPI) (*API, error) {
	return call[API](ctx, o, "POST", q, "tenants", tenant, "apis")
}

// APIs lists a tenant's APIs by audience.
func (o *Operator) APIs(ctx context.Context, tenant string) ([]API, error) {
	return list[API](ctx, o, "tenants", tenant, "apis")
}

// API returns one API, named by audience or api_id.
func (o *Operator) API(ctx context.Context, tenant, api string) (*API, error) {
	return call[API](ctx, o, "GET", nil, "tenants", tenant, "apis", api)
}

// DisableAPI stops tokens for an API, named by audience or api_id.
func (o *Operator) DisableAPI(ctx context.Context, tenant, api string) (*API, error) {
	return call[API](ctx, o, "POST", struct{}{}, "tenants", tenant, "apis", api, "disable")
}

// CreateClient registers a client.
func (o *Operator) CreateClient(ctx context.Context, tenant string, q CreateClient) (*Client, error) {
	return call[Client](ctx, o, "POST", q, "tenants", tenant, "clients")
}

// Clients lists a tenant's clients by id.
func (o *Operator) Clients(ctx context.Context, tenant string) ([]Client, error) {
	return list[Client](ctx, o, "tenants", tenant, "clients")
}

// Client returns one client.
func (o *Operator) Client(ctx context.Context, tenant, client string) (*Client, error) {
	return call[Client](ctx, o, "GET", nil, "tenants", tenant, "clients", client)
}

// DisableClient stops a client for good.
func (o *Operator) DisableClient(ctx context.Context, tenant, client string) (*Client, error) {
	return call[Client](ctx, o, "POST", struct{}{}, "tenants", tenant, "clients", client, "disable")
}

// SetRedirects changes where people come back to after signing in to a client, and out of it.
func (o *Operator) SetRedirects(ctx context.Context, tenant, client string, q SetRedirects) (*Client, error) {
	return call[Client](ctx, o, "POST", q, "tenants", tenant, "clients", client, "redirects")
}

// RotateSecret gives a client a new secret.
func (o *Operator) RotateSecret(ctx context.Context, tenant, client string, q RotateSecret) (*Client, error) {
	return call[Client](ctx, o, "POST", q, "tenants", tenant, "clients", client, "rotate-secret")
}

// Keys lists a tenant's keys, newest first.
func (o *Operator) Keys(ctx context.Context, tenant string) ([]Key, error) {
	return list[Key](ctx, o, "tenants", tenant, "keys")
}

// RotateKeys promotes a tenant's spare keys now. A spare that validators may not
// know yet stays one, with the time when it will be old enough.
func (o *Operator) RotateKeys(ctx context.Context, tenant string, q RotateKeys) (*Rotated, error) {
	return call[Rotated](ctx, o, "POST", q, "tenants", tenant, "keys", "rotate")
}

// AcceptClock tells the signer that a jump of the clock is known and good.
func (o *Operator) AcceptClock(ctx context.Context) (*ClockAccepted, error) {
	return call[ClockAccepted](ctx, o, "POST", struct{}{}, "clock", "accept")
}

// Status tells how seawall is.
func (o *Operator) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, o, "GET", nil, "status")
}

// PreviewDistrust tells what it would mean to believe something no more, or again. It changes nothing.
func (o *Operator) PreviewDistrust(ctx context.Context, tenant string, q Distrust) (*DistrustPreview, error) {
	return call[DistrustPreview](ctx, o, "POST", q, "tenants", tenant, "distrust", "preview")
}

// Distrust has something believed no more, or again.
func (o *Operator) Distrust(ctx context.Context, tenant string, q Distrust) (*Distrusted, error) {
	return call[Distrusted](ctx, o, "POST", q, "tenants", tenant, "distrust")
}

// Distrusted lists what is distrusted now.
func (o *Operator) Distrusted(ctx context.Context, tenant string) ([]Statement, error) {
	return list[Statement](ctx, o, "tenants", tenant, "distrust")
}

// Items is how lists travel: an object, so that members can be added.
type Items[T any] struct {
	Items []T `json:"items"`
}

func list[T any](ctx context.Context, o *Operator, path ...string) ([]T, error) {
	answer, err := call[Items[T]](ctx, o, "GET", nil, path...)
	if err != nil {
		return nil, err
	}
	return answer.Items, nil
}

func call[T any](ctx context.Context, o *Operator, method string, question any, path ...string) (*T, error) {
	return ask[T](ctx, o, method, question, nil, path...)
}

func ask[T any](ctx context.Context, o *Operator, method string, question any, query url.Values, path ...string) (*T, error) {
	answer, err := askOne[T](ctx, o, method, question, query, path...)
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == CodeReadOnly && o.other != nil {
		if other := o.other(ctx, o); other != nil {
			return askOne[T](ctx, other, method, question, query, path...)
		}
	}
	return answer, err
}

// Answer is the body of an answer that was given in this process. Its value need
// not become JSON to be read again, which would cost more than most answers do;
// whoever reads the body gets the JSON all the same.
type Answer interface {
	io.ReadCloser
	Answer() any
}

func askOne[T any](ctx context.Context, o *Operator, method string, question any, query url.Values, path ...string) (*T, error) {
	var body io.Reader
	if question != nil {
		b, err := json.Marshal(question)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	to := o.base + "/v1"
	for _, p := range path {
		to += "/" + pathSegment(p)
	}
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := o.http.Do(req)
	if err != nil {
		return nil, o.explain(err)
	}
	defer resp.Body.Close()
	if here, ok := resp.Body.(Answer); ok && resp.StatusCode == http.StatusOK {
		if answer, ok := here.Answer().(T); ok {
			return &answer, nil
		}
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of seawall's admin API: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, refusal(resp.StatusCode, raw)
	}
	answer := new(T)
	if err := json.Unmarshal(raw, answer); err != nil {
		return nil, errors.New("seawall's admin API gave an answer that this program can't read: are both the same version?")
	}
	return answer, nil
}

// pathSegment escapes s for a path. Dots alone would be taken for a step up.
func pathSegment(s string) string {
	if s == "." || s == ".." {
		return "%2E" + s[1:]
	}
	return url.PathEscape(s)
}

func refusal(status int, raw []byte) error {
	e := &Error{Status: status}
	if json.Unmarshal(raw, e) != nil || e.Code == "" {
		e.Code, e.Description = CodeServer, fmt.Sprintf("seawall's admin API answered with status %d and no reason", status)
	}
	return e
}

// noSocket turns a failed connection into what a person can act on.
func noSocket(socket string, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" {
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
			return &Error{Code: CodeUnavailable, Description: "seawall did not answer in time",
				Hint: "see what it is doing with `seawall status`; an act that was begun is finished by itself"}
		}
		var path *os.PathError
		if !errors.As(err, &path) {
			return fmt.Errorf("talking to seawall's admin API: %w", err)
		}
	}
	if errors.Is(err, os.ErrPermission) {
		return &Error{Code: CodeForbidden, Description: "this user may not operate seawall: " + socket + " is closed to it",
			Hint: "run the command as the user who started `seawall up`"}
	}
	return &Error{Code: CodeNotRunning, Description: "seawall is not running: nobody answers at " + socket,
		Hint: "start it with `seawall up --data DIR --listen HOST:PORT`, or name its data directory with --data"}
}
