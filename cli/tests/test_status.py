"""What `status` reads off a Prometheus page."""

from __future__ import annotations

from redress_cli.status import read_metrics

PAGE = """\
# TYPE redress_backlog_facts gauge
redress_backlog_facts 3
# TYPE redress_lag_records gauge
redress_lag_records{partition="0"} 2
redress_lag_records{partition="1"} 5
# TYPE redress_lag_seconds gauge
redress_lag_seconds{partition="0"} 0.5
redress_lag_seconds{partition="1"} 2.5
"""


def test_records_are_summed_seconds_are_the_worst_and_what_is_not_told_is_missing():
    assert read_metrics(PAGE) == {"backlog": 3, "lag_records": 7, "lag_seconds": 2.5}
