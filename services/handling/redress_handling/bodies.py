"""What the people of a department send to handling."""

from __future__ import annotations

from redress_chassis import Body, Label, Moment, Short, Words
from redress_events.contracts.handling import ContactMeans


class AcceptBody(Body):
    """Nothing has to be said: it is for who calls, in the department where the case is."""


class ContactBody(Body):
    means: ContactMeans
    contacted_at: Moment | None = None
    note: Words | None = None


class ProgressBody(Body):
    note: Words


class TransferBody(Body):
    department: Short
    reason: Words


class ResolveBody(Body):
    cause: Words
    measures: Words
    responsible_unit: Label
    told_customer: ContactMeans


class RejectBody(Body):
    reason: Words
    told_customer: ContactMeans
