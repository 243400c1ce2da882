"""The policy that is shipped."""

from redress_callback.policies import return_visit
from redress_callback.testing import POLICY


def test_the_shipped_policy_is_the_one_that_the_stories_tell_of():
    assert return_visit() == POLICY
