"""A model's way through the MCP endpoint, in plain HTTP: the wire of the vendor's own example clients."""

import json
import re
from itertools import count
from typing import Any

import httpx

from support.amalgam import checked


class Agent:
    """Calls the tools of one server, for one end user when `user` is given."""

    def __init__(self, url: str, user: str | None = None) -> None:
        headers = {"Content-Type": "application/json", "Accept": "application/json,text/event-stream"}
        if user is not None:
            headers["x-alloy-userid"] = user
        self._http = httpx.Client(headers=headers, timeout=60, trust_env=False)
        self._url = url
        self._ids = count(1)

    def rpc(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """One JSON-RPC request; the whole answer. No `initialize`, no session: the examples send none."""
        request: dict[str, Any] = {"jsonrpc": "2.0", "id": next(self._ids), "method": method}
        if params is not None:
            request["params"] = params
        answer = message(self._http.post(self._url, json=request))
        assert answer["id"] == request["id"]
        return answer

    def tool(self, name: str, **arguments: Any) -> tuple[bool, str]:
        """Whether the tool failed, and its one text block."""
        answer = self.rpc("tools/call", {"name": name, "arguments": arguments})
        assert "result" in answer, f"{name} answered a protocol error: {answer}"
        (block,) = answer["result"]["content"]
        assert block["type"] == "text" and "structuredContent" not in answer["result"]
        return answer["result"].get("isError", False), block["text"]

    def data(self, name: str, **arguments: Any) -> Any:
        """The JSON that a tool answered; an error of the tool fails the test."""
        failed, text = self.tool(name, **arguments)
        assert not failed, f"{name}({arguments}) failed: {text}"
        return json.loads(text)

    def failure(self, name: str, **arguments: Any) -> str:
        """The sentence with which a tool failed; success fails the test."""
        failed, text = self.tool(name, **arguments)
        assert failed, f"{name}({arguments}) should have failed, and answered {text}"
        return text

    def execute(self, connector: str, action: str, parameters: dict[str, Any], **more: Any) -> Any:
        """What the platform answered."""
        return self.data("execute_action_alloy", connectorId=connector, actionId=action, parameters=parameters, **more)

    def refused(self, connector: str, action: str, parameters: dict[str, Any], **more: Any) -> str:
        """Why the call failed."""
        return self.failure("execute_action_alloy", connectorId=connector, actionId=action, parameters=parameters, **more)

    def actions(self, connector: str) -> dict[str, dict[str, Any]]:
        """Every action of a connector by its id."""
        resources = self.data("get_connector_resources_alloy", connectorId=connector)["resources"]
        return {action["id"]: action for resource in resources for action in resource["actions"]}

    def input_schema(self, connector: str, action: str) -> dict[str, Any]:
        """The JSON schema of `parameters` for one action."""
        details = self.data("get_action_details_alloy", connectorId=connector, actionId=action)
        return details["action"]["inputSchema"]

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


def message(response: httpx.Response) -> dict[str, Any]:
    """The JSON-RPC message of a 200, from JSON or from the first `data:` line of a stream, as the examples read it."""
    if "text/event-stream" not in response.headers["content-type"]:
        return checked(response, 200)
    assert response.status_code == 200
    line = re.search(r"data: (.+)", response.text)
    assert line, f"no data line in {response.text!r}"
    return json.loads(line.group(1))
