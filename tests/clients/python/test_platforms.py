"""The two platforms by themselves: when these pass and a connector's test fails, the fault is ours."""

from typing import Any

import httpx

from support.amalgam import checked
from support.kinto import Kinto
from support.synapse import Synapse


def test_synapse_takes_a_message_from_one_user_and_hides_it_from_another(synapse: Synapse) -> None:
    with httpx.Client(base_url=f"{synapse.url}/_matrix/client/v3", timeout=30, trust_env=False) as http:
        owner, stranger = (_login(http, synapse, name) for name in ("direct-owner", "direct-stranger"))
        room = checked(http.post("/createRoom", json={"name": "Direct"}, headers=owner), 200)["room_id"]
        body = {"msgtype": "m.text", "body": "hello"}
        sent = checked(http.put(f"/rooms/{room}/send/m.room.message/1", json=body, headers=owner), 200)["event_id"]
        chunk = checked(http.get(f"/rooms/{room}/messages", params={"dir": "b"}, headers=owner), 200)["chunk"]
        assert {"event_id": sent, "content": body}.items() <= chunk[0].items()
        assert http.get(f"/rooms/{room}/messages", params={"dir": "b"}, headers=stranger).status_code == 403


def test_kinto_stores_a_record_and_publishes_its_document(kinto: Kinto) -> None:
    assert kinto.document()["swagger"] == "2.0"
    with httpx.Client(base_url=kinto.url, auth=("direct", "direct"), timeout=30, trust_env=False) as http:
        checked(http.put("/buckets/direct"), 201)
        checked(http.put("/buckets/direct/collections/notes"), 201)
        made = checked(http.post("/buckets/direct/collections/notes/records", json={"data": {"text": "hello"}}), 201)["data"]
        assert checked(http.get(f"/buckets/direct/collections/notes/records/{made['id']}"), 200)["data"] == made
        checked(http.delete("/buckets/direct"), 200)


def _login(http: httpx.Client, synapse: Synapse, name: str) -> dict[str, Any]:
    synapse.register(name, "a long password")
    login = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": "a long password"}
    return {"Authorization": f"Bearer {checked(http.post('/login', json=login), 200)['access_token']}"}
