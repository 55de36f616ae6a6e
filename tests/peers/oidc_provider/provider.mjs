// A certified OpenID provider for tests. Prints one line of JSON, {"issuer": …}, when it is ready.
// ACCESS_TOKENS=jwt: access tokens are JWTs for the audience "hoopx"; else they are opaque and ID tokens carry claims.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const AUDIENCE = 'hoopx';
const RESOURCE = 'urn:hoopx';
const JWT = process.env.ACCESS_TOKENS === 'jwt';

const PEOPLE = {
  ann: { email: 'ann@example.com', groups: ['developers'] },
  dora: { email: 'dora@example.com', groups: ['dba', 'developers'] },
};

const claimsOf = (id) => ({ sub: id, email_verified: true, ...PEOPLE[id] });

// Two keys of different algorithms, the first of which signs.
const key = (kind, options, kid) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), kid, use: 'sig',
});
const jwks = { keys: [key('rsa', { modulusLength: 2048 }, 'r1'), key('ec', { namedCurve: 'P-256' }, 'e1')] };

const configuration = {
  clients: [{
    client_id: 'hoopx-cli',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    response_types: [],
    redirect_uris: [],
  }],
  jwks,
  cookies: { keys: [generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }).d] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
  conformIdTokenClaims: false,
  rotateRefreshToken: true,
  findAccount: (_, id) => (PEOPLE[id] ? { accountId: id, claims: () => claimsOf(id) } : undefined),
  extraTokenClaims: (_, token) => (token.accountId ? claimsOf(token.accountId) : undefined),
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: JWT,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        audience: AUDIENCE,
        scope: 'openid profile email offline_access',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
      }),
    },
  },
  ttl: { AccessToken: 600, DeviceCode: 600, IdToken: 600, RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 600 },
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  provider.on('server_error', (_, error) => console.error(error));
  server.on('request', provider.callback());
  console.log(JSON.stringify({ issuer }));
});
