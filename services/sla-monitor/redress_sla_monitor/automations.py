"""What happens by itself: clocks start, are settled, and run out."""

from __future__ import annotations

from functools import partial

from redress_sla_monitor.domain.breach import breach
from redress_sla_monitor.domain.lists import WATCHES
from redress_sla_monitor.domain.settle import settle
from redress_sla_monitor.domain.start import start
from redress_sla_monitor.packs import rules_in_force
from redress_spine.aggregate import Automation

RULES = rules_in_force()

START = Automation("start", due="to_start", decide=partial(start, rules=RULES), index="watches_to_start", table=WATCHES)
SETTLE = Automation("settle", due="to_settle", decide=partial(settle, rules=RULES), index="watches_to_settle", table=WATCHES)
BREACH = Automation("breach", due="next_breach", at="next_breach", decide=breach, index="watches_next_breach", table=WATCHES)
