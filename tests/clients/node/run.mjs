// Starts the program under test, makes one server on it, runs every suite against its token URL, and ends the program.
// With AMALGAM_TEST_URL set, the suites run against that server instead and nothing is started.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const ADMIN_KEY = 'client-suite-admin-key-0123456789';
const here = import.meta.dirname;

function runSuites(url) {
  const files = readdirSync(join(here, 'test')).sort().map(name => join(here, 'test', name));
  // One file at a time: the machine may have two cores, and the program under test needs one.
  const command = ['--test', '--test-concurrency=1', '--test-timeout=300000', ...files];
  return spawnSync(process.execPath, command, { stdio: 'inherit', env: { ...process.env, AMALGAM_TEST_URL: url } }).status ?? 1;
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

/** A PostgreSQL database of our own beside the one that AMALGAM_TEST_DATABASE_URL names; nothing when it is not set. */
function makeDatabase() {
  const maintenance = process.env.AMALGAM_TEST_DATABASE_URL;
  if (!maintenance) return undefined;
  const name = `amalgam_clients_${randomBytes(6).toString('hex')}`;
  const psql = statement => execFileSync('psql', ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--command', statement, maintenance]);
  psql(`CREATE DATABASE ${name}`);
  const url = new URL(maintenance);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => psql(`DROP DATABASE ${name} WITH (FORCE)`) };
}

async function waitReady(base, child) {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the program ended with status ${child.exitCode} before it was ready`);
    const ready = await fetch(`${base}/ready`).then(answer => answer.status === 200, () => false);
    if (ready) return;
    await delay(50);
  }
  throw new Error('the program did not answer 200 on /ready within 60 s');
}

async function makeServer(base) {
  const answer = await fetch(`${base}/api/servers`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${ADMIN_KEY}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'Client Tests', customInstructions: 'Say please.', rateLimitPerMinute: 10_000 }),
  });
  if (answer.status !== 201) throw new Error(`POST /api/servers answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()).accessUrl;
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

async function main() {
  if (process.env.AMALGAM_TEST_URL) return runSuites(process.env.AMALGAM_TEST_URL);
  const binary = process.env.AMALGAM_BIN ?? join(here, '../../../target/release/amalgam');
  if (!existsSync(binary)) {
    console.error('The program under test is missing: build it, or name it with AMALGAM_BIN.');
    return 1;
  }
  const directory = mkdtempSync(join(tmpdir(), 'amalgam-node-suite-'));
  const database = makeDatabase();
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const args = ['serve', '--listen', `127.0.0.1:${port}`, '--data-dir', join(directory, 'data'), '--egress-allow', '127.0.0.0/8'];
  if (database) args.push('--database-url', database.url);
  const logFile = join(directory, 'amalgam.log');
  const log = openSync(logFile, 'a');
  const { PATH, HOME, LANG } = process.env;
  const env = { PATH, HOME, LANG, AMALGAM_ADMIN_KEY: ADMIN_KEY };
  const child = spawn(binary, args, { stdio: ['ignore', log, log], detached: true, cwd: directory, env });
  closeSync(log);
  let status = 1;
  try {
    await waitReady(base, child);
    status = runSuites(await makeServer(base));
  } catch (error) {
    console.error(error.message);
  } finally {
    await stop(child);
    database?.drop();
    if (status !== 0) console.error(`The end of the program's log:\n${readFileSync(logFile, 'utf8').split('\n').slice(-60).join('\n')}`);
    rmSync(directory, { recursive: true });
  }
  return status;
}

process.exitCode = await main();
