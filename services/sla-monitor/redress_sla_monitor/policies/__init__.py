"""Calendars and policies from their files: those of this package, and the policy file that an operator names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from redress_chassis import PolicyUnusable, read_policy
from redress_sla_monitor.domain.calendar import Calendar
from redress_sla_monitor.domain.policy import ClockPolicy, PolicyInForce

CALENDARS = Path(__file__).parents[1] / "calendars"
SETTING = "REDRESS_POLICY"


def in_force(environment: Mapping[str, str] = {}) -> PolicyInForce:
    """The rules of the file that REDRESS_POLICY names, else of the telecom handbook. Raises PolicyUnusable."""
    path, known = Path(environment.get(SETTING) or telecom_handbook()), calendars()
    policy = read_policy(path, ClockPolicy, SETTING)
    if policy.calendar not in known:
        raise PolicyUnusable.at(path, [("calendar", f"{policy.calendar} is none of {', '.join(known)}")], SETTING)
    return PolicyInForce(policy, known)


def telecom_handbook() -> Path:
    """The newest version of the packaged policy."""
    return max(Path(__file__).parent.glob("telecom-handbook-*.yaml"), key=lambda path: int(path.stem.rpartition("-")[2]))


def calendars() -> Mapping[str, Calendar]:
    """All calendars ever published in this package, by `id@version`."""
    found = [read_policy(path, Calendar) for path in sorted(CALENDARS.glob("*.yaml"))]
    return MappingProxyType({calendar.name: calendar for calendar in found})
