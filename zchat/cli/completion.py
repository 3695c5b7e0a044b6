"""`zchat completion`, and what the scripts that it prints ask for when somebody presses Tab.

A name out of the network becomes part of a command line here. zsh and fish quote what they insert themselves; for bash
it is quoted here, see `zchat.cli.typed`. What could not be shown as it is, and what would be an option, is left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from zchat.cli.exits import OK

if TYPE_CHECKING:
    from zchat.client.sync import Client

PATIENCE = 0.5
"""Seconds that somebody who pressed Tab waits for a broker at most, if `ZCHAT_COMPLETION_TIMEOUT` says nothing else."""

MOST = 500
"""Words that are offered at most."""

_LONG = 60.0
_LONGEST = 256  # characters of one
_TOLD = 60  # characters of what is said of one


class Shell(StrEnum):
    """For which."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def command(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Which shell.", show_default=False)],
) -> None:
    """Prints what has a shell complete the commands of zchat, with its rooms and people.

    bash: eval "$(zchat completion bash)" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc, after compinit. fish: zchat
    completion fish > ~/.config/fish/completions/zchat.fish. Rooms and people are asked of the broker that the command
    would use, for half a second or ZCHAT_COMPLETION_TIMEOUT seconds; if it does not answer, none are offered.
    """
    from zchat.cli.output import out

    out(SCRIPTS[shell])


SCRIPTS = {
    Shell.BASH: r"""# zchat completion bash
_zchat() {
    local kind='' line
    COMPREPLY=()
    {
        IFS= read -r kind
        while IFS= read -r line; do COMPREPLY+=("$line"); done
    } < <("${1/#\~\//$HOME/}" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null </dev/null)
    case $kind in
        files) compopt -o default ;;
        dirs) compopt -o dirnames ;;
    esac 2>/dev/null
}
complete -F _zchat zchat""",
    Shell.ZSH: r"""#compdef zchat
_zchat() {
    local -a lines values shown
    local line
    lines=("${(@f)$("${(Q)words[1]/#\~\//$HOME/}" __complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" \
        2>/dev/null </dev/null)}")
    case $lines[1] in
        files) [[ $PREFIX == --*=* ]] && compset -P '*='; _files ;;
        dirs) [[ $PREFIX == --*=* ]] && compset -P '*='; _files -/ ;;
        words)
            for line in "${(@)lines[2,-1]}"; do
                values+=("${line%%$'\t'*}")
                shown+=("${line/$'\t'/  -- }")
            done
            compadd -l -d shown -a values ;;
    esac
}
if [[ $funcstack[1] == _zchat ]]; then _zchat "$@"; else compdef _zchat zchat; fi""",
    Shell.FISH: r"""# zchat completion fish
function __zchat_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete fish $words[2..] "$current" 2>/dev/null </dev/null)
    set -l prefix (string match -r -- '^--[^=]*=' "$current")
    set -l bare (string replace -r -- '^--[^=]*=' '' "$current")
    switch "$lines[1]"
        case files
            string replace -r -- '^' "$prefix" (__fish_complete_path "$bare")
        case dirs
            string replace -r -- '^' "$prefix" (__fish_complete_directories "$bare" '')
        case words
            printf '%s\n' $lines[2..]
    end
end
complete -c zchat -f -a '(__zchat_complete)'""",
}
"""What each is to be told. What `zchat __complete` prints is never evaluated, only offered."""


# What a shell asks ----------------------------------------------------------------------------------------------------


class Offer(NamedTuple):
    """What could stand there.

    Attributes:
        kind: words; or files or dirs, which the shell knows better.
        words: each with what it is, if there is something to say.
    """

    kind: str
    words: list[tuple[str, str]]


def answer(arguments: list[str]) -> int:
    """Answers a shell: a line that says which kind of thing is offered, then one a word. Never fails aloud.

    Args:
        arguments: bash, the line up to the cursor, and where words break; or zsh or fish, and the words after `zchat`,
            the last one up to the cursor.
    """
    import os
    import threading

    from zchat.cli import typed

    lines: list[str] = []
    try:
        shell, *words = arguments
        if Shell(shell) is Shell.BASH:
            line = typed.read(*words)
            if line.files:
                lines = ["files"]
            elif line.usable:
                offer = offered(line.words[1:], line.current)
                quoted = (line.quoted(word) for word, _ in offer.words)
                lines = [offer.kind, *(word for word in quoted if word is not None)]
        else:
            current = words[-1]
            offer = offered(words[:-1], typed.bare(current) if shell == Shell.FISH else current)
            lines = [offer.kind, *(f"{word}\t{told}" if told else word for word, told in offer.words)]
    except (Exception, KeyboardInterrupt):  # noqa: S110  # to who is typing nothing is worse than a traceback in the line
        pass
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except (OSError, ValueError):
        pass
    if threading.active_count() > 1:  # one that waits for a broker or a name, which may take its time
        os._exit(OK)
    return OK


def offered(words: list[str], current: str) -> Offer:
    """What could stand after some words.

    Args:
        words: after `zchat`.
        current: what there is of the next.
    """
    import contextlib
    import io

    from typer._click.shell_completion import _resolve_context, _resolve_incomplete

    from zchat.cli.commands import app

    with contextlib.redirect_stdout(io.StringIO()):  # --version says so at once
        context = _resolve_context(typer.main.get_command(app), {}, "zchat", list(words))
        found, rest = _resolve_incomplete(context, list(words), current)
    rest = "=" if current == "=" else rest  # which click takes for the one of an option
    subs = getattr(found, "commands", {})
    if subs and any(not word.startswith("-") for word in words[context.command_path.count(" ") :]):
        return Offer("words", [])  # there is no such command
    before = current[: len(current) - len(rest)] if rest != current else ""
    kind = _files(found)
    if kind:
        return Offer(kind, [])
    source = _source(found, context)
    if source is None:
        items = [(str(item.value), str(item.help or "")) for item in found.shell_complete(context, rest)]
        # What click says of a command is cut off.
        items = [(word, str(subs[word].help or "") if word in subs else told) for word, told in items]
    else:
        items = [(word, "") for word in source(context, rest)]
    fitting = [(f"{before}{word}", _brief(told)) for word, told in items if word.startswith(rest)]
    return Offer("words", fitting[:MOST])


def _brief(told: str) -> str:
    from zchat.text import printable

    first = " ".join(told.split()).partition(". ")[0].rstrip(".")
    return printable(first if len(first) <= _TOLD else f"{first[: _TOLD - 1]}…")


def _files(found: Any) -> str:
    from typer._click.types import File
    from typer.models import TyperPath

    if isinstance(getattr(found, "type", None), TyperPath | File):
        return "dirs" if "DIR" in _metavar(found) else "files"
    return ""


def _metavar(found: Any) -> set[str]:
    return set(re.findall(r"[A-Z]+", getattr(found, "metavar", None) or ""))


# What it could be -----------------------------------------------------------------------------------------------------

_Source = Callable[[Any, str], Iterable[str]]

NEW = {"keys new", "context add"}
"""Commands whose argument NAME is one that there is not yet."""


def _source(found: Any, context: Any) -> _Source | None:
    """What knows the words that a parameter may be: the metavar says what it is, for all commands alike."""
    words = _metavar(found)
    if not words or words - {"ROOM", "NAME", "LINK", "ID", "KEY", "CONTEXT", "VERB"}:
        return None
    if found.name == "identity":
        return _identities
    if "CONTEXT" in words:
        return _contexts
    if "ROOM" in words:
        return _rooms
    if words == {"KEY"}:
        return _keys
    if words == {"VERB"}:
        return _verbs
    if "NAME" in words and not (
        found.param_type_name == "argument" and any(context.command_path.endswith(new) for new in NEW)
    ):
        return _people
    return None


def _identities(context: typer.Context, current: str) -> Iterable[str]:
    from zchat.client.keys import list_keys

    return list_keys()


def _contexts(context: typer.Context, current: str) -> Iterable[str]:
    from zchat.cli.stored import contexts

    return contexts().all


def _verbs(context: typer.Context, current: str) -> Iterable[str]:
    from zchat.verbs import ACTS

    return ACTS


def _keys(context: typer.Context, current: str) -> Iterable[str]:
    from zchat.cli.settings import SETTINGS

    return SETTINGS


def _rooms(context: typer.Context, current: str) -> Iterable[str]:
    """Rooms; people where an @ is there already."""
    if current.startswith("@"):
        return [f"@{name}" for name in _people(context, current[1:])]
    return _asked(context, lambda client: [info.room for info in client.rooms() if not info.room.startswith("@")])


def _people(context: typer.Context, current: str) -> Iterable[str]:
    return _asked(context, lambda client: list(client.last_seen()))


def _asked(context: typer.Context, ask: Callable[[Client], list[str]]) -> list[str]:
    """What the broker answers, if it does in time; else nothing."""
    import threading

    found: list[str] = []
    answered = threading.Event()

    def run() -> None:
        try:
            with _visitor(context) as client:
                found.extend(ask(client))
                answered.set()
        except Exception:  # noqa: S110  # nobody asked for reasons
            pass
        answered.set()

    # A name may take longer to be resolved than anybody waits, and cannot be interrupted.
    asking = threading.Thread(target=run, daemon=True)
    asking.start()
    if answered.wait(_patience()):
        asking.join(PATIENCE)  # it says goodbye
    return sorted(word for word in list(found) if _harmless(word))


def _visitor(context: typer.Context) -> Client:
    """Who asks. Pressing Tab makes no key, uses no invite up, and gets to know no broker.

    Raises:
        errors.ZchatError: there is nobody who could ask, or no broker.
    """
    from zchat import links
    from zchat.cli.options import known_person, settle, visitor
    from zchat.client import keys
    from zchat.client.places import default_url, place
    from zchat.errors import BrokerUnknown, KeyUnusable

    settle(context)
    url = context.params.get("url") or default_url()
    name, identity = context.params.get("name"), context.params.get("identity")
    if links.is_link(url):
        link = links.parse_link(url)
        if keys.remembered(link.address) != link.key:
            raise BrokerUnknown("it was not joined before")
        url = str(link.address)
    if place(url).key is not None:
        file = keys.config_folder() / "identities" / f"{keys.identity_name(identity)}.key"
        if not file.exists():
            raise KeyUnusable("there is no such key yet")
    return visitor(url, _patience(), identity, person=known_person(name, url))


def _patience() -> float:
    import os

    try:
        return min(max(float(os.environ.get("ZCHAT_COMPLETION_TIMEOUT") or PATIENCE), 0.0), _LONG)
    except ValueError:
        return PATIENCE


def _harmless(word: str) -> bool:
    """Whether a name out of the network may be offered: as it is shown it is, and no option is made of it."""
    from zchat.text import printable

    return 0 < len(word) <= _LONGEST and printable(word) == word and not word.startswith("-")
