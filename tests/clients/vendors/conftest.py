"""Fixtures: one network with all platforms, one node in it."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import network
from network import Certificates, Platforms
from support.amalgam import REPOSITORY, Amalgam
from vendors import Connector

CONNECTORS = [Connector(tomllib.loads(file.read_text())) for file in sorted(REPOSITORY.glob("connectors/*/connector.toml"))]


def pytest_configure() -> None:
    if not network.is_own():
        pytest.exit("these tests need a network of their own: run tests/clients/run vendors", returncode=4)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "connector" in metafunc.fixturenames:
        metafunc.parametrize("connector", CONNECTORS, ids=lambda connector: connector.id)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """For the names of all platforms, which lead here from now on."""
    directory = tmp_path_factory.mktemp("network")
    names = {connector.host for connector in CONNECTORS}
    network.name_hosts(names, directory)
    return Certificates.make(names, directory)


@pytest.fixture(scope="session")
def platforms(certificates: Certificates) -> Iterator[Platforms]:
    """All platforms at once."""
    served = Platforms(certificates)
    yield served
    served.stop()


@pytest.fixture(scope="session")
def amalgam(platforms: Platforms, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amalgam]:
    """A running node that trusts the platforms."""
    arguments = ["--rate-limit-per-minute", "1000000", "--read-cache-seconds", "0"]
    node = Amalgam(tmp_path_factory.mktemp("amalgam"), arguments=arguments, environment={"SSL_CERT_FILE": str(certificates.authority)})
    try:
        node.wait_ready()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def specs() -> Path:
    """The folder of the vendors' documents."""
    return Path(os.environ.get("AMALGAM_SPECS", REPOSITORY / "../shared/specs"))
