"""The connectors as the tests see them: where their platforms are, what a credential holds, which differences are explained."""

import re
from typing import Any
from urllib.parse import urlsplit

Json = Any


class Connector:
    """A curated connector, used with its first scheme that needs no consent."""

    def __init__(self, definition: Json) -> None:
        self.definition = definition
        self.id: str = definition["id"]
        self.scheme: Json = next(scheme for scheme in definition["auth"] if scheme["type"] != "oauth2")
        self.base_url: str = self.scheme.get("base_url", definition["base_url"])
        self.variables = {name: _value(variable) for name, variable in definition.get("variables", {}).items() if self._needs(name)}
        self.host = urlsplit(_filled(self.base_url, self.variables)).netloc

    def _needs(self, name: str) -> bool:
        """Whether a credential of the scheme has this variable."""
        return f"{{{name}}}" in str([self.base_url, self.scheme.get("send"), self.definition.get("headers")])

    def credential(self) -> Json:
        """The body that makes one."""
        usual = {"bearer": ["token"], "basic": ["username", "password"], "apiKey": ["apiKey"]}[self.scheme["type"]]
        sent = [placement["value"] for placement in self.scheme.get("send", [])]
        used = {name for value in sent for name in re.findall(r"\{(\w+)\}", value)} - set(self.definition.get("variables", {}))
        names = [*self.scheme.get("fields", {})] or sorted(used) or usual
        return {"authenticationType": self.scheme["type"], "data": {name: f"a-{name}" for name in names} | self.variables}


def _value(variable: Json) -> str:
    return variable.get("default") or variable["sample"]


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), text)
