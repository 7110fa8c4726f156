"""The binary under test: started on loopback with an empty database, driven through its REST API."""

import os
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from support.process import Process, free_port, plain_env

REPOSITORY = Path(__file__).resolve().parents[4]
BINARY = Path(os.environ.get("AMALGAM_BIN", REPOSITORY / "target/release/amalgam"))
ADMIN_KEY = "client-suite-admin-key-0123456789"


class Amalgam:
    """One running node and its administrator."""

    def __init__(self, directory: Path, config: str = "", arguments: Sequence[str] = (), environment: Mapping[str, str] = {}) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._database = Database.from_environment()
        command = [str(BINARY), "serve", "--listen", f"127.0.0.1:{port}"]
        command += ["--data-dir", str(directory / "data"), "--egress-allow", "127.0.0.0/8"]
        if config:
            (directory / "amalgam.toml").write_text(config)
        if self._database:
            command += ["--database-url", self._database.url]
        command += arguments
        env = plain_env(AMALGAM_ADMIN_KEY=ADMIN_KEY, **environment)
        self.process = Process("amalgam", command, directory / "amalgam.log", env, directory)
        self.admin = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=30, trust_env=False
        )

    def wait_ready(self) -> None:
        """Returns when the node serves."""
        self.process.wait_ready(f"{self.url}/ready")

    def create_server(self, name: str, **fields: Any) -> dict[str, Any]:
        """A server with room for a whole suite in its rate limit; the answer of `POST /api/servers`."""
        body = {"name": name, "rateLimitPerMinute": 10_000} | fields
        return checked(self.admin.post("/api/servers", json=body), 201)

    def import_connector(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of `POST /api/connectors`."""
        return checked(self.admin.post("/api/connectors", json=body), 201)

    def create_key(self, name: str, user: str, role: str = "member") -> dict[str, Any]:
        """The answer of `POST /api/keys`."""
        return checked(self.admin.post("/api/keys", json={"name": name, "userId": user, "role": role}), 201)

    def create_user(self, username: str, password: str) -> None:
        """A user who can sign in."""
        checked(self.admin.post("/users", json={"username": username, "password": password}), 201)

    def stop(self) -> None:
        """Ends the node and drops its database."""
        self.admin.close()
        self.process.stop()
        if self._database:
            self._database.drop()


class Database:
    """A PostgreSQL database of our own beside the one that `AMALGAM_TEST_DATABASE_URL` names."""

    def __init__(self, maintenance_url: str) -> None:
        self._maintenance_url = maintenance_url
        self._name = f"amalgam_clients_{secrets.token_hex(6)}"
        self.url = urlunsplit(urlsplit(maintenance_url)._replace(path=f"/{self._name}"))
        self._psql(f"CREATE DATABASE {self._name}")

    @classmethod
    def from_environment(cls) -> "Database | None":
        """A new empty database when the variable is set; without it the node uses SQLite."""
        url = os.environ.get("AMALGAM_TEST_DATABASE_URL")
        return cls(url) if url else None

    def drop(self) -> None:
        """Removes it, whoever is still connected."""
        self._psql(f"DROP DATABASE {self._name} WITH (FORCE)")

    def _psql(self, statement: str) -> None:
        command = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", statement, self._maintenance_url]
        subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)


def checked(response: httpx.Response, status: int) -> Any:
    """The JSON of an answer that must have `status`; shows the answer when it has not."""
    assert response.status_code == status, f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
    return response.json()
