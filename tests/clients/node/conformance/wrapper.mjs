// What the suite starts for each of its client scenarios: `node conformance/wrapper.mjs URL`, where URL is a server of the suite.
//
// It starts a gateway (AMALGAM_BIN) with that server as its upstream, and does through the gateway what the scenario wants to see: the suite
// judges what the gateway sends. The gateway ends with it, because the suite waits until nobody is connected to its server any more.
// AMALGAM_CONFORMANCE_DIRECT leaves the gateway out, which judges this file. AMALGAM_CONFORMANCE_CLIENT (`legacy` or `modern`) is the era in
// front of the gateway; without it, the one behind it.

import { randomBytes } from 'node:crypto';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { SkillsClient } from '@modelcontextprotocol/client/ext/skills';
import { manage, start } from '../lib/amalgam.mjs';
import { REVISIONS } from './suite.mjs';

const [LEGACY, MODERN] = REVISIONS;
const { AMALGAM_CONFORMANCE_DIRECT: direct, AMALGAM_CONFORMANCE_CLIENT: era } = process.env;
const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_PROTOCOL_VERSION: revision = LEGACY } = process.env;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

/** Has the user sign in to the upstream once more, where it wants that. */
let signIn;
const wantsToken = scenario?.startsWith('auth/');
/** The address that the suite expects a client's metadata at, for the scenario that looks at it. */
const publicly = scenario === 'auth/basic-cimd' ? 'https://conformance-test.local' : undefined;
let base;

/** What the gateway is told of a client that is known at the authorization server already. */
function registration() {
  const { client_id, client_secret, private_key_pem, signing_algorithm, idp_client_id, idp_issuer } = context;
  if (!client_id) return undefined;
  const machine = /client-credentials/.test(scenario) && { grant_type: 'client_credentials' };
  const enterprise = idp_issuer && { grant_type: 'id_jag', identity_provider: { issuer: idp_issuer, client_id: idp_client_id } };
  return { client_id, client_secret, private_key: signing_algorithm && private_key_pem, ...machine, ...enterprise };
}

/** Follows redirects and sends our form, as a browser does that says yes to everything: the suite's authorization servers ask nothing. */
async function browse(address) {
  const cookies = new Map();
  let method = 'GET';
  for (let hop = 0; hop < 10; hop += 1) {
    const place = publicly ? address.replace(publicly, base) : address;
    const cookie = [...cookies].map(pair => pair.join('=')).join('; ');
    const answer = await fetch(place, { method, redirect: 'manual', headers: { cookie } });
    for (const kept of answer.headers.getSetCookie()) cookies.set(...kept.split(';')[0].split(/=(.*)/s));
    const next = answer.headers.get('location');
    if (!next) {
      const text = await answer.text();
      if (method === 'GET' && answer.status === 200 && text.includes('<form method="post">')) {
        method = 'POST';
        continue;
      }
      if (answer.status !== 200) throw new Error(`signing in ended with ${answer.status}: ${text.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ')}`);
      return;
    }
    address = new URL(next, place).href;
    method = 'GET';
  }
  throw new Error('signing in does not end');
}

/** A server of the gateway that offers what the upstream has, under the upstream's own names. */
async function through(gateway, upstream) {
  const name = `Conformance ${randomBytes(6).toString('hex')}`;
  const auth = wantsToken ? { auth_type: 'oauth', auth_config: registration() } : { auth_type: 'none' };
  const registered = await manage(gateway, 'POST', '/api/v1/user-mcp-servers', { name, url: upstream, transport_type: 'streamable_http', ...auth });
  const { connectorId } = registered;
  const path = `/api/v1/user-mcp-servers/${registered.id}`;
  if (auth.auth_config?.grant_type === 'id_jag') await manage(gateway, 'POST', `${path}/sign-in`, { idToken: context.idp_id_token });
  if (wantsToken && auth.auth_config?.grant_type === undefined) {
    const there = async () => browse((await manage(gateway, 'POST', `${path}/sign-in`, {})).url);
    signIn = async () => {
      const { problem } = await manage(gateway, 'GET', path);
      if (problem?.message.includes('sign in')) await there();
    };
    await there();
  }
  const settings = { name, connectors: [connectorId], exposure: 'direct', toolPrefix: 'never', rateLimitPerMinute: 10_000 };
  const { accessUrl } = await manage(gateway, 'POST', '/api/servers', settings);
  return publicly ? accessUrl.replace(publicly, base) : accessUrl;
}

async function connected(url) {
  const modern = era ? era === 'modern' : revision >= MODERN;
  const versionNegotiation = { mode: modern ? { pin: MODERN } : 'legacy' };
  const capabilities = { elicitation: {}, sampling: {}, roots: {} };
  const client = new Client({ name: 'conformance', version: '1' }, { capabilities, versionNegotiation });
  const answer = ({ params }) => ({ action: 'accept', content: answers(params.requestedSchema.properties) });
  client.setRequestHandler('elicitation/create', answer);
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return client;
}

/** What a user answers who accepts every default, and says yes where there is none. */
function answers(properties) {
  const value = property => property.default ?? (property.type === 'boolean' ? true : undefined);
  const values = Object.entries(properties).map(([name, property]) => [name, value(property)]);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

const callAll = async (client, names) => {
  for (const name of names) await client.callTool({ name, arguments: {} });
};

/** Reads the first skill and, when it is sound, its other files. */
async function readSkill(client) {
  const skills = new SkillsClient(client);
  const { skills: [first] } = await skills.list();
  for (const { uri } of first.resources) await skills.read(first, uri);
}

const SCENARIOS = {
  initialize: client => client.listTools(),
  'request-metadata': client => client.listTools(),
  'json-schema-ref-no-deref': client => client.listTools(),
  tools_call: async client => {
    await client.listTools();
    await client.callTool({ name: 'add_numbers', arguments: { a: 5, b: 3 } });
  },
  'elicitation-sep1034-client-defaults': client => callAll(client, ['test_client_elicitation_defaults']),
  'sse-retry': client => callAll(client, ['test_reconnection']),
  'http-standard-headers': async client => {
    await callAll(client, (await client.listTools()).tools.map(tool => tool.name));
    for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
  },
  'http-custom-headers': async client => {
    await client.listTools();
    for (const call of context.toolCalls) await client.callTool(call);
  },
  'http-invalid-tool-headers': async client => {
    // Every tool that is left is called: one that had to be left out is noticed when its call arrives.
    const { tools } = await client.listTools();
    for (const { name } of tools) await client.callTool({ name, arguments: { region: 'north', value: 'x' } }).catch(() => {});
  },
  'sep-2322-client-request-state': async client => {
    await client.listTools();
    await Promise.all([callAll(client, ['test_mrtr_echo_state']), callAll(client, ['test_mrtr_unrelated'])]);
    await callAll(client, ['test_mrtr_no_state']);
    // A client may refuse this answer, which lacks a member; the gateway has to add it.
    await callAll(client, ['test_mrtr_no_result_type']).catch(() => {});
  },
  'json-schema-2020-12-preservation': async client => {
    const { tools } = await client.listTools();
    const schema = tools.find(tool => tool.name === 'json_schema_2020_12_tool').inputSchema;
    await client.callTool({ name: 'json_schema_echo', arguments: { schema } });
  },
  'sep-2640-client-no-prefetch': client => new SkillsClient(client).list(),
  'sep-2640-client-verify-digest': readSkill,
  'sep-2640-client-verify-size': readSkill,
  'sep-2640-client-verify-frontmatter': readSkill,
};

// In the other scenarios the gateway has to get itself a token; what is done then is the same everywhere. Where the upstream shows nothing, or
// a call leads to a link, the user does what it asks for, at most three times.
const otherwise = async client => {
  let { tools } = await client.listTools();
  for (let attempt = 0; attempt < 3 && tools.length === 0 && signIn; attempt += 1) {
    await signIn();
    ({ tools } = await client.listTools());
  }
  for (const { name } of tools) {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const result = await client.callTool({ name, arguments: {} }).catch(error => ({ isError: true, content: [{ text: error.message }] }));
      const [link] = (result.isError && result.content[0]?.text?.match(/https?:\S+\/oauth\/upstreams\/\S+/)) || [];
      if (!link) break;
      await browse(link);
    }
  }
};

async function main(upstream) {
  const program = direct ? undefined : await start(publicly && ['--public-url', publicly]);
  base = program?.base;
  try {
    const client = await connected(program ? await through(base, upstream) : upstream);
    try {
      await (SCENARIOS[scenario] ?? otherwise)(client);
    } finally {
      await client.close();
    }
  } catch (error) {
    console.error(`${error.message}\nThe end of the program's log:\n${program?.log()}`);
    process.exitCode = 1;
  } finally {
    await program?.stop();
  }
}

await main(process.argv[2]);
