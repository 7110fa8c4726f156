// The way of the vendor's example clients: bare fetch, revision 2024-11-05, no session, one `data: ` line by regular expression.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INSTRUCTIONS, json, NAME, TOOLS, url } from '../lib/expected.mjs';

let lastId = 0;

async function call(method, params) {
  const id = ++lastId;
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json,text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', method, params, id }),
  });
  assert.equal(response.status, 200);
  const text = await response.text();
  const stream = response.headers.get('content-type').includes('text/event-stream');
  const message = JSON.parse(stream ? text.match(/data: (.+)/)[1] : text);
  assert.equal(message.id, id);
  assert.equal(message.error, undefined, JSON.stringify(message.error));
  return message.result;
}

test('the example client initializes, lists and calls', async () => {
  const clientInfo = { name: 'example', version: '1.0.0' };
  const hello = await call('initialize', { protocolVersion: '2024-11-05', capabilities: {}, clientInfo });
  assert.equal(hello.protocolVersion, '2024-11-05');
  assert.equal(hello.serverInfo.name, NAME);
  assert.equal(hello.instructions, INSTRUCTIONS);
  const { tools } = await call('tools/list', {});
  assert.deepEqual(tools.map(tool => tool.name).sort(), TOOLS);
  assert.ok(json(await call('tools/call', { name: 'list_connectors_alloy', arguments: {} })).count > 0);
  const prompts = await call('prompts/list', {});
  assert.ok(Array.isArray(prompts.prompts));
});

test('params may be left out', async () => {
  assert.equal((await call('tools/list')).tools.length, TOOLS.length);
});
