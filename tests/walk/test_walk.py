"""Whatever the five services come to within two cycles, each detour once: a complaint has ended or somebody named has the next step;
and once all is read, all agree."""

from __future__ import annotations

import pytest
from promises import ASKED
from walks import keeps_to_the_main_road, moves_about, runs_late

REASONS = ("satisfied", "unreachable", "withdrawn")
AUTOMATIONS = {"classify", "open", "cancel", "schedule", "close-withdrawn", "start", "settle"}


@pytest.mark.slow
def test_a_complaint_that_moves_about_ends_or_somebody_has_the_next_step():
    seen = moves_about()
    assert seen.states > 90_000 and len(seen.idle) > 5_000
    assert seen.evolve.keys() - {"reads"} == AUTOMATIONS | set(ASKED.values()) | {
        "withdraw",
        "reroute",
        "transfer",
        "reject",
        "missed",
        "dissatisfied",
    }
    assert set(seen.ends) == {f"{reason} in cycle {cycle}" for reason in REASONS for cycle in (1, 2)}
    assert set(seen.owed) == set(ASKED.values())


@pytest.mark.slow
def test_a_complaint_whose_deadlines_pass_ends_or_somebody_has_the_next_step():
    seen = runs_late()
    assert seen.states > 35_000 and len(seen.idle) > 450
    assert seen.evolve.keys() >= AUTOMATIONS | {"breach", "publish-again"}
    verdicts = {clock.verdict for watch in seen.rows["sla-monitor"] for clock in watch.own.clocks}
    assert verdicts == {"none", "breached", "annulled"}


@pytest.mark.slow
def test_the_short_cuts_lose_no_quiet_state():
    """Nor does any service come to something that is not met on them: so what is asserted there of each row is asserted of all."""
    whole, short = keeps_to_the_main_road(short=False), keeps_to_the_main_road(short=True)
    assert whole.states > 100 * short.states
    assert whole.idle == short.idle
    assert {name: len(rows) for name, rows in whole.rows.items()} == {name: len(rows) for name, rows in short.rows.items()}
