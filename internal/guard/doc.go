// Package guard stands in front of an API that is not written in Go and lets only requests with a good token through.
//
// It has two doors. With [Config.Proxy] it answers the question that a web server asks before it passes a request on
// (nginx auth_request, Caddy forward_auth, Traefik ForwardAuth, Envoy ext_authz over HTTP): may this one pass? With
// [Config.Upstream] it is a reverse proxy itself. Both go the same way:
//
//  1. asked.go reads what is asked about from the one place where this kind of proxy says it.
//  2. path.go reads the path, and refuses every path that two programs could read in two ways.
//  3. routes.go finds the one route of the path and what it needs. Without a route nothing passes.
//  4. Package validate judges the token.
//  5. assertion.go signs what was found: who, for which method, on which path, for half a minute. The API believes that
//     signature and nothing else in the request.
//
// Everything that can go wrong ends in a refusal (refusal.go): a guard that is slow, confused, without keys or broken is
// never open.
package guard
