"""Each action's sample, through the program, to its platform under its own name; where the vendor has a document, Prism judges it."""

import re
from pathlib import Path

import pytest

from documents import for_connector
from network import Answer, Platforms, Request
from prism import Prism
from support.amalgam import Amalgam, checked
from vendors import Connector

# What the check of definitions calls a difference, by Prism's name of it.
KINDS = {"required": ("missing", "required"), "additionalProperties": ("unknown",)}


def test_every_sample_is_what_the_vendor_takes(
    connector: Connector, amalgam: Amalgam, platforms: Platforms, specs: Path, tmp_path: Path
) -> None:
    files = connector.definition["vendor"].get("documents", [])
    if files and not specs.is_dir():
        pytest.skip(f"the vendors' documents are not at {specs}")
    checked(amalgam.admin.post(f"/connectors/{connector.id}/credentials", json=connector.credential()), 200)
    sent = {action_id: _sent(connector, action_id, amalgam, platforms) for action_id in connector.definition["actions"]}
    wrong = [f"{connector.id}/{action_id}: {why}" for action_id, why in sent.items() if isinstance(why, str)]
    requests = {action_id: request for action_id, request in sent.items() if isinstance(request, Request)}
    documents, described = for_connector(connector.definition, connector.base_url, requests, specs) if files else ([], {})
    prisms = [Prism(f"{connector.id}-{number}", document, tmp_path) for number, document in enumerate(documents)]
    used: set[str] = set()
    try:
        for prism in prisms:
            prism.wait_ready()
        for action_id, request in requests.items():
            wrong += _judged(connector, action_id, request, prisms[: described.get(action_id, 0)], used)
    finally:
        for prism in prisms:
            prism.stop()
    common = [difference["what"] for difference in connector.definition["vendor"].get("differs", [])]
    wrong += [_stale(connector.id, what) for what in common if what.startswith("sent ") and what not in used]
    judged = sum(count > 0 for count in described.values())
    print(f"{connector.id}: {len(requests)} samples sent, {judged} of them judged by the vendor's document")
    assert not wrong, "\n" + "\n".join(wrong)


def _sent(connector: Connector, action_id: str, amalgam: Amalgam, platforms: Platforms) -> Request | str:
    """The one request that a sample becomes, or why there is none."""
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        return Answer(200, [("Content-Type", "application/json")], b"{}")

    platforms.answer = answer
    sample = connector.definition["actions"][action_id]["sample"]
    told = amalgam.admin.post(f"/connectors/{connector.id}/actions/{action_id}/execute", json={"parameters": sample})
    if len(seen) != 1:
        return f"{len(seen)} requests arrived; the program says {told.status_code} {told.text}"
    if seen[0].host != connector.host:
        return f"sent to {seen[0].host}, not to {connector.host}"
    return seen[0]


def _judged(connector: Connector, action_id: str, request: Request, prisms: list[Prism], used: set[str]) -> list[str]:
    """The lines of what is wrong: violations that nobody explains, and explanations that nothing needs."""
    # Where a vendor describes an operation twice, the description that comes closest counts.
    violations = min((prism.violations(request) for prism in prisms), key=len, default=[])
    holders = (connector.definition["vendor"], connector.definition["actions"][action_id])
    common, own = ([difference["what"] for difference in holder.get("differs", [])] for holder in holders)
    used.update(what for what in common if any(_explains(what, violation) for violation in violations))
    lines = [violation for violation in violations if not any(_explains(what, violation) for what in own + common)]
    stale = [what for what in own if what.startswith("sent ") and not any(_explains(what, violation) for violation in violations)]
    return [f"{connector.id}/{action_id}: {line}" for line in lines] + [_stale(f"{connector.id}/{action_id}", what) for what in stale]


def _stale(place: str, what: str) -> str:
    return f"{place}: `differs` explains `{what}`, which Prism does not say; leave it out"


def _explains(what: str, violation: str) -> bool:
    """Whether an explanation is about this violation: by its name after `sent`, or as a difference of the definition."""
    name = violation.split(" (")[0]
    if what.startswith("sent "):
        return _fits(what.removeprefix("sent "), name)
    place, _, code = name.rpartition(": ")
    if place == "invalid_content_type":
        return what == "body: kind" or ("No supported" in violation and re.fullmatch("body .*: unknown", what) is not None)
    return any(_fits(what, f"{place}: {kind}") for kind in KINDS.get(code, ("type", "choices")))


def _fits(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None
