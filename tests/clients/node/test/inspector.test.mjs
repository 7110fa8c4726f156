// The Inspector's command line in each era, with its own check of schemas that other clients stumble over.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { INSTRUCTIONS, NAME, PROMPTS, RESOURCE, TOOLS, url, wrongUrl } from '../lib/expected.mjs';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../node_modules/.bin/mcp-inspector');
const home = mkdtempSync(join(tmpdir(), 'inspector-')); // It keeps a catalogue in the home directory.
after(() => rmSync(home, { recursive: true }));

async function inspect(era, address, ...args) {
  const command = [program, '--cli', address, '--transport', 'http', '--protocol-era', era, '--format', 'json', '-q', ...args];
  const env = { ...process.env, HOME: home };
  return run(process.execPath, command, { env, timeout: 60_000 }).then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    error => ({ status: error.code, stdout: error.stdout, stderr: error.stderr }),
  );
}

async function result(era, ...args) {
  const { status, stdout, stderr } = await inspect(era, url, '--method', ...args);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).result;
}

for (const era of ['legacy', 'auto', 'modern']) {
  describe(`inspector ${era}`, () => {
    test('sees who the server is', async () => {
      const seen = JSON.stringify(await result(era, 'initialize'));
      assert.ok(seen.includes(NAME) && seen.includes(INSTRUCTIONS), seen);
    });

    test('lists tools that every client can take', async () => {
      const { tools } = await result(era, 'tools/list', '--strict');
      assert.deepEqual(tools.map(tool => tool.name).sort(), TOOLS);
    });

    test('calls a tool', async () => {
      const { content } = await result(era, 'tools/call', '--tool-name', 'list_connectors_alloy');
      assert.ok(JSON.parse(content[0].text).count > 0);
    });

    test('reads a resource and a prompt', async () => {
      const { contents } = await result(era, 'resources/read', '--uri', RESOURCE);
      assert.match(contents[0].text, /Matrix/);
      const { prompts } = await result(era, 'prompts/list');
      assert.deepEqual(prompts.map(prompt => prompt.name).sort(), PROMPTS);
      const { messages } = await result(era, 'prompts/get', '--prompt-name', 'workflow_builder', '--prompt-args', 'goal=greet');
      assert.ok(messages.length > 0);
    });

    test('reports a failed call and a wrong token', async () => {
      const args = ['--tool-name', 'execute_action_alloy', '--tool-arg', 'connectorId=matrx', 'actionId=x', 'parameters={}'];
      const failed = await inspect(era, url, '--method', 'tools/call', ...args);
      assert.equal(failed.status, 5, failed.stderr);
      assert.match(failed.stdout, /matrix/);
      const wrong = await inspect(era, wrongUrl, '--method', 'tools/list');
      assert.notEqual(wrong.status, 0);
    });
  });
}
