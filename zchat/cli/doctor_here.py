"""What `zchat doctor` looks at without a broker: what is installed, and who the user is."""

from __future__ import annotations

import platform
import sqlite3
from contextlib import closing

from zchat import __version__, links
from zchat.cli.findings import Findings, fail, ok, warn
from zchat.errors import KeyUnusable


def versions() -> Findings:
    """What is installed, and whether it can do what it must."""
    from zchat.client.versions import library

    zeromq = library()
    yield ok("zchat", f"{__version__}, on Python {platform.python_version()}")
    told = f"{zeromq.libzmq}, with pyzmq {zeromq.pyzmq}"
    if not zeromq.curve:
        yield fail(
            "ZeroMQ", f"{told}, cannot encrypt", "install pyzmq from a wheel: pip install --force-reinstall pyzmq"
        )
    elif zeromq.old:
        yield fail("ZeroMQ", f"{told}, can be stopped by anybody", "pip install --upgrade pyzmq, for 4.3.3 or later")
    else:
        yield ok("ZeroMQ", f"{told}; it can encrypt")
    if _searches():
        yield ok("SQLite", sqlite3.sqlite_version)
    else:
        yield fail("SQLite", f"{sqlite3.sqlite_version} has no FTS5", "use a Python whose SQLite has it")


def _searches() -> bool:
    try:
        with closing(sqlite3.connect(":memory:")) as db:
            db.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
    except sqlite3.Error:
        return False
    return True


def identities(identity: str | None) -> Findings:
    """The user's key. None is made."""
    from zchat.client import keys

    try:
        name = keys.identity_name(identity)
        key = keys.list_keys().get(name)
    except KeyUnusable as error:
        yield fail("your key", str(error))
        return
    if isinstance(key, KeyUnusable):
        yield fail("your key", str(key))
    elif key is not None:
        yield ok("your key", f"{name}: {links.key_text(key)}")
    elif name == keys.DEFAULT:
        yield ok("your key", "none yet: it is made when it is first needed")
    else:
        yield warn("your key", f"there is no identity {name}", f"make it: zchat keys new {name}")
