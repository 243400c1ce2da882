"""Who may do what with which return visits."""

import pytest

from redress_callback.domain.aggregate import AGGREGATE
from redress_callback.permissions import PERMISSIONS
from redress_callback.testing import registered, rejected, reopened, resolved
from redress_chassis import Caller, Problem
from redress_events.contracts import CALLBACK
from redress_spine.testing import folded

ATTEMPT = PERMISSIONS["POST /visits/{complaint}/attempts"]
ALICE = Caller("alice", frozenset({"agent"}))


@pytest.mark.parametrize("end", [resolved(), rejected()])
def test_who_ended_the_case_does_not_record_whether_the_customer_is_satisfied_with_it(end):
    for by, refused in (("alice", True), ("bob", False), (None, False)):
        visit = folded(CALLBACK, AGGREGATE, [registered(), end.model_copy(update={"by": by})])
        if not refused:
            ATTEMPT.expect_other(ALICE, visit)
            continue
        with pytest.raises(Problem, match="Somebody else"):
            ATTEMPT.expect_other(ALICE, visit)


def test_who_ended_the_case_of_an_earlier_cycle_may_record_a_later_one():
    earlier, later = (resolved().model_copy(update={"cycle": cycle, "by": by}) for cycle, by in ((1, "alice"), (2, "bob")))
    ATTEMPT.expect_other(ALICE, folded(CALLBACK, AGGREGATE, [registered(), earlier, reopened(), later]))
    ATTEMPT.expect_other(ALICE, folded(CALLBACK, AGGREGATE, [registered()]))
