// Starts the program under test, makes one server on it, runs every suite against its token URL, and ends the program.
// With AMALGAM_TEST_URL set, the suites run against that server instead and nothing is started.

import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { manage, start } from './lib/amalgam.mjs';

const here = import.meta.dirname;

function runSuites(url) {
  const files = readdirSync(join(here, 'test')).sort().map(name => join(here, 'test', name));
  // One file at a time: the machine may have two cores, and the program under test needs one.
  const command = ['--test', '--test-concurrency=1', '--test-timeout=300000', ...files];
  return spawnSync(process.execPath, command, { stdio: 'inherit', env: { ...process.env, AMALGAM_TEST_URL: url } }).status ?? 1;
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

async function main() {
  if (process.env.AMALGAM_TEST_URL) return runSuites(process.env.AMALGAM_TEST_URL);
  const database = makeDatabase();
  let program;
  let status = 1;
  try {
    program = await start(database && ['--database-url', database.url]);
    const settings = { name: 'Client Tests', customInstructions: 'Say please.', rateLimitPerMinute: 10_000 };
    const { accessUrl } = await manage(program.base, 'POST', '/api/servers', settings);
    status = runSuites(accessUrl);
  } catch (error) {
    console.error(error.message);
  } finally {
    if (program && status !== 0) console.error(`The end of the program's log:\n${program.log()}`);
    await program?.stop();
    database?.drop();
  }
  return status;
}

process.exitCode = await main();
