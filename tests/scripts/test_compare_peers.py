"""scripts/compare_peers.py: every workload runs, the bytes of the load are right, and the tables say what was measured.

Nothing here asserts how long anything takes.
"""

from __future__ import annotations

import importlib
import json
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import zmq
from zmq.utils import z85

from zchat import codec
from zchat.messages import Ack, Refused, Send, Stamp

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "compare_peers.py"
SOON = 55.0
"""Seconds after which a test would fail anyway."""

sys.path.append(str(ROOT))


def _part(name: str) -> Any:
    return importlib.import_module(f"scripts.{name}")


cases, compare, curve, load, markdown, plot, report, sealed, servers, wire, workloads, zmtp = (
    _part(name)
    for name in (
        "peers_cases",
        "compare_peers",
        "peers_curve",
        "peers_load",
        "peers_markdown",
        "peers_plot",
        "peers_report",
        "peers_sealed",
        "peers_servers",
        "peers_wire",
        "peers_workloads",
        "peers_zmtp",
    )
)
INSTALLED = [peer for peer, program in servers.PACKAGES.items() if servers.program(program)]

# Whole runs -----------------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, expected: int = 0) -> tuple[str, str]:
    """Runs it with a temporary folder of its own, which must be empty afterwards; gives what it printed, and said."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--smoke", *arguments],
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)},
    )
    assert done.returncode == expected, done.stderr
    assert list(folder.iterdir()) == []
    return done.stdout, done.stderr


def measured(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The cases that it reports."""
    said, complaints = run(folder, *arguments, "--json")
    assert complaints == ""
    found: list[dict[str, Any]] = json.loads(said)["measured"]
    return found


COMPARED = {
    "W1": {"cpu_us_per_delivery", "deliveries_per_s"},
    "W2": {"cpu_us_per_message", "messages_per_s", "p50_us", "p99_us"},
    "W3": {"cpu_us_per_message", "acked_per_s"},
    "W4": {"cpu_us_per_message", "p50_us", "p99_us", "p999_us"},
    "W5": {"clients", "memory_kib_per_client", "idle_cpu_percent", "join_s"},
}
"""What is measured of every server."""


AMONG = {
    "zchat": {"W1", "W2", "W3", "W4", "W5"},
    "zchat, 1 a frame": {"W1", "W3"},
    "threads": {"W1", "W4", "W5"},
    "redis": {"W1", "W2", "W4", "W5"},
    "redis-always": {"W3", "W4"},
    "redis-everysec": {"W3"},
    "nats": {"W1", "W2", "W4", "W5"},
    "jetstream": {"W3"},
    "mosquitto": {"W1", "W2", "W4", "W5"},
    "ngircd": {"W1", "W2", "W4", "W5"},
}
"""Who is put to which of them without encryption, if it is installed."""


SEALED = {
    "zchat CURVE": {"W1", "W2", "W3", "W4", "W5"},
    "redis TLS": {"W1", "W2", "W4", "W5"},
    "NATS TLS": {"W1", "W2", "W4", "W5"},
    "redis-always TLS": {"W3", "W4"},
    "redis-everysec TLS": {"W3"},
    "jetstream TLS": {"W3"},
}
"""And with it, zchat with CURVE and those with TLS that can."""


def test_zchat_and_whoever_is_there_with_every_workload_that_has_peers(tmp_path: Path) -> None:
    peers = ("--peers", ",".join(["threads", *INSTALLED]))
    found = measured(tmp_path, "--only", "plain", "--workload", ",".join(COMPARED), *peers)
    assert who(found, "zchat") == installed(AMONG)


def test_zchat_with_curve_beside_others_with_tls(tmp_path: Path) -> None:
    peers = ("--peers", ",".join(["threads", *INSTALLED]))
    found = measured(tmp_path, "--only", "encrypted", "--workload", ",".join(COMPARED), *peers)
    assert who(found, "zchat CURVE") == installed(SEALED)


def who(found: list[dict[str, Any]], ours: str) -> dict[str, set[str]]:
    """The workloads of each variant, all of whose figures are there, and compared to ours."""
    heard: dict[str, set[str]] = {}
    for one in found:
        for variant, rounds in one["rounds"].items():
            heard.setdefault(variant, set()).add(one["workload"])
            assert len(rounds) == 1
            assert set(rounds[0]) >= COMPARED[one["workload"]]
        assert set(one["ratios"][ours]) == {name for name in one["rounds"] if not name.startswith("zchat")}
    return heard


def installed(among: dict[str, set[str]]) -> dict[str, set[str]]:
    """Those that can be put to something here."""
    missing = set(servers.PACKAGES) - set(INSTALLED)

    def package(variant: str) -> str:
        name = variant.removesuffix(" TLS").lower()
        return "nats" if name == "jetstream" else name.partition("-")[0]

    return {name: workloads for name, workloads in among.items() if package(name) not in missing}


def test_growth_is_told_beside_the_smallest(tmp_path: Path) -> None:
    found = measured(tmp_path, "--only", "plain", "--workload", "W6", "--peers", "threads")
    assert [one["case"] for one in found] == ["rooms", "history", "subscriptions"]
    for one in found:
        first, second = one["rounds"].values()
        assert first[0]["ratio"] == 1
        assert second[0]["ratio"] >= 0


def test_growth_is_told_beside_the_smallest_of_the_same_kind(tmp_path: Path) -> None:
    grown, _, _ = cases.cases(["W6"], cases.Field([], other=tmp_path, other_curve=True), workloads.SMOKE, None)
    cost = {
        "2 rooms": 1.0,
        "other 2 rooms": 2.0,
        "12 rooms": 5.0,
        "other 12 rooms": 6.0,
        "2 rooms CURVE": 4.0,
        "other 2 rooms CURVE": 8.0,
        "12 rooms CURVE": 2.0,
        "other 12 rooms CURVE": 4.0,
    }
    case = replace(grown, run=lambda variant: {"cpu_us_per_message": cost[variant.name]})
    [one] = compare.measure([case], None, workloads.SMOKE)
    ratios = {name: rounds[0]["ratio"] for name, rounds in one.rounds.items()}
    assert list(ratios.values()) == [1.0, 1.0, 5.0, 3.0, 1.0, 1.0, 0.5, 0.5]
    assert list(ratios) == list(cost)


def test_a_private_room_is_told_beside_a_public_one(tmp_path: Path) -> None:
    found = measured(tmp_path, "--workload", "W10", "--peers", "threads")
    assert len(found) == 2
    for one in found:
        assert list(one["rounds"]) == ["public", "private", "public CURVE", "private CURVE"]
        for of, beside in (("public", "private"), ("public CURVE", "private CURVE")):
            (base,), (other,) = one["rounds"][of], one["rounds"][beside]
            assert base["ratio"] == 1
            assert other["ratio"] * base["cpu_us_per_delivery"] == pytest.approx(other["cpu_us_per_delivery"])


def test_what_encrypts_has_fewer_rounds_unless_more_are_asked_for() -> None:
    [case] = cases.cases(["W2"], cases.Field(["redis"]), workloads.SMOKE, None)
    case = replace(case, run=lambda _variant: {"p50_us": 1.0})
    scale = replace(workloads.SMOKE, rounds=3, sealed_rounds=2)
    for asked, rounds in ((None, [3, 3, 2, 2]), (4, [4, 4, 4, 4])):
        [one] = compare.measure([case], asked, scale)
        assert {name: len(found) for name, found in one.rounds.items()} == dict(
            zip(["zchat", "redis", "zchat CURVE", "redis TLS"], rounds, strict=True)
        )


def test_storm_command_line_and_library(tmp_path: Path) -> None:
    found = measured(tmp_path, "--workload", "W7,W8,W9", "--peers", "threads")
    wanted = ["recovered_s", "cpu_ms", "cpu_ms", "messages_per_s", "messages_per_s"]
    for one, figure in zip(found, wanted, strict=True):
        assert {name: rounds[0][figure] > 0 for name, rounds in one["rounds"].items()} == (
            {"zchat": True} if one["case"] == "zchat --help" else {"zchat": True, "zchat CURVE": True}
        )


def test_chart_and_tables_are_written(tmp_path: Path) -> None:
    chart, tables = tmp_path / "chart.svg", tmp_path / "tables.md"
    given = (
        "--only",
        "plain",
        "--workload",
        "W4",
        "--peers",
        "threads",
        "--plot",
        str(chart),
        "--markdown",
        str(tables),
    )
    said, _ = run(tmp_path / "temporary", *given)
    assert said.startswith("W4 one room of ten, one message under way: latency\n")
    assert "threads" in "".join(ElementTree.fromstring(chart.read_text()).itertext())  # noqa: S314  # made just now
    section = tables.read_text()
    assert "### W4: one room of ten" in section
    assert "scripts/compare_peers.py --workload W4 --peers threads --only plain --smoke\n" in section
    assert str(tmp_path) not in section


@pytest.mark.parametrize(
    "arguments",
    [
        ("--workload", "W0"),
        ("--peers", "icq"),
        ("--rounds", "0"),
        ("--only", "some"),
        ("--quick",),
        ("--plot", "/nowhere/at/all.svg"),
        ("--tree", "/"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    _, complaints = run(tmp_path, *arguments, expected=2)
    assert "compare_peers.py: error: " in complaints


def test_a_broker_that_does_not_start_is_told_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "tree" / "zchat"
    broken.mkdir(parents=True)
    (broken / "__init__.py").touch()
    (broken / "__main__.py").write_text("raise SystemExit('no broker today')")
    tree = ("--workload", "W4", "--peers", "threads", "--tree", str(broken.parent))
    _, complaints = run(tmp_path / "temporary", *tree, expected=1)
    assert complaints == "compare_peers: W4 latency, other zchat: zchat does not start: no broker today\n"


def test_who_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(compare, "program", lambda _name: None)
    assert compare.present(["redis", "threads"]) == ["threads"]
    assert capsys.readouterr().err == "compare_peers: no redis here, it is left out: apt-get install redis-server\n"


def test_encryption_that_is_not_there_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "program", lambda _name: None)
    monkeypatch.setattr(compare, "sodium", lambda: None)
    found = compare.field(compare.parser().parse_args(["--peers", "threads"]))
    assert (found.plain, found.curve, found.tls) == (True, False, False)
    assert [line.partition(" left out: ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "apt-get install libsodium23",
        "apt-get install openssl",
    ]


# The load ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def far() -> Iterator[tuple[Any, Any, socket.socket]]:
    """A load, its connection, and the far end of that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = load.Load()
        conn = made.open(listener.getsockname()[1])
        end, _ = listener.accept()
        with end:
            yield made, conn, end
        made.close()


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 50])
def test_a_mark_that_is_cut_in_two_is_counted_once(far: tuple[Any, Any, socket.socket], cut: int) -> None:
    made, _, end = far
    found = []
    for part in (load.TEXT[:cut], load.TEXT[cut:]):
        end.sendall(part)
        [conn] = made.ready(5.0)
        found.append(made.count(conn))
    assert found == ([1, 0] if cut >= 4 else [0, 1])


def test_what_the_system_does_not_take_is_sent_later(far: tuple[Any, Any, socket.socket]) -> None:
    made, conn, end = far
    end.setblocking(False)
    given = b"x" * 20_000_000
    made.send(conn, given)
    made.send(conn, b"end")
    got = bytearray()
    while not got.endswith(b"end"):
        list(made.ready(0.01))
        try:
            got += end.recv(1 << 20)
        except BlockingIOError:
            continue
    assert got == given + b"end"


def test_an_end_is_noticed(far: tuple[Any, Any, socket.socket]) -> None:
    made, conn, end = far
    end.close()
    list(made.ready(5.0))
    with pytest.raises(load.Cut):
        made.count(conn)


# Encryption ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bound() -> Iterator[tuple[Any, zmq.Socket[bytes]]]:
    """A load with a connection to an XPUB with CURVE, and that socket."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as end:
        public, end.curve_secretkey = zmq.curve_keypair()
        end.curve_server, end.linger = True, 0
        port = end.bind_to_random_port("tcp://127.0.0.1")
        made = load.Load(secrets=sealed.Secrets(curve=z85.decode(public)))
        conn = made.open(port)
        made.run([zmtp.opened(made, conn, b"SUB")])
        yield made, end
        made.close()


def test_frames_go_through_curve_as_they_are(bound: tuple[Any, zmq.Socket[bytes]]) -> None:
    made, end = bound
    [conn] = made.conns.values()
    made.send(conn, b"".join(zmtp.frame(b"\x01" + topic) for topic in (b"a", b"b" * 300)))
    assert [end.recv(), end.recv()] == [b"\x01a", b"\x01" + b"b" * 300]
    sent = [b"a", b"", b"a" * 240, b"a" * 255, b"a" * 256, b"a" * 70_000, b"a"]
    for body in sent:
        end.send_multipart([b"a", body])
    got: list[bytes] = []
    while len(got) < 2 * len(sent):
        for ready in made.ready(5.0):
            made.take(ready)
        got += zmtp.messages(conn)
    assert got == [part for body in sent for part in (b"a", body)]


class Piecemeal:
    """A seal's input, a few bytes at a time."""

    def __init__(self, seal: Any) -> None:
        self.seal = seal
        self.raw, self.plain = sealed.Space(100_000), sealed.Space(100_000)

    def feed(self, came: bytes) -> bytes:
        """What is said by bytes that came."""
        stop = sealed.SLACK + len(self.seal.kept) + len(came)
        self.raw.data[sealed.SLACK : stop] = self.seal.kept + came
        return bytes(self.plain.data[: self.seal.open(self.raw, stop, self.plain, 0)])


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_curve_may_come_in_pieces(size: int) -> None:
    shared = bytes(range(32))
    said = b"".join(zmtp.frame(bytes([n]) * length) for n, length in enumerate((0, 10, 230, 255, 256, 3000)))
    raw = curve.Curve(shared, b"CurveZMQMESSAGES").close(said)
    pieces = Piecemeal(curve.Curve(shared))
    assert b"".join(pieces.feed(raw[at : at + size]) for at in range(0, len(raw), size)) == said


def test_what_curve_did_not_seal_is_not_taken() -> None:
    shared = bytes(range(32))
    raw = bytearray(curve.Curve(shared, b"CurveZMQMESSAGES").close(zmtp.frame(b"hello")))
    raw[-1] ^= 1
    with pytest.raises(load.Failed, match="does not open"):
        Piecemeal(curve.Curve(shared)).feed(bytes(raw))


@pytest.mark.skipif(not servers.program("openssl"), reason="openssl makes the certificate")
@pytest.mark.parametrize("size", [1, 100, 50_000])
def test_tls_may_come_in_pieces(tmp_path: Path, size: int) -> None:
    tls = sealed.Tls(sealed.certify(tmp_path))
    known = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    known.load_cert_chain(tmp_path / sealed.CERTIFICATE, tmp_path / sealed.KEY)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = known.wrap_bio(incoming, outgoing, server_side=True)
    said, agreed = tls.agree(b"")
    while True:
        incoming.write(said)
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            said, agreed = tls.agree(outgoing.read())
        else:
            break
    assert agreed
    assert server.write(load.TEXT * 400) == len(load.TEXT) * 400
    raw, pieces = outgoing.read(), Piecemeal(tls)
    assert b"".join(pieces.feed(raw[at : at + size]) for at in range(0, len(raw), size)) == load.TEXT * 400
    incoming.write(tls.close(b"hello"))
    assert server.read() == b"hello"


# What is said --------------------------------------------------------------------------------------------------------


def sends(data: bytes) -> list[list[Send]]:
    """The requests in each frame of what a member of zchat's says."""
    conn = load.Conn(1)
    conn.sock.close()
    conn.data += data
    found = [list(codec.decode_requests(frame)) for frame in zmtp.messages(conn)]
    assert not conn.data
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(("batch", "frames"), [(64, [64, 36]), (1, [1] * 100)])
def test_sends_of_zchat_are_numbered_on(batch: int, frames: list[int]) -> None:
    member = wire.Member(3, sent=70_000)
    found = sends(bytes(zmtp.Zchat(batch).say(member, "bench", 100)))
    assert [len(one) for one in found] == frames
    assert [send.n for one in found for send in one] == list(range(70_001, 70_101))
    assert {(send.room, send.text) for one in found for send in one} == {("bench", load.TEXT.decode())}
    assert member.sent == 70_100


def answers(far: tuple[Any, Any, socket.socket], protocol: Any, data: bytes) -> int:
    """How many messages a protocol takes for answered by these bytes."""
    made, _, end = far
    end.sendall(data)
    [conn] = made.ready(5.0)
    found: int = protocol.answered(made, conn)
    return found


STAMP = Stamp(b"run-0001", 1)


def test_an_ack_may_stand_for_several(far: tuple[Any, Any, socket.socket]) -> None:
    one, run = Ack(1, "bench", 1, 1), ["ack", 2, "bench", 2, 1, 40]
    frames = [msgspec.msgpack.encode((STAMP, [one, run])), msgspec.msgpack.encode((STAMP, [one]))]
    assert answers(far, zmtp.Zchat(), b"".join(zmtp.frame(frame) for frame in frames)) == 42


def test_nothing_may_be_refused(far: tuple[Any, Any, socket.socket]) -> None:
    frame = msgspec.msgpack.encode((STAMP, [Refused(1, "draining", "")]))
    with pytest.raises(load.Failed, match="draining"):
        answers(far, zmtp.Zchat(), zmtp.frame(frame))
    with pytest.raises(load.Failed, match="OOM"):
        answers(far, wire.RedisStream(), b"$3\r\n1-1\r\n-OOM no memory\r\n")
    with pytest.raises(load.Failed, match="error"):
        answers(far, wire.JetStream(), b'MSG _INBOX.0 1 20\r\n{"error":{"code":503}}\r\n')


def test_answers_of_streams_are_counted(far: tuple[Any, Any, socket.socket]) -> None:
    assert answers(far, wire.RedisStream(), b"$3\r\n1-1\r\n$3\r\n1-2\r\n") == 2
    ack = b'MSG _INBOX.0 1 30\r\n{"stream":"BENCH", "seq":7}\r\n'
    nats = wire.JetStream()
    assert answers(far, nats, ack + ack[:-8]) == 2 - (b'"seq"' not in ack[:-8])
    assert answers(far, nats, ack[-8:]) == (b'"seq"' not in ack[:-8])


def test_lengths_of_mqtt() -> None:
    said = wire.Mqtt().say(wire.Member(0), "r" * 50, 1)
    assert said[:3] == bytes((0x30, 0x80 | (152 & 0x7F), 1))
    assert said.endswith(load.TEXT)


# The tables ----------------------------------------------------------------------------------------------------------


def found() -> Any:
    """Two rounds of zchat, of one that is cheaper and of one that is dearer."""
    rounds = {
        "zchat": [{"p50_us": 10.0}, {"p50_us": 30.0}],
        "quick": [{"p50_us": 5.0}, {"p50_us": 10.0}],
        "slow": [{"p50_us": 20.0}, {"p50_us": 3010.0}],
    }
    return report.Measured("W4", "talk", "ten", rounds)


def test_ratios_are_of_the_same_round() -> None:
    one = found()
    assert one.ratios("zchat", "quick", "p50_us") == [2.0, 3.0]
    assert one.best("zchat", "p50_us") == "quick"
    [[head, row]] = report.ratios_tables(one)
    assert head == ["zchat / peer", "quick", "slow"]
    assert row[1:] == ["2.50 (2.00–3.00) *", "0.25 (0.01–0.50)"]


def test_a_peer_that_costs_nothing_has_no_ratio() -> None:
    one = found()
    one.rounds["quick"] = [{"p50_us": 0.0}, {"p50_us": 0.0}]
    assert report.ratios_tables(one)[0][1][1] == "– *"


def test_who_encrypts_is_compared_to_who_does() -> None:
    one = found()
    one.rounds |= {
        "zchat CURVE": [{"p50_us": 40.0}],
        "redis TLS": [{"p50_us": 80.0}],
        "NATS TLS": [{"p50_us": 20.0}],
        "other zchat": [{"p50_us": 1.0}, {"p50_us": 1.0}],
    }
    (head, row), (sealed_head, sealed_row) = report.ratios_tables(one)
    assert head == ["zchat / peer", "quick", "slow", "other zchat"]
    assert row[1:] == ["2.50 (2.00–3.00) *", "0.25 (0.01–0.50)", "20.00 (10.00–30.00)"]
    assert sealed_head == ["zchat CURVE / peer", "redis TLS", "NATS TLS", "zchat"]
    assert sealed_row[1:] == ["0.50", "2.00 *", "4.00"]


def test_figures_are_medians_with_their_spread() -> None:
    assert [line.split(maxsplit=1) for line in report.report([found()]).splitlines()[2:6]] == [
        ["p50", "µs"],
        ["zchat", "20 (10–30)"],
        ["quick", "8 (5–10)"],
        ["slow", "1,515 (20–3,010)"],
    ]


def test_the_section_of_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "BENCHMARKS.md"
    path.write_text(f"before\n\n{markdown.BEGIN}\nold\n{markdown.END}\n\nafter\n")
    markdown.write(path, f"{markdown.BEGIN}\nnew\n{markdown.END}\n")
    assert path.read_text() == f"before\n\n{markdown.BEGIN}\nnew\n{markdown.END}\n\nafter\n"


def test_a_file_without_one_gets_it_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "BENCHMARKS.md"
    path.write_text("before\n")
    markdown.write(path, f"{markdown.BEGIN}\nnew\n{markdown.END}\n")
    assert path.read_text() == f"before\n\n{markdown.BEGIN}\nnew\n{markdown.END}\n"


def test_bars_are_on_the_side_of_who_costs_less() -> None:
    chart = ElementTree.fromstring(plot.plot([found()]))  # noqa: S314  # made just now
    bars = [one for one in chart.iter() if one.get("fill") in (plot.CHEAPER, plot.DEARER)]
    assert [one.get("fill") for one in bars] == [plot.DEARER, plot.CHEAPER]
    middle = plot.LEFT + (plot.WIDTH - plot.LEFT - plot.RIGHT) / 2
    dearer, cheaper = (float(one.get("x") or 0) for one in bars)
    assert cheaper < middle == dearer


def test_the_commands_in_the_document_can_be_run() -> None:
    page = (SCRIPT.parent.parent / "docs" / "BENCHMARKS.md").read_text()
    commands = re.findall(r"^scripts/compare_peers\.py(.*)$", page, re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        compare.parser().parse_args(command.split())
    assert (SCRIPT.parent.parent / "docs" / "benchmarks.svg").is_file()
