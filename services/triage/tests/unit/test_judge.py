"""What the shipped rules say about complaints as people write them. The texts are made up for these tests."""

from __future__ import annotations

import pytest

from redress_events.contracts.triage import Evidence
from redress_triage.domain.judge import judge
from redress_triage.domain.lexicon import Lexicon
from redress_triage.domain.rules import Rules
from redress_triage.domain.taxonomy import SeverityTerm, TopicTerm

CLASSES = [
    ("我家客厅手机信号一直很弱，接电话要走到阳台。", "service_quality", "mobile_signal"),
    ("电话讲到一半就自动挂断，每天好几回。", "service_quality", "call_quality"),
    ("从昨晚八点起宽带断网，光猫红灯闪。", "service_quality", "outage"),
    ("交了五百兆的钱，网速却慢得像拨号。", "service_quality", "slow_internet"),
    ("有线电视黑屏，一个频道都没有。", "service_quality", "television"),
    ("门口的通信井盖翘起来了，老人差点绊倒。", "service_quality", "facilities"),
    ("上个月账单多扣了三十元，客服说不清。", "billing_dispute", "charges"),
    ("套餐说涨价就涨价，太贵了。", "billing_dispute", "package_price"),
    ("推销员虚假承诺，说是免费，其实骗人。", "billing_dispute", "misleading_promotion"),
    ("没有打过招呼就擅自开通了彩铃业务。", "billing_dispute", "unauthorised"),
    ("说好三天退押金，到现在没退款。", "billing_dispute", "refund"),
    ("昨天充值一百元，至今未到账。", "billing_dispute", "payment"),
    ("我要销户，营业厅不给办。", "business_process", "cancellation"),
    ("申请携号转网，被找各种理由拒绝。", "business_process", "porting"),
    ("合约期还有多久，违约金怎么算都不讲清楚。", "business_process", "contract_terms"),
    ("新房子没有端口，宽带装不了。", "business_process", "availability"),
    ("号码想过户给女儿，一直办不下来。", "business_process", "identity"),
    ("搬家后申请移机，两周了没有动静。", "business_process", "change"),
    ("营业厅排队两小时，办事效率太低。", "business_process", "service_points"),
    ("报修三天没人上门维修。", "after_sales", "repair"),
    ("机顶盒坏掉，要求换货。", "after_sales", "equipment"),
    ("约好周六上门安装宽带，师傅至今未来。", "after_sales", "installation"),
    ("客服热线永远占线，根本打不进去。", "after_sales", "support_missing"),
    ("窗口的小姑娘态度恶劣，对我大吼大叫。", "other", "staff_conduct"),
    ("每天接到骚扰电话，肯定是你们泄露了我的号码信息。", "other", "privacy"),
    ("特此表扬三号窗口的师傅。", "other", "praise"),
    ("No signal at my farm since the mast was taken away.", "service_quality", "mobile_signal"),
    ("The broadband has been down since Tuesday night.", "service_quality", "outage"),
    ("I pay for 500 and get a tenth of it: painfully slow internet.", "service_quality", "slow_internet"),
    ("You overcharged me twice on the March bill.", "billing_dispute", "charges"),
    ("Why does the price go up every year? Far too expensive.", "billing_dispute", "package_price"),
    ("The salesman lied to me, this is a scam.", "billing_dispute", "misleading_promotion"),
    ("A music service was added without my consent.", "billing_dispute", "unauthorised"),
    ("Still waiting for my refund of the deposit.", "billing_dispute", "refund"),
    ("I tried to cancel and nobody lets me go.", "business_process", "cancellation"),
    ("Porting of my number was refused for no reason.", "business_process", "porting"),
    ("The technician never showed up for the repair.", "after_sales", "repair"),
    ("The router is defective and you will not exchange it.", "after_sales", "equipment"),
    ("I was on hold for an hour, then customer service hung up.", "after_sales", "support_missing"),
    ("The man in your shop was rude to my mother.", "other", "staff_conduct"),
]


@pytest.mark.parametrize(("text", "category", "sub_category"), CLASSES)
def test_what_people_complain_about_is_recognised(rules: Rules, text: str, category: str, sub_category: str) -> None:
    verdict = judge(rules.taxonomy, text, "complaint")
    assert (verdict.category, verdict.sub_category, verdict.review) == (category, sub_category, False)


NEGATED = [
    ("网速不慢，信号也不差，但是乱扣费", "billing_dispute", "charges"),
    ("網速不慢，信號也不差，但是亂扣費", "billing_dispute", "charges"),
    ("It is not slow and the signal isn't bad, but you overcharged me.", "billing_dispute", "charges"),
    ("没有断网，也不是没有信号，就是收费太贵。", "billing_dispute", "package_price"),
    ("The internet is not down. The technician was rude.", "other", "staff_conduct"),
    ("没有信号。", "service_quality", "mobile_signal"),
    ("The internet no longer works.", "service_quality", "outage"),
    ("The broadband isn't working.", "service_quality", "outage"),
    ("是不是断网了？", "service_quality", "outage"),
    ("网速不是不慢。", "service_quality", "slow_internet"),
    ("一直没有退款。", "billing_dispute", "refund"),
    ("No refund until today.", "billing_dispute", "refund"),
    ("我没有欠费，为什么停机？", "billing_dispute", "charges"),
]


@pytest.mark.parametrize(("text", "category", "sub_category"), NEGATED)
def test_what_is_denied_is_not_complained_about(rules: Rules, text: str, category: str, sub_category: str) -> None:
    verdict = judge(rules.taxonomy, text, "complaint")
    assert (verdict.category, verdict.sub_category, verdict.review) == (category, sub_category, False)


def test_every_single_word_that_says_something_is_denied_and_no_subject_is(rules: Rules) -> None:
    """Of each term of the taxonomy, whatever it is about; but of words in one piece alone."""
    lists = [entry.sub_categories.values() for entry in rules.taxonomy.categories.values()]
    terms = [term for subs in lists for sub in subs for term in sub.terms]
    both: list[tuple[Lexicon, TopicTerm | SeverityTerm]] = [(rules.taxonomy.about, term) for term in terms]
    for lexicon, term in (*both, *((rules.taxonomy.gravity, term) for term in rules.taxonomy.severity.terms)):
        for deniable, notated in [*((True, word) for word in term.words), *((False, word) for word in term.subjects)]:
            if "~" in notated:
                continue
            for written in (alternative.removesuffix("*") for alternative in notated.split("|")):
                negator = "not very " if written.isascii() else "不是很"
                if [found.term for found in lexicon.find(written)] == [term.id]:
                    found = [found.term for found in lexicon.find(negator + written)]  # "不~维修" of another term may be what is found now
                    assert (term.id not in found) if deniable else found, (term.id, written)


SEVERITIES = [
    ("再不解决我就找媒体曝光。", "major"),
    ("我已经向工信部申诉。", "major"),
    ("电缆漏电，有人触电受伤。", "major"),
    ("你们把我的个人资料泄露给了别人，属于泄露客户信息。", "major"),
    ("整个小区的业主都上不了网。", "major"),
    ("公司专线中断，无法营业。", "major"),
    ("I will go to the press about this.", "major"),
    ("My next letter goes to Ofcom.", "major"),
    ("A wire hangs down and caught fire.", "major"),
    ("Somebody stole my data: this is a data breach.", "major"),
    ("All residents of our street are cut off.", "major"),
    ("多次反映信号问题，没有结果。", "serious"),
    ("我要到法院起诉你们。", "serious"),
    ("I called several times, it is slow again and again.", "serious"),
    ("网速慢。", "normal"),
    ("网速慢，但我不会找媒体。", "normal"),
    ("It is slow, but I won't go to the press.", "normal"),
    ("I don't want to go to the press.", "normal"),
    ("要不找媒体曝光，要不退钱。", "major"),
    ("不得不起诉你们。", "serious"),
    ("断网五天，十天没有网。", "serious"),
    ("No internet for six days.", "serious"),
]


@pytest.mark.parametrize(("text", "severity"), SEVERITIES)
def test_how_grave_it_is(rules: Rules, text: str, severity: str) -> None:
    assert judge(rules.taxonomy, text, "complaint").severity == severity


def test_questions_and_suggestions_are_minor_unless_they_are_grave(rules: Rules) -> None:
    assert judge(rules.taxonomy, "怎样取消流量包？", "consultation").severity == "minor"
    assert judge(rules.taxonomy, "建议多开几个窗口。", "suggestion").severity == "minor"
    assert judge(rules.taxonomy, "漏电了找谁？", "consultation").severity == "major"


@pytest.mark.parametrize("text", ["", "你好", "hello there", "？？？", "a" * 20_000])
def test_what_says_nothing_is_for_a_person(rules: Rules, text: str) -> None:
    verdict = judge(rules.taxonomy, text, "complaint")
    assert (verdict.category, verdict.sub_category) == ("other", "anything_else")
    assert (verdict.confidence, verdict.review, verdict.evidence) == (0.0, True, ())


def test_two_equal_categories_are_for_a_person(rules: Rules) -> None:
    verdict = judge(rules.taxonomy, "账单和断网", "complaint")
    assert (verdict.category, verdict.confidence, verdict.review) == ("service_quality", 0.5, True)


def test_a_faint_hint_is_for_a_person(rules: Rules) -> None:
    verdict = judge(rules.taxonomy, "关于宽带", "complaint")
    assert (verdict.category, verdict.confidence, verdict.review) == ("service_quality", 0.17, True)


def test_evidence_shows_where_and_which_term_and_no_words(rules: Rules) -> None:
    text = "😡网速太慢，我要找记者曝光"
    verdict = judge(rules.taxonomy, text, "complaint")
    assert verdict.evidence == (Evidence(start=1, end=5, term="slow"), Evidence(start=8, end=11, term="media-threat"))
    assert [text[one.start : one.end] for one in verdict.evidence] == ["网速太慢", "找记者"]


def test_a_text_is_judged_the_same_every_time(rules: Rules) -> None:
    text = "".join(text for text, *_ in CLASSES)
    assert judge(rules.taxonomy, text, "complaint") == judge(rules.taxonomy, text, "complaint")
