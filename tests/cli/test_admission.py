"""From the first link to the last revocation: the commands and a real broker under CURVE."""

from __future__ import annotations

from pathlib import Path

from support import World, eventually

CURVE = ("--curve", "--advertise", "127.0.0.1")


def test_who_has_a_link_comes_in_and_who_is_revoked_does_not(world: World, tmp_path: Path) -> None:
    broker = world.broker(*CURVE)
    bob = world.other_person()
    first = broker.wait_out(r"zchat join '(\S+)'").group(1)

    uninvited = world.run("who", "--connect-timeout", "0.5", env=bob)
    assert (uninvited.returncode, uninvited.stdout) == (3, "")
    assert "ask who runs the broker for a link" in uninvited.stderr

    done = world.run("join", first, "--name", "olga", stdin="hello\n")
    assert "you are in lobby" in done.stderr
    link = world.run("link", "--room", "dev", "--uses", "2").stdout.strip()
    done = world.run("join", "-", "--name", "bob", env=bob, stdin=f"{link}\nhi\n")
    assert "you are in dev" in done.stderr
    assert world.run("send", "dev", "hi again", "--name", "bob", env=bob).returncode == 0
    (row,) = world.run("links").stdout.splitlines()
    assert row.split("\t")[1:4] == ["member", "dev", "1"]
    assert row.split("\t")[5] == "olga"
    seen = [line.split("\t") for line in world.run("who", "--all").stdout.splitlines()]
    assert [name for name, _ in seen] == ["bob", "olga"]

    assert world.run("link", env=bob).returncode == 4
    phone = {**bob, "ZCHAT_IDENTITY": "phone"}
    device = world.run("keys", "link", env=bob).stdout.strip()
    assert world.run("join", device, "--name", "bob", env=phone, stdin="quit\n").returncode == 0

    assert world.run("revoke", "bob").returncode == 0
    assert world.run("revoke", link).returncode == 0
    for env in (bob, phone):
        done = world.run("history", "dev", env=env)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert world.run("revoke", "bob", "--undo").returncode == 0
    assert "hi again" in world.run("history", "dev", env=phone).stdout
    assert world.run("links").stdout == ""


def test_who_may_write_the_folder_may_let_in(world: World, tmp_path: Path) -> None:
    data = tmp_path / "data" / "zchat"
    missing = world.run("link", "--data", str(tmp_path / "nowhere"))
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    world.broker(*CURVE)
    link = world.run("link", "--data", str(data), "--role", "moderator").stdout.strip()

    def arrived() -> bool:  # the broker looks there once a second
        done = world.run("join", link, "--name", "mod", stdin="/link\n")
        return "-- who has this link gets in: zchat://127.0.0.1:" in done.stderr

    eventually(arrived, "the link of the folder lets in")
