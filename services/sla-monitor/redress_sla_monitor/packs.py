"""Calendars and policies from their files: those of this package, and the policy file that an operator names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from redress_sla_monitor.domain.calendar import Calendar
from redress_sla_monitor.domain.policy import Policy, Rules

HERE = Path(__file__).parent
# The newest version of the packaged policy.
TELECOM_HANDBOOK = max((HERE / "policies").glob("telecom-handbook-*.yaml"), key=lambda path: int(path.stem.rpartition("-")[2]))
SETTING = "REDRESS_POLICY"


class PolicyUnusable(Exception):
    """The policy cannot be read, or is not one. The message names the file, the field and what is wrong with it."""


@cache
def calendars() -> Mapping[str, Calendar]:
    """All calendars ever published in this package, by `id@version`: explaining an old deadline needs an old one."""
    found = [Calendar.model_validate(_yaml(path)) for path in sorted((HERE / "calendars").glob("*.yaml"))]
    return MappingProxyType({calendar.name: calendar for calendar in found})


def rules_in_force(environment: Mapping[str, str] = os.environ) -> Rules:
    """The rules of the file that REDRESS_POLICY names, else of the telecom handbook. Raises PolicyUnusable."""
    path = Path(environment.get(SETTING) or TELECOM_HANDBOOK)
    try:
        policy = Policy.model_validate(_yaml(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PolicyUnusable(f"The policy {path} cannot be read ({SETTING}): {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors())
        raise PolicyUnusable(f"The policy {path} cannot be used ({SETTING}): {wrong}") from error
    if policy.calendar not in calendars():
        raise PolicyUnusable(
            f"The policy {path} cannot be used ({SETTING}): calendar: {policy.calendar} is none of {', '.join(calendars())}"
        )
    return Rules(policy, calendars()[policy.calendar])


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
