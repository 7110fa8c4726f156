// Both SDK generations sign in from nothing but the server's address; the suite's own client does so against the authorization server.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { before, describe, test } from 'node:test';
import * as v2 from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { walk } from '../lib/clients.mjs';
import { manage } from '../lib/amalgam.mjs';
import { allow } from '../lib/browser.mjs';
import { url } from '../lib/expected.mjs';
import { authorization } from '../conformance/authorization.mjs';

const base = new URL(url).origin;
const ann = { username: 'ann of the sign-in suite', password: 'correct horse battery' };
const REDIRECT = 'http://127.0.0.1:7777/callback';
let address;

before(async () => {
  await manage(base, 'POST', '/users', ann);
  ({ url: address } = await manage(base, 'POST', '/api/servers', { name: 'Sign In', isPublic: true, rateLimitPerMinute: 10_000 }));
});

/** What an application keeps for the SDK; the user says yes. `document` is the address of its metadata, where it has one. */
class Provider {
  constructor(document) {
    this.clientMetadataUrl = document;
    this.asked = [];
  }
  redirectUrl = REDIRECT;
  get clientMetadata() {
    return { client_name: 'SDK', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] };
  }
  state = () => 'state of the client';
  clientInformation = () => this.client;
  saveClientInformation(client) {
    this.client = client;
  }
  tokens = () => this.kept;
  saveTokens(tokens) {
    this.kept = tokens;
  }
  async redirectToAuthorization(authorizationUrl) {
    this.asked.push(authorizationUrl);
    this.answer = await allow(authorizationUrl, ann);
  }
  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }
  codeVerifier = () => this.verifier;
  saveDiscoveryState(state) {
    this.discovery = state;
  }
  discoveryState = () => this.discovery;
}

const GENERATIONS = [
  ['v1', { Client, Transport: StreamableHTTPClientTransport, Unauthorized: UnauthorizedError }, undefined],
  ['v2 legacy', { Client: v2.Client, Transport: v2.StreamableHTTPClientTransport, Unauthorized: v2.UnauthorizedError }, 'legacy'],
  ['v2 auto', { Client: v2.Client, Transport: v2.StreamableHTTPClientTransport, Unauthorized: v2.UnauthorizedError }, 'auto'],
];

for (const [name, sdk, mode] of GENERATIONS) {
  const client = () => new sdk.Client({ name: 'sign-in', version: '1' }, mode && { versionNegotiation: { mode } });

  /** Connects, as an application does: refused, sent to the browser, back with a code. */
  async function signedIn(provider) {
    const transport = new sdk.Transport(new URL(address), { authProvider: provider });
    await assert.rejects(client().connect(transport), error => error instanceof sdk.Unauthorized || /unauthorized/i.test(`${error.message} ${error.cause}`));
    assert.equal(provider.answer.searchParams.get('state'), 'state of the client');
    // The newer generation judges `iss` itself and wants the whole answer.
    await transport.finishAuth(mode ? provider.answer.searchParams : provider.answer.searchParams.get('code'));
    return connected(provider);
  }

  async function connected(provider) {
    const next = client();
    await next.connect(new sdk.Transport(new URL(address), { authProvider: provider }));
    return next;
  }

  describe(`${name} signs in`, () => {
    test('from the address alone, having registered', async () => {
      const provider = new Provider();
      const session = await signedIn(provider);
      await walk(session);
      await session.close();
      assert.equal(provider.asked.length, 1);
      assert.equal(provider.asked[0].searchParams.get('resource'), address);
      assert.equal(provider.asked[0].searchParams.get('scope'), 'mcp');
    });

    test('with the address of its metadata document', async () => {
      const document = createServer((_, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ client_id: id, client_name: 'Documented', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' }));
      });
      await new Promise(resolve => document.listen(0, '127.0.0.1', resolve));
      const id = `http://127.0.0.1:${document.address().port}/client.json`;
      try {
        // The SDK takes https alone as the address of a document, so that it is given as a client that is known already.
        const provider = new Provider();
        provider.client = { client_id: id };
        const session = await signedIn(provider);
        await session.listTools();
        await session.close();
      } finally {
        document.close();
      }
    });

    test('once: a token that has expired is refreshed without the user', async () => {
      const provider = new Provider();
      await (await signedIn(provider)).close();
      const before = provider.kept;
      provider.kept = { ...before, access_token: 'mcp_access_expired' };
      const session = await connected(provider);
      await session.listTools();
      await session.close();
      assert.equal(provider.asked.length, 1);
      assert.notEqual(provider.kept.refresh_token, before.refresh_token);
    });
  });
}

test("the suite's scenarios for authorization servers", async () => {
  const { passed, printed } = await authorization(base, address, ann);
  assert.ok(passed, printed);
});
