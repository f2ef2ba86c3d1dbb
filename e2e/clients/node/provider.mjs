// Another issuer for seawall's tests: npm's oidc-provider, which issues JWT access tokens and ID tokens. It reads its
// configuration as JSON from standard input, says where it listens, and ends when standard input does. Whoever is sent
// to it is signed in at once and agrees to everything.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const lines = createInterface({ input: process.stdin })
const given = JSON.parse((await lines[Symbol.asyncIterator]().next()).value)
lines.on('close', () => process.exit(0))

const server = createServer()
await new Promise((ready) => server.listen(given.port ?? 0, '127.0.0.1', ready))
const issuer = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(issuer, {
  jwks: given.jwks,
  cookies: { keys: ['of a test'] },
  clientDefaults: { id_token_signed_response_alg: given.algorithm },
  clients: [
    {
      client_id: 'web',
      client_secret: given.secret,
      grant_types: ['authorization_code', 'client_credentials'],
      redirect_uris: ['https://web.example/back'],
      scope: 'openid read',
    },
  ],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  scopes: ['openid', 'read'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'read',
        audience: resource,
        accessTokenTTL: 600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: given.algorithm } },
      }),
    },
  },
  ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Interaction: 600, Session: 600, Grant: 600 },
})

const answer = provider.callback()
server.on('request', async (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response)
  const { params } = await provider.interactionDetails(request, response)
  const grant = new provider.Grant({ accountId: 'alice', clientId: params.client_id })
  grant.addOIDCScope('openid read')
  grant.addResourceScope(params.resource, 'read')
  await provider.interactionFinished(request, response, { login: { accountId: 'alice' }, consent: { grantId: await grant.save() } })
})
console.log(`ready ${issuer}`)
