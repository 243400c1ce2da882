"""What a file's rows become: columns, channels and numbers as people write them, and each row either a request or a reason."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_cli.importing.cells import CHANNEL_OF, KIND_OF, plain
from redress_cli.importing.columns import FIELD_OF, FIELDS, TIME, MappingUnusable, normal_name
from redress_cli.importing.dates import Order
from redress_cli.importing.names import NAMES
from redress_cli.importing.plan import ImportPlan, make_plan
from redress_cli.importing.posting import before_posting, keys
from redress_cli.importing.tables import FileUnusable, read_table
from redress_events.vocabulary import Channel, ContactKind
from redress_intake.bodies import RegisterBody

TODAY = date(2026, 11, 29)
CHINA = ZoneInfo("Asia/Shanghai")


def planned(
    content: str, told: dict[str, str] | None = None, constants: dict[str, str] | None = None, order: Order | None = None
) -> ImportPlan:
    return make_plan(read_table(content.encode()), told or {}, constants or {}, CHINA, TODAY, order)


def bodies(content: str, **constants: str) -> list[dict[str, Any]]:
    plan = planned(content, constants=constants)
    assert not plan.flaws and all(row.body for row in plan.rows), before_posting(plan)
    return [row.body or {} for row in plan.rows]


def body(channel: str, text: str, **other: str) -> dict[str, str]:
    return {"channel": channel, "kind": "complaint", "text": text, **other}


def refused(content: str, **constants: str) -> list[tuple[int, str, str]]:
    return [(row.line, row.refused.code, str(row.refused)) for row in planned(content, constants=constants).rows if row.refused]


def test_each_name_is_understood_as_it_is_compared():
    assert set(FIELDS) - {TIME} <= set(RegisterBody.model_fields)
    assert all(name == normal_name(name) for name in FIELD_OF) and set(FIELD_OF.values()) == set(FIELDS)
    for found, own in ((CHANNEL_OF, get_args(Channel)), (KIND_OF, get_args(ContactKind))):
        assert set(found.values()) == set(own) and all(name == plain(name) for name in found)
    for things in NAMES.values():
        names = [name for each in things.values() for name in each]
        assert len(names) == len(set(names)), "a name means one thing"


def test_a_file_of_a_chinese_front_end():
    content = """\
工单编号,受理时间,受理渠道,客户姓名,联系电话,投诉内容*,所属地区
1,2026/11/20 9:05,热线,张三,13800000000.0,宽带断网三天了,海口
2,2026年11月20日,微信,李四,'13900000000,没有信号,三亚
3,46346,营业厅,暂无,暂无,乱收费,
4,20261120,ＡＰＰ,,="13700000000",无,不详
"""
    plan = planned(content)
    assert (plan.form, plan.unused, plan.flaws) == ("CSV in UTF-8", (), [])
    assert plan.columns["text"] == "投诉内容*"
    morning, day = "2026-11-20T09:05:00+08:00", "2026-11-20T00:00:00+08:00"
    assert [row.body for row in plan.rows] == [
        body("hotline", "宽带断网三天了", received_at=morning, customer="张三", phone="13800000000", area="海口", external_id="1"),
        body("chat", "没有信号", received_at=day, customer="李四", phone="13900000000", area="三亚", external_id="2"),
        body("shop", "乱收费", received_at=day, external_id="3"),
        body("app", "无", received_at=day, phone="13700000000", external_id="4"),
    ]


def test_a_date_and_its_time_in_two_columns():
    [found] = bodies("Customer Complaint,Date,Time,Received Via\nSlow,22-Apr-15,3:53:50 PM,Customer Care Call\n")
    assert (found["received_at"], found["channel"]) == ("2015-04-22T15:53:50+08:00", "hotline")
    [found] = bodies("内容,日期,时间\n慢,2026-11-20,9:05\n")
    assert found["received_at"] == "2026-11-20T09:05:00+08:00"
    [found] = bodies("内容,时间\n慢,2026-11-20 9:05\n")
    assert found["received_at"] == "2026-11-20T09:05:00+08:00"


@pytest.mark.parametrize(
    "channel", ["热线", "微信", "营业厅", "网上营业厅", "短信", "传真", "客户经理", "微博", "邮件", "Hotline", "E-Mail", " APP "]
)
def test_channels_by_their_usual_names(channel: str):
    [found] = bodies(f"text,channel\nSlow,{channel}\n")
    assert found["channel"] in get_args(Channel)


def test_what_no_channel_is_called_is_refused_and_so_is_none():
    [unknown, empty] = refused("text,channel\nSlow,pigeon\nSlow,\nSlow,web\n")
    assert unknown[:2] == (2, "channel-unknown") and "/channel: 'pigeon' is not a channel. The channels are: hotline, chat" in unknown[2]
    assert empty[:2] == (3, "channel-unknown") and "--set channel=hotline" in empty[2]
    assert planned("text\nSlow\n").constants == {"channel": "web"}, "what is taken for granted is said"
    assert bodies("text,channel\nSlow,pigeon\n", channel="热线")[0]["channel"] == "hotline"
    assert refused("text,kind\nSlow,praise\n")[0][1] == "kind-unknown"
    assert bodies("text,kind\nSlow,咨询\n")[0]["kind"] == "consultation"


@pytest.mark.parametrize(
    ("written", "phone"),
    [
        ("13800000000", "13800000000"),
        ("13800000000.0", "13800000000"),
        ("+8613800000000.00", "+8613800000000"),
        ("'13800000000", "13800000000"),
        ("\u201913800000000", "13800000000"),
        ('"=""13800000000"""', "13800000000"),
        ("138 0000 0000", "138 0000 0000"),
        ("010-62345678", "010-62345678"),
        *((nothing, None) for nothing in ("暂无", "无", "-", "N/A", "null", "未提供", "'", "　")),
    ],
)
def test_phones_as_spreadsheets_leave_them(written: str, phone: str | None):
    assert bodies(f"text,phone\nSlow,{written}\n")[0].get("phone") == phone


@pytest.mark.parametrize("written", ["1.38E+10", "1.38e+10", "'1.38E+10", "1E+10"])
def test_a_phone_whose_digits_are_lost_is_refused_with_the_reason(written: str):
    [(line, code, reason)] = refused(f"text,phone\nSlow,{written}\nSlow,13800000000\n")
    assert (line, code) == (2, "number-shortened") and "its last digits are lost" in reason and "as text" in reason
    assert bodies("text,account\nSlow,1E10\n")[0]["account"] == "1E10", "an account may look like that"


def test_a_row_without_a_text_or_with_a_date_that_cannot_be_is_refused_alone():
    found = refused("text,date\n,2026-11-20\nSlow,2026-02-30\nSlow,1926-02-13\nSlow,2199-01-01\nSlow,\nSlow,2026-11-20\n")
    assert [(line, code) for line, code, _ in found] == [(2, "text-missing"), *((line, "date-unclear") for line in (3, 4, 5))]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("text,channel,Text\nSlow,web,Slower\n", 1, "Two columns have the name 'Text'"),
        ("text,note,note\nSlow,1,2\n", 1, "Two columns have the name 'note'"),
        ("text,phone,电话\nSlow,1,2\n", 1, "The columns 'phone' and '电话' are both phone. Choose: --map phone=电话"),
        ("text,channel\nSlow, often,web\nSlower,web\n", 2, "its cell 3".capitalize()),
        ('text,channel\nSlow,web\n"Open,web\n', 3, "never closed"),
        ('channel,text\nweb,"Slow\nweb,Slower"\napp,Fine\n', 2, "look like rows of their own"),
        ("text,date\nSlow,02/03/2026\n", 2, "--date-format"),
        ("text,date\nSlow,26-02-13\n", 2, "--date-format"),
        ("text,date\nSlow,13/02/2026\nSlow,02/13/2026\n", 3, "different orders"),
    ],
)
def test_a_broken_table_is_refused_as_a_whole_with_line_and_reason(content: str, line: int, said: str):
    plan = planned(content)
    assert [flaw.line for flaw in plan.flaws] == [line] and said in plan.flaws[0].reason
    assert plan.to_post == []
    report = before_posting(plan)
    assert report.count("refused") == len(report.outcomes) == len(plan.rows) > 0
    assert {each.code for each in report.outcomes} <= {"table-broken", "held-back"}


def test_what_is_told_decides():
    content = "text,phone,电话,date\nSlow,1,13800000000,02/03/2026\n"
    plan = planned(content, told={"phone": "电话"}, order="dmy")
    assert not plan.flaws and plan.unused == ("phone",)
    assert plan.rows[0].body == body("web", "Slow", phone="13800000000", received_at="2026-03-02T00:00:00+08:00")
    with pytest.raises(MappingUnusable, match="no column 'nothing'"):
        planned(content, told={"text": "nothing"})
    with pytest.raises(MappingUnusable, match="Both --map and --set say what phone is"):
        planned(content, told={"phone": "电话"}, constants={"phone": "13800000001"}, order="dmy")
    with pytest.raises(MappingUnusable, match="no field 'colour'"):
        planned(content, constants={"colour": "red"})
    with pytest.raises(MappingUnusable, match="--map text=COLUMN"):
        planned("备注\nSlow\n")


def test_a_text_of_several_lines_is_one_text():
    plan = planned('text,channel\n"First line, with a comma\nsecond line, with another\n\nthird",web\n"Two\nlines",app\n')
    assert not plan.flaws and [row.line for row in plan.rows] == [2, 6]


def test_a_row_keeps_its_key_wherever_it_stands_and_equal_rows_stay_two():
    slow, lost = planned("text\nSlow\nLost\n").rows
    assert keys([slow, lost]) == list(reversed(keys([lost, slow])))
    first, second = keys([slow, slow])
    assert first != second and keys([lost, slow, slow])[1:] == [first, second]


CELLS = st.sampled_from(
    ["Slow", "", " ", "web", "热线", "pigeon", "13800000000", "1.38E+10", "2026-11-20", "02/03/2026", "a,b", 'say "x"', "a\nb", "暂无"]
)
HEADERS = st.lists(st.sampled_from(["text", "channel", "phone", "电话", "date", "note", ""]), min_size=1, max_size=5)


@given(HEADERS, st.lists(st.lists(st.one_of(CELLS, st.text(max_size=5)), max_size=6), max_size=8), st.booleans())
def test_no_row_vanishes_whatever_the_table(header: list[str], rows: list[list[str]], quoted: bool):
    """rows = would be posted + refused, where the table is well written; where it is not, nothing at all is posted."""
    file = io.StringIO(newline="")
    if quoted:
        csv.writer(file).writerows([header, *rows])
    else:
        file.write("\n".join(",".join(row) for row in [header, *rows]))
    try:
        plan = planned(file.getvalue())
    except (FileUnusable, MappingUnusable, UnicodeEncodeError):
        return
    report = before_posting(plan)
    assert len(report.outcomes) == len(plan.rows)
    held = [each for each in report.outcomes if each.code == "not-posted"]
    assert len(held) == len(plan.to_post) and (not held or not plan.flaws)
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if quoted and any(name.strip() for name in header):
        assert len(plan.rows) == len(filled), "every row with anything in it has an outcome"
