"""The tree of what can go wrong."""

from __future__ import annotations

import re

from zchat import errors


def test_every_refusal_has_a_code_of_its_own_and_comes_back_by_it() -> None:
    kinds = list(errors.BY_CODE.values())
    assert len(kinds) == len({kind.code for kind in kinds}) > 15
    for code, kind in errors.BY_CODE.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        again = errors.refusal(code, "why")
        assert type(again) is kind
        assert str(again) == "why"


def test_no_refusal_is_left_out() -> None:
    def tree(kind: type[errors.Refusal]) -> set[type[errors.Refusal]]:
        return {kind}.union(*(tree(child) for child in kind.__subclasses__()))

    assert tree(errors.Refusal) == set(errors.BY_CODE.values())


def test_a_refusal_without_detail_says_what_it_always_says() -> None:
    for kind in errors.BY_CODE.values():
        assert str(kind()) == kind.says
        assert "\n" not in kind.says


def test_an_unknown_code_is_final() -> None:
    unknown = errors.refusal("no-such-code", "wait a minute")
    assert type(unknown) is errors.Refusal
    assert (str(unknown), unknown.retryable) == ("wait a minute (no-such-code)", False)
    assert str(errors.refusal("no-such-code", "")) == "no-such-code"


def test_which_may_be_tried_again() -> None:
    retryable = {code for code, kind in errors.BY_CODE.items() if kind.retryable}
    assert retryable == {"unknown-session", "out-of-order", "busy", "rate-limited", "store-unavailable", "draining"}
    assert {code for code, kind in errors.BY_CODE.items() if kind.cut} == {"over-credit"}


def test_all_are_zchats() -> None:
    for kind in (errors.Unreachable, errors.TimedOut, errors.Closed, errors.Unknown, errors.BindFailed):
        assert issubclass(kind, errors.ZchatError)
    assert issubclass(errors.Refusal, errors.ZchatError)
