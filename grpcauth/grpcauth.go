// Package grpcauth puts package validate in front of a gRPC server: interceptors that let calls with a good token through.
//
//	guard, err := grpcauth.New(grpcauth.Config{
//		Validator: v,
//		Methods: map[string]grpcauth.Rule{
//			"/orders.v1.Orders/*":          {Needs: []validate.Requirement{validate.RequireScope("read")}},
//			"/orders.v1.Orders/Delete":     {Needs: []validate.Requirement{validate.RequireScope("write")}},
//			"/grpc.health.v1.Health/Check": {Public: true},
//		},
//	})
//	server := grpc.NewServer(guard.ServerOptions()...)
//
// A handler finds the token with validate.FromContext. A method without a rule is refused, so that a method that somebody
// adds later is not open by accident.
//
// The token is the one value of the metadata "authorization" (RFC 6750 §2.1). One that is bound to a client certificate
// (RFC 8705) is held to the certificate of the connection's TLS handshake. One that is bound to a DPoP key (RFC 9449) needs a
// proof in the metadata "dpop" with the htm POST and as htu the URL of the call, Config.Origin and the full method, because
// that is what gRPC is on HTTP/2. Nonces can't be handed out this way: give the Validator none.
//
// A refusal is a status of code Unauthenticated, PermissionDenied, ResourceExhausted or Unavailable with an ErrorInfo whose
// reason is the code of package validate in upper case, and whose domain is [Domain]. It never holds a part of a token.
//
// A streaming call is judged when it begins. A handler that goes on for long can look at the token's Expires.
package grpcauth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"seawall/validate"
)

// Domain is the domain of every ErrorInfo.
const Domain = "seawall"

// Rule says what a method needs. The zero Rule needs a good token.
type Rule struct {
	// Public lets calls through without looking at any token.
	Public bool
	// Needs are what the token must fulfil.
	Needs []validate.Requirement
}

// Config is what a Guard is made of.
type Config struct {
	// Validator judges tokens. The Guard does not close it.
	Validator *validate.Validator

	// Methods says what each method needs, by its full name: /package.Service/Method. The name /package.Service/* stands for
	// the methods of a service that are not named, and /* for all others. What no name fits is refused.
	Methods map[string]Rule

	// Origin is the scheme and host that clients see, such as https://orders.example, for DPoP proofs. Without it a token
	// that is bound to a DPoP key is refused.
	Origin string

	// Now is the clock for Rule.Needs. Default: time.Now.
	Now func() time.Time
}

// Guard makes interceptors. It is safe for use by many goroutines.
type Guard struct{ config Config }

// New makes a Guard, or says what is wrong with the configuration.
func New(c Config) (*Guard, error) {
	if c.Validator == nil {
		return nil, errors.New("grpcauth: no validator")
	}
	if len(c.Methods) == 0 {
		return nil, errors.New("grpcauth: no method has a rule, so nothing could pass")
	}
	for name, rule := range c.Methods {
		if !goodName(name) {
			return nil, fmt.Errorf("grpcauth: %q is no method: write /package.Service/Method, /package.Service/* or /*", name)
		}
		if rule.Public && len(rule.Needs) > 0 {
			return nil, fmt.Errorf("grpcauth: %s is public, so it can't need anything", name)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Guard{c}, nil
}

// goodName reports whether a name can ever fit a method.
func goodName(name string) bool {
	if name == "/*" {
		return true
	}
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return ok && name[0] == '/' && service != "" && method != "" && !strings.Contains(method, "/") &&
		(method == "*" || !strings.Contains(name, "*"))
}

// ServerOptions are both interceptors, in front of those that are given after them.
func (g *Guard) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(g.Unary()), grpc.ChainStreamInterceptor(g.Stream())}
}

// Unary is the interceptor for calls with one request and one answer.
func (g *Guard) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		ctx, err := g.admit(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		return next(ctx, request)
	}
}

// Stream is the interceptor for calls that stream, whichever side does.
func (g *Guard) Stream() grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		ctx, err := g.admit(stream.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		return next(server, &admitted{stream, ctx})
	}
}

// admitted is a stream whose context holds the token.
type admitted struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is for [grpc.ServerStream].
func (a *admitted) Context() context.Context { return a.ctx }

// admit judges a call and gives the context for its handler.
func (g *Guard) admit(ctx context.Context, method string) (context.Context, error) {
	rule, ok := g.rule(method)
	if !ok {
		return nil, refusal(codes.PermissionDenied, "NO_RULE", "no rule covers this method")
	}
	if rule.Public {
		return ctx, nil
	}
	raw, p, code := g.presentation(ctx, method)
	if code != "" {
		return nil, refuse(code)
	}
	token, err := g.config.Validator.Presented(ctx, raw, p)
	if err == nil {
		err = token.Meets(g.config.Now(), rule.Needs...)
	}
	if err != nil {
		var why *validate.Error
		if !errors.As(err, &why) {
			return nil, refusal(codes.Unavailable, "BROKEN", "the token could not be judged")
		}
		return nil, refuse(why.Code)
	}
	return validate.NewContext(ctx, token), nil
}

// rule finds the closest name that fits.
func (g *Guard) rule(method string) (Rule, bool) {
	if rule, ok := g.config.Methods[method]; ok {
		return rule, true
	}
	if slash := strings.LastIndexByte(method, '/'); slash > 0 {
		if rule, ok := g.config.Methods[method[:slash]+"/*"]; ok {
			return rule, true
		}
	}
	rule, ok := g.config.Methods["/*"]
	return rule, ok
}

// presentation finds the one token of a call and how it is presented.
func (g *Guard) presentation(ctx context.Context, method string) (raw string, p validate.Presentation, code validate.Code) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	switch len(values) {
	case 0:
		return "", p, validate.CodeMissing
	case 1:
	default:
		return "", p, validate.CodeRequest
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	dpop := strings.EqualFold(scheme, "DPoP")
	if !dpop && !strings.EqualFold(scheme, "Bearer") {
		return "", p, validate.CodeMissing
	}
	if raw = strings.TrimLeft(raw, " "); strings.ContainsAny(raw, " ,") {
		return "", p, validate.CodeRequest
	}
	p.Scheme = scheme
	if dpop {
		p.Method, p.URL, p.Proofs = "POST", g.config.Origin+method, md.Get("dpop")
	}
	if from, ok := peer.FromContext(ctx); ok {
		if info, ok := from.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			p.Certificate = validate.CertificateThumbprint(info.State.PeerCertificates[0])
		}
	}
	return raw, p, ""
}

// refuse makes the status of a code of package validate.
func refuse(code validate.Code) error {
	grpcCode := codes.Unauthenticated
	switch code {
	case validate.CodeKeysUnavailable, validate.CodeKeysStale, validate.CodeFeedUnavailable, validate.CodeFeedStale:
		grpcCode = codes.Unavailable // nobody knows whether the token is good; the call may be made again
	case validate.CodeScope:
		grpcCode = codes.PermissionDenied
	case validate.CodeDPoPFull:
		grpcCode = codes.ResourceExhausted
	}
	return refusal(grpcCode, strings.ToUpper(string(code)), code.Reason())
}

func refusal(code codes.Code, reason, text string) error {
	plain := status.New(code, text)
	detailed, err := plain.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: Domain})
	if err != nil {
		return plain.Err()
	}
	return detailed.Err()
}
