"""The five services as a walk plays them: their real folds and deciders, what falls due in each, and what people may do there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from redress_callback import policies as callback_policies
from redress_callback.automations import CLOSE_WITHDRAWN, GIVE_UP, PUBLISH_AGAIN, schedule_by
from redress_callback.domain.aggregate import AGGREGATE as VISIT
from redress_callback.domain.attempt import Attempt, attempt
from redress_callback.domain.own import Satisfaction, fingerprint
from redress_callback.domain.visit import Visit
from redress_events.contracts import CALLBACK, HANDLING, INTAKE, SLA_MONITOR, TRIAGE
from redress_events.contracts.handling import CaseAccepted, CustomerContacted
from redress_events.contracts.sla_monitor import ClockMet, ClockStarted
from redress_events.contracts.triage import Category
from redress_events.event import Contract, Event
from redress_handling import policies as handling_policies
from redress_handling.automations import CANCEL, OPEN
from redress_handling.domain.accept import Accept, accept
from redress_handling.domain.aggregate import AGGREGATE as CASE
from redress_handling.domain.case import Case
from redress_handling.domain.contact import ContactCustomer, contact
from redress_handling.domain.progress import ReportProgress, report_progress
from redress_handling.domain.reject import Reject, reject
from redress_handling.domain.resolve import Resolve, resolve
from redress_handling.domain.transfer import TransferCase, transfer
from redress_intake.domain.aggregate import AGGREGATE as COMPLAINT
from redress_intake.domain.chase import Chase, chase
from redress_intake.domain.forget import Forget, forget
from redress_intake.domain.supplement import Supplement, supplement
from redress_intake.domain.withdraw import Withdraw, withdraw
from redress_sla_monitor import policies as sla_policies
from redress_sla_monitor.automations import BREACH, settle_by, start_by
from redress_sla_monitor.domain.aggregate import AGGREGATE as WATCH
from redress_sla_monitor.domain.watch import Watch
from redress_spine.aggregate import Aggregate, Automation, Context
from redress_triage import policies as triage_policies
from redress_triage.automations import classify_by
from redress_triage.domain.aggregate import AGGREGATE as CLASSIFIED
from redress_triage.domain.complaint import Complaint as Classified
from redress_triage.domain.reclassify import Reclassify, reclassify
from redress_triage.domain.reroute import Reroute, reroute

Decide = Callable[[Any, Context], list[Event]]
CLEAR, VAGUE = "intake/1/clear", "intake/1/vague"  # references of a text that the rules are sure of, and of one that a person must judge
FOR_THE_RECORD = (CaseAccepted, CustomerContacted, ClockStarted, ClockMet)  # callback decides nothing by them but what it publishes
WORDS = {CLEAR: "断网", VAGUE: "请尽快处理"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a walk goes. times: each of withdraw, reject, transfer, reroute. calls: attempts to reach the customer in a cycle. talk: also
    the steps that move nothing by themselves, and what is observed for nothing but the public record."""

    cycles: int = 2
    times: int = 1
    calls: int = 1
    talk: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a service does by itself (`work`), or its people do. may: the work's condition, as the rows say it; or how
    often people do it. at: from when on timed automations are due, where its condition holds."""

    name: str
    decide: Decide
    may: Callable[[Any], bool]
    automation: Automation | None = None
    at: Callable[[Any], datetime] | None = None

    @property
    def timed(self) -> bool:
        """It falls due by the clock, so it may stay undone while nothing else is left to do."""
        return self.at is not None

    def due(self, state: Any, now: datetime) -> bool:
        return self.may(state) and (self.at is None or self.at(state) <= now)


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    contract: Contract
    aggregate: Aggregate
    acts: Sequence[Act]
    same: Callable[[Any], Any] = lambda state: state  # one of all states that differ in nothing that a decision looks at

    def observes(self, event: Event) -> bool:
        return type(event) in self.aggregate.observes and type(event) not in self.contract.type_of


def machines(limits: Limits) -> tuple[Service, ...]:
    """Intake, triage, handling, callback, sla-monitor."""
    return _intake(limits), _triage(limits), _handling(limits), _callback(limits), _sla_monitor()


def _by_itself(automation: Automation, may: Callable[[Any], bool], at: Callable[[Any], datetime] | None = None) -> Act:
    return Act(automation.name, automation.decide, may, automation, at)


def _intake(limits: Limits) -> Service:
    acts = [Act("withdraw", lambda s, c: withdraw(s, Withdraw(), c), lambda s: s.own.withdrawal < limits.times)]
    if limits.talk:
        wanted = Forget("customer", "The customer asked for it.", "proof")
        acts += [
            Act("chase", lambda s, c: chase(s, Chase(), c), lambda s: s.own.chases < limits.times),
            Act("supplement", lambda s, c: supplement(s, Supplement("more"), c), lambda s: s.own.supplements < limits.times),
            Act("forget", lambda s, c: forget(s, wanted, c), lambda s: s.own.forgotten_at is None),
        ]
    return Service("intake", INTAKE, COMPLAINT, acts)


def _triage(limits: Limits) -> Service:
    rules = triage_policies.in_force()

    def to_classify(s: Classified) -> bool:
        return s.observed.registered_at is not None and not s.own.classification.number and s.observed.closed < s.observed.cycle

    def rerouted(s: Classified) -> int:
        return s.own.routing.number - 1

    def moved(s: Classified, c: Context) -> list[Event]:
        desks = [("finance", "charges"), ("market_legal", "contracts")]
        return reroute(s, Reroute(*desks[rerouted(s) % 2], reason="why"), c)

    def judged(s: Classified, c: Context) -> list[Event]:
        classes: list[tuple[Category, str]] = [  # the second and third with one target
            ("after_sales", "repair"),
            ("billing_dispute", "refund"),
            ("business_process", "contract_terms"),
        ]
        command = Reclassify(*classes[s.own.classification.number % 3], reason="why", severity="major")
        return reclassify(s, command, c, rules=rules)

    acts = [_by_itself(classify_by(rules), to_classify), Act("reroute", moved, lambda s: rerouted(s) < limits.times)]
    if limits.talk:
        acts.append(Act("reclassify", judged, lambda s: s.own.classification.number <= limits.times))
    return Service("triage", TRIAGE, CLASSIFIED, acts)


def _handling(limits: Limits) -> Service:
    departments = handling_policies.in_force()

    def to_open(s: Case) -> bool:
        return s.observed.routing > 0 and s.own.cycle < s.observed.cycle and s.observed.closed < s.observed.cycle

    def to_cancel(s: Case) -> bool:
        return s.own.cycle > 0 and s.own.outcome is None and s.observed.closed >= s.own.cycle

    def passed_on(s: Case, c: Context) -> list[Event]:
        to = "consulting" if s.department != "consulting" else "customer_relations"
        return transfer(s, TransferCase(to, "why"), c, departments=departments)

    acts = [
        _by_itself(OPEN, to_open),
        _by_itself(CANCEL, to_cancel),
        Act("accept", lambda s, c: accept(s, Accept(), c), lambda s: True),
        Act("contact", lambda s, c: contact(s, ContactCustomer("phone"), c), lambda s: not s.own.contacts),
        Act("transfer", passed_on, lambda s: (s.own.transfer.number if s.own.transfer else 0) < limits.times),
        Act("resolve", lambda s, c: resolve(s, Resolve("cause", "measures", "unit", "phone"), c), lambda s: True),
        Act("reject", lambda s, c: reject(s, Reject("why", "letter"), c), lambda s: s.own.rejections < limits.times),
    ]
    if limits.talk:
        acts.append(Act("progress", lambda s, c: report_progress(s, ReportProgress("so far"), c), lambda s: s.own.reports < 2))
    return Service("handling", HANDLING, CASE, acts)


def _callback(limits: Limits) -> Service:
    shipped = callback_policies.in_force()
    policy = replace(shipped, attempts=limits.calls)

    def to_schedule(s: Visit) -> bool:
        handled = s.observed.handled.cycle if s.observed.handled else 0
        return handled == s.own.cycle > s.own.scheduled and s.own.closed < s.own.cycle and s.observed.withdrawal <= s.own.answered

    def to_close(s: Visit) -> bool:
        return s.observed.withdrawal > s.own.answered and s.own.closed < s.own.cycle

    def to_give_up(s: Visit) -> bool:
        waiting = s.own.give_up_at is not None and not unanswered(s)
        return waiting and s.own.closed < s.own.cycle and s.observed.withdrawal <= s.own.answered

    def unanswered(s: Visit) -> bool:
        return s.observed.said > max(s.own.said, s.observed.handled.said if s.observed.handled else 0)

    def to_correct(s: Visit) -> bool:
        return s.own.revision > 0 and (s.observed.breaches, fingerprint(s.clocks)) != (s.own.published, s.own.published_clocks)

    def published(state: Visit) -> Visit:
        """Whether there is a public record matters, not how often it was sent again; nor, without talk, what it tells of earlier cycles."""
        once = replace(state, own=replace(state.own, revision=min(state.own.revision, 1)))
        return once if limits.talk else Visit(replace(once.observed, cases=()), replace(once.own, past=()))

    def called(answer: Satisfaction | None) -> Decide:
        return partial(_called, Attempt(answer), policy)

    acts = [
        _by_itself(schedule_by(shipped), to_schedule),
        _by_itself(CLOSE_WITHDRAWN, to_close),
        _by_itself(GIVE_UP, to_give_up, at=lambda s: s.own.give_up_at),
        _by_itself(PUBLISH_AGAIN, to_correct),
        Act("missed", called(None), lambda s: unanswered(s) or s.own.vain < limits.calls),
        Act("satisfied", called(Satisfaction(True, 5)), lambda s: True),
        Act("dissatisfied", called(Satisfaction(False, 1)), lambda s: s.own.cycle < limits.cycles),
    ]
    moves = tuple(event for event in VISIT.observes if event not in FOR_THE_RECORD)
    return Service("callback", CALLBACK, VISIT if limits.talk else replace(VISIT, observes=moves), acts, published)


def _called(command: Attempt, policy: Any, visit: Visit, context: Context) -> list[Event]:
    return attempt(visit, command, context, policy=policy)


def _sla_monitor() -> Service:
    rules = sla_policies.in_force()

    def to_start(s: Watch) -> bool:
        return not set(s.observed.wanted) <= set(s.own.started)

    def to_settle(s: Watch) -> bool:
        for clock in s.own.clocks:
            end = s.observed.ends.get(clock.key)
            if clock.ended is None and (end or 0 < clock.classification < s.observed.said):
                return True
            if clock.verdict == "breached" and end and end.at <= clock.deadline:
                return True
        return False

    def to_breach(s: Watch) -> list[datetime]:
        """Deadlines of clocks that run, with nothing to be settled and nothing said of them."""
        running = [clock for clock in s.own.clocks if clock.ended is None and clock.verdict == "none"]
        known = [clock for clock in running if clock.key in s.observed.ends or 0 < clock.classification < s.observed.said]
        return [clock.deadline for clock in running if clock not in known]

    def first_late(s: Watch) -> datetime:
        return min(to_breach(s)) + timedelta(microseconds=1)

    acts = [
        _by_itself(start_by(rules), to_start),
        _by_itself(settle_by(rules), to_settle),
        _by_itself(BREACH, lambda s: bool(to_breach(s)), at=first_late),
    ]
    return Service("sla-monitor", SLA_MONITOR, WATCH, acts)
