"""What can go wrong, as one tree.

Each refusal has its code on the wire, whether a retry may succeed, and whether the connection survives it. The
broker raises them, the codec carries their code, and the client library raises the same class again.
"""

from __future__ import annotations

from typing import ClassVar


class ZchatError(Exception):
    """The root of everything zchat raises. `str(error)` is one line that says what happened and what to do."""


class Unreachable(ZchatError):
    """No broker answered at the address in time."""


class TimedOut(ZchatError):
    """The broker was reached, but what was waited for did not come in time."""


class Closed(ZchatError):
    """The client was used after it was closed."""


class Unknown(ZchatError):
    """Whether a message was stored cannot be told: the broker's memory of it is gone, or retrying was given up."""


class BindFailed(ZchatError):
    """The broker could not take the addresses it was told to."""


class BadOption(ZchatError):
    """An option of the command line that cannot be followed."""


class BadConfig(BadOption):
    """A configuration that means nothing: a file, a key in it, or options that contradict each other."""


class Undecodable(ZchatError):
    """A frame that is none of this protocol's."""


class StoreUnavailable(ZchatError):
    """The store could not commit, or cannot be read now; nothing of the turn was kept. It may pass."""


class StoreRejected(ZchatError):
    """The store could not keep something that was asked of it, though it works; nothing of the turn was kept."""


class StoreFailed(ZchatError):
    """The store cannot be relied on any more: the disk failed, and what it has cannot be told. The broker must stop."""


class StoreDamaged(StoreFailed):
    """What the store holds is not what was put there."""


class DataUnusable(ZchatError):
    """A data folder, or a file for one, cannot be used: another broker has it, it is newer, or it is none."""


class KeyUnusable(ZchatError):
    """A file with a key cannot be used: others may read it, it is none, or it cannot be made."""


class BrokerChanged(ZchatError):
    """The broker at an address is not the one that was there before: it has another key."""


class BrokerUnknown(ZchatError):
    """Nothing is known of the broker at an address of another machine, so nothing was said to it."""


class Refusal(ZchatError):
    """The broker said no.

    Args:
        detail: one line for the user; what the code says by itself if it is empty.
        retry_ms: in how many milliseconds the same request may succeed; 0 if that is not known.

    Attributes:
        code: the word on the wire.
        retryable: true if the same request may succeed later. A retryable refusal of a send uses no number up.
        cut: true if the connection does not survive it.
    """

    code: ClassVar[str] = "refused"
    retryable: ClassVar[bool] = False
    cut: ClassVar[bool] = False
    says: ClassVar[str] = "the broker refused it"

    def __init__(self, detail: str = "", *, retry_ms: int = 0) -> None:
        super().__init__(detail or self.says)
        self.retry_ms = retry_ms


# The client's doing, by mistake: it may go on.
class NameInvalid(Refusal):
    code = "name-invalid"
    says = "not a name that can be used"


class TooLong(Refusal):
    code = "too-long"
    says = "the text is too long"


class UnknownWord(Refusal):
    code = "unknown-word"
    says = "the broker does not know that command"


class UnknownRequest(Refusal):
    code = "unknown-request"
    says = "the broker does not know that request; is it older than this client?"


class BadRequest(Refusal):
    code = "bad-request"
    says = "the broker could not read the request"


class LimitReached(Refusal):
    code = "limit-reached"
    says = "the broker's limit is reached"


class QuotaReached(LimitReached):
    code = "quota-reached"
    says = "as much as the broker keeps of it: delete something, or ask the operator for more"


class TooSlow(Refusal):
    code = "too-slow"
    says = "the search took too long: narrow it down by a room, a name, a time or one more word"


class NameNeeded(Refusal):
    code = "name-needed"
    says = "speaking takes a name: say hello with one"


# Not allowed. These do not tell apart what is not there from what is not yours.
class NotAllowed(Refusal):
    code = "not-allowed"
    says = "not allowed"


class NotAdmitted(NotAllowed):
    code = "not-admitted"
    says = "you are not let in: ask who runs the broker for a link"


class Banned(NotAllowed):
    code = "banned"
    says = "you are banned"


class Muted(NotAllowed):
    code = "muted"
    says = "you may read here, and not speak"


class ReadOnly(NotAllowed):
    code = "read-only"
    says = "only moderators speak in this room"


class SlowMode(NotAllowed):
    code = "slow-mode"
    says = "this room is slow: wait before you say more"


class Blocked(NotAllowed):
    code = "blocked"
    says = "that person takes nothing from you"


class NameTaken(NotAllowed):
    code = "name-taken"
    says = "that name is taken: choose another"


class NoSuchRoom(NotAllowed):
    code = "no-such-room"
    says = "no such room, or not yours"


class NoSuchMessage(NotAllowed):
    code = "no-such-message"
    says = "there is no such message of yours"


class NoSuchPerson(NotAllowed):
    code = "no-such-person"
    says = "nobody here has that name"


# The session's state, mended by the library itself.
class UnknownSession(Refusal):
    code = "unknown-session"
    retryable = True
    says = "the broker does not know this session: say hello"


class OutOfOrder(Refusal):
    code = "out-of-order"
    retryable = True
    says = "another send number was expected"


class Busy(Refusal):
    code = "busy"
    retryable = True
    says = "too much at once: try again"


class RateLimited(Refusal):
    code = "rate-limited"
    retryable = True
    says = "too much in too short a time: wait a moment"


# The broker's doing: it passes.
class Unavailable(Refusal):
    code = "store-unavailable"
    retryable = True
    says = "the broker cannot store messages at the moment"


class Draining(Refusal):
    code = "draining"
    retryable = True
    says = "the broker is shutting down"


# After these the connection, or the session, is over.
class WrongVersion(Refusal):
    code = "wrong-version"
    says = "the broker speaks another version of the protocol"


class Superseded(Refusal):
    code = "superseded"
    says = "this session was taken over by a newer connection"


class OverCredit(Refusal):
    code = "over-credit"
    cut = True
    says = "more unanswered requests than the broker allows"


def _tree(root: type[Refusal]) -> list[type[Refusal]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


BY_CODE: dict[str, type[Refusal]] = {kind.code: kind for kind in _tree(Refusal)}


def refusal(code: str, detail: str) -> Refusal:
    """The refusal that a wire code stands for; one this version does not know stays a plain, final `Refusal`.

    Args:
        code: the word on the wire.
        detail: the broker's sentence for the user; not sanitised here.
    """
    kind = BY_CODE.get(code)
    if kind is None:
        return Refusal(f"{detail} ({code})" if detail else code)
    return kind(detail)
