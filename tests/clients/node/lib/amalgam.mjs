// The program under test as a child of ours: started with an empty directory, asked over REST, ended with everything it started.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export const ADMIN_KEY = 'client-suite-admin-key-0123456789';

/** Calls the API of the program at `base`, for `user` if one is named; throws when the answer is not 2xx. */
export async function manage(base, method, path, body, user) {
  const headers = { Authorization: `Bearer ${ADMIN_KEY}`, 'Content-Type': 'application/json', ...(user && { 'x-alloy-userid': user }) };
  const answer = await fetch(`${base}${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

/** Starts the program and waits until it is ready. `more` are further arguments of `serve`, `variables` of its environment. */
export async function start(more = [], variables = {}) {
  const binary = process.env.AMALGAM_BIN ?? join(import.meta.dirname, '../../../../target/release/amalgam');
  if (!existsSync(binary)) throw new Error('The program under test is missing: build it, or name it with AMALGAM_BIN.');
  const directory = mkdtempSync(join(tmpdir(), 'amalgam-node-suite-'));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const loopback = ['--egress-allow', '127.0.0.0/8,::1/128', '--client-metadata-allow', '127.0.0.0/8'];
  const args = ['serve', '--listen', `127.0.0.1:${port}`, '--data-dir', join(directory, 'data'), ...loopback, ...more];
  const logFile = join(directory, 'amalgam.log');
  const log = openSync(logFile, 'a');
  const { PATH, HOME, LANG } = process.env;
  const env = { PATH, HOME, LANG, AMALGAM_ADMIN_KEY: ADMIN_KEY, ...variables };
  const child = spawn(binary, args, { stdio: ['ignore', log, log], detached: true, cwd: directory, env });
  closeSync(log);
  const program = {
    base,
    /** The last lines of what the program logged. */
    log: () => readFileSync(logFile, 'utf8').split('\n').slice(-60).join('\n'),
    stop: async () => {
      await stop(child);
      rmSync(directory, { recursive: true });
    },
  };
  try {
    await waitReady(base, child);
  } catch (error) {
    error.message += `\nThe end of the program's log:\n${program.log()}`;
    await program.stop();
    throw error;
  }
  return program;
}

/** A port that nobody listens on now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Waits until `check` answers with something; fails with the name of what was waited for. */
export async function until(what, check) {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const found = await check();
    if (found) return found;
    await delay(50);
  }
  throw new Error(`waited 60 s in vain: ${what}`);
}

function waitReady(base, child) {
  return until('the program answers 200 on /ready', () => {
    if (child.exitCode !== null) throw new Error(`the program ended with status ${child.exitCode} before it was ready`);
    return fetch(`${base}/ready`).then(answer => answer.status === 200, () => false);
  });
}

async function stop(child) {
  if (child.exitCode !== null || child.pid === undefined) return;
  const ended = new Promise(resolve => child.once('exit', resolve));
  process.kill(-child.pid, 'SIGTERM');
  if ((await Promise.race([ended.then(() => true), delay(10_000, false, { ref: false })])) === false) {
    process.kill(-child.pid, 'SIGKILL');
    await ended;
  }
}
