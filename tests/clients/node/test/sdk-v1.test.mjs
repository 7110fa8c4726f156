// SDK v1: the handshake era alone, what most deployed clients are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { crowd, walk } from '../lib/clients.mjs';
import { INSTRUCTIONS, NAME, url, wrongUrl } from '../lib/expected.mjs';

async function connected(address, work) {
  const client = new Client({ name: 'sdk-v1', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(address));
  await client.connect(transport);
  try {
    await work(client, transport);
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}

test('v1 finds and uses everything', () =>
  connected(url, async client => {
    assert.equal(client.getServerVersion().name, NAME);
    assert.equal(client.getInstructions(), INSTRUCTIONS);
    await walk(client);
    assert.deepEqual(await client.ping(), {});
  }));

test('v1 keeps twenty calls apart', () => connected(url, crowd));

test('v1 is told that its token is wrong', () =>
  assert.rejects(connected(wrongUrl, () => {}), error => error.code === 401 && !error.message.includes('mcp_token_wrong')));
