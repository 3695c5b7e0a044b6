"""What a person or a room may be called. Pure: no I/O, and nothing but `NameInvalid` for what is refused.

Names follow the Nickname profile of PRECIS (RFC 8266) within zchat's own limits; what looks alike is told by
the skeletons of UTS #39. The tables behind both take some 10 and 40 ms to load, so they are loaded on first use.
"""

import unicodedata
from functools import cache, lru_cache
from itertools import chain
from typing import Literal

from zchat.errors import NameInvalid
from zchat.text import printable

RESERVED = frozenset({"admin", "broker", "operator", "server", "system"})
"""Who zchat itself speaks as: no person is called so, nor anything that looks like it."""

PERSON_MAX = 32
"""Characters (code points) in a person's name."""

BOT = "[bot]"
"""The end of every bot's name. No person's name holds a bracket."""

PRIVATE = "+"
"""The beginning of every private room's name: nobody takes it for a public one, also not who was sent away from it."""

ROOM_MAX = 64
"""Characters (code points) in a room's name, its # not counted."""

# `/` begins a command, `@` and `#` name a person and a room, `,` and `:` end a name in running text and in
# lists, `* ? [` are the wildcards of the shell and of subscriptions.
_PUNCTUATION = frozenset("/@#,:*?[")

_BRAILLE_BLANK = "\u2800"  # a symbol by its category, a space to the eye

# Normalising shortens (four code points of decomposed Vietnamese or Hangul become one or two) but hardly more
# than this; what is longer is refused before any of it is looked at.
_RAW_FACTOR = 4


def person(name: str) -> str:
    """A person's name as it will be shown (RFC 8266 Nickname, case preserved).

    The first call for names that pass the other rules loads the look-alike tables: whether a name is free and
    fit is the broker's to say, a client need not ask.

    Args:
        name: what was typed; 1 to 32 characters once normalised, what else is refused stands under Raises.

    Returns:
        The name to show; `person(person(x)) == person(x)`.

    Raises:
        NameInvalid: empty or too long; has a space, one of ``/ @ # , : * ? [`` or something that shows
            nothing; begins with a combining mark; has no stable normal form; is `RESERVED` or looks like it.
    """
    shown = _person(name)
    if not _reserved_looks().isdisjoint(looks(shown)):
        raise NameInvalid("that name is kept for zchat itself, or looks like one that is: choose another")
    return shown


def room(name: str) -> str:
    """The one name of a room, however it was typed (RFC 8266 Nickname, case mapped): ``#Lobby`` is ``lobby``.

    Args:
        name: what was typed; one leading # is ignored, 1 to 64 characters remain once normalised.

    Returns:
        The canonical name, without #; `room(room(x)) == room(x)`.

    Raises:
        NameInvalid: for the reasons `person` gives, save that no name is reserved; or it is that of a private room.
    """
    found = _room(name)
    if found.startswith(PRIVATE):
        raise NameInvalid(f"a name that begins with {PRIVATE} is that of a private room, to which one is invited")
    return found


def private_room(name: str) -> str:
    """The one name of a private room, with its `+`; see `room`.

    Raises:
        NameInvalid: for the reasons `room` gives, or it does not begin with a `+`.
    """
    if not name.startswith(PRIVATE):
        raise NameInvalid(f"the name of a private room begins with {PRIVATE}")
    return PRIVATE + room(name.removeprefix(PRIVATE))


def bot(name: str) -> str:
    """A bot's name as it will be shown: with a mark that no person's name can have.

    Args:
        name: with the mark or without; see `person`.

    Raises:
        NameInvalid: for the reasons `person` gives.
    """
    shown = person(name.removesuffix(BOT)) + BOT
    if len(shown) > PERSON_MAX:
        raise NameInvalid(f"a bot's name has at most {PERSON_MAX - len(BOT)} characters: choose a shorter one")
    return shown


def is_bot(name: str) -> bool:
    """Whether a name that is shown is a bot's."""
    return name.endswith(BOT)


def is_private(room: str) -> bool:
    """Whether what somebody calls a room is one that only some may read: `+ROOM`, `@NAME`, or the id of either."""
    return room[:1] in ("@", PRIVATE)


def same(name: str) -> str:
    """The key under which a person's name is unique (RFC 8266 Nickname, case mapped): Ann's is also ANN's.

    Args:
        name: a name that `person` returned.

    Returns:
        The key; never shown.

    Raises:
        NameInvalid: not a name. What `person` returned always has a key.
    """
    return _same(name)


def looks(name: str) -> frozenset[str]:
    """The skeletons (UTS #39 section 4) of a name: two names are confusable iff these intersect.

    UTS #39 compares spellings; here case means nothing, so one name has several readings. ``I`` looks like
    ``l`` and is the capital of ``i``: ``Ian`` must clash with ``lan`` and with ``ian``, though those two are
    strangers. Hence several skeletons: of the name as shown, in small letters, and in capitals with each I (of
    any script) taken for the ``i`` that it is a capital of. Not found is what merely looks like another name
    in capitals, as ``KAl`` does for ``kai``.

    Args:
        name: a name that `person` returned.

    Returns:
        One to four keys; never shown.
    """
    return _looks(name)


@lru_cache(maxsize=4096)
def _person(name: str) -> str:
    shown = _fit(_enforced("NicknameCasePreserved", name, PERSON_MAX), PERSON_MAX)
    _same(shown)  # a name without a key would be nobody's
    return shown


@lru_cache(maxsize=4096)
def _room(name: str) -> str:
    return _fit(_enforced("NicknameCaseMapped", name, ROOM_MAX + 1).removeprefix("#"), ROOM_MAX)


@lru_cache(maxsize=4096)
def _same(name: str) -> str:
    return _enforced("NicknameCaseMapped", name, PERSON_MAX)


def _enforced(profile: str, name: str, longest: int) -> str:
    """The name normalised by a PRECIS profile, which repeats its rules and refuses what does not settle."""
    if len(name) > _RAW_FACTOR * longest:
        raise NameInvalid(f"a name has at most {longest} characters: choose a shorter one")
    from precis_i18n import get_profile

    try:
        return get_profile(profile).enforce(name)
    except UnicodeEncodeError as e:
        if e.reason.endswith("empty"):
            raise NameInvalid("a name needs at least one character: choose one") from None
        if e.reason.endswith("not_idempotent"):
            raise NameInvalid("that name changes each time it is normalised: choose a plainer one") from None
        raise _unfit(e.object[e.start]) from None  # e.object is the normalised name that e.start points into


def _fit(name: str, longest: int) -> str:
    """The normalised name, if zchat's own rules allow it."""
    if not 1 <= len(name) <= longest:
        raise NameInvalid(f"a name has 1 to {longest} characters, that one {len(name)}: choose another")
    for c in name:
        if c.isspace() or c == _BRAILLE_BLANK:
            raise NameInvalid("a name has no spaces: join its words with - or _ instead")
        if c in _PUNCTUATION:
            raise NameInvalid(f"a name has no {c} in it: leave it out")
    if unicodedata.category(name[0]).startswith("M"):
        raise NameInvalid("a name cannot begin with a combining mark: put a letter before it")
    if (harmless := printable(name)) != name:
        # Where they part is what was replaced or, in a flood of combining marks, dropped.
        raise _unfit(next((a for a, b in zip(name, harmless, strict=False) if a != b), name[-1]))
    return name


def _unfit(c: str) -> NameInvalid:
    return NameInvalid(f"a name cannot have U+{ord(c):04X} there: use visible letters, digits and symbols")


@cache
def _reserved_looks() -> frozenset[str]:
    # Capitals as well: ADMlN with a small L is the look-alike of what a reserved word might be shouted as.
    return frozenset(chain.from_iterable(looks(word) | looks(word.upper()) for word in RESERVED))


@lru_cache(maxsize=4096)
def _looks(name: str) -> frozenset[str]:
    prototype = _prototypes()
    # A capital drawn as l is a capital I, be it Latin, Greek, Cyrillic or palochka.
    capitals = unicodedata.normalize("NFD", name.upper())
    small_i = "".join(c.casefold() if prototype.get(c) == "l" else c for c in capitals)
    # Cherokee folds to capitals, which look like something else than its small letters.
    return frozenset(map(_skeleton, (name, name.casefold(), name.lower(), small_i)))


def _skeleton(text: str) -> str:
    """The text with each character replaced by the one it looks like, in small letters."""
    for _ in range(8):  # a small letter has looks of its own: Мax (Cyrillic М), Max, max, rnax; 3 rounds do
        # UTS #39 decomposes first and so never sees its own entries for composed characters, as ơ for o'.
        settled = _drawn("NFD", _drawn("NFC", text)).casefold()
        if settled == text:
            break
        text = settled
    return text


def _drawn(form: Literal["NFC", "NFD"], text: str) -> str:
    prototype = _prototypes()
    return "".join(prototype.get(c, c) for c in unicodedata.normalize(form, text))


@cache
def _prototypes() -> dict[str, str]:
    """What each character looks like, for those that look like another; invisible ones look like nothing.

    The library ships confusables.txt of UTS #39 with its arrows lost: each character and its prototype list
    each other. So the data falls into stars, and the centre of a star is the prototype. Of a pair either
    would do as long as it is always the same one: the longer text, then the smaller.
    """
    from confusable_homoglyphs.confusables import confusables_data

    def bare(text: str) -> str:
        return text.replace("\u200e", "")  # the source file's marks around right-to-left text

    stars = {bare(c): [bare(other["c"]) for other in others] for c, others in confusables_data.items()}
    prototypes = {"\u200c": "", "\u200d": ""}  # the only invisible ones that a name can hold
    for c, others in stars.items():
        if len(c) > 1 or len(others) > 1:
            continue  # no single character, or the centre itself
        (other,) = others
        if len(stars[other]) > 1 or (-len(other), other) < (-len(c), c):
            prototypes[c] = other
    prototypes["\u2502"] = "l"  # what NFKC makes of U+FFE8, which the data has look like l: it does so still
    return prototypes
