"""Business time as it is written in a policy."""

from decimal import Decimal

import pytest

from redress_sla_monitor.domain.target import LONGEST, Target, Unit


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("1 working day", Target(1, Unit.WORKING_DAY)),
        ("3 working days", Target(3, Unit.WORKING_DAY)),
        ("15 natural days", Target(15, Unit.NATURAL_DAY)),
        ("48 natural hours", Target(48, Unit.NATURAL_HOUR)),
        ("4 working hours", Target(4, Unit.WORKING_HOUR)),
        ("30 minutes", Target(30, Unit.MINUTE)),
        ("90 seconds", Target(90, Unit.SECOND)),
    ],
)
def test_a_target_is_read_and_written(text: str, target: Target):
    assert Target.parse(text) == target
    assert str(target) == text


NO_TARGETS = ["", "3", "3 days", "0 working days", f"{LONGEST + 1} seconds", "-1 seconds", "1.5 working days", "３ seconds", "3 seconds s"]


@pytest.mark.parametrize("text", NO_TARGETS)
def test_what_is_no_target_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match="for example '3 working days'"):
        Target.parse(text)


@pytest.mark.parametrize(("whole", "part", "rounded_up"), [(3, "0.5", 2), (5, "0.5", 3), (10, "0.5", 5), (1, "0.5", 1), (100, "0.07", 7)])
def test_a_share_is_rounded_up_to_whole_units(whole: int, part: str, rounded_up: int):
    assert Target(whole, Unit.WORKING_DAY).share(Decimal(part)) == Target(rounded_up, Unit.WORKING_DAY)
