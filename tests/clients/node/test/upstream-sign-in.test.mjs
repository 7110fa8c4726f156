// Another MCP server, on the official SDK, whose users sign in at a certified authorization server: the program registers there by itself,
// each user signs in, and calls use, renew and revoke that user's tokens.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { Browser, startProvider } from '../fixtures/provider.mjs';
import { manage, start, until } from '../lib/amalgam.mjs';

let program;
let provider;
let server;
let upstream;
/** The access tokens that have reached the MCP server. */
const shown = new Set();

/** An MCP server with one tool, which says who calls. Without a token of the provider for it, it answers with a challenge. */
async function startServer() {
  const who = new AsyncLocalStorage();
  const handler = createMcpHandler(
    () => {
      const mcp = new McpServer({ name: 'guarded', version: '1' });
      const inputSchema = fromJsonSchema({ type: 'object', properties: {} });
      mcp.registerTool('whoami', { description: 'Who calls', inputSchema }, () => ({ content: [{ type: 'text', text: who.getStore() }] }));
      return mcp;
    },
    { legacy: 'reject' },
  );
  const listening = createServer(async (request, response) => {
    const json = (status, body, headers = {}) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    if (request.url === '/.well-known/oauth-protected-resource/mcp') {
      return json(200, { resource: url, authorization_servers: [provider.issuer], scopes_supported: ['tools'] });
    }
    const text = request.headers.authorization?.replace('Bearer ', '');
    const token = text && (await provider.tokenOf(text));
    if (!token?.isValid || token.aud !== url) {
      const challenge = `Bearer resource_metadata="${new URL('/.well-known/oauth-protected-resource/mcp', url)}"`;
      return json(401, { error: 'invalid_token' }, { 'www-authenticate': challenge });
    }
    shown.add(text);
    return who.run(token.accountId, () => toNodeHandler(handler)(request, response));
  });
  await new Promise(resolve => listening.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${listening.address().port}/mcp`;
  return { url, stop: () => new Promise(resolve => listening.close(resolve).closeAllConnections()) };
}

before(async () => {
  program = await start();
  // Short enough to see tokens renewed.
  provider = await startProvider(`${program.base}/oauth/callback`, { life: 2, resource: () => server.url });
  server = await startServer();
  upstream = await manage(program.base, 'POST', '/api/v1/user-mcp-servers', { name: 'Guarded', url: server.url, auth_type: 'oauth' });
});

after(async () => {
  await server?.stop();
  await provider?.stop();
  await program?.stop();
});

const path = () => `/api/v1/user-mcp-servers/${upstream.id}`;

async function signIn(user, who) {
  const { url } = await manage(program.base, 'POST', `${path()}/sign-in`, { endUserId: user });
  return new Browser().connect(url, who);
}

const whoAmI = user => manage(program.base, 'POST', '/api/v1/mcp-tools/execute', { mcp_server_id: upstream.id, tool_slug: 'whoami', end_user_id: user });
const said = answer => answer.result.content[0].text;

test('each user signs in, and is called for as that user', async () => {
  await assert.rejects(whoAmI('ann'), /wants the user to sign in/);
  for (const [user, who] of [['ann', 'ann@there'], ['bob', 'bob@there']]) {
    const page = await signIn(user, who);
    assert.match(page.text, /You can call Guarded now/);
    assert.equal(said(await whoAmI(user)), who);
  }
  const { connections } = await manage(program.base, 'GET', '/api/v1/mcp-connections');
  assert.deepEqual(connections.map(connection => connection.end_user_id).sort(), ['ann', 'bob']);
});

test('a token is renewed once by many calls, and revoked with the connection', async () => {
  const renewed = () => provider.grants.filter(grant => grant === 'refresh_token').length;
  await whoAmI('ann');
  const before = renewed();
  await delay(2_100);
  const answers = await Promise.all(Array.from({ length: 10 }, () => whoAmI('ann')));
  assert.ok(answers.every(answer => said(answer) === 'ann@there'));
  assert.equal(renewed(), before + 1);

  const last = [...shown].at(-1);
  const { connections } = await manage(program.base, 'GET', '/api/v1/mcp-connections?end_user_id=ann');
  await manage(program.base, 'DELETE', `/api/v1/mcp-connections/${connections[0].id}`);
  await until('the provider has ended the token', async () => !(await provider.tokenOf(last))?.isValid);
  await assert.rejects(whoAmI('ann'), /wants the user to sign in/);
  assert.equal(said(await whoAmI('bob')), 'bob@there');
});

test('the doctor finds every step in order', async () => {
  const report = await manage(program.base, 'POST', '/api/doctor/connect', { connectorId: upstream.connectorId, userId: 'bob', renew: true });
  assert.deepEqual(report.steps.filter(step => step.ok === false), []);
});
