"""Starts the servers that are compared, each in a folder of its own on ports that were free, and ends them."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from scripts.chaos_process import Failed, free_port
from scripts.peers_sealed import CERTIFICATE, KEY, Secrets, certify
from zchat.address import Address
from zchat.broker.rates import Limits
from zchat.links import Link, parse_link
from zchat.messages import LOBBY

ROOT = Path(__file__).resolve().parent.parent

STARTING = 20.0
"""Seconds that a server may take until it listens."""

PLACES = (*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin", "/sbin", "/usr/local/sbin")

PACKAGES = {"redis": "redis-server", "nats": "nats-server", "mosquitto": "mosquitto", "ngircd": "ngircd"}
"""The peers that must be installed, with their programs, which are called as their Debian packages are."""


def program(name: str) -> str | None:
    """Where a program is, if it is installed."""
    return shutil.which(name, path=os.pathsep.join(PLACES))


def version(peer: str) -> str:
    """What a peer says of its version."""
    if peer in ("zchat", "threads"):
        return importlib.metadata.version("zchat") if peer == "zchat" else sys.version.split()[0]
    asked = {"mosquitto": ["-h"], "redis": ["--version"], "nats": ["--version"], "ngircd": ["--version"]}[peer]
    said = subprocess.run([program(PACKAGES[peer]) or peer, *asked], capture_output=True, text=True, check=False)
    words = (said.stdout + said.stderr).replace(":", " ").replace("v=", "").split()
    return next((word.strip(",") for word in words if word.lstrip("v")[:1].isdigit()), "unknown").split("-IDENT")[0]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs.

    Attributes:
        pid: of its process.
        port: at which it listens.
        folder: where its files are.
        secrets: what clients know it by, where it encrypts.
    """

    pid: int
    port: int
    folder: Path
    secrets: Secrets

    @property
    def url(self) -> str:
        """Where zchat's clients find it."""
        key = self.secrets.curve
        where = Address("127.0.0.1", self.port)
        return str(where if key is None else Link(where, LOBBY, key))

    def cpu(self) -> float:
        """Seconds of processor time that it and its children have used, all threads together."""
        return cpu(self.pid)

    def memory(self) -> int:
        """Bytes that it and its children hold in memory now."""
        return sum(_memory(pid) for pid in _family(self.pid))


def cpu(pid: int) -> float:
    """Seconds of processor time, user and system, of a process and its children."""
    ticks = 0
    for one in _family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in _family(int(child)))]


def _memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _redis(folder: Path, port: int, *, fsync: str = "", tls: bool = False) -> list[str]:
    sealed = [
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {folder / CERTIFICATE}",
        f"tls-key-file {folder / KEY}",
        f"tls-ca-cert-file {folder / CERTIFICATE}",
        "tls-auth-clients no",
    ]
    lines = [
        *(sealed if tls else [f"port {port}"]),
        "bind 127.0.0.1",
        'save ""',
        f"dir {folder}",
        f"appendonly {'yes' if fsync else 'no'}",
        f"appendfsync {fsync or 'no'}",
        "auto-aof-rewrite-percentage 0",
        "maxclients 30000",
        "tcp-backlog 1024",
        "client-output-buffer-limit pubsub 0 0 0",
        "daemonize no",
        "loglevel warning",
    ]
    return [program("redis-server") or "", _written(folder / "redis.conf", lines)]


def _nats(folder: Path, port: int, *, stored: bool = False, tls: bool = False) -> list[str]:
    more = ["-js", "-sd", str(folder)] if stored else []
    if tls:
        lines = ["tls {", f'cert_file: "{folder / CERTIFICATE}"', f'key_file: "{folder / KEY}"', "timeout: 20", "}"]
        more += ["-c", _written(folder / "nats.conf", lines)]
    return [program("nats-server") or "", "-a", "127.0.0.1", "-p", str(port), *more]


def _mosquitto(folder: Path, port: int) -> list[str]:
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "max_connections -1",
        "max_queued_messages 0",
        "max_queued_bytes 0",
        "max_inflight_messages 0",
        "set_tcp_nodelay true",
        "persistence false",
        "log_type error",
    ]
    return [program("mosquitto") or "", "-c", _written(folder / "mosquitto.conf", lines)]


def _ngircd(folder: Path, port: int) -> list[str]:
    lines = [
        "[Global]",
        "Name = irc.bench.local",
        "Info = bench",
        "AdminInfo1 = bench",
        "AdminInfo2 = bench",
        "AdminEMail = bench@bench.local",
        "Listen = 127.0.0.1",
        f"Ports = {port}",
        "MotdPhrase = bench",
        f"ServerUID = {os.getuid()}",
        f"ServerGID = {os.getgid()}",
        "[Limits]",
        "MaxConnections = 0",
        "MaxConnectionsIP = 0",
        "MaxJoins = 0",
        "MaxPenaltyTime = 0",
        "[Options]",
        "DNS = no",
        "Ident = no",
        "PAM = no",
        "SyslogFacility = user",
    ]
    return [program("ngircd") or "", "-n", "-f", _written(folder / "ngircd.conf", lines)]


def _written(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def _command(kind: str, folder: Path, port: int, data: Path, more: Sequence[str], *, sealed: bool) -> list[str]:
    match kind:
        case "zchat":
            where = ["--bind", f"tcp://127.0.0.1:{port}", "--data", str(data)]
            return [sys.executable, "-m", "zchat", "broker", *where, "--no-console", "--no-show-chat", *more]
        case "threads":
            return [sys.executable, "-m", "scripts.peers_threads", str(port)]
        case "redis":
            return _redis(folder, port, tls=sealed)
        case "redis-always":
            return _redis(folder, port, fsync="always", tls=sealed)
        case "redis-everysec":
            return _redis(folder, port, fsync="everysec", tls=sealed)
        case "nats":
            return _nats(folder, port, tls=sealed)
        case "jetstream":
            return _nats(folder, port, stored=True, tls=sealed)
        case "mosquitto":
            return _mosquitto(folder, port)
        case _:
            return _ngircd(folder, port)


@contextmanager
def running(kind: str, tree: Path | None = None, data: Path | None = None, *, sealed: bool = False) -> Iterator[Server]:
    """A server of a kind while it is needed.

    Args:
        kind: see `_command`.
        tree: the checkout whose zchat is started; this one by default.
        data: a folder of zchat's, which is used and stays; by default a new one.
        sealed: whether it encrypts: zchat with CURVE, the others with TLS.

    Raises:
        Failed: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="zchat-peers-", ignore_cleanup_errors=True) as made:
        folder, port = Path(made), free_port()
        root = tree if tree is not None and kind == "zchat" else ROOT
        said, kept = folder / "said", data or folder / "data"
        more = _options(root, sealed=sealed) if kind == "zchat" else []
        secrets = Secrets(tls=certify(folder)) if sealed and kind != "zchat" else Secrets()
        with said.open("wb") as file:
            process = subprocess.Popen(
                _command(kind, folder, port, kept, more, sealed=sealed),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=root,
                env={**os.environ, "PYTHONPATH": str(root)},
            )
        try:
            link = kept / "keys" / "link" if sealed and kind == "zchat" else None
            _await(kind, process, port, said, link)
            if link is not None:
                secrets = Secrets(curve=parse_link(link.read_text()).key)
            try:
                yield Server(process.pid, port, folder, secrets)
            except Failed as error:
                if process.poll() is None:
                    raise
                raise Failed(f"{kind} ended ({error}): {_last(said)}") from None
        finally:
            if data is not None:  # else nothing of it is needed any more
                process.terminate()
                try:
                    process.wait(STARTING)
                except subprocess.TimeoutExpired:
                    pass
            process.kill()
            process.wait()


@lru_cache(maxsize=4)
def _help(root: Path) -> str:
    """What a checkout's broker says of its options."""
    command = [sys.executable, "-m", "zchat", "broker", "--help"]
    env = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=root, env=env, check=False).stdout


def knows_curve(tree: Path | None = None) -> bool:
    """Whether a checkout's broker can be started with CURVE; this one's by default."""
    return "--curve" in _help(tree or ROOT)


def _options(root: Path, *, sealed: bool) -> list[str]:
    """What zchat's broker is told besides. Nobody is held back for asking for much: that is what is measured."""
    if not sealed:
        return []  # without encryption rates are off anyway
    rates = [f"--rate={rate.name}=off" for rate in fields(Limits)] if "--rate" in _help(root) else []
    return ["--curve", "--admission", "open", *rates]


def _await(kind: str, process: subprocess.Popen[bytes], port: int, said: Path, file: Path | None) -> None:
    """Waits until it listens, and has written a file, if it is to write one."""
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            if file is None or file.exists():
                return
        except OSError:
            pass
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        raise Failed(f"{kind} does not start: {_last(said)}")
    raise Failed(f"{kind} does not listen: {_last(said)}")


def _last(said: Path) -> str:
    lines = said.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
