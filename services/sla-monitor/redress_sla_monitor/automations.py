"""What happens by itself: clocks start, are settled, and run out."""

from __future__ import annotations

from functools import partial

from redress_sla_monitor.domain.breach import breach
from redress_sla_monitor.domain.lists import WATCHES
from redress_sla_monitor.domain.policy import PolicyInForce
from redress_sla_monitor.domain.settle import settle
from redress_sla_monitor.domain.start import start
from redress_spine.aggregate import Automation

BREACH = Automation("breach", due="next_breach", at="next_breach", decide=breach, index="watches_next_breach", table=WATCHES)


def automations(rules: PolicyInForce) -> list[Automation]:
    return [start_by(rules), settle_by(rules), BREACH]


def start_by(rules: PolicyInForce) -> Automation:
    return Automation("start", due="to_start", decide=partial(start, rules=rules), index="watches_to_start", table=WATCHES)


def settle_by(rules: PolicyInForce) -> Automation:
    return Automation("settle", due="to_settle", decide=partial(settle, rules=rules), index="watches_to_settle", table=WATCHES)
