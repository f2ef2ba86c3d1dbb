// Package server is the house's front door: listeners and their limits, the paths of every tenant, key documents and
// metadata, introspection, the pages that people see, and the admin API.
//
// A request is led to its tenant by the path alone, looked up in the tenant table and never built from a header. What is
// asked for most, key documents and metadata, is rendered before anybody asks. Tokens come from package grant, people
// go through package login, and applications send them to package authorize; the server adds what the vaults need from the
// house: it follows the signer's keys and keeps them on disk, carries policies to the signer, records the house's acts in
// the ledger before they happen, and remembers the ledger's root and head, so that a vault that was exchanged or rolled
// back is noticed.
//
// [New] makes a server out of a [Config], [Server.Start] sets its loops going, and [Server.Serve] answers until it is
// told to drain. The server opens no database and dials nobody: its store and its links are given to it.
//
// Where to look:
//
//   - From a connection to whoever answers: server.go, listener.go, routes.go; directory.go finds tenants and what they have.
//   - What anybody may read: metadata.go, jwks.go, and page.go, which keeps them rendered.
//   - What clients and APIs ask: introspect.go, revoke.go, userinfo.go, feed_serve.go.
//   - What other rooms need of the house: grants.go for grant, people.go for login and console, authorize.go for authorize.
//   - The house's side of the vaults: vaults.go is the links, keys.go, policies.go and feed.go what goes over them; owed.go
//     and failures.go tell the ledger later what could not be told at once, and base.go once.
//   - The admin API: admin.go has its lines and who may use them, admin_actor.go who that is, admin_acts.go how an act goes,
//     and one file for each kind of thing. It is reached over the socket, from the console (admin_actor.go) and over the
//     network (admin_remote.go). found.go makes what a new seawall begins with.
package server
