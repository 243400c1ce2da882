"""The demo's cast: who complains about what, and how the departments and the return-visit agents deal with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Story:
    """One complaint: what the front end posts, and what the people do with it. scores: the satisfaction of each visit, 3 and more is solved."""

    name: str
    body: dict[str, Any]
    scores: tuple[int, ...] = (5,)
    missed: int = 0  # attempts at the first visit that do not reach the customer
    rejected: bool = False
    withdrawn: bool = False
    decided: dict[str, str] | None = None  # what a person says it is, where the rules are not sure enough
    supplement: str | None = None
    days_ago: int = 0  # received so long before it was registered: by fax, by letter


CAST = (
    Story(
        "slow fibre, back after an unhappy visit",
        {
            "channel": "hotline",
            "text": "家里的宽带从上周开始晚上特别慢,看视频一直缓冲,重启光猫也没有用。",
            "customer": "王晓梅",
            "phone": "13800000001",
            "area": "海口市美兰区",
            "product": "FTTH 300M",
            "remedy": "请尽快上门检修",
        },
        scores=(2, 5),
        supplement="今天晚上又断了两次。",
    ),
    Story(
        "charged twice",
        {
            "channel": "app",
            "text": "I was charged twice for my monthly package and the bill shows a fee that nobody explained to me.",
            "customer": "Daniel Roth",
            "email": "daniel.roth@example.org",
            "product": "Mobile L",
        },
        scores=(4,),
    ),
    Story(
        "package changed without asking",
        {
            "channel": "web",
            "text": "没有经过我同意就给我开通了流量包,每个月多扣二十元,要求退费并取消。",
            "customer": "李建国",
            "phone": "13800000003",
            "area": "三亚市",
        },
        scores=(5,),
        missed=1,
    ),
    Story(
        "no coverage in the new building",
        {
            "channel": "social-media",
            "text": "Since we moved into the new building there is no mobile signal at all, calls drop in every room.",
            "customer": "Ana Lima",
            "phone": "13800000004",
            "kind": "fault-report",
        },
        scores=(4,),
    ),
    Story(
        "number porting refused",
        {
            "channel": "shop",
            "text": "去营业厅办理携号转网,工作人员一直推脱,说合约没到期不给办,要求说明依据。",
            "customer": "陈志强",
            "phone": "13800000005",
            "on_behalf_of": "陈志强的父亲",
        },
        scores=(3,),
        rejected=True,
    ),
    Story(
        "router repair is late",
        {
            "channel": "e-mail",
            "text": "The technician was to repair my router last Tuesday, nobody came and nobody called. The replacement is also missing.",
            "customer": "Mary Osei",
            "email": "mary.osei@example.org",
        },
        scores=(5,),
    ),
    Story(
        "withdrawn by the customer",
        {
            "channel": "chat",
            "text": "昨天晚上手机突然没有信号,打不了电话。",
            "customer": "赵敏",
            "phone": "13800000007",
        },
        withdrawn=True,
    ),
    Story(
        "unclear words, a person decides",
        {
            "channel": "fax",
            "text": "事情已经反映过好几次了,希望给一个说法。",
            "customer": "孙丽",
            "phone": "13800000008",
        },
        scores=(4,),
        decided={"category": "other", "sub_category": "staff_conduct", "severity": "serious"},
        days_ago=40,
    ),
)
