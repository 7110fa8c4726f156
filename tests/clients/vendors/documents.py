"""The vendors' documents, made small: for each connector one OpenAPI document of the operations that its actions use, ready for Prism.

Paths carry the path of their server, answers are left out, what several texts hold stands in one. What describes a request stays as it
is, but for what Prism would read wrongly (`_leave_out_absent`, `from_swagger`).
"""

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml

from network import Request

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
Json = Any


class _Loader(yaml.CSafeLoader):
    """YAML as JSON knows it: no dates, and the bare `=` of Zendesk's document is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def _parse(name: str, text: bytes) -> Json:
    return json.loads(text) if name.endswith(".json") else yaml.load(text, Loader=_Loader)  # noqa: S506: a safe loader


@dataclass
class Documents:
    """The texts of one file of `specs`: one, or those of an archive by their paths."""

    texts: dict[str, Json]

    @classmethod
    def read(cls, file: Path) -> "Documents":
        if not file.name.endswith(".tar.gz"):
            return cls({"": _parse(file.name.removesuffix(".gz"), gzip.decompress(file.read_bytes()))})
        with tarfile.open(file) as archive:
            members = [member for member in archive if member.isfile() and member.name.endswith((".yaml", ".json"))]
            texts = {member.name: _parse(member.name, archive.extractfile(member).read()) for member in members}
        return cls({name: text for name, text in texts.items() if isinstance(text, dict)})

    def __post_init__(self) -> None:
        for name, text in self.texts.items():
            if "discoveryVersion" in text:
                self.texts[name] = from_discovery(text)
            elif "swagger" in text:
                self.texts[name] = from_swagger(text)

    def follow(self, text: str, value: Json) -> tuple[str, str, Json]:
        """What a reference means at last: its text, its pointer (none where it was no reference), and itself."""
        pointer = ""
        for _ in range(20):
            if not (isinstance(value, dict) and isinstance(value.get("$ref"), str)):
                break
            target, _, pointer = value["$ref"].partition("#")
            text = _relative(text, target)
            value = self.texts[text]
            for part in pointer.split("/")[1:]:
                part = unquote(part).replace("~1", "/").replace("~0", "~")
                value = value[int(part)] if isinstance(value, list) else value[part]
            pointer = pointer or "/"
        return text, pointer, value


def _relative(text: str, target: str) -> str:
    if not target:
        return text
    parts: list[str] = []
    for part in (PurePosixPath(text).parent / target).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


@dataclass
class Operation:
    """One operation as a document has it."""

    documents: Documents
    text: str
    method: str
    path: str
    prefixes: list[str]
    parameters: list[Json]
    described: dict[str, Json]


def operations(documents: Documents) -> Iterator[Operation]:
    """Every operation of every text."""
    for text, root in documents.texts.items():
        if "discoveryVersion" in root:
            root = documents.texts[text] = from_discovery(root)
        for path, item in (root.get("paths") or {}).items():
            text_of_item, _, item = documents.follow(text, item)
            for method in METHODS:
                described = item.get(method)
                if described is None:
                    continue
                known = {}
                for raw in [*item.get("parameters", []), *described.get("parameters", [])]:
                    _, _, resolved = documents.follow(text_of_item, raw)
                    known[resolved.get("name"), resolved.get("in")] = raw
                plain_path = path.split("?")[0].replace("${", "{").replace("{+", "{").rstrip()
                prefixes = _prefixes(root, item, described)
                yield Operation(documents, text_of_item, method, plain_path, prefixes, list(known.values()), described)


def _prefixes(root: Json, item: Json, described: Json) -> list[str]:
    found = []
    for server in next((holder["servers"] for holder in (described, item, root) if holder.get("servers")), []):
        url = server["url"]
        for name, variable in server.get("variables", {}).items():
            if "/" in str(variable.get("default", "")):
                url = url.replace(f"{{{name}}}", variable["default"])
        rest = url.split("://", 1)[-1]
        found.append(rest[rest.index("/") :].rstrip("/") if "/" in rest else "")
    return found or [""]


def bare(path: str) -> str:
    """A path with `{}` for each variable."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


@dataclass
class Small:
    """A document of some operations, and what its references lead to."""

    document: Json = field(default_factory=dict)
    _names: dict[tuple[int, str, str], str] = field(default_factory=dict)

    def add(self, operation: Operation, path: str, request: Request) -> None:
        """Takes over an operation, under this path; of its forms and queries what this request may break."""
        documents, root = operation.documents, operation.documents.texts[operation.text]
        if not self.document:
            self.document = {"openapi": root.get("openapi", "3.0.0"), "info": {"title": "Vendor", "version": "1"}, "paths": {}}
            self.document["components"] = {"schemas": {}, "securitySchemes": {}}
        copy: Json = {"responses": {"200": {"description": "An answer."}}}
        copy["parameters"] = [self._inline(documents, operation.text, raw) for raw in operation.parameters]
        if "requestBody" in operation.described:
            copy["requestBody"] = self._inline(documents, operation.text, operation.described["requestBody"])
        _leave_out_absent(copy, request)
        copy["security"] = self._security(operation, root)
        self.document["paths"].setdefault(path, {})[operation.method] = copy

    def _security(self, operation: Operation, root: Json) -> Json:
        """What the operation asks for, of the schemes that the document has."""
        documents, kept = operation.documents, self.document["components"]["securitySchemes"]
        text, _, schemes = documents.follow(operation.text, root.get("components", {}).get("securitySchemes", {}))
        needed = [one for one in operation.described.get("security", root.get("security")) or [] if all(name in schemes for name in one)]
        for name in {name for one in needed for name in one}:
            kept.setdefault(name, documents.follow(text, schemes[name])[2])
        return needed

    def _inline(self, documents: Documents, text: str, value: Json) -> Json:
        text, _, value = documents.follow(text, value)
        return self._copy(documents, text, value)

    def _copy(self, documents: Documents, text: str, value: Json, names: bool = False) -> Json:
        """`names`: the keys are names of members, not words of the schema language."""
        if isinstance(value, list):
            return [self._copy(documents, text, part) for part in value]
        if not isinstance(value, dict):
            return value
        if not names and isinstance(value.get("$ref"), str):
            return {"$ref": self._name(documents, text, value)}
        kept = {str(key): part for key, part in value.items() if names or key not in ("example", "examples", "discriminator", "xml")}
        return {key: self._copy(documents, text, part, key == "properties" and not names) for key, part in kept.items()}

    def _name(self, documents: Documents, text: str, value: Json) -> str:
        """Under which name a schema stands here; it is copied when it is first met."""
        there, pointer, schema = documents.follow(text, value)
        known = (id(documents), there, pointer)
        schemas = self.document["components"]["schemas"]
        if known not in self._names:
            stem = re.sub(r"\W+", "_", pointer.rsplit("/", 1)[-1] or PurePosixPath(there).stem)
            name = self._names[known] = stem if stem not in schemas else f"{stem}_{len(schemas)}"
            schemas[name] = {}
            schemas[name] = self._copy(documents, there, schema)
        return f"#/components/schemas/{self._names[known]}"


FORM = "application/x-www-form-urlencoded"


def _leave_out_absent(operation: Json, request: Request) -> None:
    """Takes away optional members that the request does not carry: Prism makes empty objects of them, and then misses what should be in those."""
    keys = [key for key, _ in parse_qsl(urlsplit(request.target).query, keep_blank_values=True)]
    first = {key.split("[")[0] for key in keys}
    deep = [one for one in operation["parameters"] if one.get("style") == "deepObject" and not one.get("required")]
    operation["parameters"] = [one for one in operation["parameters"] if one not in deep or one["name"] in first]
    form = operation.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {})
    _leave_out(form, [re.findall(r"[^\[\]]+", key) for key, _ in parse_qsl(request.body.decode("latin-1"), keep_blank_values=True)])


def _leave_out(schema: Json, keys: list[list[str]]) -> None:
    for part in schema.get("anyOf", []):
        _leave_out(part, keys)
    members = schema.get("properties", {})
    for name in list(members):
        below = [key[1:] for key in keys if key[:1] == [name]]
        if below:
            _leave_out(members[name], below)
        elif name not in schema.get("required", []):
            del members[name]


def for_connector(definition: Json, base_url: str, requests: dict[str, Request], specs: Path) -> tuple[list[Json], dict[str, int]]:
    """The documents for these requests of actions, and in how many of them each action is described: a vendor may describe one twice."""
    everything = [operation for file in definition["vendor"]["documents"] for operation in operations(Documents.read(specs / file))]
    small: list[Small] = []
    described = {}
    for action_id, request in requests.items():
        found = find(everything, base_url, definition["actions"][action_id])
        described[action_id] = len(found)
        for number, (operation, path) in enumerate(found):
            if number == len(small):
                small.append(Small())
            small[number].add(operation, path, request)
    return [one.document for one in small], described


def find(everything: list[Operation], base_url: str, action: Json) -> list[tuple[Operation, str]]:
    """The operations of the same method and path, with the path under which Prism will see it."""
    own = action["path"].split("?")[0]
    rest = base_url.split("://", 1)[-1]
    base = rest[rest.index("/") :] if "/" in rest else ""
    full = bare(base + own)
    of_method = [operation for operation in everything if operation.method == action["method"].lower()]
    exact = [(one, prefix + one.path) for one in of_method for prefix in one.prefixes if bare(prefix + one.path) == full]
    alike = [(one, base + one.path) for one in of_method if bare(one.path) == bare(own)]
    filled = [(one, prefix + one.path) for one in of_method for prefix in one.prefixes if _fills(full, bare(prefix + one.path))]
    once = {}
    for operation, path in exact or alike or filled:
        once.setdefault(id(operation), (operation, path))
    return list(once.values())


def _fills(path: str, template: str) -> bool:
    own, other = path.split("/"), template.split("/")
    return len(own) == len(other) and all(there in (here, "{}") for here, there in zip(own, other, strict=True))


# --- Swagger 2 as OpenAPI 3 ----------------------------------------------------------------------------------------------

FLOWS = {"accessCode": "authorizationCode", "application": "clientCredentials", "implicit": "implicit", "password": "password"}


def from_swagger(root: Json) -> Json:
    """The requests that a Swagger 2 document describes. Prism would take its forms as forms only, where they may be JSON as well."""
    schemes = {name: _scheme(raw) for name, raw in root.get("securityDefinitions", {}).items()}
    paths: Json = {}
    for path, item in root["paths"].items():
        shared = item.get("parameters", [])
        for method in set(METHODS) & set(item):
            described = item[method]
            raws = [*shared, *described.get("parameters", [])]
            medias = described.get("consumes") or root.get("consumes") or ["application/json"]
            kept = {"parameters": [_moved(raw) for raw in raws if raw["in"] not in ("body", "formData")]}
            fields = [raw for raw in raws if raw["in"] == "formData"]
            schema = next((raw["schema"] for raw in raws if raw["in"] == "body"), None)
            if fields:
                schema = {"type": "object", "properties": {raw["name"]: _moved(raw)["schema"] for raw in fields}}
                schema["required"] = [raw["name"] for raw in fields if raw.get("required")]
            if schema:
                kept["requestBody"] = {"content": {media: {"schema": schema} for media in medias}}
            security = described.get("security", root.get("security", []))
            paths.setdefault(path, {})[method] = kept | {"security": security}
    server = {"url": f"https://{root['host']}{root.get('basePath', '')}"}
    return {"openapi": "3.0.3", "servers": [server], "paths": paths, "components": {"securitySchemes": schemes}}


def _moved(raw: Json) -> Json:
    schema = {key: raw[key] for key in ("type", "format", "enum", "items", "pattern", "minimum", "maximum") if key in raw}
    return {"name": raw["name"], "in": raw["in"], "required": bool(raw.get("required")), "schema": schema}


def _scheme(raw: Json) -> Json:
    if raw["type"] != "oauth2":
        return raw
    addresses = {key: raw.get(key, "https://example.com") for key in ("authorizationUrl", "tokenUrl")}
    return {"type": "oauth2", "flows": {FLOWS[raw["flow"]]: addresses | {"scopes": raw.get("scopes", {})}}}


# --- Google's discovery documents as OpenAPI 3 ---------------------------------------------------------------------------


def from_discovery(root: Json) -> Json:
    """The requests that a discovery document describes, as an OpenAPI 3 document."""
    paths: Json = {}
    schemas = {name: _schema(schema) for name, schema in root.get("schemas", {}).items()}
    _resources(root, root, paths)
    scopes = root["auth"]["oauth2"]["scopes"]
    flow = {"authorizationUrl": "https://example.com", "tokenUrl": "https://example.com", "scopes": dict.fromkeys(scopes, "")}
    security = {"oauth2": {"type": "oauth2", "flows": {"authorizationCode": flow}}}
    return {
        "openapi": "3.0.3",
        "servers": [{"url": root["rootUrl"].rstrip("/")}],
        "paths": paths,
        "security": [{"oauth2": []}],
        "components": {"schemas": schemas, "securitySchemes": security},
    }


def _resources(root: Json, holder: Json, paths: Json) -> None:
    for method in holder.get("methods", {}).values():
        parameters = [_parameter(name, raw) for name, raw in (root.get("parameters", {}) | method.get("parameters", {})).items()]
        described: Json = {"parameters": parameters, "responses": {}}
        service = "/" + root.get("servicePath", "")
        plain = {f"{service.rstrip('/')}/{method[key]}" for key in ("path", "flatPath") if key in method}
        uploads = {upload["path"] for upload in method.get("mediaUpload", {}).get("protocols", {}).values()}
        for path in sorted(plain | uploads):
            content: Json = {}
            if path in uploads:
                # An upload is the file itself, or the file with its description.
                content = {"*/*": {"schema": {}}}
            elif "request" in method:
                content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{method['request']['$ref']}"}}}
            body = {"requestBody": {"content": content}} if content else {}
            paths.setdefault(path.replace("{+", "{"), {})[method["httpMethod"].lower()] = described | body
    for inner in holder.get("resources", {}).values():
        _resources(root, inner, paths)


def _parameter(name: str, raw: Json) -> Json:
    schema = _schema(raw)
    if raw.get("repeated"):
        schema = {"type": "array", "items": schema}
    return {"name": name, "in": raw["location"], "required": bool(raw.get("required")), "schema": schema}


def _schema(raw: Json) -> Json:
    if "$ref" in raw:
        return {"$ref": f"#/components/schemas/{raw['$ref']}"}
    kept = {key: raw[key] for key in ("type", "enum", "pattern", "format", "readOnly") if key in raw and raw[key] != "any"}
    if raw.get("type") == "string" and "format" in kept:
        # 64-bit numbers are texts; formats of bytes and times are the engine's to write.
        del kept["format"]
    if "items" in raw:
        kept["items"] = _schema(raw["items"])
    if "properties" in raw:
        kept["properties"] = {name: _schema(member) for name, member in raw["properties"].items()}
    if "additionalProperties" in raw:
        kept["additionalProperties"] = _schema(raw["additionalProperties"])
    return kept
