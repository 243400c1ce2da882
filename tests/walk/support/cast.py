"""The five services as a walk plays them: their real folds and deciders, what falls due in each, and what people may do there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from redress_callback.domain.attempt import Attempt, attempt
from redress_callback.domain.done import Answer
from redress_callback.domain.visit import KIND as VISIT
from redress_callback.domain.visit import Visit
from redress_callback.work import CLOSE_WITHDRAWN, GIVE_UP, POLICY, PUBLISH_AGAIN, SCHEDULE
from redress_events.contracts import CALLBACK, HANDLING, INTAKE, SLA_MONITOR, TRIAGE
from redress_events.contracts.triage import Category
from redress_events.event import Contract, Fact
from redress_handling import policies
from redress_handling.domain.accept import Accept, accept
from redress_handling.domain.case import KIND as CASE
from redress_handling.domain.case import Case
from redress_handling.domain.contact import ContactCustomer, contact
from redress_handling.domain.progress import ReportProgress, report_progress
from redress_handling.domain.reject import Reject, reject
from redress_handling.domain.resolve import Resolve, resolve
from redress_handling.domain.transfer import TransferCase, transfer
from redress_handling.work import CANCEL, OPEN
from redress_intake.domain.chase import Chase, chase
from redress_intake.domain.complaint import KIND as COMPLAINT
from redress_intake.domain.supplement import Supplement, supplement
from redress_intake.domain.withdraw import Withdraw, withdraw
from redress_sla_monitor.domain.watch import KIND as WATCH
from redress_sla_monitor.domain.watch import Watch
from redress_sla_monitor.work import BREACH, SETTLE, START
from redress_spine.aggregate import Context, Kind, Work
from redress_triage.domain.complaint import KIND as CLASSIFIED
from redress_triage.domain.complaint import Complaint as Classified
from redress_triage.domain.reclassify import Reclassify, reclassify
from redress_triage.domain.reroute import Reroute, reroute
from redress_triage.work import CLASSIFY, RULES

Decide = Callable[[Any, Context], list[Fact]]
CLEAR, VAGUE = "intake/1/clear", "intake/1/vague"  # references of a text that the rules are sure of, and of one that a person must judge
WORDS = {CLEAR: "断网", VAGUE: "请尽快处理"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a walk goes. times: each of withdraw, reject, transfer, reroute. calls: attempts to reach the customer in a cycle. talk: also
    the steps that move nothing by themselves."""

    cycles: int = 2
    times: int = 1
    calls: int = 1
    talk: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a service does by itself (`work`), or its people do. may: the work's condition, as the rows say it; or how
    often people do it. at: from when on timed work is due, where its condition holds."""

    name: str
    decide: Decide
    may: Callable[[Any], bool]
    work: Work | None = None
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
    kind: Kind
    acts: Sequence[Act]
    same: Callable[[Any], Any] = lambda state: state  # one of all states that differ in nothing that a decision looks at

    def hears(self, fact: Fact) -> bool:
        return type(fact) in self.kind.hears and type(fact) not in self.contract.type_of


def cast(limits: Limits) -> tuple[Service, ...]:
    """Intake, triage, handling, callback, sla-monitor."""
    return _intake(limits), _triage(limits), _handling(limits), _callback(limits), _sla_monitor()


def _by_itself(work: Work, may: Callable[[Any], bool], at: Callable[[Any], datetime] | None = None) -> Act:
    return Act(work.name, work.decide, may, work, at)


def _intake(limits: Limits) -> Service:
    acts = [Act("withdraw", lambda s, c: withdraw(s, Withdraw(), c), lambda s: s.done.withdrawal < limits.times)]
    if limits.talk:
        acts += [
            Act("chase", lambda s, c: chase(s, Chase(), c), lambda s: s.done.chases < limits.times),
            Act("supplement", lambda s, c: supplement(s, Supplement("more"), c), lambda s: s.done.supplements < limits.times),
        ]
    return Service("intake", INTAKE, COMPLAINT, acts)


def _triage(limits: Limits) -> Service:
    def to_classify(s: Classified) -> bool:
        return s.heard.registered_at is not None and not s.done.classification.number and s.heard.closed < s.heard.cycle

    def rerouted(s: Classified) -> int:
        return s.done.routing.number - 1

    def moved(s: Classified, c: Context) -> list[Fact]:
        desks = [("finance", "charges"), ("market_legal", "contracts")]
        return reroute(s, Reroute(*desks[rerouted(s) % 2], reason="why"), c)

    def judged(s: Classified, c: Context) -> list[Fact]:
        classes: list[tuple[Category, str]] = [  # the second and third with one target
            ("after_sales", "repair"),
            ("billing_dispute", "refund"),
            ("business_process", "contract_terms"),
        ]
        command = Reclassify(*classes[s.done.classification.number % 3], reason="why", severity="major")
        return reclassify(s, command, c, rules=RULES)

    acts = [_by_itself(CLASSIFY, to_classify), Act("reroute", moved, lambda s: rerouted(s) < limits.times)]
    if limits.talk:
        acts.append(Act("reclassify", judged, lambda s: s.done.classification.number <= limits.times))
    return Service("triage", TRIAGE, CLASSIFIED, acts)


def _handling(limits: Limits) -> Service:
    def to_open(s: Case) -> bool:
        return s.heard.routing > 0 and s.done.cycle < s.heard.cycle and s.heard.closed < s.heard.cycle

    def to_cancel(s: Case) -> bool:
        return s.done.cycle > 0 and s.done.outcome is None and s.heard.closed >= s.done.cycle

    def passed_on(s: Case, c: Context) -> list[Fact]:
        to = "consulting" if s.department != "consulting" else "customer_relations"
        return transfer(s, TransferCase(to, "why"), c, departments=policies.departments())

    acts = [
        _by_itself(OPEN, to_open),
        _by_itself(CANCEL, to_cancel),
        Act("accept", lambda s, c: accept(s, Accept(), c), lambda s: True),
        Act("contact", lambda s, c: contact(s, ContactCustomer("phone"), c), lambda s: not s.done.contacts),
        Act("transfer", passed_on, lambda s: (s.done.transfer.number if s.done.transfer else 0) < limits.times),
        Act("resolve", lambda s, c: resolve(s, Resolve("cause", "measures", "unit", "phone"), c), lambda s: True),
        Act("reject", lambda s, c: reject(s, Reject("why", "letter"), c), lambda s: s.done.rejections < limits.times),
    ]
    if limits.talk:
        acts.append(Act("progress", lambda s, c: report_progress(s, ReportProgress("so far"), c), lambda s: s.done.reports < 2))
    return Service("handling", HANDLING, CASE, acts)


def _callback(limits: Limits) -> Service:
    policy = replace(POLICY, attempts=limits.calls)

    def to_schedule(s: Visit) -> bool:
        handled = s.heard.handled.cycle if s.heard.handled else 0
        return handled == s.done.cycle > s.done.scheduled and s.done.closed < s.done.cycle and s.heard.withdrawal <= s.done.answered

    def to_close(s: Visit) -> bool:
        return s.heard.withdrawal > s.done.answered and s.done.closed < s.done.cycle

    def to_give_up(s: Visit) -> bool:
        waiting = s.done.give_up_at is not None and not unanswered(s)
        return waiting and s.done.closed < s.done.cycle and s.heard.withdrawal <= s.done.answered

    def unanswered(s: Visit) -> bool:
        return s.heard.said > max(s.done.said, s.heard.handled.said if s.heard.handled else 0)

    def to_correct(s: Visit) -> bool:
        return s.done.revision > 0 and s.heard.breaches != s.done.published

    def published(state: Visit) -> Visit:
        """Whether there is a public record matters, not how often it was sent again."""
        return replace(state, done=replace(state.done, revision=min(state.done.revision, 1)))

    def called(answer: Answer | None) -> Decide:
        return partial(_called, Attempt(answer), policy)

    acts = [
        _by_itself(SCHEDULE, to_schedule),
        _by_itself(CLOSE_WITHDRAWN, to_close),
        _by_itself(GIVE_UP, to_give_up, at=lambda s: s.done.give_up_at),
        _by_itself(PUBLISH_AGAIN, to_correct),
        Act("missed", called(None), lambda s: unanswered(s) or s.done.vain < limits.calls),
        Act("satisfied", called(Answer(True, 5)), lambda s: True),
        Act("dissatisfied", called(Answer(False, 1)), lambda s: s.done.cycle < limits.cycles),
    ]
    return Service("callback", CALLBACK, VISIT, acts, published)


def _called(command: Attempt, policy: Any, visit: Visit, context: Context) -> list[Fact]:
    return attempt(visit, command, context, policy=policy)


def _sla_monitor() -> Service:
    def to_start(s: Watch) -> bool:
        return not set(s.heard.wanted) <= set(s.done.started)

    def to_settle(s: Watch) -> bool:
        for clock in s.done.clocks:
            end = s.heard.ends.get(clock.key)
            if clock.ended is None and (end or s.heard.said > clock.classification):
                return True
            if clock.verdict == "breached" and end and end.at <= clock.deadline:
                return True
        return False

    def to_breach(s: Watch) -> list[datetime]:
        """Deadlines of clocks that run, with nothing to be settled and nothing said of them."""
        running = [clock for clock in s.done.clocks if clock.ended is None and clock.verdict == "none"]
        return [clock.deadline for clock in running if clock.key not in s.heard.ends and s.heard.said <= clock.classification]

    def first_late(s: Watch) -> datetime:
        return min(to_breach(s)) + timedelta(microseconds=1)

    acts = [_by_itself(START, to_start), _by_itself(SETTLE, to_settle), _by_itself(BREACH, lambda s: bool(to_breach(s)), at=first_late)]
    return Service("sla-monitor", SLA_MONITOR, WATCH, acts)
