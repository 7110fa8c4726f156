// The protocol's own suite: the scenarios that need no fixture tools, at the revisions that have them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { LEGACY, MODERN, url } from '../lib/expected.mjs';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../node_modules/.bin/conformance');
const output = mkdtempSync(join(tmpdir(), 'conformance-'));
after(() => rmSync(output, { recursive: true }));

// The rest of the suite asks for tools named test_*, which a product does not have: a fixture server behind it answers those.
const SCENARIOS = [
  ['server-initialize', [LEGACY]],
  ['ping', [LEGACY]],
  ['tools-list', [LEGACY, MODERN]],
  ['resources-list', [LEGACY, MODERN]],
  ['prompts-list', [LEGACY, MODERN]],
  ['dns-rebinding-protection', [LEGACY, MODERN]],
  ['server-sse-multiple-streams', [LEGACY, MODERN]],
  ['server-session-lifecycle', [LEGACY]],
  ['server-stateless', [MODERN]],
  ['caching', [MODERN]],
  ['http-header-validation', [MODERN]],
  ['sep-2164-resource-not-found', [MODERN]],
  ['input-required-result-unsupported-methods', [MODERN]],
  ['input-required-result-ignore-extra-params', [MODERN]],
];

// Checks that call a fixture tool inside a scenario that is otherwise about every server. Each must fail: one that passes leaves this list.
const NEEDS_A_FIXTURE_TOOL = [
  'sep-2575-server-rejects-undeclared-capability',
  'sep-2575-missing-capability-http-400',
  'sep-2575-http-server-no-independent-requests-on-stream',
  'sep-2575-server-no-log-without-loglevel',
];

for (const [scenario, revisions] of SCENARIOS) {
  for (const revision of revisions) {
    test(`${scenario} at ${revision}`, async () => {
      const place = mkdtempSync(join(output, 'run-'));
      const command = [program, 'server', '--url', url, '--scenario', scenario, '--spec-version', revision, '-o', place];
      const finished = await run(process.execPath, command, { timeout: 120_000 }).catch(error => error);
      const [directory] = readdirSync(place);
      assert.ok(directory, `the suite left no result:\n${finished.stdout}\n${finished.stderr}`);
      const checks = JSON.parse(readFileSync(join(place, directory, 'checks.json'), 'utf8'));
      const failed = checks.filter(check => check.status === 'FAILURE');
      const expected = scenario === 'server-stateless' ? NEEDS_A_FIXTURE_TOOL : [];
      const told = failed.map(check => `${check.id}: ${check.errorMessage ?? ''} ${JSON.stringify(check.details ?? {}).slice(0, 600)}`);
      assert.deepEqual([...new Set(failed.map(check => check.id))].sort(), [...expected].sort(), told.join('\n'));
      assert.ok(checks.some(check => check.status !== 'FAILURE'), 'the scenario checked nothing');
    });
  }
}
