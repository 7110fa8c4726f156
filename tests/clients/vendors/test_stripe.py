"""The curated Stripe connector, at https://api.stripe.com as far as the program can tell: localstripe keeps customers and payments."""

import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

import network
from network import Answer, Platforms, Request
from support.agent import Agent
from support.amalgam import Amalgam
from support.process import Process, free_port, plain_env

KEY = "sk_test_of_the_suite"


@pytest.fixture(scope="module")
def stripe(platforms: Platforms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running localstripe under Stripe's name."""
    directory, port = tmp_path_factory.mktemp("localstripe"), free_port()
    command = [sys.executable, "-m", "localstripe", "--from-scratch", "--port", str(port)]
    process = Process("localstripe", command, directory / "localstripe.log", plain_env(), directory)

    def answer(request: Request) -> Answer:
        assert request.host == "api.stripe.com"
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            return network.send(connection, request)
        finally:
            connection.close()

    platforms.answer = answer
    try:
        process.wait_listening(port)
        yield
    finally:
        process.stop()


@pytest.fixture(scope="module")
def agent(amalgam: Amalgam, stripe: None) -> Iterator[Agent]:
    """A shop's assistant with a secret key."""
    server = amalgam.create_server("Payments")
    agent = Agent(server["accessUrl"], "shop")
    agent.data("create_credential_alloy", connectorId="stripe", authenticationType="bearer", fields={"token": KEY})
    yield agent
    agent.close()


def run(agent: Agent, action: str, **parameters: Any) -> Any:
    return agent.execute("stripe", action, parameters)


@pytest.fixture(scope="module")
def customer(agent: Agent) -> str:
    return run(agent, "PostCustomers", email="ada@example.com", name="Ada", metadata={"shop": "north", "tier": "1"})["id"]


def test_a_customer_is_made_read_changed_and_deleted(agent: Agent) -> None:
    made = run(agent, "PostCustomers", email="lin@example.com", name="Lin", metadata={"shop": "south"})
    assert made["id"].startswith("cus_") and made["metadata"] == {"shop": "south"}
    changed = run(agent, "PostCustomersCustomer", customer=made["id"], name="Lin Wu", metadata={"vip": "yes"})
    assert (changed["name"], changed["email"]) == ("Lin Wu", "lin@example.com") and changed["metadata"]["vip"] == "yes"
    assert run(agent, "GetCustomersCustomer", customer=made["id"])["name"] == "Lin Wu"
    assert [one["id"] for one in run(agent, "GetCustomers", email="lin@example.com")["data"]] == [made["id"]]
    assert run(agent, "DeleteCustomersCustomer", customer=made["id"])["deleted"] is True
    assert run(agent, "GetCustomers", email="lin@example.com")["data"] == []


def test_a_list_goes_on_after_its_last_item(agent: Agent) -> None:
    names = [f"Page {number}" for number in range(5)]
    for name in names:
        run(agent, "PostProducts", name=name)
    seen, cursor = [], {}
    for _ in names:
        page = run(agent, "GetProducts", limit=2, **cursor)
        seen += [product["name"] for product in page["data"]]
        if not page["has_more"]:
            break
        cursor = {"starting_after": page["data"][-1]["id"]}
    assert sorted(seen) == names


def test_a_payment_is_reserved_captured_and_refunded(agent: Agent, customer: str) -> None:
    order = {"amount": 1050, "currency": "eur", "customer": customer, "payment_method": "pm_card_visa", "metadata": {"order": "4711"}}
    reserved = run(agent, "PostPaymentIntents", **order, capture_method="manual", confirm=True)
    assert reserved["status"] == "requires_capture" and reserved["metadata"] == {"order": "4711"}
    captured = run(agent, "PostPaymentIntentsIntentCapture", intent=reserved["id"])
    assert captured["status"] == "succeeded"
    charge = run(agent, "GetChargesCharge", charge=captured["latest_charge"]["id"])
    assert charge["amount"] == 1050 and charge["paid"] is True
    refund = run(agent, "PostRefunds", payment_intent=reserved["id"], amount=50)
    assert refund["amount"] == 50
    assert run(agent, "GetChargesCharge", charge=charge["id"])["amount_refunded"] == 50


def test_a_declined_card_is_explained(agent: Agent, customer: str) -> None:
    order = {"amount": 1050, "currency": "eur", "customer": customer, "payment_method": "pm_card_chargeCustomerFail", "confirm": True}
    told = agent.refused("stripe", "PostPaymentIntents", order)
    assert "402" in told and "The bank refused the card" in told


def test_a_coupon_is_offered_and_what_was_paid_is_listed(agent: Agent, customer: str) -> None:
    coupon = run(agent, "PostCoupons", id="SPRING", percent_off=10, duration="once")
    assert coupon["id"] == "SPRING" and [one["id"] for one in run(agent, "GetCoupons")["data"]] == ["SPRING"]
    charges = run(agent, "GetCharges", customer=customer)["data"]
    assert charges and all(charge["customer"] == customer for charge in charges)
    kinds = {transaction["type"] for transaction in run(agent, "GetBalanceTransactions")["data"]}
    assert {"charge", "refund"} <= kinds


def test_what_is_not_there_and_a_wrong_key_are_explained(agent: Agent, amalgam: Amalgam) -> None:
    assert "404" in agent.refused("stripe", "GetCustomersCustomer", {"customer": "cus_nobody"})
    stranger = Agent(amalgam.create_server("Wrong key")["accessUrl"], "stranger")
    stranger.data("create_credential_alloy", connectorId="stripe", authenticationType="bearer", fields={"token": "no-secret-key"})
    told = stranger.refused("stripe", "GetCustomers", {})
    assert "401" in told and "no-secret-key" not in told
    stranger.close()
