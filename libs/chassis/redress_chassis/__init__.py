"""What every service's HTTP side shares: settings, problems, callers, idempotency, health, metrics and logs."""

from redress_chassis.api.bodies import Body, Form, Label, Moment, Reason, Short, SubjectId, Words, filled
from redress_chassis.api.commands import Commands, Permitted
from redress_chassis.api.meanings import Meanings
from redress_chassis.api.openapi import problems
from redress_chassis.api.paging import Cursor, Limit, Page
from redress_chassis.auth.callers import Caller, Role
from redress_chassis.auth.permissions import (
    ANYTHING,
    ANYTHING_UNLESS_BY_AREA,
    OWN,
    OWN_DEPARTMENT,
    OWN_UNLESS_SHARED,
    Permissions,
    Roles,
)
from redress_chassis.edge.forwarded import PathLink
from redress_chassis.edge.problems import Problem
from redress_chassis.policies import PolicyUnusable, read_policy
from redress_chassis.service import Service
from redress_chassis.settings import Settings

__all__ = [
    "ANYTHING",
    "ANYTHING_UNLESS_BY_AREA",
    "OWN",
    "OWN_DEPARTMENT",
    "OWN_UNLESS_SHARED",
    "Body",
    "Caller",
    "Commands",
    "Cursor",
    "Form",
    "Label",
    "Limit",
    "Meanings",
    "Moment",
    "Page",
    "PathLink",
    "Permissions",
    "Permitted",
    "PolicyUnusable",
    "Problem",
    "Reason",
    "Role",
    "Roles",
    "Service",
    "Settings",
    "Short",
    "SubjectId",
    "Words",
    "filled",
    "problems",
    "read_policy",
]
