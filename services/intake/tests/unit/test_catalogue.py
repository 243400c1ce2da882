"""What people say of products and areas, as codes; and catalogues that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redress_chassis import PolicyUnusable
from redress_events.catalogue import OTHER, is_code
from redress_intake.domain.catalogue import NOTHING_KNOWN, normal_label
from redress_intake.policies import CATALOGUE, SETTING, in_force

PACKAGED = in_force().catalogue


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("broadband-500", "broadband-500"),
        ("Fibre 500", "broadband-500"),
        ("fibre500", "broadband-500"),
        ("Fibre 500, 24 months", "broadband-500"),
        ("ＦＴＴＨ　３００Ｍ", "broadband-300"),
        ("宽带【100M】", "broadband-100"),
        ("FTTH\u200b 300M", "broadband-300"),
        ("电视", "tv"),
        ("Fibre 501", OTHER),
        ("Ada Byron 13800000000", OTHER),
        ("…", OTHER),
        (None, None),
    ],
)
def test_a_product_is_known_however_it_is_written(said: str | None, code: str | None):
    assert PACKAGED.product(said) == code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Guangdong, Shenzhen", "shenzhen"),
        ("广东省深圳市", "shenzhen"),
        ("jing'an", "shanghai-jingan"),
        ("12 St James Sq", OTHER),
        (None, None),
    ],
)
def test_an_area_is_known_however_it_is_written(said: str | None, code: str | None):
    assert PACKAGED.area(said) == code


def test_without_a_catalogue_nothing_is_known():
    assert (NOTHING_KNOWN.product("Fibre 500"), NOTHING_KNOWN.area(None)) == (OTHER, None)


@settings(deadline=None)
@given(st.text())
def test_a_normal_form_is_its_own_and_what_is_found_is_a_code(said: str):
    assert normal_label(normal_label(said)) == normal_label(said)
    assert is_code(PACKAGED.product(said) or "") and is_code(PACKAGED.area(said) or "")


@pytest.mark.parametrize("kind", ["products", "areas"])
def test_each_name_of_the_packaged_catalogue_means_its_entry(kind: str):
    find = PACKAGED.product if kind == "products" else PACKAGED.area
    entries = getattr(PACKAGED, kind)
    assert entries
    assert [find(label) for entry in entries for label in entry.labels()] == [entry.code for entry in entries for _ in entry.labels()]


ENTRY = "products:\n- {code: tv, en: TV, zh: 电视}\n"


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (
            ENTRY + "- {code: Fibre 500, en: Fibre, zh: 光纤}",
            "products.1.code: A code has up to 40 small Latin letters, digits and single hyphens: write it like fibre-500. (line 3)",
        ),
        (
            ENTRY + "-\n  code: 宽带\n  en: Fibre\n  zh: 光纤",
            "products.1.code: A code has up to 40 small Latin letters, digits and single hyphens: write it like fibre-500. (line 4)",
        ),
        (
            ENTRY + "- {code: other, en: Rest, zh: 其他}",
            "products.1.code: other is everything that stands in no catalogue: choose another code. (line 3)",
        ),
        (ENTRY + "- {code: fibre, en: Fibre}", "products.1.zh: Field required (line 3)"),
        (ENTRY + "- {code: fibre, en: '!', zh: 光纤}", "products.1.en: Write a name with letters or digits. (line 3)"),
        (
            ENTRY + "- {code: fibre, en: F, zh: 光纤, alias: [x]}",
            "products.1.alias: There is no such key; the keys are code, en, zh, aliases. (line 3)",
        ),
        (ENTRY + "product: []", "product: There is no such key; the keys are products, areas. (line 3)"),
        (
            ENTRY + "- {code: iptv, en: IPTV, zh: 网络电视, aliases: [ｔｖ]}",
            'products.1: "ｔｖ" means tv already: leave it out at one of the two, or write it in full. (line 3)',
        ),
        (
            ENTRY + "- {code: tv, en: Fibre, zh: 光纤}",
            'products.1: "tv" means tv already: leave it out at one of the two, or write it in full. (line 3)',
        ),
    ],
)
def test_a_catalogue_that_is_wrong_is_told_with_line_reason_and_what_to_do(tmp_path: Path, text: str, flaw: str):
    file = tmp_path / "mine.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(PolicyUnusable) as caught:
        in_force({SETTING: str(file)})
    assert str(caught.value) == f"The policy {file} ({SETTING}): {flaw.removeprefix(': ')}"


def test_a_catalogue_of_the_operators_takes_the_place_of_the_packaged_one(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("areas:\n- {code: north, en: North, zh: 北}\n", "utf-8")
    mine = in_force({SETTING: str(file)}).catalogue
    assert (mine.area("北"), mine.product("TV"), in_force({SETTING: ""}).catalogue) == ("north", OTHER, PACKAGED)
    assert CATALOGUE.exists()
