"""What a customer is told at once, and in which language."""

import typing
from pathlib import Path

import pytest
from pydantic import ValidationError

from redress_chassis import PolicyUnusable
from redress_events.vocabulary import ContactKind
from redress_intake.domain.first_answer import FirstAnswer, language_of
from redress_intake.policies import FIRST_ANSWER, in_force

POLICY = in_force().first_answer


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("ZH-hans-cn", "zh"),
        ("en;q=0.5, zh;q=0.9", "zh"),
        ("en, zh", "en"),
        ("fr, zh ; q = 0.2", "zh"),
        ("fr", "en"),
        ("*", "en"),
        ("zh;q=0", "en"),
        ("zh;q=nan", "en"),
        ("zh;q=inf", "en"),
        ("zh;q=much", "en"),
        ("zhuang", "en"),
        (",;,=;" * 100 + "zh", "en"),
    ],
)
def test_the_best_language_of_ours_is_chosen(header: str | None, language: str):
    assert language_of(header) == language


@pytest.mark.parametrize("kind", typing.get_args(ContactKind))
def test_every_kind_is_answered_in_both_languages_with_the_limit(kind: ContactKind):
    assert "within 1 working day of" in POLICY.sentence(kind, "en").lower()
    assert "1个工作日内" in POLICY.sentence(kind, "zh")


def test_the_limit_is_in_the_policy_alone():
    slower = FirstAnswer.model_validate(POLICY.model_dump() | {"working_days": 2})
    assert "within 2 working days of" in slower.sentence("complaint", "en").lower()
    assert "2个工作日内" in slower.sentence("complaint", "zh")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("working_days: 1", "working_days: 0", "working_days: Input should be greater than 0"),
        ("  suggestion:", "  praise:", "sentences.praise: Input should be 'complaint', 'fault-report', 'consultation' or 'suggestion'"),
        ("{within}", "{soon}", r"sentences\.complaint\.en: the only placeholder is {within}"),
        ("{within}", "{", r"sentences\.complaint\.en: the only placeholder is {within}"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_place_and_what_is_allowed(tmp_path: Path, old: str, new: str, message: str):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FIRST_ANSWER.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(PolicyUnusable, match=rf"wrong\.yaml: {message}"):
        in_force(first_answer=wrong)


def test_every_kind_needs_a_sentence_in_each_language():
    sentences = POLICY.model_dump()["sentences"]
    del sentences["consultation"]["zh"]
    with pytest.raises(ValidationError, match=r"sentences\.consultation\.zh: there is no sentence"):
        FirstAnswer.model_validate(POLICY.model_dump() | {"sentences": sentences})
