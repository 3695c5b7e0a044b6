"""Partitions: clients in network namespaces of their own, on a bridge whose ports are blocked and opened again."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scripts.chaos_client import Person, crowd
from scripts.chaos_log import Notes
from scripts.chaos_run import Run, Skipped

SITES = 3
"""Namespaces of clients."""

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds of a partition."""

BACK = 5.0
"""Seconds from the end of a partition until every client behind it hears the broker, at most."""

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)


@dataclass(frozen=True, slots=True)
class Net:
    """A bridge in a namespace of its own, the broker's namespace at 10.99.0.1, and those of the clients."""

    bridge: str
    broker: str
    sites: list[str]

    def block(self, site: int) -> None:
        """What goes to and from a site is dropped without a word."""
        _run("ip", "netns", "exec", self.bridge, "bridge", "link", "set", "dev", f"p{site + 2}", "state", "0")

    def open(self, site: int) -> None:
        """It goes through again."""
        _run("ip", "netns", "exec", self.bridge, "bridge", "link", "set", "dev", f"p{site + 2}", "state", "3")


@contextmanager
def network(sites: int) -> Iterator[Net]:
    """Makes the namespaces, and takes them away at the end.

    Raises:
        Skipped: this machine does not let us.
    """
    missing = [name for name in ("ip", "bridge") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        raise Skipped("network namespaces need root, and the ip and bridge commands (say: apt-get install iproute2)")
    tag = secrets.token_hex(3)
    net = Net(f"zb{tag}", f"zs{tag}", [f"zc{tag}{number}" for number in range(sites)])
    made: list[str] = []
    try:
        for name in (net.bridge, net.broker, *net.sites):
            _run("ip", "netns", "add", name)
            made.append(name)
        _run("ip", "-n", net.bridge, "link", "add", "name", "br0", "type", "bridge")
        _run("ip", "-n", net.bridge, "link", "set", "br0", "up")
        for number, name in enumerate((net.broker, *net.sites), 1):
            port = f"p{number}"
            _run(
                *("ip", "link", "add", port, "netns", net.bridge),
                *("type", "veth", "peer", "name", "cable", "netns", name),
            )
            _run("ip", "-n", net.bridge, "link", "set", port, "master", "br0", "up")
            _run("ip", "-n", name, "addr", "add", f"10.99.0.{number}/24", "dev", "cable")
            _run("ip", "-n", name, "link", "set", "cable", "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        yield net
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise Skipped(f"the network could not be made: {' '.join(error.cmd)}: {said}") from None
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20, check=False)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread, and whatever it starts, is in a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if libc.setns(there, _NEW_NETWORK) != 0:
            raise Skipped(f"a network namespace cannot be entered: {os.strerror(ctypes.get_errno())}")
        yield
    finally:
        libc.setns(before, _NEW_NETWORK)
        os.close(before)
        os.close(there)


@dataclass(frozen=True, slots=True)
class Partition:
    """A site was cut off: from when until when, in the nanoseconds of the clients' clock."""

    site: int
    begin: int
    end: int


def net(run: Run) -> None:
    """Clients are cut off from the broker without a word, for a while, site by site."""
    made = run.undo.enter_context(network(SITES))
    run.undo.enter_context(inside(made.broker))
    run.start_broker(host="10.99.0.1", arguments=("--insecure",))
    count, rooms = run.options.clients, run.options.rooms
    people = crowd(count, rooms, each=1)
    for site, name in enumerate(made.sites):
        within = ("ip", "netns", "exec", name)
        run.add_worker(people[site::SITES], rate=run.options.rate / count, within=within)
    run.await_all(run.add_witness())
    partitions = _partition(run, made)
    run.wait(BACK, "everybody is to be back")
    notes = run.settle()
    back = _back(notes, partitions, [people[site::SITES] for site in range(SITES)])
    slowest = max(took for _, took in back)
    run.found |= {
        "partitions": len(partitions),
        "partition_and_back_seconds": [(round(lasted, 1), round(took, 1)) for lasted, took in sorted(back)],
        "slowest_back_seconds": round(slowest, 2),
    }
    if slowest > BACK:
        run.faults.append(f"a client heard the broker {slowest:.1f} s after a partition, and {BACK:g} s are allowed")


def _partition(run: Run, net: Net) -> list[Partition]:
    """Blocks and opens sites, each by itself, until the time is over; never all of them for ever."""
    found: list[Partition] = []
    deadline = time.monotonic() + run.options.seconds
    longest = min(LONGEST, max(run.options.seconds / 3, SHORTEST))
    blocked: dict[int, tuple[int, float]] = {}
    free = dict.fromkeys(range(SITES), time.monotonic() + 1.0)
    while blocked or time.monotonic() < deadline:
        now = time.monotonic()
        for site, (begin, until) in list(blocked.items()):
            if until <= now:
                net.open(site)
                found.append(Partition(site, begin, time.monotonic_ns()))
                del blocked[site]
                free[site] = now + BACK + run.random.uniform(1.0, 5.0)
        for site, since in free.items():
            if site not in blocked and since <= now and now + SHORTEST < deadline:
                lasting = min(SHORTEST * (longest / SHORTEST) ** run.random.random(), deadline - now)
                net.block(site)
                blocked[site] = (time.monotonic_ns(), now + lasting)
        run.wait(0.1, f"{len(found)} partitions, {len(blocked)} under way")
    return found


def _back(notes: Notes, partitions: list[Partition], sites: list[list[Person]]) -> list[tuple[float, float]]:
    """How long each partition lasted, and how long after it the last client behind it heard anything of the broker's.

    Returns:
        Pairs of seconds.
    """
    heard: dict[str, list[int]] = {}
    for at, client, _ in (*notes.heard_at, *notes.connected):
        heard.setdefault(client, []).append(at)
    found = []
    for partition in partitions:
        slowest = 0.0
        for person in sites[partition.site]:
            later = [at for at in heard.get(person.name, ()) if at > partition.end]
            slowest = max(slowest, (min(later) - partition.end) / 1e9 if later else float("inf"))
        found.append(((partition.end - partition.begin) / 1e9, slowest))
    return found
