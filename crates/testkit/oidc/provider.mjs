// An OpenID provider for tests, on 127.0.0.1. It prints {"port": N} when it is ready and ends with its standard input.
// CLIENT = {"id", "secret"?, "method", "alg"?}; it answers authorize as the user that login_hint names, without a page.
// PUT /_control {"users": {NAME: CLAIMS}, "faults": FAULTS} replaces both; GET /_log lists the calls of /token.
// FAULTS: "claims" are put over those of the ID token, "alg" is "none" or "HS256", "new_key" signs with a key that
// is published from then on, "metadata" is put over the discovery document, "iss" is what the answer's iss becomes
// ("" drops it), "thin" leaves claims to the user information.
import Provider from 'oidc-provider';
import { SignJWT, base64url, decodeJwt, exportJWK, generateKeyPair } from 'jose';
import { createServer } from 'node:http';

const given = JSON.parse(process.env.CLIENT);
let users = {}, faults = {}, keys = 0;
const log = [];

async function key(alg) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const names = { kid: `key-${++keys}`, alg, use: 'sig' };
  return { private: { ...await exportJWK(privateKey), ...names }, public: { ...await exportJWK(publicKey), ...names }, privateKey };
}

const signing = [await key('RS256'), await key('ES256')];
const added = await key('RS256');
const server = createServer((request, response) => answer(request, response));
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const client = {
  client_id: given.id, client_secret: given.secret, token_endpoint_auth_method: given.method,
  grant_types: ['authorization_code'], response_types: ['code'], redirect_uris: ['http://127.0.0.1/sign-in/oidc/callback'],
  id_token_signed_response_alg: given.alg ?? 'RS256',
};
const provider = new Provider(issuer, {
  clients: [client],
  jwks: { keys: signing.map((pair) => pair.private) },
  cookies: { keys: ['for tests'] },
  scopes: ['openid', 'profile', 'email'],
  claims: { openid: ['sub', 'groups', 'realm'], email: ['email', 'email_verified'], profile: ['name'] },
  findAccount: (_, id) => users[id] && { accountId: id, claims: () => ({ sub: id, ...users[id] }) },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  clientAuthMethods: [given.method],
  features: { devInteractions: { enabled: false }, userinfo: { enabled: true } },
  interactions: { url: (_, interaction) => `/_interaction/${interaction.uid}` },
  ttl: { AuthorizationCode: 60, AccessToken: 60, IdToken: 300, Interaction: 300, Grant: 300, Session: 300 },
});
// The port of the server under test is not known yet; all else of the address is.
const back = /^http:\/\/127\.0\.0\.1:\d+\/sign-in\/oidc\/callback$/;
provider.Client.prototype.redirectUriAllowed = (address) => back.test(address);

async function interact(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  if (!users[params.login_hint]) {
    const error = { error: 'access_denied', error_description: '<b>nobody of that name</b>' };
    return provider.interactionFinished(request, response, error);
  }
  const grant = new provider.Grant({ accountId: params.login_hint, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const result = { login: { accountId: params.login_hint, remember: false }, consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result);
}

async function spoil(token) {
  let claims = { ...decodeJwt(token), ...faults.claims };
  if (faults.thin) claims = Object.fromEntries(Object.entries(claims).filter(([name]) => !['email', 'email_verified', 'groups', 'name'].includes(name)));
  const pair = faults.new_key ? added : signing.find((pair) => pair.public.alg === (given.alg ?? 'RS256'));
  if (faults.alg === 'none') return `${base64url.encode('{"alg":"none"}')}.${base64url.encode(JSON.stringify(claims))}.`;
  const header = { alg: faults.alg ?? pair.public.alg, kid: pair.public.kid };
  return new SignJWT(claims).setProtectedHeader(header).sign(faults.alg ? new TextEncoder().encode(pair.public.n) : pair.privateKey);
}

provider.use(async (context, next) => {
  await next();
  const { path, body } = context;
  if (path === '/token') {
    log.push({ status: context.status, authorization: context.get('authorization').split(' ')[0] });
    if (body?.id_token && Object.keys(faults).length) body.id_token = await spoil(body.id_token);
  }
  if (path === '/jwks' && faults.new_key) body.keys.push(added.public);
  if (path.startsWith('/.well-known/') && faults.metadata) Object.assign(body, faults.metadata);
  const location = context.response.get('location');
  if (faults.iss !== undefined && location.includes('/sign-in/oidc/callback')) {
    const address = new URL(location);
    if (faults.iss) address.searchParams.set('iss', faults.iss); else address.searchParams.delete('iss');
    context.set('location', address.href);
  }
});
provider.on('server_error', (_, error) => console.error(error));

const handle = provider.callback();
async function answer(request, response) {
  try {
    const { pathname } = new URL(request.url, issuer);
    if (pathname.startsWith('/_interaction/')) return await interact(request, response);
    if (pathname === '/_log') return response.end(JSON.stringify(log));
    if (pathname !== '/_control') return handle(request, response);
    let text = '';
    for await (const part of request) text += part;
    ({ users, faults } = JSON.parse(text));
    response.end('{}');
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
}
process.stdin.on('end', () => process.exit(0)).resume();
console.log(JSON.stringify({ port: server.address().port }));
