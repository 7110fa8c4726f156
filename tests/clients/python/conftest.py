"""Fixtures: one node, one Synapse, one Kinto and one Jupyter a session, agents for each test. Logs are shown when a test fails."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from support.agent import Agent
from support.amalgam import BINARY, Amalgam
from support.jupyter import Jupyter
from support.kinto import Kinto
from support.process import Process
from support.synapse import Synapse

_started: list[Process] = []


@pytest.fixture(scope="session")
def amalgam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amalgam]:
    """A running node with an empty database."""
    if not BINARY.exists():
        pytest.fail(f"the program under test is missing: build it, or name it with AMALGAM_BIN (looked for {BINARY.name})", pytrace=False)
    node = Amalgam(tmp_path_factory.mktemp("amalgam"))
    _started.append(node.process)
    try:
        node.wait_ready()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def synapse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synapse]:
    """A running Matrix homeserver."""
    homeserver = Synapse(tmp_path_factory.mktemp("synapse"))
    _started.append(homeserver.process)
    try:
        homeserver.wait_ready()
        yield homeserver
    finally:
        homeserver.stop()


@pytest.fixture(scope="session")
def kinto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinto]:
    """A running Kinto server."""
    server = Kinto(tmp_path_factory.mktemp("kinto"))
    _started.append(server.process)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A running Jupyter server."""
    server = Jupyter(tmp_path_factory.mktemp("jupyter"))
    _started.append(server.process)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def unique_name() -> Callable[[str], str]:
    """Names that no two tests share: a server's name is unique for its owner."""
    numbers = count(1)
    return lambda base: f"{base} {next(numbers)}"


@pytest.fixture
def agent_for() -> Iterator[Callable[..., Agent]]:
    """Makes agents and closes them after the test."""
    agents: list[Agent] = []

    def make(url: str, user: str | None = None) -> Agent:
        agents.append(Agent(url, user))
        return agents[-1]

    yield make
    for agent in agents:
        agent.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Peak memory of each program, and the end of its log when anything failed."""
    failed = terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")
    for process in _started:
        terminalreporter.write_line(f"{process.name}: log {Path(process.log).name}, peak memory {process.peak_kib // 1024} MiB")
        if failed:
            terminalreporter.section(f"end of {process.log.name}")
            terminalreporter.write_line(process.tail())
