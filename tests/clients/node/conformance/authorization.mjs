// Runs the protocol's own suite against an authorization server. The suite prints the address for the browser; the user says yes there.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { allow } from '../lib/browser.mjs';

const program = join(import.meta.dirname, '../node_modules/.bin/conformance');

/** Registers a client, runs every scenario with it, and answers with whether all passed and what was printed. */
export async function authorization(issuer, resource, user) {
  const port = await freePort();
  const body = JSON.stringify({ redirect_uris: [`http://127.0.0.1:${port}/callback`], token_endpoint_auth_method: 'none' });
  const registered = await fetch(`${issuer}/oauth/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { client_id: client } = await registered.json();
  const args = ['authorization', '--url', issuer, '--client-id', client, '--resource', resource, '--port', String(port)];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  let asked = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      printed += text;
      const [address] = printed.match(/^http\S+\/oauth\/authorize\?\S+$/m) ?? [];
      if (!address || asked) return;
      asked = true;
      allow(address, user).then(to => fetch(to), error => (printed += `\n${error.message}`) && child.kill());
    });
  }
  const status = await new Promise(resolve => child.once('exit', resolve));
  return { passed: status === 0 && asked && !/FAILURE|SKIPPED/.test(printed), printed };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
