// A certified relying party (npm openid-client) that does one job at an OpenID provider, named by the first argument.
// It reads its orders as JSON from the environment (ORDERS) and says JSON, a line each: {"open": url, "code"?} where a
// person has to act, and at the end {"done": …} or {"failed": error, "description", "code"}.
import { createServer } from 'node:http';
import * as openid from 'openid-client';

const orders = JSON.parse(process.env.ORDERS);
const say = (line) => console.log(JSON.stringify(line));

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const SCOPE = 'openid profile email groups offline_access';

const authentication = async () => {
  const { secret, key, by } = orders;
  if (key) {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    const imported = await crypto.subtle.importKey('jwk', key, algorithm, false, ['sign']);
    return openid.PrivateKeyJwt({ key: imported, kid: key.kid });
  }
  if (secret) return by === 'post' ? openid.ClientSecretPost(secret) : openid.ClientSecretBasic(secret);
  return openid.None();
};

// The library proves nothing of ID tokens that come straight from the token endpoint unless it is told to.
const execute = [openid.enableNonRepudiationChecks];
const configured = async (client = orders.client, how = undefined) => openid.discovery(
  new URL(orders.issuer), client, undefined, how ?? await authentication(), { execute },
);

const proving = async (config) => {
  if (!orders.dpop) return [undefined, {}];
  const pair = await openid.randomDPoPKeyPair('ES256', { extractable: true });
  return [pair, { DPoP: openid.getDPoPHandle(config, pair) }];
};

const refused = async (attempt) => {
  try {
    await attempt();
  } catch (error) {
    return error.error ?? error.code;
  }
  return 'taken';
};

const told = (tokens) => ({
  type: tokens.token_type, access: tokens.access_token, claims: tokens.claims?.(), refresh: tokens.refresh_token, id: tokens.id_token,
});

// Whatever login gave the tokens: renew it, use a spent token again, and see that both are worth nothing then.
const live = async (config, first, options) => {
  const second = await openid.refreshTokenGrant(config, first.refresh_token, undefined, options);
  const reused = await refused(() => openid.refreshTokenGrant(config, first.refresh_token, undefined, options));
  const after = await refused(() => openid.refreshTokenGrant(config, second.refresh_token, undefined, options));
  return { first: told(first), second: told(second), reused, after };
};

const byDevice = async (config, options) => {
  const verifier = openid.randomPKCECodeVerifier();
  const challenge = await openid.calculatePKCECodeChallenge(verifier);
  const asked = { scope: SCOPE, code_challenge: challenge, code_challenge_method: 'S256' };
  const device = await openid.initiateDeviceAuthorization(config, asked);
  say({ open: device.verification_uri, code: device.user_code });
  return openid.pollDeviceAuthorizationGrant(config, device, { code_verifier: verifier }, options);
};

// The person's browser comes back to a port of this machine.
const comingBack = () => new Promise((resolve) => {
  const server = createServer();
  const back = new Promise((come) => {
    server.on('request', (request, response) => {
      response.setHeader('connection', 'close').end('back');
      come(new URL(request.url, `http://${request.headers.host}`));
      server.close();
    });
  });
  server.listen(0, '127.0.0.1', () => resolve({ uri: `http://127.0.0.1:${server.address().port}/callback`, back }));
});

const byCode = async (config, options) => {
  const { uri, back } = await comingBack();
  const checks = {
    pkceCodeVerifier: openid.randomPKCECodeVerifier(),
    expectedState: openid.randomState(),
    expectedNonce: openid.randomNonce(),
    idTokenExpected: true,
    maxAge: 300,
  };
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: uri,
    scope: SCOPE,
    code_challenge: await openid.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    max_age: '300',
    ...(options.DPoP ? { dpop_jkt: await options.DPoP.calculateThumbprint() } : {}),
  });
  say({ open: url.href });
  return openid.authorizationCodeGrant(config, await back, checks, undefined, options);
};

const jobs = {
  device: async () => {
    const config = await configured();
    const [, options] = await proving(config);
    return live(config, await byDevice(config, options), options);
  },
  code: async () => {
    const config = await configured();
    const [, options] = await proving(config);
    return live(config, await byCode(config, options), options);
  },
  revoke: async () => {
    const config = await configured();
    const [, options] = await proving(config);
    const first = await byDevice(config, options);
    await openid.tokenRevocation(config, first.refresh_token, { token_type_hint: 'refresh_token' });
    const after = await refused(() => openid.refreshTokenGrant(config, first.refresh_token, undefined, options));
    return { first: told(first), after };
  },
  credentials: async () => {
    const config = await configured();
    const [, options] = await proving(config);
    return { first: told(await openid.clientCredentialsGrant(config, undefined, options)) };
  },
  // A person's token becomes one of the agent's, bound to the key of both.
  exchange: async () => {
    const people = await configured('hoopx-cli', openid.None());
    const agent = await configured();
    const [pair] = await proving(people);
    const at = (config) => (pair ? { DPoP: openid.getDPoPHandle(config, pair) } : {});
    const person = await byDevice(people, at(people));
    const asked = { subject_token: person.access_token, subject_token_type: ACCESS_TOKEN };
    const first = await openid.genericGrantRequest(agent, EXCHANGE, asked, at(agent));
    const again = { subject_token: first.access_token, subject_token_type: ACCESS_TOKEN };
    const chained = await refused(() => openid.genericGrantRequest(agent, EXCHANGE, again, at(agent)));
    return { person: told(person), first: { ...told(first), issued: first.issued_token_type }, chained };
  },
};

try {
  say({ done: await jobs[process.argv[2]]() });
} catch (error) {
  const { message, code, error: named, error_description: description, cause } = error;
  say({ failed: named ?? message, description, code, cause: `${cause?.message ?? cause ?? ''}` });
}
