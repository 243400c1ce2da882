"""Words are found where they stand, whatever the writing, and in time that grows with the text alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_triage.domain.lexicon import Found, Lexicon, Notation, Term, fold

NOTATION = Notation(han=4, latin=12, negators=("不", "没有", "not ", "n't "))


def found(text: str, *words: str, unless_negated: bool = False) -> list[tuple[str, str]]:
    """Each term, here named by its word, with the part of the text that it was found in."""
    lexicon = Lexicon([Term(word, (word,), unless_negated) for word in words], NOTATION)
    return [(one.term, text[one.start : one.end]) for one in lexicon.find(text)]


def test_a_word_is_found_at_its_place() -> None:
    assert Lexicon([Term("cut", ("断网",))], NOTATION).find("家里断网了") == [Found("cut", 2, 4)]


def test_places_are_code_points_not_bytes_nor_utf16_units() -> None:
    assert Lexicon([Term("cut", ("断网",))], NOTATION).find("😡😡断网") == [Found("cut", 2, 4)]


def test_either_alternative_is_found() -> None:
    assert found("退钱", "退费|退钱") == [("退费|退钱", "退钱")]


def test_pieces_may_stand_apart_but_not_too_far() -> None:
    assert found("信号一直很差", "信号~差") == [("信号~差", "信号一直很差")]
    assert found("信号一直都非常差", "信号~差") == []


def test_pieces_stand_in_one_clause() -> None:
    assert found("信号，差", "信号~差") == []


def test_latin_pieces_may_stand_further_apart_than_han() -> None:
    assert found("slow wireless internet", "slow~internet") == [("slow~internet", "slow wireless internet")]


def test_latin_words_are_whole_unless_starred() -> None:
    assert found("a billion capsules", "bill", "cap*") == [("cap*", "capsules")]
    assert found("uncapped", "cap*") == []


def test_case_width_apostrophes_and_spaces_do_not_matter() -> None:
    assert found("ＤＡＴＡ  \n Cap", "data cap") == [("data cap", "ＤＡＴＡ  \n Cap")]
    assert found("I can’t call", "can't call") == [("can't call", "can’t call")]


def test_a_single_han_character_is_a_word_too() -> None:
    assert found("他骗人", "骗") == [("骗", "骗")]


def test_a_term_counts_once() -> None:
    assert found("断网又断网", "断网") == [("断网", "断网")]


def test_what_says_more_covers_what_says_less() -> None:
    assert found("宽带费", "宽带", "宽带费") == [("宽带费", "宽带费")]
    assert found("宽带费和宽带", "宽带", "宽带费") == [("宽带费", "宽带费"), ("宽带", "宽带")]


def test_of_equals_the_smaller_gap_counts_and_then_the_first() -> None:
    assert found("信号时好时差", "信号~差", "信号~好") == [("信号~好", "信号时好")]
    assert found("断网", "断网", "断|断网") == [("断网", "断网")]


def test_what_lies_in_a_gap_is_found_too() -> None:
    assert found("service, billing", "service~issue*", "billing") == [("billing", "billing")]
    assert found("service billing issue", "service~issue*", "billing") == [
        ("service~issue*", "service billing issue"),
        ("billing", "billing"),
    ]


def test_a_negator_before_any_piece_takes_the_word_away() -> None:
    assert found("网速不慢", "网速~慢", unless_negated=True) == []
    assert found("网速慢", "网速~慢", unless_negated=True) == [("网速~慢", "网速慢")]
    assert found("It is not slow", "slow", unless_negated=True) == []
    assert found("It isn't slow", "slow", unless_negated=True) == []
    assert found("没有信号", "信号") == [("信号", "信号")]


def test_two_terms_cannot_claim_one_word() -> None:
    with pytest.raises(ValueError, match="belongs to two terms: first and second"):
        Lexicon([Term("first", ("断网",)), Term("second", ("断网",))], NOTATION)


@pytest.mark.parametrize("text", ["", "a", "差", " ", "\U0001f621"])
def test_short_texts_hold_nothing(text: str) -> None:
    assert found(text, "信号~差", "slow") == []


@given(st.text())
def test_folding_keeps_the_length(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(st.text(alphabet="信号差断网 slow,İßﬁ", max_size=60))
def test_a_find_lies_within_the_text_and_is_the_same_again(text: str) -> None:
    lexicon = Lexicon([Term("weak", ("信号~差",)), Term("slow", ("slow",)), Term("cut", ("断网|断",))], NOTATION)
    hits = lexicon.find(text)
    assert hits == lexicon.find(text)
    assert all(0 <= one.start < one.end <= len(text) for one in hits)
    assert len({one.term for one in hits}) == len(hits)
