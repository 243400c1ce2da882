"""Events as template observes them, with plausible content, for tests."""

from __future__ import annotations

from datetime import timedelta

from redress_events.contracts.intake import ComplaintRegistered
from redress_spine.testing import NOON

RECEIVED = NOON - timedelta(hours=3)


def registered() -> ComplaintRegistered:
    return ComplaintRegistered(number="7G2K-9QXR-4M", channel="hotline", kind="complaint", received_at=RECEIVED, text="intake/1/text")
