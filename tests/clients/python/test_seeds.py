"""The vendor's published examples, byte for byte except for host, server id, token and key, sent by curl as a reader would."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.agent import message
from support.amalgam import ADMIN_KEY, Amalgam, checked

TOKEN_URL = r"""
curl -X POST https://mcp.runalloy.com/mcp/your-server-id/your-access-token \
  -H "Content-Type: application/json" \
  -H "Accept: application/json, text/event-stream" \
  -d '{
    "jsonrpc": "2.0",
    "method": "tools/list",
    "id": 1
  }'
"""
API_AUTHENTICATION = r"""
curl -X POST https://mcp.runalloy.com/mcp/your-server-id \
  -H "Content-Type: application/json" \
  -H "Accept: application/json, text/event-stream" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "x-alloy-userid: YOUR_USER_ID" \
  -d '{
    "jsonrpc": "2.0",
    "method": "tools/call",
    "params": {
      "name": "execute_action_alloy",
      "arguments": {
        "connectorId": "slack",
        "actionId": "chat_postMessage",
        "parameters": {
          "channel": "#general",
          "text": "Hello from MCP!"
        }
      }
    },
    "id": 1
  }'
"""
METHODS = {
    "tools/list": {"jsonrpc": "2.0", "method": "tools/list", "id": "1"},
    "resources/list": {"jsonrpc": "2.0", "method": "resources/list", "id": 1},
    "resources/read": {"jsonrpc": "2.0", "method": "resources/read", "params": {"uri": "resource://workflows/my-workflow"}, "id": 1},
    "prompts/list": {"jsonrpc": "2.0", "method": "prompts/list", "id": 1},
    "prompts/get": {"jsonrpc": "2.0", "method": "prompts/get", "params": {"name": "workflow_builder"}, "id": 1},
}
SERVER_EXAMPLE = {
    "name": "Production Server",
    "description": "Main production MCP server with restricted access",
    "tokenExpiresInDays": 90,
    "restrictions": {"connectors": {"mode": "allowlist", "allowedIds": ["slack", "notion", "hubspot"]}},
}


@pytest.fixture(scope="module")
def server(amalgam: Amalgam) -> dict[str, Any]:
    return amalgam.create_server("Seeds")


@pytest.fixture
def post(server: dict[str, Any]) -> Callable[..., httpx.Response]:
    """Posts to the token URL with exactly the given headers and no others that say what is accepted."""

    def run(body: Any, accept: str | None = "application/json, text/event-stream", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = httpx.Request("POST", server["accessUrl"], content=content, headers={"Content-Type": "application/json"} | headers)
        if accept is not None:
            request.headers["Accept"] = accept
        with httpx.Client(timeout=30, trust_env=False) as client:
            return client.send(request)

    return run


def curl(example: str, server: dict[str, Any]) -> dict[str, Any]:
    """Runs an example against our node; the JSON-RPC answer of a 200."""
    replaced = (
        example.replace("https://mcp.runalloy.com/mcp/your-server-id/your-access-token", server["accessUrl"])
        .replace("https://mcp.runalloy.com/mcp/your-server-id", server["url"])
        .replace("YOUR_API_KEY", ADMIN_KEY)
        .replace("YOUR_USER_ID", "seed-user")
    )
    command = ["sh", "-c", f"{replaced.strip()} --silent --show-error --noproxy '*' --include --max-time 30"]
    output = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()
    head, body = output.split("\r\n\r\n", 1)
    status, *headers = head.splitlines()
    kind = next(line.split(":", 1)[1].strip() for line in headers if line.lower().startswith("content-type:"))
    return message(httpx.Response(int(status.split()[1]), headers={"content-type": kind}, text=body, request=httpx.Request("POST", "http://x")))


def test_the_token_url_example_lists_the_tools(server: dict[str, Any]) -> None:
    answer = curl(TOKEN_URL, server)
    assert answer["jsonrpc"] == "2.0" and answer["id"] == 1 and "error" not in answer
    tools = {tool["name"]: tool for tool in answer["result"]["tools"]}
    assert len(tools) == 8 and tools["list_connectors_alloy"]["inputSchema"]["properties"]["category"]["type"] == "string"
    assert "resultType" not in answer["result"], "that field belongs to a later revision than the example speaks"


def test_the_api_example_reaches_the_action_and_says_which_credential_is_missing(server: dict[str, Any]) -> None:
    answer = curl(API_AUTHENTICATION, server)
    assert answer["id"] == 1 and answer["result"]["isError"] is True
    assert "credential" in answer["result"]["content"][0]["text"].lower()


@pytest.mark.parametrize("name", METHODS)
def test_every_documented_method_answers_without_initialize(name: str, post: Callable[..., httpx.Response]) -> None:
    answer = message(post(METHODS[name]))
    assert answer["id"] == METHODS[name]["id"]
    if name == "resources/read":
        assert "my-workflow" in answer["error"]["message"]
    else:
        assert "error" not in answer


@pytest.mark.parametrize("identity", [1, "1", 0, -5, 2**53 - 1, "", "a" * 200, "ü"])
def test_ids_come_back_as_they_were_sent(identity: Any, post: Callable[..., httpx.Response]) -> None:
    answer = message(post({"jsonrpc": "2.0", "method": "tools/list", "id": identity}))
    assert answer["id"] == identity and type(answer["id"]) is type(identity)


@pytest.mark.parametrize(
    "accept",
    ["application/json,text/event-stream", "application/json, text/event-stream", "text/event-stream", "*/*", "text/event-stream;q=0.5, */*"],
)
def test_an_accept_that_allows_the_stream_is_served(accept: str, post: Callable[..., httpx.Response]) -> None:
    assert len(message(post(METHODS["tools/list"], accept=accept))["result"]["tools"]) == 8


@pytest.mark.parametrize("accept", [None, "application/json", "text/html", "application/*"])
def test_an_accept_without_the_stream_is_406(accept: str | None, post: Callable[..., httpx.Response]) -> None:
    answer = checked(post(METHODS["tools/list"], accept=accept), 406)
    assert answer["id"] is None and "text/event-stream" in answer["error"]["message"]


def test_other_broken_requests_have_their_own_status(post: Callable[..., httpx.Response]) -> None:
    assert checked(post(b"{not json"), 400)["id"] is None
    assert checked(post(METHODS["tools/list"], **{"Content-Type": "text/plain"}), 415)["id"] is None
    assert message(post({"jsonrpc": "2.0", "method": "no/such", "id": 3}))["error"]["code"] == -32601


def test_a_wrong_token_is_401_in_one_wording(server: dict[str, Any], amalgam: Amalgam) -> None:
    # The token is the authority here: an administrator's header must not open a URL whose token is wrong.
    headers = {"Accept": "application/json, text/event-stream"}
    answers = [
        amalgam.admin.post(url, json=METHODS["tools/list"], headers=headers)
        for url in (f"{server['url']}/mcp_token_wrong", f"{amalgam.url}/mcp/no-such-server-a1b2c3d4/mcp_token_wrong")
    ]
    bodies = [checked(answer, 401) for answer in answers]
    assert bodies[0] == bodies[1] and bodies[0]["id"] is None
    assert all(answer.headers["x-request-id"] for answer in answers)


def test_the_header_form_names_the_server(server: dict[str, Any], amalgam: Amalgam) -> None:
    headers = {"Accept": "application/json, text/event-stream", "x-mcp-server-id": server["serverId"]}
    assert len(message(amalgam.admin.post("/mcp", json=METHODS["tools/list"], headers=headers))["result"]["tools"]) == 8


def test_the_example_server_is_created_listed_and_deleted(amalgam: Amalgam) -> None:
    made = checked(amalgam.admin.post("/api/servers", json=SERVER_EXAMPLE), 201)
    assert made["serverId"].startswith("production-server-") and len(made["serverId"]) == len("production-server-a1b2c3d4")
    assert made["accessToken"].startswith("mcp_token_") and made["accessUrl"] == f"{made['url']}/{made['accessToken']}"
    assert made["url"] == f"{amalgam.url}/mcp/{made['serverId']}" and made["restrictions"] == SERVER_EXAMPLE["restrictions"]
    assert checked(amalgam.admin.post("/api/servers", json=SERVER_EXAMPLE), 409)["error"]
    listed = checked(amalgam.admin.get("/api/servers"), 200)
    assert listed["count"] == len(listed["servers"]) and made["serverId"] in {server["serverId"] for server in listed["servers"]}
    gone = checked(amalgam.admin.delete(f"/api/servers/{made['serverId']}"), 200)
    assert gone["serverId"] == made["serverId"] and gone["message"]
    headers = {"Accept": "application/json, text/event-stream"}
    assert httpx.post(made["accessUrl"], json=METHODS["tools/list"], headers=headers, trust_env=False).status_code == 401


def test_health_is_the_seed(amalgam: Amalgam) -> None:
    answer = checked(httpx.get(f"{amalgam.url}/health", trust_env=False), 200)
    assert answer["status"] == "healthy" and answer["timestamp"].endswith("Z")
