"""A platform behind a token, from its own OpenAPI document: a Jupyter server, whose folder shows what calls really did."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.agent import Agent
from support.amalgam import Amalgam
from support.jupyter import TOKEN, Jupyter

NOTEBOOK = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": "# Grüße"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}


@pytest.fixture(scope="module")
def server(amalgam: Amalgam, jupyter: Jupyter) -> dict[str, Any]:
    amalgam.import_connector({"id": "jupyter", "name": "Jupyter", "baseUrl": jupyter.url, "spec": jupyter.document()})
    return amalgam.create_server("Notebooks")


@pytest.fixture
def agent(server: dict[str, Any], agent_for: Callable[..., Agent]) -> Agent:
    agent = agent_for(server["accessUrl"], "scientist")
    agent.data("create_credential_alloy", connectorId="jupyter", authenticationType="apiKey", fields={"apiKey": f"token {TOKEN}"})
    return agent


def _run(agent: Agent, action: str, **parameters: Any) -> Any:
    return agent.execute("jupyter", action, parameters)


def test_every_operation_of_the_document_is_an_action(agent: Agent, jupyter: Jupyter) -> None:
    operations = [(path, method) for path, item in jupyter.document()["paths"].items() for method in item if method != "parameters"]
    assert len(agent.actions("jupyter")) == len(operations) >= 30


def test_a_notebook_is_saved_read_renamed_and_deleted(agent: Agent, jupyter: Jupyter) -> None:
    _run(agent, "put_api_contents_by_path", path="plans", type="directory")
    # The document has `content` as a text: a notebook is sent as the file that it is.
    text = json.dumps(NOTEBOOK)
    made = _run(agent, "put_api_contents_by_path", path="plans/grüße.ipynb", type="file", format="text", content=text)
    assert made["path"] == "plans/grüße.ipynb" and (jupyter.files / "plans" / "grüße.ipynb").is_file()
    read = _run(agent, "get_api_contents_by_path", path="plans/grüße.ipynb", content=1)
    assert read["content"]["cells"][0]["source"] == "# Grüße"
    assert _run(agent, "get_api_contents_by_path", path="plans/grüße.ipynb", content=0)["content"] is None
    _run(agent, "patch_api_contents_by_path", path="plans/grüße.ipynb", body_path="plans/b.ipynb")
    listed = _run(agent, "get_api_contents_by_path", path="plans", type="directory")["content"]
    assert [entry["name"] for entry in listed] == ["b.ipynb"]
    agent.execute("jupyter", "delete_api_contents_by_path", {"path": "plans/b.ipynb"})
    assert list((jupyter.files / "plans").glob("*.ipynb")) == []
    assert "404" in agent.refused("jupyter", "get_api_contents_by_path", {"path": "plans/b.ipynb"})


def test_a_checkpoint_brings_a_text_back(agent: Agent, jupyter: Jupyter) -> None:
    save = {"path": "note.txt", "type": "file", "format": "text"}
    _run(agent, "put_api_contents_by_path", **save, content="first")
    checkpoint = _run(agent, "post_api_contents_by_path_checkpoints", path="note.txt")["id"]
    _run(agent, "put_api_contents_by_path", **save, content="second")
    assert (jupyter.files / "note.txt").read_text() == "second"
    assert [one["id"] for one in _run(agent, "get_api_contents_by_path_checkpoints", path="note.txt")["data"]] == [checkpoint]
    _run(agent, "post_api_contents_by_path_checkpoints_by_checkpoint_id", path="note.txt", checkpoint_id=checkpoint)
    assert (jupyter.files / "note.txt").read_text() == "first"


def test_settings_are_kept_and_who_calls_is_told(agent: Agent) -> None:
    _run(agent, "patch_api_config_by_section_name", section_name="notebook", body={"theme": {"dark": True}})
    assert _run(agent, "get_api_config_by_section_name", section_name="notebook")["theme"] == {"dark": True}
    assert _run(agent, "get_api_me")["identity"]["username"]
    assert _run(agent, "get_api_status")["kernels"] == 0


def test_a_wrong_token_reaches_nothing_and_is_not_shown(server: dict[str, Any], agent_for: Callable[..., Agent]) -> None:
    stranger = agent_for(server["accessUrl"], "stranger")
    fields = {"apiKey": "token of-somebody-else"}
    stranger.data("create_credential_alloy", connectorId="jupyter", authenticationType="apiKey", fields=fields)
    told = stranger.refused("jupyter", "get_api_contents_by_path", {"path": "note.txt"})
    assert "403" in told and "somebody-else" not in told


@pytest.mark.parametrize("attack", ["../../etc/passwd", "..", "a/../../b"], ids=repr)
def test_a_path_stays_below_the_folder(attack: str, agent: Agent) -> None:
    agent.refused("jupyter", "get_api_contents_by_path", {"path": attack})
