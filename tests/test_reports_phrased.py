"""Plans run by kept texts: the same frames, and a later month plans and compiles nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import cxlib as cx
from cxlib.data.kept import PLACE, Kept
from cxlib.data.store import Store
from cxlib.data.texts import Text
from cxlib.measure import plans
from cxlib.periods import Period
from cxlib.reports.inputs import Inputs
from cxlib.reports.phrased import Phrased


@pytest.fixture
def inputs(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.chdir(demo_workspace)
    return cx.open_run("2026-10")._inputs


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are compiled from now on."""
    found: list[str] = []
    plain = Store.text

    def watched(self: Store, expression: Any) -> Text:
        text = plain(self, expression)
        found.append(text.sql)
        return text

    monkeypatch.setattr(Store, "text", watched)
    return found


def asked(inputs: Inputs, metric: str, *labels: str, **more: Any) -> Phrased:
    segments = [inputs.context.segments["region"]]
    periods = [Period.parse(label) for label in labels]
    return Phrased(inputs.context, plans.plan, inputs.context.metrics[metric], periods, segments, more)


@pytest.mark.parametrize("metric", ["nps", "churn_rate", "complaint_rate", "wait_p50"])
def test_a_later_request_takes_the_text(metric: str, inputs: Inputs, compiled: list[str], tmp_path: Path) -> None:
    for labels in (("2026-09",), ("2026-10",), ("2026-03",)):
        request = asked(inputs, metric, *labels)
        found = request.run(inputs.store(), Kept(tmp_path), "code")
        pd.testing.assert_frame_equal(found, inputs.store().run(request.planned(inputs.store())), check_exact=True)
    assert len(compiled) == 1


def test_what_changes_the_text_has_one_of_its_own(inputs: Inputs, compiled: list[str], tmp_path: Path) -> None:
    kept, store, plain = Kept(tmp_path), inputs.store(), asked(inputs, "nps", "2026-10")
    stricter = plain.metrics.model_copy(update={"filter": "instrument == 'nps' and score > 3"})
    others = [
        asked(inputs, "nps", "2026-10", rolling=3), asked(inputs, "nps", "2026-10", "2026-09"),
        asked(inputs, "nps", "2026-Q3"), Phrased(plain.context, plans.plan, stricter, plain.what, plain.segments, {}),
        Phrased(plain.context, plans.plan, plain.metrics, plain.what, (), {}),
    ]  # fmt: skip
    for request in [plain, *others]:
        found = request.run(store, kept, "code")
        pd.testing.assert_frame_equal(found, store.run(request.planned(store)), check_exact=True)
    assert len(compiled) == 1 + len(others)
    plain.run(store, kept, "other code")
    assert len(compiled) == 2 + len(others)


def test_requests_without_a_shape_or_a_cache_are_planned(inputs: Inputs, compiled: list[str], tmp_path: Path) -> None:
    store = inputs.store()
    mixed = asked(inputs, "nps", "2026-10", "2026-Q3")
    assert len(mixed.run(store, Kept(tmp_path), "code")) > 1
    assert len(asked(inputs, "nps", "2026-10").run(store, None, "code")) > 1
    assert compiled == []


def test_a_text_that_reads_what_is_not_there_is_made_anew(inputs: Inputs, compiled: list[str], tmp_path: Path) -> None:
    """Such as a view that spares the look-up of persons, which a store without merged persons has not."""
    kept, store, request = Kept(tmp_path), inputs.store(), asked(inputs, "nps", "2026-10")
    found = request.run(store, kept, "code")
    shelf, key = request._shelf(), request._key(store, "month [[0]]", "code")
    entry = kept.read(shelf, [key]).frame
    assert entry["views"].iloc[0].splitlines() == ["customers", "responses"]
    for views in ("nowhere", "spare.costs"):
        kept.keep(shelf, [key], entry.assign(**{PLACE: 0, "sql": "SELECT 1", "views": views}))
        pd.testing.assert_frame_equal(request.run(store, kept, "code"), found, check_exact=True)
    assert len(compiled) == 3


def test_what_a_workspace_lacks_is_undefined(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(plans.Undefined):
        Phrased(
            inputs.context, plans.plan, inputs.context.metrics["churn_rate"], [Period.parse("2026-10")],
            [inputs.context.segments["delivered_late"]], {},
        ).run(inputs.store(), Kept(tmp_path), "code")  # fmt: skip
