"""The policy that is shipped, and files that are none."""

from pathlib import Path

import pytest

from redress_callback.policies import RETURN_VISIT, in_force
from redress_callback.testing import POLICY
from redress_chassis import PolicyUnusable


def test_the_shipped_policy_is_the_one_that_the_stories_tell_of():
    assert in_force() == POLICY


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("attempts: 3", "attempts: 0", "attempts: Input should be greater than or equal to 1"),
        ("lowest_score: 2", "lowest_score: 6", "lowest_score: Input should be less than or equal to 5"),
        ("spacing: PT4H", "spacing: soon", "spacing: Input should be a valid timedelta"),
        ("give_up: PT24H", "give_up: -PT24H", "give_up: Input should be greater than or equal to 0"),
        ("attempts:", "tries:", "attempts: Field required"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_place_and_what_is_allowed(tmp_path: Path, old: str, new: str, message: str):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(RETURN_VISIT.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(PolicyUnusable, match=rf"wrong\.yaml: {message}"):
        in_force(return_visit=wrong)
