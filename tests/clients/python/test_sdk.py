"""The official Python SDK against the token URL, in every era that it can choose."""

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from support.amalgam import Amalgam

INSTRUCTIONS = "Say please, and never delete anything."
MODES = ("auto", "legacy", "2026-07-28")
TOOLS = {
    "list_connectors_alloy",
    "get_connector_resources_alloy",
    "get_action_details_alloy",
    "execute_action_alloy",
    "create_credential_alloy",
    "get_credentials_alloy",
    "get_credential_metadata_alloy",
    "discover_action_path_alloy",
}
CURATED = {"slack", "notion", "hubspot", "matrix"}


@pytest.fixture(scope="module")
def server(amalgam: Amalgam) -> dict[str, Any]:
    return amalgam.create_server("Python SDK", customInstructions=INSTRUCTIONS)


@pytest.fixture(params=MODES)
def session(request: pytest.FixtureRequest, server: dict[str, Any]) -> Callable[..., None]:
    """Runs one coroutine function with a connected client of each mode."""

    def run(work: Callable[[Client], Awaitable[None]], url: str = server["accessUrl"], **headers: str) -> None:
        async def main() -> None:
            async with AsyncExitStack() as stack:
                http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False))
                transport = streamable_http_client(url, http_client=http)
                await work(await stack.enter_async_context(Client(transport, mode=request.param)))

        anyio.run(main)

    run.mode = request.param  # type: ignore[attr-defined]
    return run


def text_of(result: Any) -> str:
    """The one text block of a tool's result."""
    (block,) = result.content
    assert block.type == "text" and result.structured_content is None
    return block.text


async def failure(client: Client, name: str, arguments: dict[str, Any]) -> str:
    """The sentence of a failed call, whether the tool or the protocol refused it."""
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as error:
        return error.error.message
    assert result.is_error, f"{name} should have failed: {result}"
    return text_of(result)


def test_the_handshake_names_the_server_and_carries_its_instructions(session: Any) -> None:
    async def work(client: Client) -> None:
        assert client.protocol_version == ("2025-11-25" if session.mode == "legacy" else "2026-07-28")
        if session.mode == "2026-07-28":
            return  # A pinned client asks nothing at the start, so it knows neither name nor instructions.
        assert client.server_info.name == "Python SDK"
        assert client.instructions == INSTRUCTIONS
        capabilities = client.server_capabilities
        assert capabilities.tools and capabilities.resources and capabilities.prompts

    session(work)


def test_the_eight_tools_are_listed_with_schemas_and_descriptions(session: Any) -> None:
    async def work(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == TOOLS and len(tools) == len(TOOLS)
        for tool in tools:
            assert tool.description and tool.input_schema["type"] == "object"
            assert tool.output_schema is None
            assert set(tool.input_schema.get("required", [])) <= set(tool.input_schema.get("properties", {}))

    session(work)


def test_connectors_are_found_listed_and_described(session: Any) -> None:
    async def work(client: Client) -> None:
        async def data(name: str, **arguments: Any) -> Any:
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result
            return json.loads(text_of(result))

        listed = await data("list_connectors_alloy")
        assert {connector["id"] for connector in listed["connectors"]} >= CURATED
        assert listed["count"] == len(listed["connectors"]) and listed["message"]
        assert all(isinstance(connector["category"], list) for connector in listed["connectors"])
        chat = await data("list_connectors_alloy", category="communication")
        assert "slack" in {connector["id"] for connector in chat["connectors"]}

        resources = (await data("get_connector_resources_alloy", connectorId="slack"))["resources"]
        actions = {action["id"] for resource in resources for action in resource["actions"]}
        assert "chat_postMessage" in actions
        details = (await data("get_action_details_alloy", connectorId="slack", actionId="chat_postMessage"))["action"]
        assert details["id"] == "chat_postMessage" and details["httpMethod"] == "post"
        assert "channel" in details["inputSchema"]["properties"]

        metadata = (await data("get_credential_metadata_alloy", connectorId="slack"))["metadata"]
        assert {"oauth2", "bearer"} <= {scheme["authenticationType"] for scheme in metadata}
        assert (await data("get_credentials_alloy", connectorId="notion"))["credentials"] == []
        path = json.dumps(await data("discover_action_path_alloy", goal="send a message to a Slack channel"))
        assert "chat_postMessage" in path

    session(work)


def test_a_credential_is_stored_shown_without_its_secret_and_kept_to_its_user(session: Any) -> None:
    user, secret = f"sdk-{session.mode}", f"xoxb-secret-of-{session.mode}"

    async def create(client: Client) -> None:
        arguments = {"connectorId": "slack", "authenticationType": "bearer", "fields": {"token": secret}}
        made = text_of(await client.call_tool("create_credential_alloy", arguments))
        assert len(json.loads(made)["credentialId"]) == 24
        listed = text_of(await client.call_tool("get_credentials_alloy", {"connectorId": "slack"}))
        assert [entry["credentialId"] for entry in json.loads(listed)["credentials"]] == [json.loads(made)["credentialId"]]
        assert secret not in made + listed

    async def look(client: Client) -> None:
        listed = text_of(await client.call_tool("get_credentials_alloy", {"connectorId": "slack"}))
        assert json.loads(listed)["credentials"] == []

    session(create, **{"x-alloy-userid": user})
    session(look, **{"x-alloy-userid": f"{user}-other"})


def test_mistakes_come_back_as_sentences_that_name_the_way_out(session: Any) -> None:
    async def work(client: Client) -> None:
        assert "slack" in await failure(client, "get_connector_resources_alloy", {"connectorId": "slak"})
        assert "chat_postMessage" in await failure(
            client, "get_action_details_alloy", {"connectorId": "slack", "actionId": "chat_postMesage"}
        )
        assert "connectorId" in await failure(client, "get_connector_resources_alloy", {})
        assert "connectorId" in await failure(client, "get_connector_resources_alloy", {"connectorId": 7})
        assert "credential" in (
            await failure(client, "execute_action_alloy", {"connectorId": "notion", "actionId": "post-search", "parameters": {}})
        ).lower()
        assert "tokn" in await failure(
            client,
            "create_credential_alloy",
            {"connectorId": "slack", "authenticationType": "bearer", "fields": {"tokn": "xoxb-0123456789"}},
        )
        assert "no_such_tool" in await failure(client, "no_such_tool", {})

    session(work)


def test_resources_and_prompts(session: Any) -> None:
    async def work(client: Client) -> None:
        uris = {resource.uri for resource in (await client.list_resources()).resources}
        assert "resource://connectors/matrix" in uris
        (content,) = (await client.read_resource("resource://connectors/matrix")).contents
        assert content.uri == "resource://connectors/matrix" and "sendMessage" in content.text
        with pytest.raises(MCPError) as missing:
            await client.read_resource("resource://connectors/nowhere")
        # The code of 2026-07-28; older revisions have one of their own.
        assert missing.value.error.code in ((-32602, -32002) if session.mode == "legacy" else (-32602,))

        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        assert set(prompts) == {"workflow_builder", "connect_account"}
        assert [argument.name for argument in prompts["workflow_builder"].arguments] == ["goal"]
        goal = "file last week's tickets"
        (message, *_) = (await client.get_prompt("workflow_builder", {"goal": goal})).messages
        assert goal in message.content.text
        assert (await client.get_prompt("workflow_builder")).messages, "Alloy's example asks for it without arguments"

    session(work)


@pytest.mark.parametrize("wrong", ["mcp_token_wrong", ""], ids=["wrong token", "no token"])
def test_a_wrong_token_is_a_clean_error(session: Any, server: dict[str, Any], wrong: str) -> None:
    url = "/".join(filter(None, (server["url"], wrong)))

    async def work(client: Client) -> None:
        await client.list_tools()

    with pytest.raises(BaseExceptionGroup) as caught:
        session(work, url=url)
    error = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, MCPError), error
    # The client makes this sentence up when the body is not a JSON-RPC error.
    assert error.error.message != "Server returned an error response" and server["accessToken"] not in error.error.message


def test_an_existing_session_survives_twenty_calls_at_once(session: Any) -> None:
    async def work(client: Client) -> None:
        answers: list[str] = []

        async def one() -> None:
            answers.append(text_of(await client.call_tool("list_connectors_alloy", {})))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
        assert len(answers) == 20 and len(set(answers)) == 1

    session(work)
