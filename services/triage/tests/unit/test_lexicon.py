"""Words are found where they stand, whatever the writing, and in time that grows with the text alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_triage.domain.lexicon import Found, Lexicon, Notation, Term, fold
from redress_triage.domain.negation import Negation

NEGATION = Negation(
    negators={"不": 1, "没有": 1, "不是": 1, "不想": 0, "not": 2, "*n't": 1, "no": 1, "no longer": 1},
    between=("很", "太", "very", "a"),
    affirming=("要不", "是不是", "should not"),
)
NOTATION = Notation(han=4, latin=12, negation=NEGATION)


def found(text: str, *words: str, subjects: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Each term, here named by its word, with the part of the text that it was found in."""
    terms = [*(Term(word, (word,)) for word in words), *(Term(word, (), (word,)) for word in subjects)]
    lexicon = Lexicon(terms, NOTATION)
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


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("网速不慢", "网速~慢"),
        ("没有网速慢", "网速~慢"),
        ("网速不太慢", "网速~慢"),
        ("网速不是很慢", "网速~慢"),
        ("It is not slow", "slow"),
        ("It isn't slow", "slow"),
        ("It isn’t  very slow", "slow"),
        ("no longer slow", "slow"),
        ("not a very slow one", "slow"),
        ("网速不\u200b慢", "网速~慢"),
        ("網速沒有慢", "网速~慢"),
        ("不是没有信号", "没有~信号"),
        ("不是不是不慢", "慢"),
    ],
)
def test_a_negator_denies_whatever_word_it_stands_before(text: str, word: str) -> None:
    assert found(text, word) == []


@pytest.mark.parametrize(
    ("text", "word", "where"),
    [
        ("没有信号", "没有~信号", "没有信号"),  # its own negation
        ("no signal", "no~signal", "no signal"),
        ("不是不慢", "慢", "慢"),  # two of them
        ("It isn't not slow", "slow", "slow"),
        ("不，慢", "慢", "慢"),  # another clause
        ("No. Slow", "slow", "Slow"),
        ("不太很慢", "慢", "慢"),  # beyond the negator's reach
        ("不想太慢", "慢", "慢"),
        ("不仅慢", "慢", "慢"),  # something else between
        ("not only slow", "slow", "slow"),
        ("要不慢", "慢", "慢"),  # looks like a negator
        ("是不是慢", "慢", "慢"),
        ("it should not slow", "slow", "slow"),
        ("knot slow", "slow", "slow"),  # a Latin negator is a whole word
        ("网速不慢但是慢", "网速~慢", "网速不慢但是慢"),  # denied first, and then not
    ],
)
def test_what_is_not_denied_is_found(text: str, word: str, where: str) -> None:
    assert found(text, word) == [(word, where)]


def test_what_is_denied_says_nothing_of_its_subject_either() -> None:
    assert found("网速不慢", "网速~慢", subjects=("网速",)) == []
    assert found("网速不慢，网速慢", "网速~慢", subjects=("网速",)) == [("网速~慢", "网速慢")]


def test_a_negator_before_a_subject_denies_nothing() -> None:
    assert found("没有退款", subjects=("退款",)) == [("退款", "退款")]
    assert found("no refund", subjects=("refund",)) == [("refund", "refund")]


def test_a_term_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="empty has neither"):
        Lexicon([Term("empty", ())], NOTATION)


def test_two_terms_cannot_claim_one_word() -> None:
    with pytest.raises(ValueError, match="belongs to two terms: first and second"):
        Lexicon([Term("first", ("断网",)), Term("second", ("断网",))], NOTATION)


@pytest.mark.parametrize("text", ["", "a", "差", " ", "\U0001f621"])
def test_short_texts_hold_nothing(text: str) -> None:
    assert found(text, "信号~差", "slow") == []


def test_traditional_characters_are_read_as_simplified() -> None:
    assert found("網速一直很慢，亂扣費", "网速~慢", "乱扣") == [("网速~慢", "網速一直很慢"), ("乱扣", "亂扣")]


# Zero-width characters, byte order mark, soft hyphen, variation selectors, direction marks, marks over and around others.
UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe00\ufe0f\U000e0100\u180b\u034f\u200e\u202e\u0336\u20e3"


@pytest.mark.parametrize("unseen", UNSEEN)
def test_what_cannot_be_seen_is_passed_over(unseen: str) -> None:
    assert found(f"家里断{unseen}网了", "断网") == [("断网", f"断{unseen}网")]
    assert found(f"s{unseen}low", "slow") == [("slow", f"s{unseen}low")]
    assert found(f"{unseen}断网{unseen}", "断网") == [("断网", "断网")]


TRADITIONAL = {"断": "斷", "网": "網", "号": "號"}


@st.composite
def disguised(draw: st.DrawFn) -> tuple[str, str]:
    """One of the words, and the same as somebody else may write it."""
    word = draw(st.sampled_from(["断网", "信号差", "slow", "data cap"]))
    text = ""
    for character in word:
        written = draw(st.sampled_from([character, character.upper(), TRADITIONAL.get(character, character), _wide(character)]))
        text += draw(st.text(alphabet=UNSEEN, max_size=2)) + written
    return word, text


def _wide(character: str) -> str:
    return chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character


@given(st.text(alphabet="，。家里 x!😡İßﬁ" + UNSEEN, max_size=8), disguised(), st.text(alphabet="，。家里 !😡İßﬁ" + UNSEEN, max_size=8))
def test_a_find_delimits_the_text_that_read_plainly_is_the_word(before: str, both: tuple[str, str], after: str) -> None:
    word, written = both
    text = before + " " + written + " " + after
    (one,) = Lexicon([Term("it", (word,))], NOTATION).find(text)
    assert fold(text[one.start : one.end]).text == word
    assert text[one.start : one.end] == written.lstrip(UNSEEN)


@given(st.text())
def test_folding_again_changes_nothing_and_each_place_is_where_it_was(text: str) -> None:
    folded = fold(text)
    assert fold(folded.text).text == folded.text
    assert [fold(text[place]).text for place in folded.places] == list(folded.text)
    assert list(folded.places) == sorted(set(folded.places))


@given(st.text(alphabet="不没有是信号差断网 slow,not\u200bİßﬁ", max_size=60))
def test_a_find_lies_within_the_text_and_is_the_same_again(text: str) -> None:
    lexicon = Lexicon([Term("weak", ("信号~差",)), Term("slow", ("slow",)), Term("cut", ("断网|断",))], NOTATION)
    hits = lexicon.find(text)
    assert hits == lexicon.find(text)
    assert all(0 <= one.start < one.end <= len(text) for one in hits)
    assert len({one.term for one in hits}) == len(hits)
    words = {"weak": r"信号.{0,4}差", "slow": "slow", "cut": "断网?"}
    assert all(re.fullmatch(words[one.term], fold(text[one.start : one.end]).text) for one in hits)
