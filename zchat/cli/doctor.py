"""`zchat doctor`: what is wrong, and what to do."""

from __future__ import annotations

from itertools import chain

from zchat.cli.exits import FAILURE, OK
from zchat.cli.options import Data, Identity, Json, Patience, Url, data_folder


def command(
    data: Data = None,
    json: Json = False,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> int:
    """Looks at all that zchat needs here, and says what is wrong and what to do.

    A line for each thing looked at: ok, warn or FAIL. Versions, your key, the broker's address, its key, its clock; and
    if there is a broker's folder here, its rights, its disk, its database, and who has it. Nothing is changed. Exit
    code 1 if anything FAILs.
    """
    from zchat.cli import findings
    from zchat.cli.doctor_broker import broker
    from zchat.cli.doctor_folder import folder
    from zchat.cli.doctor_here import identities, versions
    from zchat.cli.output import out
    from zchat.errors import DataUnusable

    parts = [versions(), identities(identity), broker(url, identity, connect_timeout)]
    try:
        where = data_folder(data)
    except DataUnusable:
        where = None
    if where is not None and (data is not None or where.exists()):
        parts.append(folder(where))
    found = []
    for one in chain.from_iterable(parts):
        found.append(one)
        out(findings.json(one) if json else findings.line(one))
    return FAILURE if findings.failed(found) else OK
