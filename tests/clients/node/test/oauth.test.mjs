// Users sign in at a certified authorization server, and calls use, renew and revoke what it grants.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Browser, document, SECRET, startProvider } from '../fixtures/provider.mjs';
import { manage, start } from '../lib/amalgam.mjs';

let program;
let provider;
const CONNECTOR = 'identity';

before(async () => {
  program = await start();
  // Short enough to see tokens renewed.
  provider = await startProvider(`${program.base}/connect/callback/default/${CONNECTOR}`, { life: 1 });
  await manage(program.base, 'POST', '/api/connectors', { id: CONNECTOR, baseUrl: provider.issuer, spec: document(provider.issuer) });
});

after(async () => {
  await provider?.stop();
  await program?.stop();
});

const whoAmI = user => manage(program.base, 'POST', `/connectors/${CONNECTOR}/actions/whoAmI/execute`, {}, user);

async function connect(user, authConfigId) {
  const wish = { userId: user, authenticationType: 'oauth2', authConfigId };
  const { oauthUrl } = await manage(program.base, 'POST', `/connectors/${CONNECTOR}/credentials`, wish);
  return new Browser().connect(oauthUrl, user);
}

const clients = {
  basic: { clientId: 'basic', clientSecret: SECRET, clientAuth: 'basic' },
  post: { clientId: 'post', clientSecret: SECRET },
  public: { clientId: 'public', clientAuth: 'none' },
  key: () => ({ clientId: 'key', privateKey: provider.privateKey, keyId: 'k1' }),
};

for (const [name, client] of Object.entries(clients)) {
  test(`a client that proves itself by ${name}: consent, call, renewal, revocation`, async () => {
    const config = typeof client === 'function' ? client() : client;
    const { id } = await manage(program.base, 'POST', '/api/auth-configs', { connectorId: CONNECTOR, ...config });
    const page = await connect(name, id);
    assert.equal(page.status, 200, page.text);
    assert.match(page.text, /Identity is connected/);
    assert.equal((await whoAmI(name)).responseData.sub, name);

    const renewed = () => provider.grants.filter(grant => grant === 'refresh_token').length;
    const before = renewed();
    await delay(1_100);
    const answers = await Promise.all(Array.from({ length: 50 }, () => whoAmI(name)));
    assert.ok(answers.every(answer => answer.responseData.sub === name));
    assert.equal(renewed(), before + 1, 'fifty calls at the end of a token renew it once');

    const { credentials } = await manage(program.base, 'GET', `/connectors/${CONNECTOR}/credentials`, undefined, name);
    assert.equal(credentials[0].state, 'active');
    const path = `/connectors/${CONNECTOR}/credentials/${credentials[0].credentialId}`;
    assert.equal((await manage(program.base, 'DELETE', path, undefined, name)).revoked, true);
    await assert.rejects(whoAmI(name), /Credential not found/);
  });
}

test('a wrong secret is named, and connects nothing', async () => {
  const wrong = { connectorId: CONNECTOR, clientId: 'post', clientSecret: 'wrong-secret' };
  const { id } = await manage(program.base, 'POST', '/api/auth-configs', wrong);
  const page = await connect('eve', id);
  assert.equal(page.status, 400);
  assert.match(page.text, /does not accept the OAuth client/);
  const report = await manage(program.base, 'POST', '/api/doctor/connect', { connectorId: CONNECTOR });
  assert.match(report.steps.find(step => step.step === 'token endpoint').found, /does not accept the client/);
});
