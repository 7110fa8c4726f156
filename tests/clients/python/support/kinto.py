"""A Kinto server on loopback (a JSON store with its own OpenAPI document), in memory, any user by basic authentication."""

import sys
from pathlib import Path
from typing import Any

import httpx

from support.amalgam import checked
from support.process import Process, free_port, plain_env

SETTINGS = """\
[server:main]
use = egg:waitress
host = 127.0.0.1
port = {port}

[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.userid_hmac_secret = loopback-only
kinto.bucket_create_principals = system.Authenticated
multiauth.policies = basicauth
multiauth.policy.basicauth.use = kinto.core.authentication.BasicAuthAuthenticationPolicy

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARN
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(name)s %(message)s
"""


class Kinto:
    """One running server."""

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        settings = directory / "kinto.ini"
        settings.write_text(SETTINGS.format(port=port))
        command = [str(Path(sys.executable).with_name("kinto")), "start", "--ini", str(settings)]
        self.process = Process("kinto", command, directory / "kinto.log", plain_env(), directory)

    def wait_ready(self) -> None:
        """Returns when the server answers."""
        self.process.wait_ready(f"{self.url}/")

    def document(self) -> dict[str, Any]:
        """The OpenAPI document (Swagger 2.0) as the server publishes it."""
        return checked(httpx.get(f"{self.url}/__api__", timeout=30, trust_env=False), 200)

    def stop(self) -> None:
        """Ends the server."""
        self.process.stop()
