// What a service written for Node.js does with seawall, step by step: openid-client discovers the issuer, authenticates
// and gets tokens, jose checks them, and an API introspects them. Each step that holds prints one line; the first that
// does not ends the program. Configuration comes in as JSON on standard input, so that no secret is in the process list.
import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import * as client from 'openid-client'
import * as jose from 'jose'

const given = JSON.parse(await text(process.stdin))
const issuer = new URL(given.issuer)
const insecure = issuer.protocol === 'http:' ? [client.allowInsecureRequests] : []
const done = (step) => console.log('ok ' + step)

async function refused(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.error ?? error.code, code, String(error))
    return true
  })
}

// openid-client reports the challenge that comes with a 401 (RFC 6749 section 5.2), and leaves the body to be read.
async function unknownClient(promise) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.status, 401, String(error))
    assert.equal(error.cause[0].scheme, 'basic')
    return true
  })
}

const wanted = { resource: given.audience, scope: given.scope }

// Discovery, in both forms a client may know.
for (const algorithm of ['oidc', 'oauth2']) {
  const config = await client.discovery(issuer, given.client_id, undefined, client.ClientSecretBasic(given.client_secret), {
    algorithm,
    execute: insecure,
  })
  assert.equal(config.serverMetadata().issuer, given.issuer)
  done('discovery ' + algorithm)
}

const config = await client.discovery(issuer, given.client_id, undefined, client.ClientSecretBasic(given.client_secret), { execute: insecure })
const tokens = await client.clientCredentialsGrant(config, wanted)
assert.equal(tokens.token_type, 'bearer')
assert.equal(tokens.scope, given.scope)
assert.ok(tokens.expiresIn() > 0)
done('client_secret_basic')

// The token, as an ordinary library sees it.
const keys = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))
const expected = { issuer: given.issuer, audience: given.audience, typ: 'at+jwt', requiredClaims: ['jti', 'exp', 'iat', 'sub', 'client_id'] }
const { payload, protectedHeader } = await jose.jwtVerify(tokens.access_token, keys, expected)
assert.equal(payload.client_id, given.client_id)
assert.equal(payload.scope, given.scope)
assert.ok(protectedHeader.kid && protectedHeader.rcpt)
done('jose verifies')

const [head, , signature] = tokens.access_token.split('.')
const forged = jose.base64url.encode(JSON.stringify({ ...payload, scope: 'everything' }))
await refused(jose.jwtVerify(`${head}.${forged}.${signature}`, keys, expected), 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED')
done('jose refuses a forgery')

// The other way of sending a secret; and a wrong one.
if (given.post_client_id) {
  const post = await client.discovery(issuer, given.post_client_id, undefined, client.ClientSecretPost(given.post_client_secret), { execute: insecure })
  await jose.jwtVerify((await client.clientCredentialsGrant(post, wanted)).access_token, keys, expected)
  done('client_secret_post')
}
const wrong = await client.discovery(issuer, given.client_id, undefined, client.ClientSecretBasic(given.client_secret.slice(0, -1) + '_'), { execute: insecure })
await unknownClient(client.clientCredentialsGrant(wrong, wanted))
done('a wrong secret is refused with a challenge')
await refused(client.clientCredentialsGrant(config, { ...wanted, resource: 'https://elsewhere.example' }), 'invalid_target')
done('an unknown resource is invalid_target')
await refused(client.clientCredentialsGrant(config, { ...wanted, scope: 'everything' }), 'invalid_scope')
done('an unknown scope is invalid_scope')

// A client that proves itself with a key of its own.
if (given.key_client_id) {
  const key = await jose.importJWK(given.key, 'ES256')
  const own = await client.discovery(issuer, given.key_client_id, undefined, client.PrivateKeyJwt({ key, kid: given.key.kid }), { execute: insecure })
  await jose.jwtVerify((await client.clientCredentialsGrant(own, wanted)).access_token, keys, expected)
  done('private_key_jwt')
}

// The API asks the issuer about tokens.
const api = await client.discovery(issuer, given.api_id, undefined, client.ClientSecretBasic(given.api_secret), { execute: insecure })
const seen = await client.tokenIntrospection(api, tokens.access_token)
assert.equal(seen.active, true)
assert.equal(seen.client_id, given.client_id)
assert.equal(seen.jti, payload.jti)
done('introspection')
const unseen = await client.tokenIntrospection(api, `${head}.${forged}.${signature}`)
assert.deepEqual(unseen, { active: false })
done('introspection calls a forgery inactive')
console.log('jti ' + payload.jti)
