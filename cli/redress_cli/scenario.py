"""The demo's scenario: who complains about what and when, and how the departments and the return-visit agents deal with it.

It begins on the last Friday before the Spring Festival of 2026: Saturday the 14th is worked, the 15th to the 23rd are holidays, and
Saturday the 28th is worked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")


def local(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZONE)


START = local(2, 13, 9)


@dataclass(frozen=True)
class Story:
    """One complaint: what the front end posts when, what the people do with it, and how it must end.

    sessions: half days that the department takes in each cycle. scores: the satisfaction of each visit, 3 and more is solved.
    """

    name: str
    came: datetime
    body: dict[str, Any]
    sessions: int = 2
    scores: tuple[int, ...] = (5,)
    missed: int = 0  # attempts at the first visit that do not reach the customer
    rejected: bool = False
    withdrawn: datetime | None = None
    decided: dict[str, str] | None = None  # what a person says it is, where the rules are not sure enough
    supplement: tuple[datetime, str] | None = None
    received: datetime | None = None  # before it was registered: by fax, by letter
    end: str = "satisfied"
    late: bool = False


SCENARIO = (
    Story(
        "slow fibre, back after an unhappy visit",
        local(2, 13, 9, 12),
        {
            "channel": "hotline",
            "text": "家里的宽带从上周开始晚上特别慢,看视频一直缓冲,重启光猫也没有用。",
            "customer": "王晓梅",
            "phone": "13800000001",
            "area": "海口市美兰区",
            "product": "FTTH 300M",
            "remedy": "请尽快上门检修",
        },
        sessions=7,
        scores=(2, 5),
        supplement=(local(2, 14, 21, 5), "今天晚上又断了两次。"),
    ),
    Story(
        "letter with unclear words, a person decides",
        local(2, 13, 9, 40),
        {
            "channel": "fax",
            "text": "事情已经反映过好几次了,希望给一个说法。",
            "customer": "孙丽",
            "phone": "13800000008",
        },
        sessions=4,
        scores=(4,),
        decided={"category": "other", "sub_category": "staff_conduct", "severity": "serious"},
        received=local(2, 4, 10),
    ),
    Story(
        "router repair is late, and resolved too late",
        local(2, 13, 11, 5),
        {
            "channel": "e-mail",
            "text": "The technician was to repair my router last Tuesday, nobody came and nobody called. The replacement is also missing.",
            "customer": "Mary Osei",
            "email": "mary.osei@example.org",
        },
        sessions=22,
        scores=(3,),
        late=True,
    ),
    Story(
        "number porting refused",
        local(2, 13, 14, 20),
        {
            "channel": "shop",
            "text": "去营业厅办理携号转网,工作人员一直推脱,说合约没到期不给办,要求说明依据。",
            "customer": "陈志强",
            "phone": "13800000005",
            "on_behalf_of": "陈志强的父亲",
        },
        sessions=3,
        scores=(3,),
        rejected=True,
    ),
    Story(
        "charged twice",
        local(2, 13, 16, 40),
        {
            "channel": "app",
            "text": "I was charged twice for my monthly package and the bill shows a fee that nobody explained to me.",
            "customer": "Daniel Roth",
            "email": "daniel.roth@example.org",
            "product": "Mobile L",
        },
        sessions=1,
        scores=(4,),
    ),
    Story(
        "package changed without asking, on a make-up Saturday",
        local(2, 14, 11),
        {
            "channel": "web",
            "text": "没有经过我同意就给我开通了流量包,每个月多扣二十元,要求退费并取消。",
            "customer": "李建国",
            "phone": "13800000003",
            "area": "三亚市",
        },
        missed=1,
    ),
    Story(
        "no coverage in the new building, during the holiday",
        local(2, 18, 21, 40),
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
        "moved house, never reached again",
        local(2, 24, 10, 15),
        {
            "channel": "shop",
            "text": "宽带移机已经申请了十天,一直没有师傅上门安装,催了几次都没有结果。",
            "customer": "周海燕",
            "phone": "13800000009",
        },
        missed=3,
        end="unreachable",
    ),
    Story(
        "withdrawn by the customer",
        local(2, 24, 20, 10),
        {
            "channel": "chat",
            "text": "昨天晚上手机突然没有信号,打不了电话。",
            "customer": "赵敏",
            "phone": "13800000007",
        },
        withdrawn=local(2, 25, 8, 5),
        end="withdrawn",
    ),
    Story(
        "television black, before a Saturday that is worked",
        local(2, 27, 19, 30),
        {
            "channel": "account-manager",
            "text": "IPTV电视从昨天开始一直黑屏,提示网络连接失败,酒店的客人都在抱怨。",
            "customer": "海湾酒店",
            "phone": "13800000010",
        },
    ),
)
