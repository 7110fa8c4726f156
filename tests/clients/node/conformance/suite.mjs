// Runs the protocol's own conformance suite and reads what it found.

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = join(import.meta.dirname, '../node_modules/.bin/conformance');

/** The revisions that the suite keeps a list of requirements for. */
export const REVISIONS = ['2025-11-25', '2026-07-28'];

/**
 * Runs the suite once: `leg` is `server` or `client`. Answers with its exit status, what it printed, and each scenario's checks.
 */
export async function run(leg, args, env = {}) {
  const output = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const { status, printed } = await execute(process.execPath, [program, leg, ...args, '-o', output], env);
    const scenarios = new Map();
    for (const path of readdirSync(output, { recursive: true }).filter(path => path.endsWith('checks.json')).sort()) {
      scenarios.set(nameOf(leg, path), JSON.parse(readFileSync(join(output, path), 'utf8')));
    }
    return { status, printed, scenarios };
  } finally {
    rmSync(output, { recursive: true });
  }
}

/** What a requirement set asks of one leg: the names of the scenarios that count, and of those that only run. */
export async function requirements(leg, revision) {
  const { status, printed } = await execute(process.execPath, [program, 'list', `--${leg}`, '--requirements', revision]);
  if (status !== 0) throw new Error(`the suite knows no requirements of ${revision}:\n${printed}`);
  const [scored, unscored = ''] = printed.split('Run and reported, but never scored:');
  const heading = leg === 'server' ? 'Server scenarios' : 'Client scenarios';
  const own = scored.slice(scored.indexOf(heading)).split(/^[A-Z].* scenarios .*:$/m)[1] ?? '';
  return {
    scored: [...own.matchAll(/^ {2}- (\S+)$/gm)].map(([, name]) => name),
    unscored: [...unscored.matchAll(/^ +- (\S+) \[(\w+)\]$/gm)].filter(([, , of]) => of === leg).map(([, name]) => name),
  };
}

/** Prints one line for each check that did not pass, and the sums. Answers with whether everything that counts passed. */
export function report(title, scenarios, { unscored = [] } = {}) {
  const sums = { counted: [0, 0], uncounted: [0, 0] };
  const rows = [];
  for (const [scenario, checks] of scenarios) {
    const counts = !unscored.includes(scenario);
    for (const check of checks) {
      const sum = sums[counts ? 'counted' : 'uncounted'];
      if (check.status === 'SUCCESS') sum[0] += 1;
      if (check.status === 'FAILURE') sum[1] += 1;
      if (check.status === 'SUCCESS' || check.status === 'INFO') continue;
      const word = check.status === 'FAILURE' && !counts ? 'fails, not scored' : WORDS[check.status] ?? check.status;
      rows.push([word, scenario, check.id, oneLine(check.errorMessage ?? check.description)]);
    }
  }
  const [passed, failed] = sums.counted;
  console.log(`\n${title}: ${scenarios.size} scenarios, ${passed} checks passed, ${failed} failed` + also(sums.uncounted));
  const widths = [0, 1, 2].map(column => Math.max(0, ...rows.map(row => row[column].length)));
  for (const row of rows) console.log(`  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}`);
  return failed === 0 && passed > 0;
}

const WORDS = { FAILURE: 'FAILS', WARNING: 'warning', SKIPPED: 'skipped' };

function also([passed, failed]) {
  return passed + failed === 0 ? '' : `; not scored: ${passed} passed, ${failed} failed`;
}

function oneLine(text) {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}

/** `server-tools-list-2026-11-21T10-00-00-000Z/checks.json` is of the scenario `tools-list`; the names of client scenarios have folders. */
function nameOf(leg, path) {
  const folder = path.replace(/\/checks\.json$/, '').replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '');
  return leg === 'server' ? folder.replace(/^server-/, '') : folder;
}

/** Runs a program to its end; its status and what it printed. */
export function execute(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (printed += text));
    child.once('error', reject).once('close', status => resolve({ status: status ?? 1, printed }));
  });
}
