"""Prism: a server that answers what a document describes, and says of each request where it breaks the document."""

import json
import re
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import network
from network import Request
from support.process import Process, free_port, plain_env

PROGRAM = Path(__file__).with_name("node_modules") / "@stoplight/prism-cli/dist/index.js"


class Prism:
    """One running server, for one document."""

    def __init__(self, name: str, document: Any, directory: Path) -> None:
        file = directory / f"{name}.json"
        file.write_text(json.dumps(document))
        self._port = free_port()
        command = ["node", str(PROGRAM), "mock", "--errors", "--multiprocess", "false", "--host", "127.0.0.1", "--port", str(self._port), str(file)]
        self.process = Process(f"prism-{name}", command, directory / f"{name}.log", plain_env(), directory)
        self._http = HTTPConnection("127.0.0.1", self._port, timeout=60)

    def wait_ready(self) -> None:
        """Returns when it listens."""
        self.process.wait_listening(self._port)

    def violations(self, request: Request) -> list[str]:
        """What of the request breaks the document: `query limit: type (must be integer)`."""
        answer = network.send(self._http, request)
        if answer.status == 200:
            return []
        problem = json.loads(answer.body)
        if problem.get("validation"):
            # Only a body that is missing altogether has no place.
            return sorted({_violation({"location": ["body"]} | found) for found in problem["validation"]})
        kind = "security" if answer.status == 401 else problem["type"].rsplit("#", 1)[-1].lower()
        return [f"{kind}: refused ({problem.get('detail') or problem['title']})"]

    def stop(self) -> None:
        """Ends the server."""
        self._http.close()
        self.process.stop()


def _violation(found: dict[str, Any]) -> str:
    """`query limit: type (must be integer)`, named as the check of definitions names it; what is missing with the place where it should be."""
    missing = re.search(r"(?:must have required|additional) property '([^']+)'", found["message"])
    place, *path = [*found["location"], *(missing.groups() if missing else ())]
    steps = re.sub(r"\.?\b(\d+)\b", "[]", ".".join(str(part) for part in path))
    name = place + steps if steps.startswith("[]") else f"{place} {steps}".rstrip()
    return f"{name}: {found['code']} ({found['message']})"
