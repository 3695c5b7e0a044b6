"""The configuration of a broker: what a file may say, what goes before what, and what `zchat config` prints."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from zchat import cli
from zchat.address import Address
from zchat.broker import limits
from zchat.broker.rates import BOTS, Limits, Rate
from zchat.broker.settings import Settings
from zchat.cli import config
from zchat.cli.plan import Wanted
from zchat.cli.systemd import broker_context
from zchat.errors import BadConfig
from zchat.links import Link, parse_link
from zchat.messages import LOBBY


def uncommented(text: str) -> str:
    """The file with all its keys set."""
    return re.sub(r"(?m)^#(?=[a-z])", "", text)


def asdict_rates(rates: Limits | None) -> dict[str, Rate | None]:
    return {field.name: getattr(rates, field.name) for field in fields(Limits)}


def file(folder: Path, text: str | bytes) -> Path:
    path = folder / "zchat.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def wanted(folder: Path, text: str, *arguments: str) -> Wanted:
    return Wanted.of(broker_context(["--config", str(file(folder, text)), *arguments]))


# The file as it is made -----------------------------------------------------------------------------------------------


def test_the_file_as_it_is_made_names_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["config", "default"]) == 0
    text = capsys.readouterr().out
    assert tomllib.loads(text) == {"bind": "tcp://127.0.0.1:5555", "limits": {}, "rates": {}}
    table = tomllib.loads(uncommented(text))
    flags = {config.key_of(one) for one in config.broker_parameters()} - config.COMMAND_LINE_ONLY
    assert set(table) - {"limits", "rates"} == flags
    assert table["limits"] == limits.defaults()
    of_bots = {f"bot-{name}": rate for name, rate in asdict_rates(BOTS).items()}
    rates = {name: limits.rate_checked(name, rate) for name, rate in table["rates"].items()}
    assert rates == {**asdict_rates(Limits()), **of_bots}
    # Each key has a line before it that says what it is.
    assert not re.search(r"(?m)^\n#?[a-z-]+ =", text)
    assert cli.run(["broker", "--check-config", "--config", str(file(tmp_path, text))]) == 0
    assert cli.run(["broker", "--check-config", "--config", str(file(tmp_path, uncommented(text)))]) == 0
    assert capsys.readouterr().out == "ok\nok\n"


def test_every_limit_says_what_it_is() -> None:
    for name, default in limits.defaults().items():
        known = limits.limit(name)
        assert known.help, f"{name} is to be described in zchat.broker.limits"
        assert known.least <= default <= known.most
    assert {name.replace("_", "-") for name in limits.LIMITS} == set(limits.defaults())
    assert set(limits.RATES) == set(limits.rate_defaults())


# What goes before what ------------------------------------------------------------------------------------------------


def test_the_command_line_goes_before_the_file_and_the_file_before_the_default(tmp_path: Path) -> None:
    text = 'bind = "tcp://127.0.0.1:7001"\nkeep-days = 3\nno-console = true\n[limits]\nmax-rooms = 7\ngrace = 2\n'
    plan = wanted(tmp_path, text, "--keep-days", "9", "--limit", "max-rooms=8", "--limit", "quiet=0.5").plan()
    assert (str(plan.address), plan.keep_days, plan.console) == ("tcp://127.0.0.1:7001", 9, False)
    assert (plan.settings.max_rooms, plan.settings.grace, plan.settings.quiet) == (8, 2, 0.5)
    assert (plan.drain, plan.settings.max_names, plan.log_level) == (5, Settings().max_names, "info")


def test_a_flag_that_repeats_the_default_goes_before_the_file(tmp_path: Path) -> None:
    plan = wanted(tmp_path, "show-chat = true\ndrain-timeout = 9\n", "--no-show-chat", "--drain-timeout", "5").plan()
    assert (plan.show_chat, plan.drain) == (False, 5)


def test_rates_hold_by_themselves_only_where_people_can_be_told_apart(tmp_path: Path) -> None:
    text = f'data = "{tmp_path}"\n[rates]\nmessages = "9/0.5"\njoins = "7/7"\nhellos = "off"\n'
    given = {"messages": Rate(9, 0.5), "joins": Rate(8, 2), "hellos": None}
    rates = asdict_rates(wanted(tmp_path, text, "--curve", "--rate", "joins=8/2").plan().settings.rates)
    assert rates == {**asdict_rates(Limits()), **given}
    rates = asdict_rates(wanted(tmp_path, text, "--rate", "joins=8/2").plan().settings.rates)
    assert rates == {**dict.fromkeys(rates), **given}
    assert wanted(tmp_path, "memory = true").plan().settings.rates is None


def test_who_may_come_in(tmp_path: Path) -> None:
    kept = f'data = "{tmp_path}/kept"\n'
    access = wanted(tmp_path, kept).plan().access
    assert (access.curve, access.admission, access.keys) == (False, None, None)
    access = wanted(tmp_path, f'{kept}curve = true\nadvertise = "chat.example"').plan().access
    assert (access.curve, access.admission, access.keys) == (True, "invite", tmp_path / "kept" / "keys")
    assert (access.authorized, access.advertise) == (None, "chat.example")
    access = wanted(tmp_path, f'{kept}bind = "tcp://0.0.0.0:7001"\nadmission = "known"').plan().access
    assert (access.curve, access.admission, access.authorized) == (True, "known", tmp_path / "kept" / "authorized")
    assert not wanted(tmp_path, f'{kept}bind = "tcp://0.0.0.0:7001"\ninsecure = true').plan().access.curve
    assert wanted(tmp_path, 'memory = true\ncurve = true\nkeys = "/k"').plan().access.keys == Path("/k")


@pytest.mark.parametrize(
    "host", ["chat.example.org", "under_score", "localhost", "10.0.0.7", "::1", "[2001:db8::7]", "a" * 253]
)
def test_what_is_advertised_makes_a_link_that_leads_there(host: str) -> None:
    plan = Wanted.of(broker_context(["--curve", "--advertise", host])).plan()
    assert plan.access.advertise == host.strip("[]")
    link = Link(Address(plan.access.advertise, 6000), LOBBY, b"k" * 32)
    assert parse_link(str(link)) == link


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "*", "a b", " chat.example", "chat.example:6000", "tcp://chat.example", "tcp://chat.example:6000"),
        *("chat.example/", "chat.example/lobby", "me@chat.example", "chat?x", "chat#x", "ch%61t", "m\xfcnchen.example"),
        *("[::1]:6000", "[chat.example]", "[::1", "::1]", "1::2::3", "fe80::1%eth0", "[tcp://a:6000]", "a" * 254),
    ],
)
def test_what_is_advertised_is_a_host_alone(host: str) -> None:
    for more in ([], ["--curve"]):
        with pytest.raises(BadConfig, match=r"--advertise .*: write a host alone"):
            Wanted.of(broker_context([*more, f"--advertise={host}"])).plan()


def test_a_broker_that_runs_keeps_the_rates_of_the_connections_that_it_has(tmp_path: Path) -> None:
    plain, curve = wanted(tmp_path, f'data = "{tmp_path}"'), ["--curve"]
    assert plain.plan(curve=True).settings.rates == Limits()
    assert wanted(tmp_path, f'data = "{tmp_path}"', *curve).plan(curve=False).settings.rates is None


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("# bind = 1\n\n[limits]\n", "is empty"),
        ('bimd = "x"', "bimd: there is no such key, is bind meant?"),
        ('"key\\nof two lines" = 1', "there is no such key"),
        ("config = 'x'", "config: there is no such key"),
        ("check-config = true", "check-config: there is no such key"),
        ("bind = 5", "bind: write a text in quotes"),
        ("bind = 'nowhere'", "nowhere"),
        ("memory = 1", "memory: write true or false"),
        ("keep-messages = 1.5", "keep-messages: write a whole number"),
        ("keep-messages = true", "keep-messages: write a whole number"),
        ("keep-messages = 0", "keep-messages: 0 is not in the range"),
        ("keep-days = '3'", "keep-days: write a number"),
        ("keep-days = nan", "keep-days: write a number"),
        ("drain-timeout = inf", "drain-timeout: write a number"),
        ("keep-days = [3]", "keep-days: write a number"),
        ("keep-days = 1e308", "keep-days: 1e+308 is not in the range"),
        ("bind-wait = 1e308", "bind-wait: 1e+308 is not in the range"),
        ("drain-timeout = 1e308", "drain-timeout: 1e+308 is not in the range"),
        (f"drain-timeout = 1{'0' * 400}", "drain-timeout: write a number"),
        (f"keep-messages = 1{'0' * 15}", "is not in the range"),
        (f"pub-port = 0x1{'0' * 5000}", "pub-port: write a whole number"),
        (f"memory = true\nkeep-messages = 1{'0' * 5000}", "keep-messages: it has a number of too many digits"),
        (f"[limits]\ngrace = 1{'0' * 400}", "limits: grace: write a number"),
        (f"[limits]\ngrace = 0x1{'0' * 5000}", "limits: grace: write a number"),
        (f"[limits]\nmax-rooms = 0x1{'0' * 5000}", "limits: max-rooms: it must be from 1 to"),
        (f"x = [\n1{'0' * 5000}]", "zchat.toml: it has a number of too many digits"),
        ('curve = true\nauthorized = "a\\u0000b"', "authorized: there is a NUL in it"),
        ('data = "a\\u0000b"', "data: there is a NUL in it"),
        ('bind = "tcp://a\\u0000b"', "bind: there is a NUL in it"),
        ('banner = "@a\\u0000b"', "banner: there is a NUL in it"),
        ('advertise = "a\\u0000b"', "advertise: there is a NUL in it"),
        ("advertise = ''", "--advertise : write a host alone"),
        ("log-level = 'loud'", "log-level: 'loud' is not one of"),
        ("admission = 'all'", "admission: 'all' is not one of"),
        ("pub-port = 70000", "port 70000 is out of range"),
        ("bind = 'a'\nkeep-days = 1\nbind = 'b'", "bind: it is there twice, again at line 3"),
        ("bind", "bind: this is not TOML"),
        ("bind = [1,", "this is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        ("limits = 3", "limits: it is a table"),
        ("[limits]\nmax-roms = 3", "limits: max-roms: there is no such key, is max-rooms meant?"),
        ("[limits]\nmax-rooms = 0", "limits: max-rooms: it must be from 1 to"),
        ("[limits]\nmax-rooms = 1.5", "limits: max-rooms: write a whole number"),
        ("[limits]\ngrace = -1", "limits: grace: it must be from 0.1 to 3600"),
        ("[limits]\ngrace = nan", "limits: grace: write a number"),
        ("[limits]\ngrace = true", "limits: grace: write a number"),
        ("[limits]\ncredit = 1000000", "limits: credit: it must be from 16 to 1024"),
        ("rates = 3", "rates: it is a table: write [rates]"),
        ("[rates]\nmessage = '1/1'", "rates: message: there is no such key, is messages meant?"),
        ("[rates]\nmessages = 200", "rates: messages: write AT-ONCE/PER-SECOND"),
        ("[rates]\nmessages = '200/many'", "rates: messages: write AT-ONCE/PER-SECOND"),
        ("[rates]\nmessages = '200/0'", "rates: messages: no rate: 200 at once, then 0 a second"),
        ("[rates]\nmessages = 'nan/1'", "rates: messages: no rate: nan at once"),
        ("[rates]\nmessages = '1/1e-310'", "rates: messages: no rate: 1 at once, then 1e-310 a second"),
        ("memory = true\ndata = '/x'", "choose: --data keeps the log"),
        ("curve = true\ninsecure = true", "choose: --curve encrypts"),
        ("admission = 'known'", "--admission known takes keys: add --curve"),
        ("curve = true\nmemory = true", "--keys DIR"),
        ("curve = true\nmemory = true\nkeys = '/k'\nadmission = 'known'", "--authorized FILE"),
        ("banner = '@/no/such/file'", "cannot read the banner"),
    ],
)
def test_what_means_nothing_is_one_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | bytes, says: str
) -> None:
    path = file(tmp_path, text)
    assert cli.run(["broker", "--check-config", "--config", str(path)]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert says in told.err
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path, tmp_path / "not there"):
        assert cli.run(["broker", "--config", str(path)]) == 2
        told = capsys.readouterr().err
        assert f"cannot read the configuration {path}: " in told
        assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--limit", "max-rooms"], "--limit max-rooms: write NAME=VALUE"),
        (["--limit", "max-roms=3"], "--limit max-roms: there is no such limit"),
        (["--limit", "max-rooms=many"], "--limit max-rooms: write a whole number"),
        (["--limit", "grace=inf"], "--limit grace: write a number"),
        (["--rate", "messages=0/1"], "--rate messages: no rate: 0 at once"),
        (["--rate", "words=1/1"], "--rate words: there is no such rate"),
        (["--keep-days", "nan"], "--keep-days: write a number"),
        (["--rate", "messages=1/1e-310"], "and 0.000001 to 1000000000 a second"),
        (["--keep-days", "1e308"], "1e+308 is not in the range"),
        (["--advertise", "chat.example.org:6000"], "--advertise chat.example.org:6000: write a host alone"),
        (["--banner", "x" * 20000], "the banner is longer"),
        (["--bind", "tcp://127.0.0.1:99999"], "port 99999 is out of range"),
        (["--admission", "invite"], "add --curve"),
    ],
)
def test_the_command_line_is_checked_without_a_file_too(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert cli.run(["broker", "--check-config", *arguments]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert says in told.err


def test_nothing_is_made_by_a_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert cli.run(["broker", "--check-config", "--curve"]) == 0
    assert capsys.readouterr().out == "ok\n"
    assert list(tmp_path.iterdir()) == []
