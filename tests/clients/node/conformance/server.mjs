// Runs the protocol's own suite against a server: `node conformance/server.mjs URL [2025-11-25] [2026-07-28] [all] [--scenario NAME]`.
//
// Without a set, all three. `all` is every scenario that the suite has, also those that no revision requires. The status is 0 when every
// check that counts passed; what a revision runs without counting is shown and does not decide.

import { parseArgs } from 'node:util';
import { report, requirements, REVISIONS, run } from './suite.mjs';

const ALL = 'all';

async function oneSet(url, set) {
  const { status, printed, scenarios } =
    set === ALL ? await run('server', ['--url', url, '--suite', 'all']) : await run('server', ['--url', url, '--requirements', set]);
  const { scored, unscored } = set === ALL ? { scored: [], unscored: [] } : await requirements('server', set);
  const passed = report(set, scenarios, { unscored });
  const lost = scored.filter(name => !scenarios.has(name));
  if (lost.length > 0) console.log(`  no result of: ${lost.join(', ')}`);
  // Our reading of the results and the suite's own must agree; when they do not, its last words say why.
  if (passed !== (status === 0)) console.log(printed.split('\n').slice(-30).join('\n'));
  return passed && status === 0 && lost.length === 0;
}

async function main() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { scenario: { type: 'string' } } });
  const [url, ...sets] = positionals;
  const unknown = sets.filter(set => ![...REVISIONS, ALL].includes(set));
  if (!url || unknown.length > 0) throw new Error(`usage: server.mjs URL [${REVISIONS.join('] [')}] [${ALL}] [--scenario NAME]`);
  let passed = true;
  for (const set of sets.length > 0 ? sets : [...REVISIONS, ALL]) {
    if (values.scenario) {
      const version = set === ALL ? [] : ['--spec-version', set];
      const { scenarios } = await run('server', ['--url', url, '--scenario', values.scenario, ...version]);
      passed = report(`${values.scenario}, ${set}`, scenarios) && passed;
    } else {
      passed = (await oneSet(url, set)) && passed;
    }
  }
  return passed ? 0 : 1;
}

process.exitCode = await main().catch(error => {
  console.error(error.message);
  return 2;
});
