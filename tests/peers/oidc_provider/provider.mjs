// A certified OpenID provider for tests. Prints one line of JSON, {"issuer": …}, when it is ready.
//
// ACCESS_TOKENS=jwt     access tokens are JWTs for the audience "hoopx"; else they are opaque and ID tokens carry claims
// LIFE                  seconds that access and ID tokens live; 600 where nothing is said
// DPOP_NONCE=yes        a proof of possession must hold a nonce that the provider gave
// LOGOUT_URI            where the provider tells of the end of a login (back-channel logout), for the client hoopx-cli
// RETURN_URI            where the confidential client `hoopx-broker` (secret: `federation`) gets people back
//
// `POST /control/…` is for tests alone, and does what an administrator does: groups, take-out, turn-keys, withdraw-keys,
// log-out. New keys are a new provider over the same state.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const AUDIENCE = 'hoopx';
const RESOURCE = 'urn:hoopx';
const { ACCESS_TOKENS, DPOP_NONCE, LOGOUT_URI, RETURN_URI } = process.env;
const JWT = ACCESS_TOKENS === 'jwt';
const LIFE = Number(process.env.LIFE ?? 600);
const DAY = 86400;

const people = {
  ann: { email: 'ann@example.com', groups: ['developers'] },
  dora: { email: 'dora@example.com', groups: ['dba', 'developers'] },
};

const claimsOf = (id) => ({ sub: id, email_verified: true, ...people[id] });
const findAccount = (_, id) => (people[id] ? { accountId: id, claims: () => claimsOf(id) } : undefined);

let count = 0;
const key = (kind, options, name) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), kid: `${name}${count += 1}`, use: 'sig',
});
const rsa = () => key('rsa', { modulusLength: 2048 }, 'r');
// Two keys of different algorithms. ID tokens are signed by RS256, so the first RSA key signs.
let keys = [rsa(), key('ec', { namedCurve: 'P-256' }, 'e')];

// What a provider remembers, whichever keys it has.
const remembered = new Map();
const grants = new Map();
class Memory {
  constructor(kind) { this.kind = kind; }
  name(id) { return `${this.kind}:${id}`; }
  async upsert(id, payload) {
    remembered.set(this.name(id), payload);
    if (payload.grantId) grants.set(payload.grantId, [...grants.get(payload.grantId) ?? [], this.name(id)]);
  }
  async find(id) { return remembered.get(this.name(id)); }
  async search(field, value) {
    return [...remembered].find(([name, each]) => name.startsWith(`${this.kind}:`) && each[field] === value)?.[1];
  }
  async findByUserCode(code) { return this.search('userCode', code); }
  async findByUid(uid) { return this.search('uid', uid); }
  async consume(id) { remembered.get(this.name(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { remembered.delete(this.name(id)); }
  async revokeByGrantId(id) { for (const name of grants.get(id) ?? []) remembered.delete(name); }
}

const clients = [
  {
    client_id: 'hoopx-cli',
    application_type: 'native', // so that 127.0.0.1 of any port is the one that is registered
    token_endpoint_auth_method: 'none',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/', 'http://127.0.0.1/callback'],
    ...(LOGOUT_URI ? { backchannel_logout_uri: LOGOUT_URI } : {}),
  },
  ...(RETURN_URI ? [{
    client_id: 'hoopx-broker',
    client_secret: 'federation',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [RETURN_URI],
  }] : []),
];

const resources = {
  enabled: JWT,
  defaultResource: () => RESOURCE,
  useGrantedResource: () => true,
  getResourceServerInfo: () => ({
    audience: AUDIENCE, scope: 'openid profile email offline_access', accessTokenFormat: 'jwt', accessTokenTTL: LIFE,
  }),
};

const configuration = {
  adapter: Memory,
  clients,
  cookies: { keys: [generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }).d] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
  conformIdTokenClaims: false,
  rotateRefreshToken: true,
  findAccount,
  extraTokenClaims: (_, token) => (token.accountId ? claimsOf(token.accountId) : undefined),
  // A native client gets a refresh token without asking a person each time.
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => DPOP_NONCE === 'yes' },
    resourceIndicators: resources,
  },
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // without its guard, which does not call this machine
  ttl: {
    AccessToken: LIFE, IdToken: LIFE, DeviceCode: 600, Interaction: 600, RefreshToken: DAY, Grant: DAY, Session: DAY,
  },
};

const server = createServer();
let provider;
let answer;

const open = () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(issuer, { ...configuration, jwks: { keys } });
  provider.on('server_error', (_, error) => console.error(error));
  answer = provider.callback();
  return issuer;
};

const controls = {
  groups: ({ person, groups }) => { people[person].groups = groups; },
  'take-out': ({ person }) => { delete people[person]; },
  'turn-keys': () => { keys = [rsa(), ...keys]; open(); },
  'withdraw-keys': () => { keys = [keys[0], keys.find((each) => each.kty === 'EC')]; open(); },
  'log-out': async ({ person }) => (await provider.Client.find('hoopx-cli')).backchannelLogout(person, 'any'),
};

const control = async (name, request, response) => {
  try {
    await controls[name](JSON.parse(await new Response(request).text()));
    response.writeHead(204).end();
  } catch (error) {
    response.writeHead(500).end(`${error.stack} ${error.cause ?? ''}`);
  }
};

server.on('request', (request, response) => {
  const asked = /^\/control\/([a-z-]+)$/.exec(request.url)?.[1];
  return asked in controls ? control(asked, request, response) : answer(request, response);
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ issuer: open() })));
