"""Complaints as customers make them: seeded, of several lengths, in two languages."""

from __future__ import annotations

import json
import random

TEXTS = (
    "家里的宽带晚上特别慢,看视频一直缓冲,一天断网好几次。",
    "I was charged twice for my monthly package and the bill shows a fee that nobody explained to me.",
    "The internet at home is very slow every evening and the connection drops several times a day. The technician came last week, changed "
    "the router and left, and since then it has not been better at all.",
    "上个月办理了套餐变更,营业厅答应从本月起按新套餐计费,可是账单上还是按老套餐收的,多收了三十块钱,请尽快核实并退还。",
)
CHANNELS = ("hotline", "web", "app", "shop", "e-mail")


def bodies(seed: int, count: int = 200) -> list[str]:
    """Request bodies for POST /complaints."""
    rng = random.Random(seed)
    made = []
    for n in range(count):
        body = {
            "channel": rng.choice(CHANNELS),
            "text": rng.choice(TEXTS),
            "customer": f"customer {n}",
            "phone": f"1380000{n:04}",
            "address": f"Street {rng.randrange(400)}, Building {rng.randrange(40)}",
            "service_number": f"0571{n:07}",
            "product": "fibre 500",
            "area": "north",
        }
        made.append(json.dumps(body, ensure_ascii=False))
    return made
