"""The files as shipped, and files that are wrong: the service does not start on them."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from redress_chassis import PolicyUnusable
from redress_events.contracts.triage import Category
from redress_events.vocabulary import ContactKind
from redress_triage.domain.routing import Desk, RoutingTable
from redress_triage.domain.rules import Rules
from redress_triage.domain.taxonomy import Taxonomy
from redress_triage.policies import ROUTING, TAXONOMY, in_force


@pytest.fixture
def taxonomy_file() -> Any:
    return yaml.safe_load(TAXONOMY.read_text("utf-8"))


@pytest.fixture
def routing_file() -> Any:
    return yaml.safe_load(ROUTING.read_text("utf-8"))


def test_the_five_categories_of_the_handbook_are_there_with_names(rules: Rules) -> None:
    assert tuple(rules.taxonomy.categories) == get_args(Category)
    assert all(sub.names.zh and sub.names.en for entry in rules.taxonomy.categories.values() for sub in entry.sub_categories.values())


def test_a_complaint_keeps_the_version_it_was_classified_by(rules: Rules) -> None:
    assert rules.taxonomy.ref == f"{rules.taxonomy.id}@{rules.taxonomy.version}"
    assert rules.actor == f"rules@{rules.taxonomy.id}-{rules.taxonomy.version}"


def test_every_class_of_every_kind_reaches_a_department(rules: Rules) -> None:
    for (category, entry), kind in product(rules.taxonomy.categories.items(), get_args(ContactKind)):
        for sub_category in entry.sub_categories:
            desk = rules.table.desk(category, sub_category, kind)
            assert rules.table.knows(desk.department, desk.queue)


@pytest.mark.parametrize(
    ("category", "sub_category", "kind", "department", "queue"),
    [
        ("service_quality", "outage", "complaint", "technical_support", "network"),
        ("service_quality", "television", "fault-report", "technical_support", "television"),
        ("after_sales", "repair", "complaint", "technical_support", "after-sales"),
        ("billing_dispute", "charges", "complaint", "finance", "charges"),
        ("billing_dispute", "misleading_promotion", "complaint", "market_legal", "tariffs"),
        ("business_process", "contract_terms", "complaint", "market_legal", "contracts"),
        ("business_process", "cancellation", "complaint", "customer_service", "orders"),
        ("other", "staff_conduct", "complaint", "customer_service", "conduct"),
        ("other", "anything_else", "complaint", "customer_service", "general"),
        ("other", "anything_else", "fault-report", "technical_support", "network"),
        ("billing_dispute", "charges", "consultation", "consulting", "enquiries"),
        ("service_quality", "outage", "suggestion", "customer_relations", "suggestions"),
    ],
)
def test_the_table_says_where_it_goes(
    rules: Rules, category: Category, sub_category: str, kind: ContactKind, department: str, queue: str
) -> None:
    assert rules.table.desk(category, sub_category, kind) == Desk(department=department, queue=queue)


def test_a_taxonomy_with_an_unknown_key_is_refused(taxonomy_file: Any) -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        Taxonomy.model_validate(taxonomy_file | {"surprise": 1})


def test_a_term_has_an_id_of_its_own(taxonomy_file: Any) -> None:
    taxonomy_file["severity"]["terms"].append({"id": "slow", "severity": "major", "words": ["gone"]})
    with pytest.raises(ValueError, match="used for two terms"):
        Taxonomy.model_validate(taxonomy_file)


def test_what_says_nothing_needs_a_sub_category(taxonomy_file: Any) -> None:
    with pytest.raises(ValueError, match="nothing_found"):
        Taxonomy.model_validate(taxonomy_file | {"nothing_found": "nowhere"})


def test_a_word_of_two_terms_is_refused_when_the_file_is_read(taxonomy_file: Any) -> None:
    taxonomy_file["severity"]["terms"] += [{"id": name, "severity": "major", "words": ["same"]} for name in ("one", "two")]
    with pytest.raises(ValueError, match="two terms: one and two"):
        Taxonomy.model_validate(taxonomy_file)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"department": "nowhere", "queue": "general"}, "no department 'nowhere'"),
        ({"department": "finance", "queue": "general"}, "with a queue 'general'"),
        (
            {"category": "other", "sub_category": "outage", "department": "finance", "queue": "charges"},
            "no sub-category 'outage' in 'other'",
        ),
        ({"sub_category": "outage", "department": "finance", "queue": "charges"}, "no sub-category 'outage' in None"),
    ],
)
def test_a_rule_that_leads_nowhere_is_refused(rules: Rules, routing_file: Any, rule: Any, message: str) -> None:
    routing_file["rules"].insert(0, rule)
    with pytest.raises(ValueError, match=message):
        Rules(rules.taxonomy, RoutingTable.model_validate(routing_file))


@pytest.mark.parametrize("kept", [0, 3])
def test_a_table_without_a_rule_for_everything_is_refused(rules: Rules, routing_file: Any, kept: int) -> None:
    routing_file["rules"] = routing_file["rules"][:kept]
    with pytest.raises(ValueError, match="must match every complaint"):
        Rules(rules.taxonomy, RoutingTable.model_validate(routing_file))


def test_a_file_that_is_wrong_is_named_with_the_place_and_what_is_allowed(tmp_path: Path, taxonomy_file: Any, routing_file: Any) -> None:
    wrong = tmp_path / "wrong.yaml"
    entry = taxonomy_file["categories"]["other"]
    taxonomy_file["categories"] |= {"other": entry | {"colour": "red"}, "weather": entry}
    wrong.write_text(yaml.safe_dump(taxonomy_file))
    with pytest.raises(PolicyUnusable) as caught:
        in_force(taxonomy=wrong)
    lines = [line.partition(" (line ")[0] for line in str(caught.value).splitlines()]
    assert lines == [
        f"The policy {wrong}: categories.other.colour: There is no such key; the keys are names, sub_categories.",
        f"The policy {wrong}: categories.weather: Input should be {_either(get_args(Category))}",
    ]

    routing_file["rules"].insert(1, {"category": "other", "sub_category": "outage", "department": "finance", "queue": "charges"})
    wrong.write_text(yaml.safe_dump(routing_file))
    with pytest.raises(PolicyUnusable, match=r"wrong\.yaml: rules\.1: no sub-category 'outage' in 'other'; there are .*staff_conduct"):
        in_force(routing=wrong)


def _either(names: tuple[str, ...]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"
