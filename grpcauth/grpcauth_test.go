package grpcauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"seawall/validate"
	"seawall/validate/validatetest"
)

const (
	audience = "https://health.example"
	check    = "/grpc.health.v1.Health/Check"
	watch    = "/grpc.health.v1.Health/Watch"
	list     = "/grpc.health.v1.Health/List"
)

// service is a gRPC server over TLS on loopback, and an issuer that it trusts. Its one service tells who calls.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
	issuer      *validatetest.Issuer
	address     string
	certificate tls.Certificate
	called      chan string // subject of each call that came through; "" for nobody
}

// Check answers once.
func (s *service) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.note(ctx)
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

// List answers once.
func (s *service) List(ctx context.Context, _ *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	s.note(ctx)
	return &grpc_health_v1.HealthListResponse{}, nil
}

// Watch answers in a stream.
func (s *service) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	s.note(stream.Context())
	return stream.Send(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING})
}

func (s *service) note(ctx context.Context) {
	subject := ""
	if token, ok := validate.FromContext(ctx); ok {
		subject = token.Subject()
	}
	s.called <- subject
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serve(t *testing.T, rules map[string]Rule) *service {
	t.Helper()
	s := &service{issuer: validatetest.NewIssuer(validatetest.Config{}), certificate: certificate(t), called: make(chan string, 8)}
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{s.issuer.Trusted()}, Audiences: []string{audience}, Now: s.issuer.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	g, err := New(Config{Validator: v, Methods: rules, Origin: audience, Now: s.issuer.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	s.listen(t, g)
	return s
}

// listen starts the server behind a guard.
func (s *service) listen(t *testing.T, g *Guard) {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{s.certificate}, ClientAuth: tls.RequestClientCert}
	server := grpc.NewServer(append(g.ServerOptions(), grpc.Creds(credentials.NewTLS(config)))...)
	grpc_health_v1.RegisterHealthServer(server, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// call makes one call with metadata, from a client that may show a certificate.
func (s *service) call(t *testing.T, method string, shown *tls.Certificate, md ...string) error {
	t.Helper()
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(s.certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	config := &tls.Config{RootCAs: roots}
	if shown != nil {
		config.Certificates = []tls.Certificate{*shown}
	}
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), metadata.Pairs(md...)), 20*time.Second)
	defer cancel()
	client := grpc_health_v1.NewHealthClient(conn)
	switch method {
	case check:
		_, err = client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	case list:
		_, err = client.List(ctx, &grpc_health_v1.HealthListRequest{})
	case watch:
		var stream grpc.ServerStreamingClient[grpc_health_v1.HealthCheckResponse]
		if stream, err = client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{}); err == nil {
			_, err = stream.Recv()
		}
	}
	return err
}

// who is the subject of the call that came through, "refused" if none did.
func (s *service) who() string {
	select {
	case subject := <-s.called:
		return subject
	default:
		return "refused"
	}
}

// reason is the code and the ErrorInfo of a refusal.
func reason(err error) (codes.Code, string) {
	st := status.Convert(err)
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == Domain {
			return st.Code(), info.Reason
		}
	}
	return st.Code(), ""
}

var rules = map[string]Rule{
	check:                      {Needs: []validate.Requirement{validate.RequireScope("read")}},
	"/grpc.health.v1.Health/*": {Needs: []validate.Requirement{validate.RequireScope("read", "write")}},
}

func TestCallsNeedATokenThatMayMakeThem(t *testing.T) {
	s := serve(t, rules)
	token := func(scope string, defects ...validatetest.Defect) string {
		return s.issuer.Token(validatetest.Claims{"aud": audience, "sub": "alice", "scope": scope}, defects...)
	}
	for _, c := range []struct {
		what, method string
		md           []string
		code         codes.Code
		reason       string
	}{
		{"a good token", check, []string{"authorization", "Bearer " + token("read")}, codes.OK, ""},
		{"in small letters", check, []string{"authorization", "bearer " + token("read")}, codes.OK, ""},
		{"for a stream", watch, []string{"authorization", "Bearer " + token("read write")}, codes.OK, ""},
		{"none", check, nil, codes.Unauthenticated, "MISSING"},
		{"none for a stream", watch, nil, codes.Unauthenticated, "MISSING"},
		{"another scheme", check, []string{"authorization", "Basic " + token("read")}, codes.Unauthenticated, "MISSING"},
		{"two", check, []string{"authorization", "Bearer " + token("read"), "authorization", "Bearer " + token("read")}, codes.Unauthenticated, "REQUEST"},
		{"two in one", check, []string{"authorization", "Bearer " + token("read") + ", Bearer x"}, codes.Unauthenticated, "REQUEST"},
		{"expired", check, []string{"authorization", "Bearer " + token("read", validatetest.Expired)}, codes.Unauthenticated, "EXPIRED"},
		{"by a stolen key", watch, []string{"authorization", "Bearer " + token("read write", validatetest.NoReceipt)}, codes.Unauthenticated, "RECEIPT_MISSING"},
		{"too little", list, []string{"authorization", "Bearer " + token("read")}, codes.PermissionDenied, "INSUFFICIENT_SCOPE"},
		{"too little for a stream", watch, []string{"authorization", "Bearer " + token("write")}, codes.PermissionDenied, "INSUFFICIENT_SCOPE"},
	} {
		err := s.call(t, c.method, nil, c.md...)
		code, why := reason(err)
		if code != c.code || why != c.reason {
			t.Errorf("%s: %v %q, want %v %q", c.what, code, why, c.code, c.reason)
		}
		want := "refused"
		if c.code == codes.OK {
			want = "alice"
		}
		if got := s.who(); got != want {
			t.Errorf("%s: the handler was called for %q, want %q", c.what, got, want)
		}
		if err != nil && len(c.md) == 2 && strings.Contains(err.Error(), c.md[1][10:40]) {
			t.Errorf("%s: the token was repeated", c.what)
		}
	}
}

func TestAMethodWithoutARuleIsClosed(t *testing.T) {
	s := serve(t, map[string]Rule{check: {Public: true}, watch: {}})
	token := "Bearer " + s.issuer.Token(validatetest.Claims{"aud": audience, "sub": "alice"})
	if err := s.call(t, check, nil); err != nil || s.who() != "" {
		t.Errorf("public: %v", err)
	}
	if err := s.call(t, check, nil, "authorization", "Bearer garbage"); err != nil || s.who() != "" {
		t.Errorf("public, with garbage: %v", err)
	}
	if err := s.call(t, watch, nil, "authorization", token); err != nil || s.who() != "alice" {
		t.Errorf("any good token: %v", err)
	}
	if code, why := reason(s.call(t, list, nil, "authorization", token)); code != codes.PermissionDenied || why != "NO_RULE" || s.who() != "refused" {
		t.Errorf("no rule: %v %q", code, why)
	}
}

func TestBoundTokensNeedTheirSender(t *testing.T) {
	s := serve(t, rules)
	mine, other := certificate(t), certificate(t)
	thumbprint := sha256.Sum256(mine.Certificate[0])
	claims := func(cnf map[string]any) string {
		return s.issuer.Token(validatetest.Claims{"aud": audience, "sub": "alice", "scope": "read", "cnf": cnf})
	}
	bound := "Bearer " + claims(map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:])})
	prover := validatetest.NewProver("", s.issuer.Clock())
	proven := claims(prover.Confirmation())
	proof := prover.Proof(proven, "POST", audience+check)
	for _, c := range []struct {
		what   string
		shown  *tls.Certificate
		md     []string
		reason string
	}{
		{"its certificate", &mine, []string{"authorization", bound}, ""},
		{"no certificate", nil, []string{"authorization", bound}, "MTLS_MISSING"},
		{"another's certificate", &other, []string{"authorization", bound}, "MTLS_MISMATCH"},
		{"its proof", nil, []string{"authorization", "DPoP " + proven, "dpop", proof}, ""},
		{"its proof again", nil, []string{"authorization", "DPoP " + proven, "dpop", proof}, "DPOP_REPLAY"},
		{"no proof", nil, []string{"authorization", "DPoP " + proven}, "DPOP_MISSING"},
		{"a proof for another method", nil, []string{"authorization", "DPoP " + proven, "dpop", prover.Proof(proven, "POST", audience+list)}, "DPOP_URL"},
		{"as a bearer token", nil, []string{"authorization", "Bearer " + proven}, "DPOP_SCHEME"},
	} {
		code, why := reason(s.call(t, check, c.shown, c.md...))
		if why != c.reason || (code == codes.OK) != (c.reason == "") || (s.who() == "alice") != (c.reason == "") {
			t.Errorf("%s: %v %q, want %q", c.what, code, why, c.reason)
		}
	}
}

// TestWithoutKeysNobodyKnows: the call may be made again, so it is Unavailable.
func TestWithoutKeysNobodyKnows(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := dead.Addr().String()
	dead.Close()
	s := &service{issuer: validatetest.NewIssuer(validatetest.Config{}), certificate: certificate(t), called: make(chan string, 8)}
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{s.issuer.Trusted().WithKeys(validate.RemoteKeys("http://" + address + "/jwks"))}, Audiences: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	g, err := New(Config{Validator: v, Methods: rules})
	if err != nil {
		t.Fatal(err)
	}
	s.listen(t, g)
	token := s.issuer.Token(validatetest.Claims{"aud": audience, "scope": "read"})
	if code, why := reason(s.call(t, check, nil, "authorization", "Bearer "+token)); code != codes.Unavailable || why != "KEYS_UNAVAILABLE" || s.who() != "refused" {
		t.Errorf("%v %q", code, why)
	}
}

func TestRulesThatCantBeMeantAreRefused(t *testing.T) {
	v, err := validate.New(validate.Config{Issuers: []validate.Issuer{validatetest.NewIssuer(validatetest.Config{}).Trusted()}, Audiences: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, name := range []string{"", "/", "Check", "orders.Orders/Get", "/orders.Orders", "/orders.Orders/", "//Get", "/orders.*/Get", "/orders.Orders/Get*", "/a/b/c"} {
		if _, err := New(Config{Validator: v, Methods: map[string]Rule{name: {}}}); err == nil {
			t.Errorf("a rule for %q is accepted", name)
		}
	}
	if _, err := New(Config{Validator: v, Methods: map[string]Rule{"/*": {Public: true, Needs: []validate.Requirement{validate.RequireScope("x")}}}}); err == nil {
		t.Error("public with needs is accepted")
	}
	if _, err := New(Config{Validator: v}); err == nil {
		t.Error("no rules are accepted")
	}
	if _, err := New(Config{Methods: rules}); err == nil {
		t.Error("no validator is accepted")
	}
	if _, err := New(Config{Validator: v, Methods: map[string]Rule{"/*": {}, "/a.B/*": {}, "/a.B/C": {}}}); err != nil {
		t.Error(err)
	}
}
