"""Whether somebody can call the number that a customer gave. A return visit is a call: who registers the complaint is told while the
customer can still be asked, and nobody is refused for it.

The rules are China's numbering plan: mobiles of eleven digits, area codes with seven or eight digits behind, 400 and 800, and the short
numbers of companies and public services. A number of another country has its country code, and as many digits as E.164 allows. Beside a
number there may be a name, an extension or another number: one that can be called is enough.
"""

from __future__ import annotations

import re
import unicodedata

from redress_intake.domain.first_answer import Language
from redress_intake.domain.lookup import normal_number

NOT_CALLABLE: dict[Language, str] = {
    "en": "This phone number cannot be called. Ask for 11 digits of a mobile, area code and number, or + and the country code.",
    "zh": "该电话号码无法拨打。请核实：手机号为11位；固定电话须带区号；境外号码须以“+”和国家代码开头。",
}
NUMBERS = re.compile(r"\+?[(\d](?:[\d\s()./-]*\d)?")  # as they are written, in whatever text
ASIDE = re.compile(r"/|-\d{1,6}$")  # between two numbers, and an extension behind one
CALLABLE = re.compile(
    r"""
      1[3-9]\d{9}                             # a mobile
    | (?:10|2\d)[2-9]\d{7}                    # area codes of two digits, without the trunk zero
    | [3-9]\d{2}[1-9]\d{6,7}                  # area codes of three, and 400 and 800
    | 9[56]\d{3,6} | 100\d{2} | 12\d{3}       # 95588, 96110, 10086, 12345
    | \+[1-9]\d{6,14}                         # E.164, another country's
    """,
    re.VERBOSE,
)


def can_be_called(text: str) -> bool:
    plain = unicodedata.normalize("NFKC", text).replace("\N{EN DASH}", "-").replace("\N{EM DASH}", "-")
    return any(_callable(piece) for found in NUMBERS.findall(plain) for piece in (found, *ASIDE.split(found)))


def _callable(number: str) -> bool:
    return CALLABLE.fullmatch(normal_number(number) or "") is not None
