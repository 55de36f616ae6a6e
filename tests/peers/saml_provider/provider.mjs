// A SAML 2.0 identity provider for tests, made of npm `samlp` (Auth0's). Prints one line of JSON, {"url": …}, when ready.
// Its login form has a field `variant`: how this one answer is made, honestly or not.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import samlp from 'samlp';

const PEOPLE = {
  ann: { email: 'ann@old-corp.example', groups: ['developers'] },
  dora: { email: 'dora@old-corp.example', groups: ['dba', 'developers'] },
};
const PASSWORD = process.env.PASSWORD;

function keyPair() {
  const home = mkdtempSync(join(tmpdir(), 'hoopx-saml-'));
  const [key, cert] = [join(home, 'key.pem'), join(home, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=idp.example.com',
    '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const pair = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(home, { recursive: true });
  return pair;
}

const [OWN, STRANGERS] = [keyPair(), keyPair()];

class Mapper {
  constructor(user) { this.user = user; }
  getClaims() { return { email: this.user.email, groups: this.user.groups }; }
  getNameIdentifier() {
    return { nameIdentifier: this.user.id, nameIdentifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' };
  }
}

const VARIANTS = {
  honest: {},
  response: { signResponse: true, signAssertion: false },
  both: { signResponse: true },
  unsigned: { signAssertion: false },
  sha1: { signatureAlgorithm: 'rsa-sha1', digestAlgorithm: 'sha1' },
  stranger: STRANGERS,
  audience: { audience: 'https://other.example.com' },
  recipient: { recipient: 'https://other.example.com/acs' },
  expired: { lifetimeInSeconds: -1 },
  unsolicited: {}, // as if nobody had asked: see below
  other_request: { inResponseTo: '_0000' },
};

const escape = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

const loginPage = (fields) => `<!doctype html><title>Old Corp</title><form method="post" action="/login">
<input type="hidden" name="SAMLRequest" value="${escape(fields.get('SAMLRequest') ?? '')}">
<input type="hidden" name="RelayState" value="${escape(fields.get('RelayState') ?? '')}">
<input name="login"><input name="password" type="password"><input name="variant" value="honest">
<button>Sign in</button></form>`;

// What `samlp` expects of a request and a response is Express; this is the part of it that it uses.
function dressed(request, response, query, body) {
  Object.assign(request, { query, body, originalUrl: request.url, protocol: 'http' });
  response.set = (name, value) => response.setHeader(name, value);
  response.send = (said) => { if (typeof said === 'number') { response.statusCode = said; response.end(); } else response.end(said); };
}

function answer(request, response, form, url) {
  const user = PEOPLE[form.login] && form.password === PASSWORD ? { id: form.login, ...PEOPLE[form.login] } : undefined;
  dressed(request, response, { RelayState: form.RelayState }, form);
  const failed = (error) => { response.statusCode = 500; response.end(String(error)); };
  samlp.parseRequest(request, {}, (error, asked) => {
    if (error) { failed(error); return; }
    const here = asked.assertionConsumerServiceURL;
    if (form.variant === 'unsolicited') delete form.SAMLRequest;
    const common = { issuer: url, ...OWN, destination: here, recipient: here, RelayState: form.RelayState };
    const getPostURL = (...given) => given.at(-1)(null, here);
    if (form.variant === 'refuse') {
      const code = 'urn:oasis:names:tc:SAML:2.0:status:Responder';
      samlp.sendError({ ...common, inResponseTo: asked.id, error: { code }, getPostURL: (_, done) => done(null, here) })(request, response, failed);
      return;
    }
    samlp.auth({
      ...common, lifetimeInSeconds: 300, profileMapper: (profile) => new Mapper(profile), getUserFromRequest: () => user,
      authnContextClassRef: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport', getPostURL,
      audience: asked.issuer, ...VARIANTS[form.variant],
    })(request, response, failed);
  });
}

const server = createServer((request, response) => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const at = new URL(request.url, url);
  response.setHeader('content-type', 'text/html');
  if (at.pathname === '/metadata') {
    dressed(request, response, {}, {});
    samlp.metadata({ issuer: url, cert: OWN.cert, redirectEndpointPath: '/sso', postEndpointPath: '/sso', logoutEndpointPaths: {} })(request, response);
  } else if (at.pathname === '/sso') {
    response.end(loginPage(at.searchParams));
  } else if (request.method !== 'POST') { // browsers ask for an icon
    response.writeHead(404).end();
  } else {
    let held = '';
    request.on('data', (chunk) => { held += chunk; });
    request.on('end', () => answer(request, response, Object.fromEntries(new URLSearchParams(held)), url));
  }
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })));
