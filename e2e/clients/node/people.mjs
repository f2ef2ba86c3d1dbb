// What applications written for Node.js and for browsers do with seawall when people sign in to them: openid-client,
// oidc-client-ts and msal-node go through the code flow, and jose checks every kind of token that they get. Each step that
// holds prints one line; the first that does not ends the program. Configuration comes in as JSON on standard input. The
// person and their browser are at given.browser: it is told where to go, and answers where it left the issuer.
import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import * as msal from '@azure/msal-node'
import * as jose from 'jose'
import * as oidc from 'oidc-client-ts'
import * as client from 'openid-client'

const given = JSON.parse(await text(process.stdin))
const issuer = new URL(given.issuer)
const done = (step) => console.log('ok ' + step)
const userinfo = given.issuer + '/userinfo'

async function browse(to) {
  const response = await fetch(given.browser + '/?to=' + encodeURIComponent(to))
  assert.equal(response.status, 200, 'the browser got nowhere')
  return new URL(await response.text())
}

async function refused(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.error ?? error.code, code, String(error))
    return true
  })
}

// jose, for each kind of token: an ordinary library, with nothing of ours.
const discovered = await client.discovery(issuer, given.web.id, undefined, client.ClientSecretBasic(given.web.secret))
const metadata = discovered.serverMetadata()
const keys = jose.createRemoteJWKSet(new URL(metadata.jwks_uri))
async function access(token, { clientID, jkt, audience = [given.audience, userinfo] }) {
  const { payload, protectedHeader } = await jose.jwtVerify(token, keys, { issuer: given.issuer, audience: audience[0], typ: 'at+jwt', requiredClaims: ['jti', 'exp', 'iat', 'sub', 'client_id'] })
  assert.equal(payload.client_id, clientID)
  assert.deepEqual([payload.aud].flat().sort(), [...audience].sort())
  assert.equal(payload.cnf?.jkt, jkt)
  assert.equal(payload.nonce, undefined)
  assert.ok(protectedHeader.rcpt)
  return payload
}
async function identity(token, { clientID, nonce }) {
  const { payload, protectedHeader } = await jose.jwtVerify(token, keys, { issuer: given.issuer, audience: clientID, typ: 'JWT', requiredClaims: ['jti', 'exp', 'iat', 'sub', 'auth_time'] })
  assert.equal(payload.sub, given.subject)
  assert.equal(payload.nonce, nonce)
  assert.equal(payload.acr, 'phr')
  assert.equal(payload.scope, undefined)
  assert.ok(protectedHeader.rcpt)
  await refused(jose.jwtVerify(token, keys, { issuer: given.issuer, typ: 'at+jwt' }), 'ERR_JWT_CLAIM_VALIDATION_FAILED')
  return payload
}

// openid-client: everything that a web application does.
async function signIn(config, redirect, scope, options) {
  const verifier = client.randomPKCECodeVerifier(), state = client.randomState(), nonce = client.randomNonce()
  const params = { redirect_uri: redirect, scope, state, nonce, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' }
  if (options?.DPoP) params.dpop_jkt = await options.DPoP.calculateThumbprint()
  const left = await browse(client.buildAuthorizationUrl(config, params))
  assert.equal(left.searchParams.get('iss'), given.issuer) // RFC 9207
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  return { left, nonce, checks, tokens: await client.authorizationCodeGrant(config, left, checks, undefined, options) }
}

{
  const id = given.web.id
  const { left, nonce, checks, tokens } = await signIn(discovered, given.web.redirect, 'openid profile offline_access ' + given.scope)
  const about = await access(tokens.access_token, { clientID: id })
  const who = await identity(tokens.id_token, { clientID: id, nonce })
  assert.equal(about.sub, who.sub)
  assert.equal(about.sid, who.sid)
  done('openid-client: code, PKCE, state, nonce and iss')
  done('jose verifies an access token and an ID token')
  const person = await client.fetchUserInfo(discovered, tokens.access_token, who.sub)
  assert.equal(person.name, 'Ada Lovelace')
  done('openid-client: userinfo')
  const next = await client.refreshTokenGrant(discovered, tokens.refresh_token)
  assert.notEqual(next.refresh_token, tokens.refresh_token)
  await access(next.access_token, { clientID: id })
  if (next.id_token) await identity(next.id_token, { clientID: id })
  done('openid-client: refresh')
  const api = await client.discovery(issuer, given.api_id, undefined, client.ClientSecretBasic(given.api_secret))
  assert.equal((await client.tokenIntrospection(api, next.access_token)).active, true)
  await client.tokenRevocation(discovered, next.refresh_token)
  await refused(client.refreshTokenGrant(discovered, next.refresh_token), 'invalid_grant')
  done('openid-client: introspection and revocation')
  await refused(client.authorizationCodeGrant(discovered, left, checks), 'invalid_grant') // the code again
  done('openid-client: a code works once')
  console.log('jti ' + about.jti)
}

// A code that was given to one attempt is of no use to another: PKCE stands in between.
{
  const verifier = client.randomPKCECodeVerifier(), state = client.randomState()
  const left = await browse(client.buildAuthorizationUrl(discovered, { redirect_uri: given.web.redirect, scope: 'openid', state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' }))
  await refused(client.authorizationCodeGrant(discovered, left, { pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: state }), 'invalid_grant')
  done('openid-client: a code without its verifier is refused')
}

// DPoP: a public client is bound to its key, from the code to the API, with the server's nonces.
{
  const config = await client.discovery(issuer, given.spa.id, undefined, client.None())
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const jkt = await DPoP.calculateThumbprint()
  const { nonce, tokens } = await signIn(config, given.spa.redirect, 'openid profile offline_access ' + given.scope, { DPoP })
  assert.equal(tokens.token_type, 'dpop')
  await access(tokens.access_token, { clientID: given.spa.id, jkt })
  const who = await identity(tokens.id_token, { clientID: given.spa.id, nonce })
  assert.equal((await client.fetchUserInfo(config, tokens.access_token, who.sub, { DPoP })).name, 'Ada Lovelace')
  const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  await access(next.access_token, { clientID: given.spa.id, jkt })
  await refused(client.refreshTokenGrant(config, next.refresh_token), 'invalid_request') // without the key it is worth nothing
  done('openid-client: DPoP, for a public client')
}
{
  const config = await client.discovery(issuer, given.client_id, undefined, client.ClientSecretBasic(given.client_secret))
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const tokens = await client.clientCredentialsGrant(config, { resource: given.audience, scope: given.scope }, { DPoP })
  await access(tokens.access_token, { clientID: given.client_id, jkt: await DPoP.calculateThumbprint(), audience: [given.audience] })
  done('openid-client: DPoP, for a service')
}

// oidc-client-ts: an application in a browser, here with its storage in memory and its key in a map.
{
  globalThis.window = { crypto } // all that it asks of a window
  class Proofs {
    #kept = new Map()
    async set(name, value) { this.#kept.set(name, value) }
    async get(name) { return this.#kept.get(name) ?? null }
    async remove(name) { const was = await this.get(name); this.#kept.delete(name); return was }
    async getAllKeys() { return [...this.#kept.keys()] }
  }
  const app = new oidc.OidcClient({ authority: given.issuer, client_id: given.spa.id, redirect_uri: given.spa.redirect, scope: 'openid profile offline_access', // its userinfo request knows no DPoP
    dpop: { bind_authorization_code: true, store: new Proofs() }, stateStore: new oidc.WebStorageStateStore({ store: new oidc.InMemoryWebStorage() }) })
  const request = await app.createSigninRequest({})
  const response = await app.processSigninResponse((await browse(request.url)).href)
  assert.equal(response.profile.sub, given.subject)
  await identity(response.id_token, { clientID: given.spa.id })
  await access(response.access_token, { clientID: given.spa.id, jkt: jose.decodeJwt(response.access_token).cnf.jkt, audience: [userinfo] })
  done('oidc-client-ts: code, PKCE and DPoP')
}
{
  const app = new oidc.OidcClient({ authority: given.issuer, client_id: given.plain.id, redirect_uri: given.plain.redirect, scope: 'openid profile offline_access', loadUserInfo: true,
    stateStore: new oidc.WebStorageStateStore({ store: new oidc.InMemoryWebStorage() }) })
  const request = await app.createSigninRequest({})
  const response = await app.processSigninResponse((await browse(request.url)).href)
  assert.equal(response.profile.name, 'Ada Lovelace')
  const next = await app.useRefreshToken({ state: { refresh_token: response.refresh_token, id_token: response.id_token, scope: response.scope, profile: response.profile, session_state: null } })
  await access(next.access_token, { clientID: given.plain.id, audience: [userinfo] })
  done('oidc-client-ts: code, PKCE, userinfo and refresh')
}

// msal-node: Microsoft's own, as a client of any OpenID Connect provider.
{
  const app = new msal.ConfidentialClientApplication({
    auth: { clientId: given.post.id, authority: given.issuer, clientSecret: given.post.secret, knownAuthorities: [issuer.host] },
    system: { protocolMode: msal.ProtocolMode.OIDC },
  })
  const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes()
  const state = client.randomState(), nonce = client.randomNonce()
  const left = await browse(await app.getAuthCodeUrl({ scopes: ['openid', 'profile', 'offline_access'], redirectUri: given.post.redirect, codeChallenge: challenge, codeChallengeMethod: 'S256', state, nonce }))
  assert.equal(left.searchParams.get('error_description'), null) // it sends claims of its own accord
  assert.equal(left.searchParams.get('state'), state)
  const answer = await app.acquireTokenByCode({ code: left.searchParams.get('code'), scopes: ['openid', 'profile', 'offline_access'], redirectUri: given.post.redirect, codeVerifier: verifier, nonce })
  assert.equal(answer.idTokenClaims.sub, given.subject)
  await identity(answer.idToken, { clientID: given.post.id, nonce })
  done('msal-node: code and PKCE')
  const again = await app.acquireTokenSilent({ account: answer.account, scopes: ['openid', 'profile', 'offline_access'], forceRefresh: true })
  assert.notEqual(again.accessToken, answer.accessToken)
  await access(again.accessToken, { clientID: given.post.id, audience: [userinfo] })
  done('msal-node: refresh')
}
