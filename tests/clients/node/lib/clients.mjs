// The steps that both SDK generations share: what they find, call, read and are refused.

import assert from 'node:assert/strict';
import { json, PROMPTS, RESOURCE, TOOLS } from './expected.mjs';

/** Lists and calls tools, reads a resource and a prompt. `client` is connected. */
export async function walk(client) {
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(tool => tool.name).sort(), TOOLS);
  assert.ok(tools.every(tool => tool.description && tool.inputSchema.type === 'object'));

  const found = json(await client.callTool({ name: 'list_connectors_alloy', arguments: {} }));
  assert.equal(found.count, found.connectors.length);
  assert.ok(found.connectors.some(connector => connector.id === 'matrix' && Array.isArray(connector.category)));

  const call = { connectorId: 'matrx', actionId: 'sendMessage', parameters: {} };
  const refused = await client.callTool({ name: 'execute_action_alloy', arguments: call });
  assert.equal(refused.isError, true);
  assert.match(refused.content[0].text, /matrix/, 'an unknown connector suggests the nearest name');

  const { resources } = await client.listResources();
  assert.ok(resources.some(resource => resource.uri === RESOURCE));
  const { contents } = await client.readResource({ uri: RESOURCE });
  assert.equal(contents.length, 1);
  assert.match(contents[0].text, /Matrix/);
  await assert.rejects(client.readResource({ uri: 'resource://connectors/nowhere' }), error => [-32602, -32002].includes(error.code));

  const { prompts } = await client.listPrompts();
  assert.deepEqual(prompts.map(prompt => prompt.name).sort(), PROMPTS);
  const { messages } = await client.getPrompt({ name: 'workflow_builder', arguments: { goal: 'greet' } });
  assert.ok(messages.length > 0);
}

/** Twenty calls at once on one connection: every answer reaches its own question. */
export async function crowd(client) {
  const connectors = ['matrix', 'nowhere'];
  const calls = Array.from({ length: 20 }, (_, n) => client.callTool({ name: 'get_credentials_alloy', arguments: { connectorId: connectors[n % 2] } }));
  const answers = await Promise.all(calls);
  const texts = answers.map(answer => answer.content[0].text);
  for (const n of texts.keys()) assert.equal(texts[n], texts[n % 2]);
}
