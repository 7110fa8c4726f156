// The conformance fixtures as children of ours; tests/fixtures/README.md says what they are.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const rmcp = process.env.AMALGAM_FIXTURE_BIN ?? join(import.meta.dirname, '../../../fixtures/rmcp/target/debug/rmcp-fixture');

/** The command of each fixture; flags follow. */
export const FIXTURES = {
  rmcp: [rmcp],
  npm: [process.execPath, join(import.meta.dirname, '../fixtures/server.mjs')],
};

/** What `--era` takes. */
export const ERAS = ['dual', 'legacy', 'modern'];

/** Starts a fixture over HTTP; answers with its URL and with what ends it. */
export async function start(name, era) {
  if (!existsSync(FIXTURES[name][0])) throw new Error(`The fixture ${name} is missing: build it, or name it with AMALGAM_FIXTURE_BIN.`);
  const [command, ...args] = [...FIXTURES[name], '--era', era];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise(resolve => child.once('exit', resolve));
  const lines = createInterface({ input: child.stdout });
  const url = await Promise.race([
    new Promise(resolve => lines.once('line', resolve)),
    ended.then(status => Promise.reject(new Error(`the fixture ${name} ended with status ${status}`))),
  ]);
  const stop = async () => {
    child.kill();
    await ended;
  };
  return { url, stop };
}
