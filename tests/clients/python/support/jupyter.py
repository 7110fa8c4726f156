"""A Jupyter server on loopback: notebooks and files in a folder, behind a token; it publishes an OpenAPI document that says nothing of the token."""

import sys
from pathlib import Path
from typing import Any

import httpx
import yaml

from support.process import Process, free_port, plain_env

TOKEN = "token-of-the-jupyter-server"


class Jupyter:
    """One running server."""

    def __init__(self, directory: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.files = directory / "files"
        self.files.mkdir()
        options = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        options += [f"--ServerApp.root_dir={self.files}", f"--IdentityProvider.token={TOKEN}"]
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", *options]
        places = {name: str(directory / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
        self.process = Process("jupyter", command, directory / "jupyter.log", plain_env(**places), directory)

    def wait_ready(self) -> None:
        """Returns when the server answers."""
        self.process.wait_ready(f"{self.url}/api")

    def document(self) -> dict[str, Any]:
        """The document (Swagger 2.0) as the server publishes it, with what its manual says of the token."""
        answer = httpx.get(f"{self.url}/api/spec.yaml", headers={"Authorization": f"token {TOKEN}"}, timeout=30, trust_env=False)
        answer.raise_for_status()
        scheme = {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`token`, a space, and the server's token."}
        return yaml.safe_load(answer.text) | {"securityDefinitions": {"token": scheme}, "security": [{"token": []}]}

    def stop(self) -> None:
        """Ends the server."""
        self.process.stop()
