"""The complaint number survives being read, observed and typed, and says so when it did not."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from redress_intake.domain.number import ALPHABET, NotANumber, number_from, parse_number

numbers = st.binary(min_size=16, max_size=16).map(number_from)
places = st.integers(0, 10)


def plain(number: str) -> str:
    return number.replace("-", "")


@given(numbers)
def test_a_number_reads_as_itself(number: str):
    assert parse_number(number) == number
    assert [len(group) for group in number.split("-")] == [4, 4, 3]
    assert set(plain(number)) <= set(ALPHABET)


@given(numbers, places, st.sampled_from(ALPHABET))
def test_every_single_wrong_character_is_caught(number: str, place: int, other: str):
    right = plain(number)
    assume(right[place] != other)
    with pytest.raises(NotANumber):
        parse_number(right[:place] + other + right[place + 1 :])


@given(numbers, places, places)
def test_any_two_characters_that_changed_places_are_caught(number: str, one: int, other: int):
    swapped = list(plain(number))
    assume(swapped[one] != swapped[other])
    swapped[one], swapped[other] = swapped[other], swapped[one]
    with pytest.raises(NotANumber):
        parse_number("".join(swapped))


def test_of_one_number_all_single_errors_and_all_neighbours_swapped_are_caught():
    right = plain(number_from(bytes(range(16))))
    wrong = {right[:n] + other + right[n + 1 :] for n in range(11) for other in ALPHABET if other != right[n]}
    wrong |= {right[:n] + right[n + 1] + right[n] + right[n + 2 :] for n in range(10) if right[n] != right[n + 1]}
    assert len(wrong) >= 11 * 31
    for number in wrong:
        with pytest.raises(NotANumber):
            parse_number(number)


@given(numbers, st.lists(st.sampled_from([" ", "-", "–", "\u3000", ""]), min_size=12, max_size=12), st.randoms())
def test_it_is_understood_as_people_write_it(number: str, gaps: list[str], random):
    lookalikes = {"0": "0oO", "1": "1iIlL"}
    written = [random.choice(lookalikes.get(character, character + character.lower())) for character in plain(number)]
    assert parse_number(gaps[11] + "".join(character + gap for character, gap in zip(written, gaps, strict=False))) == number


@pytest.mark.parametrize(
    "written", ["{}。", "{}.", "\u200b{}\u200b", "\ufeff{}", "（{}）", "{}，", "“{}”", " {}\u00a0\u3000", "{}！", "{}\u00ad", "「{}」"]
)
@pytest.mark.parametrize("dash", ["-", "－", "—", "‐", "‑", "−", "﹣", "·", "_", "/", "", " ", "\u3000", "\u200b", "\u2060"])
@pytest.mark.parametrize("wide", [False, True])
def test_it_is_understood_from_a_chinese_keyboard_and_out_of_a_sentence(written: str, dash: str, wide: bool):
    number = number_from(bytes(range(16)))
    typed = written.format(number.replace("-", dash))
    if wide:
        typed = typed.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
    assert parse_number(typed) == number


@pytest.mark.parametrize(
    "nonsense",
    ["", "-", "7K3M", "7K3M-9QX2-V0T1", "UUUU-UUUU-UUU", "投" * 11, "7K3M-9QX2-V0\u0661", "ß" * 11, "7K3M+9QX2", "。", "\u200b" * 11],
)
def test_what_is_no_number_is_said_to_be_none(nonsense: str):
    with pytest.raises(NotANumber):
        parse_number(nonsense)


def test_fifty_bits_of_chance_are_used_and_no_more():
    assert number_from(bytes(16)) == "0000-0000-000"
    assert number_from(b"\xff" * 16) == number_from(b"\xff" * 7)
    singles = {number_from((1 << bit).to_bytes(7, "big")) for bit in range(6, 56)}
    assert len(singles) == 50
