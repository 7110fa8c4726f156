"""The official Python SDK signs its user in from nothing but the server's address."""

import re
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from support.amalgam import Amalgam

PASSWORD = "correct horse battery"


class Kept:
    """What an application keeps."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """Signs in and allows, by plain HTTP."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[str] = []
        self.answer = ""

    async def open(self, url: str) -> None:
        self.asked.append(url)
        async with httpx2.AsyncClient(trust_env=False) as browser:
            page = await browser.get(url)
            credentials = {"request": hidden(page.text), "username": self.name, "password": PASSWORD}
            page = await browser.post(url.split("?")[0].replace("authorize", "sign-in"), data=credentials)
            assert page.status_code == 200, page.text
            decided = await browser.post(url.split("?")[0].replace("authorize", "consent"), data={"request": hidden(page.text), "decision": "allow"})
            assert decided.status_code == 303, decided.text
            self.answer = decided.headers["location"]

    async def back(self) -> AuthorizationCodeResult:
        found = parse_qs(urlsplit(self.answer).query, strict_parsing=True)
        return AuthorizationCodeResult(code=found["code"][0], state=found["state"][0], iss=found["iss"][0])


def hidden(page: str) -> str:
    """The sealed request in a page's form."""
    found = re.search(r'name="request" value="([^"]+)"', page)
    assert found, page
    return found[1]


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
def test_signs_in_from_the_address_alone(amalgam: Amalgam, unique_name, mode: str) -> None:
    name = unique_name("ann")
    amalgam.create_user(name, PASSWORD)
    server = amalgam.create_server(unique_name("Sign In"), isPublic=True)
    kept, person = Kept(), Person(name)
    metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=["http://127.0.0.1:7777/callback"], token_endpoint_auth_method="none")

    async def tools() -> int:
        auth = OAuthClientProvider(server["url"], metadata, kept, person.open, person.back)
        async with httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False) as http:
            async with Client(streamable_http_client(server["url"], http_client=http), mode=mode) as client:
                return len((await client.list_tools()).tools)

    assert anyio.run(tools) == 8
    # The next connection needs nobody.
    assert anyio.run(tools) == 8
    assert len(person.asked) == 1
    assert parse_qs(urlsplit(person.asked[0]).query)["resource"] == [server["url"]]
