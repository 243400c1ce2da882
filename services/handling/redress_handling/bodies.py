"""What the people of a department send to handling."""

from __future__ import annotations

from redress_chassis import Body, Label, Moment, Short, Words
from redress_events.contracts.handling import ContactMeans


class AcceptBody(Body):
    """Nothing has to be said: the case is for who calls, in the department where it is."""


class ContactBody(Body):
    """How the customer was contacted, and when."""

    means: ContactMeans
    contacted_at: Moment | None = None
    note: Words | None = None


class ProgressBody(Body):
    """What was found or done."""

    note: Words


class TransferBody(Body):
    """Which department is to have the case, and why."""

    department: Short
    reason: Words


class ResolveBody(Body):
    """What was wrong, what was done, who was responsible, and how the customer was told."""

    cause: Words
    measures: Words
    responsible_unit: Label
    told_customer: ContactMeans


class RejectBody(Body):
    """Why the complaint is not followed, and how the customer was told."""

    reason: Words
    told_customer: ContactMeans
