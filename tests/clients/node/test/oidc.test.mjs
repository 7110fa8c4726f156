// The operator's own OpenID Connect provider (a certified one) signs users in to the embedded authorization server.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Browser, SECRET, startProvider } from '../fixtures/provider.mjs';
import { freePort, manage, start } from '../lib/amalgam.mjs';

let program;
let provider;
let application;
let resource;
let redirect;
const arrived = [];

before(async () => {
  const port = await freePort();
  const settings = ['--oidc-issuer', `http://127.0.0.1:${port}`, '--oidc-client-id', 'basic'];
  program = await start(settings, { AMALGAM_OIDC_CLIENT_SECRET: SECRET });
  provider = await startProvider(`${program.base}/oauth/signed-in`, { port });
  ({ url: resource } = await manage(program.base, 'POST', '/api/servers', { name: 'Staff', isPublic: true }));
  // Where the MCP client's browser comes back to.
  application = createServer((request, response) => {
    arrived.push(new URL(request.url, 'http://127.0.0.1'));
    response.end('done');
  });
  await new Promise(resolve => application.listen(0, '127.0.0.1', resolve));
  redirect = `http://127.0.0.1:${application.address().port}/callback`;
});

after(async () => {
  application?.close();
  await provider?.stop();
  await program?.stop();
});

const form = async (path, fields) => {
  const answer = await fetch(`${program.base}${path}`, { method: 'POST', body: new URLSearchParams(fields) });
  return { status: answer.status, body: await answer.json() };
};

test('sign in at the provider, consent here, call, refresh', async () => {
  const registration = { redirect_uris: [redirect], token_endpoint_auth_method: 'none' };
  const headers = { 'content-type': 'application/json' };
  const registered = await fetch(`${program.base}/oauth/register`, { method: 'POST', headers, body: JSON.stringify(registration) });
  const { client_id: client } = await registered.json();
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client,
    redirect_uri: redirect,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'of the client',
    resource,
  });
  const browser = new Browser();
  const first = await browser.open(`${program.base}/oauth/authorize?${query}`);
  const [, link] = first.text.match(/<a href="(provider\?request=[^"]+)">Sign in with 127\.0\.0\.1/);
  let page = await browser.open(new URL(link, first.url).href);
  assert.equal(new URL(page.url).origin, provider.issuer);
  for (let step = 0; step < 5 && new URL(page.url).origin === provider.issuer; step += 1) {
    page = await browser.submit(page, /name="login"/.test(page.text) ? { login: 'ada', password: 'any' } : {});
  }
  assert.match(page.text, /Allow A client without a name\?/);
  assert.match(page.text, /<strong>ada<\/strong>/);
  page = await browser.submit(page, { decision: 'allow' });
  assert.equal(page.text, 'done');
  const [back] = arrived.splice(0);
  assert.deepEqual([back.searchParams.get('state'), back.searchParams.get('iss')], ['of the client', program.base]);

  const code = { grant_type: 'authorization_code', client_id: client, code: back.searchParams.get('code'), redirect_uri: redirect, code_verifier: verifier };
  const { status, body: tokens } = await form('/oauth/token', code);
  assert.equal(status, 200, JSON.stringify(tokens));
  const call = async token => {
    const more = { ...headers, accept: 'application/json, text/event-stream', authorization: `Bearer ${token}` };
    const answer = await fetch(resource, { method: 'POST', headers: more, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
    return answer.status;
  };
  assert.equal(await call(tokens.access_token), 200);
  const again = await form('/oauth/token', { grant_type: 'refresh_token', client_id: client, refresh_token: tokens.refresh_token });
  assert.equal(await call(again.body.access_token), 200);
  // The provider's `sub` is who has allowed it, and the operator ends it.
  const { grants } = await manage(program.base, 'GET', '/api/grants', undefined, 'ada');
  assert.equal(grants.length, 1);
  await manage(program.base, 'DELETE', `/api/grants/${grants[0].id}`, undefined, 'ada');
  assert.equal(await call(again.body.access_token), 401);
});
