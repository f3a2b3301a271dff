"""The table of early warnings: alarms first, quiet ones with how soon they would speak, hidden ones without numbers."""

from __future__ import annotations

from cxlib import results
from cxlib.show.tables import early_warnings_table


def test_alarms_come_first_and_hidden_ones_have_no_numbers() -> None:
    frame = results.concat(
        [
            results.frame(
                metric="early_warning", segment="signal", level="Slow <pages>", estimate=0.01, conf_low=0.005,
                conf_high=0.02, n=900, verdict="not shown", note="no alarm; usual is up to 1.2 %",
            ),
            results.frame(
                metric="early_warning", segment="signal", level="Long waits", estimate=0.4, conf_low=0.3, conf_high=0.5,
                n=200, verdict="moved", note="alarm on 05 March 2025, after 5 days",
            ),
            results.frame(metric="early_warning", segment="signal", level="Few", status="suppressed", note="too few"),
        ]
    )  # fmt: skip
    page = str(early_warnings_table(frame))
    assert "Alarming: long waits" in page
    assert page.index("Long waits") < page.index("Slow &lt;pages&gt;")
    assert "after 5 days" in page
    assert "200" in page


def test_quiet_and_empty() -> None:
    quiet = results.frame(metric="early_warning", segment="signal", level="A", estimate=0.1, n=50, verdict="not shown")
    assert "None of 1 signals was alarming" in str(early_warnings_table(quiet))
    none = results.frame(metric="early_warning", status="undefined", note="params/watch.yml names no signal")
    assert "names no signal" in str(early_warnings_table(none))
