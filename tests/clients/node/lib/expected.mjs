// What every client must find on the server that the launcher made.

/** The eight tools of dynamic exposure, by their exact names. */
export const TOOLS = [
  'create_credential_alloy',
  'discover_action_path_alloy',
  'execute_action_alloy',
  'get_action_details_alloy',
  'get_connector_resources_alloy',
  'get_credential_metadata_alloy',
  'get_credentials_alloy',
  'list_connectors_alloy',
];
export const PROMPTS = ['connect_account', 'workflow_builder'];
export const RESOURCE = 'resource://connectors/matrix';
export const NAME = 'Client Tests';
export const INSTRUCTIONS = 'Say please.';
export const LEGACY = '2025-11-25';
export const MODERN = '2026-07-28';

/** The token URL of the server under test. */
export const url = process.env.AMALGAM_TEST_URL;
/** The same server with a token that is wrong. */
export const wrongUrl = url?.replace(/[^/]+$/, 'mcp_token_wrong');
if (!url) throw new Error('AMALGAM_TEST_URL is not set: start the suite with `node run.mjs`');

/** The JSON of the one text block of a tool's result. */
export function json(result) {
  if (result.isError || result.content.length !== 1 || result.structuredContent !== undefined) {
    throw new Error(`expected one text block: ${JSON.stringify(result)}`);
  }
  return JSON.parse(result.content[0].text);
}
