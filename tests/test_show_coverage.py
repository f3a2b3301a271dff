"""The coverage of the taxonomy as a table."""

from __future__ import annotations

import pandas as pd

from cxlib import results
from cxlib.analysis.journeys.coverage import COLUMNS, coverage
from cxlib.params.models import Touchpoint
from cxlib.show.coverage import coverage_table

PHONE = Touchpoint(id="phone", title="Phone", group="service", stage="retention", stream="experience", names=("tel",))


def frame(*rows: tuple[str, str | None, int, int]) -> pd.DataFrame:
    """Return the coverage of some counts."""
    return coverage(pd.DataFrame(list(rows), columns=list(COLUMNS)), {"phone": PHONE}, min_n=10)


def test_each_table_by_rule_and_every_name_that_nobody_claims() -> None:
    made = coverage_table(
        frame(
            ("interactions", "phone", 600, 300), ("interactions", "tel", 200, 90), ("interactions", "fax", 200, 80),
            ("orders", None, 40, 30), ("responses", "phone", 100, 90),
        )
    )  # fmt: skip
    assert made.heading == (
        "80.0 % of interactions are at a known touchpoint; 1 name is claimed by nobody; orders name none"
    )
    assert made.grid is not None
    shares = dict(zip(made.grid.keys, (cell.text for cell in made.grid.columns["Share of events"]), strict=True))
    assert shares == {
        ("Interactions", "classified"): "80.0 %",
        ("Interactions", "by the touchpoint itself"): "60.0 %",
        ("Interactions", "by another name of it"): "20.0 %",
        ("Interactions", "not placed: nobody claims the name"): "20.0 %",
        ("Interactions", "not placed: fax"): "20.0 %",
        ("Orders", "classified"): "0.0 %",
        ("Orders", "no touchpoint noted"): "100.0 %",
        ("Responses", "classified"): "100.0 %",
        ("Responses", "by the touchpoint itself"): "100.0 %",
    }


def test_what_is_hidden_is_told_in_words_and_names_are_escaped() -> None:
    made = coverage_table(
        frame(("interactions", "phone", 90, 50), ("interactions", "tel", 50, 20), ("interactions", "x", 3, 2))
    )
    assert "hidden: small group" in made
    assert made.heading.startswith("No events of which")
    assert "<script>" not in coverage_table(frame(("interactions", "<script>", 90, 50)))


def test_all_known_and_nothing_at_all() -> None:
    assert coverage_table(frame(("responses", "phone", 90, 50))).heading == "All responses are at a known touchpoint"
    why = results.frame(metric="coverage", status=results.UNDEFINED, note="this workspace has no touchpoints.yml")
    assert "no touchpoints.yml" in coverage_table(why)
