"""A network of its own, in which platforms are met under their real names and nothing else can be reached.

`unshare --net --mount` gives a process and its children a loopback that is theirs alone and a table of host names that only they see.
So the program under test calls `https://slack.com` as it always does, with the definitions that are in it, and reaches what a test
put there.
"""

import fcntl
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def is_own() -> bool:
    """Whether this process has been given a network of its own: there is no interface but the loopback."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def name_hosts(names: Iterable[str], directory: Path) -> None:
    """Switches the loopback on, and lets these names lead there."""
    with socket.socket() as any_socket:
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))
    hosts = directory / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in sorted(set(names))))
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True, timeout=30)


@dataclass
class Certificates:
    """An authority, and a certificate of it for some names; both as files."""

    authority: Path
    chain: Path

    @classmethod
    def make(cls, names: Iterable[str], directory: Path) -> "Certificates":
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        limits = x509.BasicConstraints(ca=True, path_length=0)
        root = _signed(root_name, root_name, root_key, root_key, (limits, True))
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in sorted(set(names))])
        own_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Platforms")])
        leaf = _signed(own_name, root_name, key, root_key, (alternatives, False))
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        made = cls(directory / "authority.pem", directory / "chain.pem")
        made.authority.write_bytes(root.public_bytes(pem))
        made.chain.write_bytes(private + leaf.public_bytes(pem))
        return made


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: tuple[x509.ExtensionType, bool],
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=7)).add_extension(extension[0], critical=extension[1])
    return builder.sign(issuer_key, hashes.SHA256())


@dataclass
class Request:
    """A request as it arrived."""

    host: str
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Answer:
    """What is answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def send(connection: HTTPConnection, request: Request) -> Answer:
    """Passes a request on as it is; `Prefer` would be an order to Prism."""
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers:
        if name.lower() not in ("connection", "prefer", "expect"):
            connection.putheader(name, value)
    connection.endheaders(request.body or None)
    answer = connection.getresponse()
    kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in ("connection", "content-length", "transfer-encoding")]
    return Answer(answer.status, kept, answer.read())


class Platforms:
    """All platforms at once, on the port of https; `answer` is asked for each request, one at a time."""

    def __init__(self, certificates: Certificates) -> None:
        self.answer: Callable[[Request], Answer] = lambda _: Answer(503, [], b"")
        platforms = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 120

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                host = self.headers.get("Host", "")
                answer = platforms.answer(Request(host, self.command, self.path, list(self.headers.items()), body))
                self.send_response_only(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else answer.body)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.chain)
        self._server = ThreadingHTTPServer(("127.0.0.1", 443), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()


