"""A Matrix homeserver on loopback: Synapse with SQLite, no federation, no rate limits."""

import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

import httpx

from support.amalgam import checked
from support.process import Process, free_port, plain_env

REGISTRATION_SECRET = "loopback-registration"
UNLIMITED = {"per_second": 100_000, "burst_count": 100_000}
QUIET_LOG = {
    "version": 1,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "disable_existing_loggers": False,
}


class Synapse:
    """One running homeserver; `register` makes users."""

    def __init__(self, directory: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        (directory / "log.yaml").write_text(json.dumps(QUIET_LOG))  # JSON is YAML.
        # Nothing is federated, so the key signs nothing that anybody checks: a fixed one saves a first run of Synapse to make it.
        (directory / "signing.key").write_text("ed25519 a_test AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n")
        (directory / "homeserver.yaml").write_text(json.dumps(_config(directory, port)))
        command = [sys.executable, "-m", "synapse.app.homeserver", "--config-path", str(directory / "homeserver.yaml")]
        self.process = Process("synapse", command, directory / "synapse.log", plain_env(), directory)

    def wait_ready(self) -> None:
        """Returns when the homeserver answers."""
        self.process.wait_ready(f"{self.url}/health")

    def register(self, name: str, password: str) -> str:
        """Makes a user by the shared secret (`/_synapse/admin/v1/register`); the Matrix user id."""
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            nonce = checked(client.get("/_synapse/admin/v1/register"), 200)["nonce"]
            signed = b"\0".join(part.encode() for part in (nonce, name, password, "notadmin"))
            mac = hmac.new(REGISTRATION_SECRET.encode(), signed, hashlib.sha1).hexdigest()
            body = {"nonce": nonce, "username": name, "password": password, "admin": False, "mac": mac}
            return checked(client.post("/_synapse/admin/v1/register", json=body), 200)["user_id"]

    def stop(self) -> None:
        """Ends the homeserver."""
        self.process.stop()


def _config(directory: Path, port: int) -> dict[str, Any]:
    resources = [{"names": ["client"], "compress": False}]
    return {
        "server_name": "matrix.test",
        "pid_file": str(directory / "synapse.pid"),
        "listeners": [{"port": port, "type": "http", "tls": False, "bind_addresses": ["127.0.0.1"], "resources": resources}],
        "database": {"name": "sqlite3", "args": {"database": str(directory / "synapse.db")}},
        "log_config": str(directory / "log.yaml"),
        "media_store_path": str(directory / "media"),
        "signing_key_path": str(directory / "signing.key"),
        "registration_shared_secret": REGISTRATION_SECRET,
        "macaroon_secret_key": "loopback-macaroon",
        "form_secret": "loopback-form",
        "report_stats": False,
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "bcrypt_rounds": 4,
        "presence": {"enabled": False},
        "rc_message": UNLIMITED,
        "rc_login": {"address": UNLIMITED, "account": UNLIMITED, "failed_attempts": UNLIMITED},
        "rc_joins": {"local": UNLIMITED, "remote": UNLIMITED},
        "rc_invites": {"per_room": UNLIMITED, "per_user": UNLIMITED, "per_issuer": UNLIMITED},
        "rc_room_creation": UNLIMITED,
    }
