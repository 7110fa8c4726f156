"""Programs that a test starts: each in its own process group, its output in a file, readiness by polling."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx


def free_port() -> int:
    """A port that nobody listens on now. Another program may take it before ours does: then the start fails loudly."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A running program. Its whole process group ends with `stop`, so no child outlives a test."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path) -> None:
        self.name = name
        self.log = log
        self.peak_kib = 0
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(env), cwd=cwd, start_new_session=True
            )

    def wait_ready(self, url: str, seconds: float = 60) -> None:
        """Polls `url` until it answers 200; fails with the end of the log when the program dies or takes too long."""
        deadline = time.monotonic() + seconds
        with httpx.Client(timeout=2, trust_env=False) as client:
            while time.monotonic() < deadline:
                if self._child.poll() is not None:
                    raise RuntimeError(f"{self.name} ended with status {self._child.returncode} before it was ready:\n{self.tail()}")
                try:
                    if client.get(url).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not answer 200 on {url} within {seconds} s:\n{self.tail()}")

    def wait_listening(self, port: int, seconds: float = 60) -> None:
        """Returns when somebody listens on the port; fails when the program dies or takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._child.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen after {seconds} s, or has ended:\n{self.tail()}")

    def _peak_memory_kib(self) -> int:
        """The most memory that the program itself has held so far, in KiB; 0 where the system does not tell."""
        try:
            status = Path(f"/proc/{self._child.pid}/status").read_text()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)

    def tail(self, lines: int = 60) -> str:
        """The end of the program's output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Asks the process group to end, and ends it after ten seconds."""
        if self._child.poll() is None:
            self.peak_kib = self._peak_memory_kib()
            os.killpg(self._child.pid, signal.SIGTERM)
            try:
                self._child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(self._child.pid, signal.SIGKILL)
                self._child.wait(timeout=10)


def plain_env(**extra: str) -> dict[str, str]:
    """The environment of a started program: what it needs to run, nothing of ours that could change its settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | extra
