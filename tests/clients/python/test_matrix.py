"""The curated Matrix connector against Synapse, as a model drives it: find, read up, store a credential, execute."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from support.agent import Agent
from support.amalgam import Amalgam
from support.synapse import Synapse

MESSAGE = "m.room.message"
_transactions = count(1)


@dataclass
class Person:
    """An end user of ours with an account on the homeserver, and the agent that acts for her."""

    agent: Agent
    mxid: str
    token: str
    credential: str

    def execute(self, action: str, /, **parameters: Any) -> Any:
        """What Synapse answered."""
        return self.agent.execute("matrix", action, parameters)

    def refused(self, action: str, /, **parameters: Any) -> str:
        """Why the call failed."""
        return self.agent.refused("matrix", action, parameters)

    def room(self, name: str) -> str:
        """Makes a private room; its id."""
        return self.execute("createRoom", name=name, preset="private_chat")["room_id"]

    def say(self, room: str, text: str) -> str:
        """Sends a text message; the id of its event."""
        return self.execute("sendMessage", **message_to(room, text))["event_id"]

    def texts(self, room: str) -> list[str]:
        """The messages of a room, newest first."""
        chunk = self.execute("getRoomEvents", roomId=room, dir="b", limit=20)["chunk"]
        return [event["content"]["body"] for event in chunk if event["type"] == MESSAGE]


def message_to(room: str, text: str) -> dict[str, Any]:
    """The parameters of `sendMessage`."""
    content = {"msgtype": "m.text", "body": text}
    return {"roomId": room, "eventType": MESSAGE, "txnId": f"t{next(_transactions)}", "content": content}


@pytest.fixture(scope="module")
def server(amalgam: Amalgam) -> dict[str, Any]:
    return amalgam.create_server("Matrix")


@pytest.fixture(scope="module")
def person(server: dict[str, Any], synapse: Synapse) -> Any:
    """Makes people by the way that a model is told to take."""
    agents: list[Agent] = []

    def make(name: str) -> Person:
        mxid, password = synapse.register(name, f"password of {name}"), f"password of {name}"
        agents.append(agent := Agent(server["accessUrl"], name))
        identifier = {"type": "m.id.user", "user": name}
        login = {"homeserver": synapse.url, "type": "m.login.password", "identifier": identifier, "password": password}
        token = agent.execute("matrix", "login", login)["access_token"]
        fields = {"token": token, "homeserver": synapse.url}
        made = agent.data("create_credential_alloy", connectorId="matrix", authenticationType="bearer", fields=fields)
        return Person(agent, mxid, token, made["credentialId"])

    yield make
    for agent in agents:
        agent.close()


@pytest.fixture(scope="module")
def anna(person: Callable[[str], Person]) -> Person:
    return person("anna")


@pytest.fixture(scope="module")
def boris(person: Callable[[str], Person]) -> Person:
    return person("boris")


def test_a_goal_leads_to_an_action_whose_schema_says_what_to_send(anna: Person) -> None:
    path = str(anna.agent.data("discover_action_path_alloy", goal="send a message to a Matrix room"))
    assert "sendMessage" in path
    assert {"createRoom", "sendMessage", "getRoomEvents", "joinRoom"} <= set(anna.agent.actions("matrix"))
    schema = anna.agent.input_schema("matrix", "sendMessage")
    assert set(schema["required"]) <= set(message_to("!r:matrix.test", "x")) <= set(schema["properties"])


def test_a_message_is_sent_and_read_back(anna: Person) -> None:
    assert anna.execute("whoami")["user_id"] == anna.mxid
    room = anna.room("Planning")
    event = anna.say(room, "Grüße an alle: 你好 🎈 \"quoted\" \\ \u2028 end")
    assert event.startswith("$")
    assert anna.texts(room) == ["Grüße an alle: 你好 🎈 \"quoted\" \\ \u2028 end"]
    one = anna.execute("getOneRoomEvent", roomId=room, eventId=event)
    assert one["sender"] == anna.mxid
    assert room in anna.execute("getJoinedRooms")["joined_rooms"]


def test_an_invited_user_joins_and_both_talk(anna: Person, boris: Person) -> None:
    room = anna.room("Together")
    anna.execute("inviteUser", roomId=room, user_id=boris.mxid)
    assert boris.execute("joinRoom", roomIdOrAlias=room)["room_id"] == room
    anna.say(room, "hello Boris")
    boris.say(room, "hello Anna")
    assert anna.texts(room) == boris.texts(room) == ["hello Anna", "hello Boris"]


def test_users_see_neither_rooms_nor_credentials_of_each_other(anna: Person, boris: Person) -> None:
    room = anna.room("Private")
    anna.say(room, "for Anna alone")
    assert "403" in boris.refused("getRoomEvents", roomId=room, dir="b")
    assert room not in boris.execute("getJoinedRooms")["joined_rooms"]

    seen = boris.agent.data("get_credentials_alloy", connectorId="matrix")["credentials"]
    assert [credential["credentialId"] for credential in seen] == [boris.credential]
    stolen = boris.agent.refused("matrix", "whoami", {}, credentialId=anna.credential)
    invented = boris.agent.refused("matrix", "whoami", {}, credentialId="0" * 24)
    assert stolen == invented, "an answer must not tell whether another user's credential exists"


def test_no_answer_shows_a_token(anna: Person) -> None:
    for name, arguments in [
        ("get_credentials_alloy", {"connectorId": "matrix"}),
        ("get_credential_metadata_alloy", {"connectorId": "matrix"}),
        ("execute_action_alloy", {"connectorId": "matrix", "actionId": "whoami", "parameters": {}}),
    ]:
        assert anna.token not in anna.agent.tool(name, **arguments)[1]


def test_a_user_without_a_credential_is_told_how_to_get_one(server: dict[str, Any], agent_for: Callable[..., Agent]) -> None:
    sentence = agent_for(server["accessUrl"], "newcomer").refused("matrix", "whoami", {})
    assert "create_credential_alloy" in sentence and "homeserver" in sentence


def test_a_dead_token_is_explained(server: dict[str, Any], synapse: Synapse, agent_for: Callable[..., Agent]) -> None:
    agent = agent_for(server["accessUrl"], "dead-token")
    fields = {"token": "syt_not_a_token", "homeserver": synapse.url}
    agent.data("create_credential_alloy", connectorId="matrix", authenticationType="bearer", fields=fields)
    sentence = agent.refused("matrix", "whoami", {})
    assert "401" in sentence and "syt_not_a_token" not in sentence


def test_missing_unknown_and_wrong_parameters_are_named(anna: Person) -> None:
    assert "roomId" in anna.refused("sendMessage", eventType=MESSAGE, txnId="1", content={"msgtype": "m.text", "body": "x"})
    assert "roomId" in anna.refused("getRoomEvents", roomid="!r:matrix.test", dir="b")
    assert "limit" in anna.refused("getRoomEvents", roomId="!r:matrix.test", dir="b", limit="ten")
    assert "sendMessage" in anna.refused("sendMesage", roomId="!r:matrix.test")


@pytest.mark.parametrize(
    "attack",
    [
        "..",
        "../../../_synapse/admin/v1/register",
        "..%2f..%2f_synapse%2fadmin",
        "%2e%2e/%2e%2e",
        "%252e%252e%252f",
        "!r:matrix.test/../../../account/whoami",
        "!r:matrix.test/state?",
        "!r:matrix.test?dir=f",
        "!r:matrix.test#fragment",
        "!r:matrix.test\r\nX-Injected: 1",
        "!r:matrix.test\nHost: elsewhere",
        "!r:matrix.test\0",
        "\\..\\..",
        "http://127.0.0.1:1/",
        "@127.0.0.1:1",
        "",
        "!" + "a" * 100_000,
    ],
    ids=lambda attack: repr(attack[:24]),
)
def test_a_room_id_cannot_leave_its_place_in_the_address(attack: str, anna: Person) -> None:
    sentence = anna.refused("getRoomEvents", roomId=attack, dir="b")
    # Either ours, before anything is sent, or Synapse's own word on a room that does not exist: never another endpoint's answer.
    assert "roomId" in sentence or "403" in sentence or "404" in sentence or "400" in sentence or "414" in sentence, sentence
    assert "nonce" not in sentence and "user_id" not in sentence and anna.token not in sentence
    assert anna.execute("whoami")["user_id"] == anna.mxid, "the next call is not disturbed"


def test_the_homeserver_cannot_be_moved_by_an_argument(anna: Person, synapse: Synapse) -> None:
    # With a credential in play the address belongs to the credential: an argument that names another would send the token there.
    failed, text = anna.agent.tool(
        "execute_action_alloy", connectorId="matrix", actionId="whoami", parameters={"homeserver": "http://127.0.0.1:1"}
    )
    assert failed and "homeserver" in text


def test_an_allowlist_holds_while_a_model_tries_the_rest(
    amalgam: Amalgam, anna: Person, agent_for: Callable[..., Agent], unique_name: Callable[[str], str]
) -> None:
    actions = {"mode": "allowlist", "allowedActions": ["matrix/whoami", "matrix/getJoinedRooms"]}
    narrow = amalgam.create_server(unique_name("Narrow"), restrictions={"actions": actions})
    agent = agent_for(narrow["accessUrl"], "anna")
    assert set(agent.actions("matrix")) == {"whoami", "getJoinedRooms"}
    assert agent.execute("matrix", "whoami", {})["user_id"] == anna.mxid
    assert "Access denied" in agent.refused("matrix", "createRoom", {"name": "no"})
    agent.failure("get_action_details_alloy", connectorId="matrix", actionId="createRoom")
    assert "createRoom" not in str(agent.data("discover_action_path_alloy", goal="create a Matrix room"))
