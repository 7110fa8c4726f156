// Runs the protocol's own suite against the client side of the gateway: the suite's servers are upstreams, and judge what arrives.
//
//   node conformance/client.mjs [2025-03-26] [2025-11-25] [2026-07-28] [extensions] [--only TEXT] [--scenario NAME] [--client legacy|modern] [--direct]
//
// Without a set, both revisions: what they require, and what they run without counting. --only leaves out scenarios without this text in
// their names, --client chooses the era in front of the gateway (default: that of the revision), --direct leaves the gateway out, which
// judges the wrapper alone. The program is AMALGAM_BIN. The status is 0 when every check passed.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { report, requirements, REVISIONS, run } from './suite.mjs';

const EXTENSIONS = 'extensions';
/** The first revision with OAuth, of which the suite has but what later ones keep for its sake. */
const FIRST = '2025-03-26';
const OF_FIRST = ['oauth-metadata-backcompat', 'oauth-endpoint-fallback'].map(name => `auth/${FIRST}-${name}`);
/** Drafts of extensions that are not built: proof of possession, and identities of workloads. They never count. */
const ABSENT = ['auth/dpop', 'auth/dpop-nonce', 'auth/wif-jwt-bearer'];
/** Scenarios of extensions that a gateway passes on. */
const SKILLS = ['no-prefetch', 'verify-digest', 'verify-size', 'verify-frontmatter'].map(name => `sep-2640-client-${name}`);
const command = `${process.execPath} ${join(import.meta.dirname, 'wrapper.mjs')}`;

/** The scenarios of a set, and the revision they run at. */
async function plan(set) {
  if (set === FIRST) return { names: OF_FIRST, revision: FIRST };
  if (set === EXTENSIONS) return { names: SKILLS, revision: REVISIONS.at(-1) };
  const { scored, unscored } = await requirements('client', set);
  return { names: [...scored, ...unscored].filter(name => !ABSENT.includes(name)), revision: set };
}

async function oneSet(set, { only = '', scenario }, env) {
  const { names, revision } = await plan(set);
  const chosen = scenario ? [scenario] : names.filter(name => name.includes(only));
  const found = new Map();
  let passed = true;
  // One at a time: the suite would start all at once, and the machine may have two cores.
  for (const name of chosen) {
    const args = ['--command', command, '--scenario', name, '--spec-version', revision, '--force'];
    const { status, printed, scenarios } = await run('client', args, env);
    found.set(name, [...scenarios.values()].flat());
    if (status === 0) continue;
    passed = false;
    // A wrapper that could not do its part says why, and the suite repeats it.
    const [, said] = printed.match(/Stderr:\n([\s\S]*?)\n(?:\n|$)/) ?? [];
    console.log(`${name}: status ${status}${said ? `\n${said.split('\n').slice(0, 12).join('\n')}` : ''}`);
  }
  return report(`${set}, client`, found) && passed;
}

async function main() {
  const options = { only: { type: 'string' }, scenario: { type: 'string' }, client: { type: 'string' }, direct: { type: 'boolean' } };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const unknown = positionals.filter(set => ![FIRST, ...REVISIONS, EXTENSIONS].includes(set));
  if (unknown.length > 0) throw new Error(`there is no set ${unknown.join(', ')}`);
  const env = { ...(values.direct && { AMALGAM_CONFORMANCE_DIRECT: '1' }), ...(values.client && { AMALGAM_CONFORMANCE_CLIENT: values.client }) };
  let passed = true;
  for (const set of positionals.length > 0 ? positionals : REVISIONS) passed = (await oneSet(set, values, env)) && passed;
  return passed ? 0 : 1;
}

process.exitCode = await main().catch(error => {
  console.error(error.message);
  return 2;
});
