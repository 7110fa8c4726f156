"""A real MCP server as a process behind the node, and the vendor's own client in front of it (PyPI `splox`, unchanged)."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from splox import SploxClient
from splox.exceptions import SploxAPIError, SploxAuthError, SploxNotFoundError

from support.amalgam import ADMIN_KEY, Amalgam, checked

SERVER = Path(sys.executable).with_name("mcp-server-time")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amalgam]:
    """A node whose operator has configured the process."""
    node = Amalgam(tmp_path_factory.mktemp("mcp-servers"), f"[stdio.time]\ncommand = {json.dumps(str(SERVER))}\n")
    try:
        node.wait_ready()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def splox(node: Amalgam) -> Iterator[SploxClient]:
    """The vendor's client with nothing but the base URL changed."""
    yield SploxClient(api_key=ADMIN_KEY, base_url=f"{node.url}/api")


@pytest.fixture(scope="module")
def time_server(node: Amalgam) -> dict[str, Any]:
    """The process as the API shows it."""
    (server,) = checked(node.admin.get("/api/v1/user-mcp-servers"), 200)["servers"]
    return server


def test_the_vendors_client_lists_tools_and_executes_them(splox: SploxClient, time_server: dict[str, Any]) -> None:
    tools = splox.mcp.get_server_tools(time_server["id"])
    assert {tool.value for tool in tools.options} == {"get_current_time", "convert_time"} and tools.total == 2
    args = {"source_timezone": "Europe/Zurich", "time": "12:00", "target_timezone": "Asia/Kolkata"}
    done = splox.mcp.execute_tool(mcp_server_id=time_server["id"], tool_slug="convert_time", args=args)
    assert done.is_error is False
    converted = json.loads(done.result.content[0]["text"])
    assert converted["target"]["timezone"] == "Asia/Kolkata"
    failed = splox.mcp.execute_tool(mcp_server_id=time_server["id"], tool_slug="get_current_time", args={"timezone": "Nowhere"})
    assert failed.is_error is True and "Nowhere" in failed.result.content[0]["text"]


def test_the_vendors_client_reads_the_catalogue(splox: SploxClient, node: Amalgam, time_server: dict[str, Any]) -> None:
    listed = {"in_catalog": True, "is_featured": True, "description": "What time it is"}
    checked(node.admin.patch(f"/api/v1/user-mcp-servers/{time_server['id']}", json=listed), 200)
    catalog = splox.mcp.list_catalog(search="what time", featured=True)
    assert [item.name for item in catalog.mcp_servers] == ["time"]
    assert (catalog.total_count, catalog.current_page, catalog.total_pages) == (1, 1, 1)
    item = splox.mcp.get_catalog_item(catalog.mcp_servers[0].id)
    assert item.transport_type == "stdio" and item.auth_type == "none"
    assert splox.mcp.list_catalog(search="nothing like it").mcp_servers == []


def test_the_vendors_client_understands_our_errors(splox: SploxClient, node: Amalgam, time_server: dict[str, Any]) -> None:
    with pytest.raises(SploxNotFoundError):
        splox.mcp.execute_tool(mcp_server_id="0199e001-a23b-7c8d-9000-000000000000", tool_slug="get_current_time")
    with pytest.raises(SploxAuthError):
        SploxClient(api_key="wrong", base_url=f"{node.url}/api").mcp.list_catalog()
    with pytest.raises(SploxAPIError) as refused:
        splox.mcp.execute_tool(mcp_server_id=time_server["id"], tool_slug="no_such_tool")
    assert "no_such_tool" in str(refused.value)


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
def test_the_process_serves_clients_of_both_eras(node: Amalgam, time_server: dict[str, Any], mode: str) -> None:
    url = node.create_server(f"Time {mode}", exposure="direct", connectors=[time_server["connectorId"]])["accessUrl"]

    async def main() -> None:
        async with Client(url, mode=mode) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == {"get_current_time", "convert_time"}
            told = await client.call_tool("get_current_time", {"timezone": "UTC"})
            assert json.loads(told.content[0].text)["timezone"] == "UTC"

    anyio.run(main)
