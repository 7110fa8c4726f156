"""A platform that we know nothing of, from its own OpenAPI document alone: Kinto (Swagger 2.0), stored to and read back."""

from collections.abc import Callable
from typing import Any

import pytest

from support.agent import Agent
from support.amalgam import Amalgam, checked
from support.kinto import Kinto


@pytest.fixture(scope="module")
def imported(amalgam: Amalgam, kinto: Kinto) -> dict[str, Any]:
    return amalgam.import_connector({"id": "kinto", "name": "Kinto", "baseUrl": kinto.url, "spec": kinto.document()})


@pytest.fixture(scope="module")
def server(amalgam: Amalgam, imported: dict[str, Any]) -> dict[str, Any]:
    return amalgam.create_server("Imported")


@pytest.fixture
def agent(server: dict[str, Any], agent_for: Callable[..., Agent]) -> Agent:
    """An end user with a Kinto account. Kinto takes any name and password; together they are the account."""
    agent = agent_for(server["accessUrl"], "keeper")
    fields = {"username": "keeper", "password": "keeper-password"}
    agent.data("create_credential_alloy", connectorId="kinto", authenticationType="basic", fields=fields)
    return agent


def test_the_document_becomes_actions(imported: dict[str, Any], agent: Agent) -> None:
    assert imported["id"] == "kinto" and imported["actions"] >= 25
    assert imported["omitted"] == [] or all(entry["reason"] for entry in imported["omitted"])
    actions = agent.actions("kinto")
    assert {"create_bucket", "create_collection", "create_record", "get_record", "patch_record", "delete_record"} <= set(actions)
    assert {"bucket_id", "collection_id", "id"} <= set(agent.input_schema("kinto", "get_record")["required"])
    (basic,) = agent.data("get_credential_metadata_alloy", connectorId="kinto")["metadata"]
    assert basic["authenticationType"] == "basic"


def test_records_are_created_read_changed_and_deleted(agent: Agent) -> None:
    agent.execute("kinto", "create_bucket", {"data": {"id": "crud"}})
    agent.execute("kinto", "create_collection", {"bucket_id": "crud", "data": {"id": "notes"}})
    place = {"bucket_id": "crud", "collection_id": "notes"}
    made = agent.execute("kinto", "create_record", place | {"data": {"text": "grüße", "n": 1}})["data"]
    one = place | {"id": made["id"]}
    assert agent.execute("kinto", "get_record", one)["data"] == made
    changed = agent.execute("kinto", "patch_record", one | {"data": {"n": 2}})["data"]
    assert (changed["n"], changed["text"]) == (2, "grüße")
    # The write has to be seen at once: a read kept from before it would be stale.
    assert agent.execute("kinto", "get_record", one)["data"] == changed
    listed = agent.execute("kinto", "get_records", place)["data"]
    assert [record["id"] for record in listed] == [made["id"]]
    assert agent.execute("kinto", "delete_record", one)["data"]["deleted"] is True
    assert "404" in agent.refused("kinto", "get_record", one)


def test_many_records_are_shaped_for_a_model(agent: Agent) -> None:
    agent.execute("kinto", "create_bucket", {"data": {"id": "many"}})
    agent.execute("kinto", "create_collection", {"bucket_id": "many", "data": {"id": "notes"}})
    place = {"bucket_id": "many", "collection_id": "notes"}
    for n in range(60):
        agent.execute("kinto", "create_record", place | {"data": {"n": n}})
        if n == 29:
            thirty = agent.execute("kinto", "get_records", place)
    assert len(thirty["data"]["data"]) == 25
    assert thirty["metadata"]["originalCount"] == 30 and thirty["metadata"]["displayedCount"] == 25 and thirty["metadata"]["truncated"]
    sixty = agent.execute("kinto", "get_records", place)
    assert sixty["needsRefinement"] is True and "60" in sixty["message"] and len(sixty["samples"]) == 2


def test_another_user_has_no_credential_and_another_account_no_access(server: dict[str, Any], agent_for: Callable[..., Agent]) -> None:
    stranger = agent_for(server["accessUrl"], "stranger")
    assert "create_credential_alloy" in stranger.refused("kinto", "get_buckets", {})
    fields = {"username": "stranger", "password": "stranger-password"}
    stranger.data("create_credential_alloy", connectorId="kinto", authenticationType="basic", fields=fields)
    assert "403" in stranger.refused("kinto", "get_bucket", {"id": "crud"})


@pytest.mark.parametrize("attack", ["..", "a/../../..", "a%2f..", "a?_fields=id", "a#b", "a\r\nX-Y: z", ""], ids=repr)
def test_an_imported_path_parameter_stays_in_its_place(attack: str, agent: Agent) -> None:
    assert "keeper-password" not in agent.refused("kinto", "get_bucket", {"id": attack})


def test_the_connector_is_deleted_with_its_actions(amalgam: Amalgam, kinto: Kinto, agent: Agent) -> None:
    amalgam.import_connector({"id": "kinto-short-lived", "baseUrl": kinto.url, "spec": kinto.document()})
    assert "create_record" in agent.actions("kinto-short-lived")
    checked(amalgam.admin.delete("/api/connectors/kinto-short-lived"), 200)
    assert "kinto-short-lived" in agent.failure("get_connector_resources_alloy", connectorId="kinto-short-lived")
