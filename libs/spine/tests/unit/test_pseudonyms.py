"""On a public topic nobody is named, and the same person is told apart from others."""

import re

import pytest

from redress_events.vocabulary import CLOSED, LIFECYCLE
from redress_spine.store.pseudonyms import actor_on, pseudonym_key

KEY, OTHER = pseudonym_key(b"m" * 32), pseudonym_key(b"n" * 32)


def test_a_person_has_one_pseudonym_in_all_their_roles():
    alice = actor_on(CLOSED, "agent:alice", KEY)
    assert re.fullmatch(r"agent:~[A-Za-z0-9_-]{16}", alice)
    assert actor_on(CLOSED, "supervisor:alice", KEY) == alice.replace("agent", "supervisor")
    assert len({alice, actor_on(CLOSED, "agent:alicf", KEY), actor_on(CLOSED, "agent:alice", OTHER)}) == 3


def test_names_with_colons_are_hidden_whole():
    assert "alice" not in actor_on(CLOSED, "agent:https://id.example/alice", KEY)


@pytest.mark.parametrize(("topic", "actor"), [(LIFECYCLE, "agent:alice"), (CLOSED, "timer"), (CLOSED, "rules@telecom-2")])
def test_between_the_services_people_are_named_and_programs_are_everywhere(topic: str, actor: str):
    assert actor_on(topic, actor, None) == actor


def test_without_a_key_nobody_is_named():
    with pytest.raises(ValueError, match="no key"):
        actor_on(CLOSED, "agent:alice", None)
