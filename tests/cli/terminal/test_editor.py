from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from wcwidth import iter_graphemes

from zchat.cli.terminal.editor import HISTORY_LIMIT, LINE_LIMIT, Editor, Outcome, Submit, View
from zchat.cli.terminal.keys import Keys, Paste
from zchat.text import printable, width

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
FAMILY = "👩\u200d👩\u200d👧"

MOVES = [*"\x01\x02\x04\x05\x06\x0b\x15\x17\x7f\r", UP, DOWN, RIGHT, LEFT, "\x1bb", "\x1bf", "\x1b[3~"]
TEXTS = ["a", " ", "日", "e\u0301", FAMILY, "☺", "\u200d", "\ufe0f", "👍🏽", "🇦", "🇧", "\u200b", "\u0600", "क्षि", "각"]
PASTES = ["\x1b[200~x\r\ny\t\x1b[201~", "\x1b\r"]
PIECES = st.sampled_from([*MOVES, *TEXTS, *PASTES])
STREAM_PIECES = st.one_of(PIECES, st.just("\u0301"))
STREAMS = st.one_of(st.binary(max_size=80), st.lists(STREAM_PIECES, max_size=40).map(lambda s: "".join(s).encode()))


class Dialogue:
    """An editor that is typed into."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.editor = Editor()

    def type(self, data: str | bytes) -> list[Submit | Outcome]:
        events = self.keys.feed(data if isinstance(data, bytes) else data.encode())
        return [outcome for event in events if (outcome := self.editor.handle(event))]

    def shown(self, columns: int = 40, prompt: str = "> ") -> str:
        """The row with a | where the cursor stands."""
        view = self.editor.view(columns, prompt)
        row, used = "", 0
        for cluster in [*iter_graphemes(view.text), ""]:
            row += ("|" if used == view.cursor_column else "") + cluster
            used += width(cluster)
        return row


def after(*typed: str) -> str:
    dialogue = Dialogue()
    for data in typed:
        dialogue.type(data)
    return dialogue.shown()


def test_typing_and_moving() -> None:
    assert after("helo", LEFT, "l") == "> hell|o"
    assert after("ello", "\x01", "h", "\x05", "!") == "> hello!|"
    assert after("a", LEFT, LEFT, RIGHT, RIGHT, "b") == "> ab|"


def test_deleting() -> None:
    assert after("abc", "\x7f") == "> ab|"
    assert after("abc", LEFT, LEFT, "\x1b[3~") == "> a|c"
    assert after("abc", LEFT, LEFT, "\x04") == "> a|c"
    assert after("\x7f", "\x1b[3~") == "> |"
    assert after("abc", LEFT, "\x15") == "> |c"
    assert after("abc", LEFT, "\x0b") == "> ab|"


def test_words() -> None:
    assert after("one two  ", "\x17") == "> one |"
    assert after("one two", "\x1bb", "\x1bb") == "> |one two"
    assert after("one two", "\x01", "\x1bf") == "> one| two"
    assert after("one two", "\x01", "\x1bf", "\x1bf", "\x1bf") == "> one two|"
    assert after("one two", "\x1b[1;5D", "\x17") == "> |two"


def test_what_looks_like_one_character_is_one() -> None:
    for one in ("e\u0301", FAMILY, "👍🏽", "🇩🇪", "☺\ufe0f", "각"):
        assert after("a", one, "\x7f") == "> a|"
        assert after("a", one, LEFT, "\x1b[3~") == "> a|"
        assert after("a", one, LEFT, LEFT, RIGHT, "b") == f"> ab|{one}"


def test_a_base_before_its_mark_is_typed_in_the_right_order() -> None:
    dialogue = Dialogue()
    dialogue.type("\u0301\x01")
    dialogue.type("x")
    dialogue.type("y")
    assert dialogue.editor.text == "xy\u0301"
    dialogue.type("\x7f")
    assert dialogue.editor.text == "x"


def test_entering() -> None:
    dialogue = Dialogue()
    assert dialogue.type("hello\rwor") == [Submit("hello")]
    assert dialogue.type("ld\r\r") == [Submit("world"), Submit("")]
    assert dialogue.shown() == "> |"


def test_ctrl_d_ends_an_empty_line_only() -> None:
    dialogue = Dialogue()
    assert dialogue.type("a\x04\x01\x04") == []
    assert dialogue.type("\x04") == [Outcome.END_OF_INPUT]


def test_ctrl_l_is_for_the_screen() -> None:
    assert Dialogue().type("a\x0cb") == [Outcome.CLEAR_SCREEN]


def test_a_paste_is_one_message() -> None:
    dialogue = Dialogue()
    assert dialogue.type("say: \x1b[200~one\r\ntwo\rthree\n\tfour\x00\x1b\x1b[201~") == []
    assert dialogue.shown() == "> say: one⏎two⏎three⏎␉four|"
    assert dialogue.type("\r") == [Submit("say: one\ntwo\nthree\n\tfour")]


def test_alt_enter_is_a_newline() -> None:
    assert Dialogue().type("one\x1b\rtwo\r") == [Submit("one\ntwo")]


def test_history() -> None:
    dialogue = Dialogue()
    dialogue.type("one\rtwo\rtwo\r  \rdraft")
    dialogue.type(UP)
    assert dialogue.shown() == "> two|"
    dialogue.type(UP + UP)
    assert dialogue.shown() == "> one|"
    dialogue.type(DOWN + DOWN + DOWN)
    assert dialogue.shown() == "> draft|"
    assert dialogue.type(UP + UP + "!\r") == [Submit("one!")]
    assert dialogue.type(UP + UP + UP + "\r") == [Submit("one")]


def test_history_is_bounded() -> None:
    dialogue = Dialogue()
    dialogue.type("".join(f"{n}\r" for n in range(HISTORY_LIMIT + 5)))
    dialogue.type(UP * (HISTORY_LIMIT + 5))
    assert dialogue.shown() == "> 5|"


def test_a_line_is_bounded() -> None:
    dialogue = Dialogue()
    assert dialogue.type("x" * (LINE_LIMIT - 1)) == []
    assert dialogue.type("é") == [Outcome.BELL]
    assert dialogue.type("y") == []
    assert dialogue.type("z") == [Outcome.BELL]
    assert dialogue.editor.text == "x" * (LINE_LIMIT - 1) + "y"
    assert Editor().handle(Paste("é" * LINE_LIMIT)) == Outcome.BELL


def test_a_long_line_scrolls() -> None:
    dialogue = Dialogue()
    dialogue.type("0123456789abcdefghij")
    assert dialogue.shown(12) == "> bcdefghij|"
    dialogue.type(LEFT * 5)
    assert dialogue.shown(12) == "> 9abcde|fgh"
    dialogue.type("\x01")
    assert dialogue.shown(12) == "> |012345678"


def test_a_wide_character_is_never_cut() -> None:
    dialogue = Dialogue()
    dialogue.type("日本語日本語日本語")
    assert dialogue.shown(12) == "> 語日本語|"
    dialogue.type(LEFT)
    assert dialogue.shown(12) == "> 語日本|語"
    dialogue.type("\x01")
    assert dialogue.shown(12) == "> |日本語日"
    assert dialogue.shown(6) == "> |日"


def test_a_long_prompt_leaves_half_of_the_row() -> None:
    dialogue = Dialogue()
    dialogue.type("hello there")
    assert dialogue.shown(21, "a-very-long-name@room> ") == "a-very-lonello there|"


def test_what_steers_a_terminal_is_not_shown() -> None:
    dialogue = Dialogue()
    dialogue.editor.handle(Paste("a\u202eb"))
    assert dialogue.shown(prompt="\x1b> ") == "␛> a\ufffdb|"


def test_a_mark_without_a_base_leaves_the_prompt_alone() -> None:
    assert after("\u0301") == "> ◌\u0301|"


def test_a_terminal_of_one_column() -> None:
    dialogue = Dialogue()
    dialogue.type("日x")
    assert dialogue.editor.view(1, "> ") == View("", 0)


@given(STREAMS, st.lists(st.integers(0, 80)))
def test_it_does_not_matter_where_reads_end(stream: bytes, cuts: list[int]) -> None:
    whole, cut = Dialogue(), Dialogue()
    expected = whole.type(stream)
    ends = [0, *sorted(cuts), len(stream)]
    outcomes = [out for a, b in pairwise(ends) for out in cut.type(stream[a:b])]
    assert outcomes == expected
    assert (cut.editor.text, cut.editor.view(40, "> ")) == (whole.editor.text, whole.editor.view(40, "> "))


@given(STREAMS, st.integers(1, 30), st.text(max_size=20))
def test_a_view_fits_its_row(stream: bytes, columns: int, prompt: str) -> None:
    dialogue = Dialogue()
    dialogue.type(stream)
    view = dialogue.editor.view(columns, prompt)
    assert 0 <= view.cursor_column <= columns - 1
    assert width(view.text) <= columns - 1
    # As a whole it may be less: wcwidth takes whatever follows a joiner for a part of what precedes it.
    assert sum(map(width, iter_graphemes(view.text))) <= columns - 1
    assert printable(view.text) == view.text


@given(st.lists(PIECES, max_size=40))
def test_no_mark_is_ever_left_alone(pieces: list[str]) -> None:
    dialogue = Dialogue()
    for piece in pieces:
        dialogue.type(piece)
    assert "\u0301" not in dialogue.editor.text.replace("e\u0301", "")
