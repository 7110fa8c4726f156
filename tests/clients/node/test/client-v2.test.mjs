// Client v2 in each of its three ways to choose a revision.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { crowd, walk } from '../lib/clients.mjs';
import { INSTRUCTIONS, LEGACY, MODERN, NAME, url, wrongUrl } from '../lib/expected.mjs';

const MODES = [
  ['legacy', 'legacy', LEGACY],
  ['auto', 'auto', MODERN],
  ['pinned', { pin: MODERN }, MODERN],
];

for (const [name, mode, revision] of MODES) {
  async function connected(address, work) {
    const client = new Client({ name: 'client-v2', version: '1' }, { versionNegotiation: { mode } });
    const transport = new StreamableHTTPClientTransport(new URL(address));
    await client.connect(transport);
    try {
      await work(client);
    } finally {
      await client.close();
    }
  }

  describe(`v2 ${name}`, () => {
    test('finds and uses everything', () =>
      connected(url, async client => {
        assert.equal(client.getNegotiatedProtocolVersion(), revision);
        assert.equal(client.getServerVersion().name, NAME);
        assert.equal(client.getInstructions(), INSTRUCTIONS);
        await walk(client);
      }));

    test('keeps twenty calls apart', () => connected(url, crowd));

    test('is told that its token is wrong', () =>
      assert.rejects(connected(wrongUrl, () => {}), error => {
        assert.match(`${error.status ?? ''} ${error.message} ${error.cause?.message ?? ''}`, /401|token/i);
        return true;
      }));
  });
}
