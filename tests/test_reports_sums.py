"""Sums by period, kept and brought: the same numbers to the last digit, and nothing is worked out twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT
from intake_workspace import Toy

import cxlib as cx
from cxlib import params, results
from cxlib.data.kept import KEPT, Kept
from cxlib.data.store import Store
from cxlib.params.models import Metric, Params, Report, Segment
from cxlib.periods import Period
from cxlib.reports import sums
from cxlib.reports.context import gather
from cxlib.reports.record import Run
from cxlib.reports.sums import Sums

Asked = list[tuple[str, str, tuple[str, ...]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Every plan that reaches the engine from now on: its name, the metrics, the periods."""
    found: Asked = []
    plain = Sums.run

    def watched(self: Sums, plan: Callable[..., Any], metric: Any, what: Sequence[Any], segments: Any, **more: Any):
        ids = metric.id if isinstance(metric, Metric) else " ".join(one.id for one in metric)
        found.append((plan.__name__, ids, tuple(str(one) for one in what)))
        return plain(self, plan, metric, what, segments, **more)

    monkeypatch.setattr(Sums, "run", watched)
    return found


def pack(run: Run) -> pd.DataFrame:
    """What the notebooks of the pack ask, in short."""
    several = ["nps", "csat_top2", "csat_mean", "wait_p50", "contacts_per_order", "repeat_purchase", "churn_rate"]
    parts = [
        run.measure(several, periods=13, compare=("previous", "year_ago", "target")),
        run.measure(["csat_top2", "csat_mean"], by=["region", "plan"], compare="previous"),
        run.measure(["wait_p50", "wait_p90"], by="channel"),
        run.measure("touchpoint_volume", by="delivered_late"),  # undefined: of no table of the metric
        run.over_time("nps", periods=6),
        run.watch("nps", weeks=3),
        run.explain("nps", by="region", against="previous"),
        run.find("nps", by=["region", "plan"]),
    ]
    return results.concat(parts)


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


def test_numbers_are_equal_with_and_without_and_the_second_time_nothing_is_asked(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    plain = pack(cx.open_run("2026-10"))
    without = len(asked)
    monkeypatch.setenv(KEPT, str(tmp_path / "kept"))
    asked.clear()
    pd.testing.assert_frame_equal(pack(cx.open_run("2026-10")), plain, check_exact=True)
    assert 0 < len(asked) <= without
    asked.clear()
    pd.testing.assert_frame_equal(pack(cx.open_run("2026-10")), plain, check_exact=True)
    assert [name for name in asked if name[1] != "touchpoint_volume"] == []  # why it is undefined is asked each time


def test_the_next_period_costs_one_period(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    plain = pack(cx.open_run("2026-10"))
    monkeypatch.setenv(KEPT, str(tmp_path / "kept"))
    pack(cx.open_run("2026-09"))
    asked.clear()
    found = pack(cx.open_run("2026-10"))
    pd.testing.assert_frame_equal(found, plain, check_exact=True)
    months = [one for one in asked if one[0] in ("plan", "together") and "W" not in one[2][0]]
    assert len(months) > 5
    assert {one[2] for one in months} == {("2026-10",)}


def test_frames_are_the_plans_own_whatever_was_kept(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Index, dtypes and order of rows: kept, half kept, and not kept."""
    inputs = cx.open_run("2026-10")._inputs
    metric, by, other = (inputs.context.metrics["nps"], inputs.context.segments["region"], Period.parse("2026-10"))
    waits = inputs.context.metrics["wait_p90"]
    cached = Sums(inputs.context, inputs.store, Kept(tmp_path))
    for of, cut, periods, rolling in (
        (metric, (), other.last(5), 1),
        (metric, (by,), other.last(5), 3),
        (waits, (by,), other.last(3), 1),
        (metric, (by,), [Period.parse("1999-01")], 1),  # nothing there
        (metric, (by,), [Period.parse("1999-01"), *other.last(2)], 1),
    ):
        plain = inputs.sums.moments(of, cut, periods, rolling)
        cached.moments(of, cut, periods[-1:], rolling)
        for _ in range(2):
            pd.testing.assert_frame_equal(cached.moments(of, cut, periods, rolling), plain, check_exact=True)
    pairs = [(other, other.previous()), (other, other.year_ago()), (other.previous(), other.year_ago())]
    plain = inputs.sums.overlaps(metric, (by,), pairs)
    cached.overlaps(metric, (by,), pairs[1:2])
    for _ in range(2):
        pd.testing.assert_frame_equal(cached.overlaps(metric, (by,), pairs), plain, check_exact=True)
    both = other.last(2)
    plain = inputs.sums.joint(metric, (by,), both)
    for _ in range(2):
        pd.testing.assert_frame_equal(cached.joint(metric, (by,), both), plain, check_exact=True)


def test_several_segments_in_one_query_are_what_each_is_alone(at_demo: Path, tmp_path: Path, asked: Asked) -> None:
    """Families, two quantiles of the same values, denominators elsewhere, and segments that a table lacks."""
    inputs, periods = cx.open_run("2026-10")._inputs, Period.parse("2026-10").last(2)
    names = ["nps", "csat_top2", "csat_mean", "wait_p50", "wait_p90", "contacts_per_order", "churn_rate"]
    metrics = [inputs.context.metrics[name] for name in names]
    segments = [inputs.context.segments[name] for name in ("region", "plan", "channel", "delivered_late")]
    found = inputs.sums.apart(metrics, segments, periods)
    assert len(asked) == 6  # contacts_per_order has its denominator elsewhere: by customers, and by events
    lacking = {("churn_rate", "channel"), *((name, "delivered_late") for name in (*names[3:], "churn_rate"))}
    assert found.keys() == {(name, segment.id) for name in names for segment in segments} - lacking
    cached = Sums(inputs.context, inputs.store, Kept(tmp_path))
    cached.apart(metrics, segments, periods[:1])  # half kept
    for _ in range(2):
        again = cached.apart(metrics, segments, periods)
        for key, frame in found.items():
            pd.testing.assert_frame_equal(again[key], frame, check_exact=True)
    for (name, cut), frame in found.items():
        alone = inputs.sums.moments(inputs.context.metrics[name], [inputs.context.segments[cut]], periods)
        pd.testing.assert_frame_equal(frame, alone, check_exact=True)


def test_every_metric_is_equal_in_one_query_and_in_many(at_demo: Path, tmp_path: Path) -> None:
    """Sums are of whole numbers: it does not matter which periods they were brought beside."""
    inputs = cx.open_run("2026-10")._inputs
    periods, context = Period.parse("2026-10").last(3), inputs.context
    cached = Sums(context, inputs.store, Kept(tmp_path))
    together = inputs.sums.together(list(context.metrics.values()), (), periods)
    assert len(together) > 10
    for metric in context.metrics.values():
        plain = inputs.sums.moments(metric, (), periods)
        for period in periods:
            cached.moments(metric, (), [period])
        pd.testing.assert_frame_equal(cached.moments(metric, (), periods), plain, check_exact=True)
        pd.testing.assert_frame_equal(together.get(metric.id, plain), plain, check_exact=True)


NPS = Metric(
    id="nps", title="NPS", question="?", kind="nps", unit="points", table="responses", time="responded_at",
    value="score", higher_is_better=True, owner="Insight",
)  # fmt: skip
REGION = Segment(id="region", title="Region", column="region")
CUSTOMERS = "customer_id,valid_from,region\nanna,2026-01-01 00:00:00,North\nben,2026-01-01 00:00:00,South\n"
ANSWERS = (
    "response_id,responded_at,instrument,score,customer_id\n"
    "answer-1,2026-01-05 10:00:00,nps,10,anna\nanswer-2,2026-01-06 10:00:00,nps,3,ben\n"
    "answer-3,2026-02-05 10:00:00,nps,9,anna\nanswer-4,2026-03-05 10:00:00,nps,8,ben\n"
)
MONTHS = [Period.parse(label) for label in ("2026-01", "2026-02", "2026-03")]


class Company:
    """A small company whose sums are kept; `sums` opens what was ingested last."""

    def __init__(self, root: Path, asked: Asked) -> None:
        self.toy, self.kept, self.asked = Toy(root).put("customers", CUSTOMERS).put("responses", ANSWERS), root, asked
        self.toy.ingest()

    def params(self, metric: Metric = NPS, segment: Segment = REGION) -> Params:
        report = Report(id="toy", title="Toy", audience="tests", notebooks=("a",), metrics=("nps",))
        more = {"metrics": {"nps": metric}, "segments": {"region": segment}, "reports": {"toy": report}}
        return self.toy.params.model_copy(update=more)

    def brought(
        self, segments: Sequence[Segment] = (), metric: Metric = NPS, months: Sequence[Period] = MONTHS
    ) -> list[str]:
        """Ask for the months; return which of them the engine was asked for. The numbers are held against the plan."""
        params = self.params(metric)
        with self.toy.open() as store:
            context = gather(params, "toy", months[-1].label, store)
            self.asked.clear()
            found = Sums(context, lambda: store, Kept(self.kept / "kept")).moments(metric, segments, months)
            labels = [label for _, _, periods in self.asked for label in periods]
            plain = Sums(context, lambda: store).moments(metric, segments, months)
        pd.testing.assert_frame_equal(found, plain, check_exact=True)
        return labels


@pytest.fixture
def company(tmp_path: Path, asked: Asked) -> Company:
    return Company(tmp_path / "toy", asked)


ALL = [month.label for month in MONTHS]


def test_late_data_are_brought_of_their_month_alone(company: Company) -> None:
    assert company.brought() == ALL
    assert company.brought([REGION]) == ALL
    assert company.brought([REGION]) == []
    company.toy.put("responses", f"{ANSWERS}late,2026-02-20 10:00:00,nps,0,ben\n").ingest()
    assert company.brought() == ["2026-02"]
    assert company.brought([REGION]) == ["2026-02"]
    company.toy.put("responses", f"{ANSWERS}next,2026-04-20 10:00:00,nps,0,ben\n").ingest()
    assert company.brought(months=[*MONTHS, Period.parse("2026-04")]) == ["2026-04"]


def test_the_hours_before_a_local_month_belong_to_it(tmp_path: Path, asked: Asked) -> None:
    """At 23:30 UTC on the last of January it is February in Madrid: a file of January changes both months."""
    company = Company(tmp_path / "toy", asked)
    plain = company.toy.params
    local = plain.workspace.model_copy(update={"timezone": "Europe/Madrid"})
    more = {"metrics": {"nps": NPS}, "reports": company.params().reports, "workspace": local}
    params = plain.model_copy(update=more)

    def brought() -> list[str]:
        with company.toy.open(timezone="Europe/Madrid") as store:
            context = gather(params, "toy", "2026-03", store)
            asked.clear()
            found = Sums(context, lambda: store, Kept(tmp_path / "kept")).moments(NPS, (), MONTHS)
            labels = [label for _, _, periods in asked for label in periods]
            pd.testing.assert_frame_equal(found, Sums(context, lambda: store).moments(NPS, (), MONTHS))
            return labels

    assert brought() == ALL
    company.toy.put("responses", f"{ANSWERS}late,2026-01-31 23:30:00,nps,0,ben\n").ingest()
    assert brought() == ["2026-01", "2026-02"]


def test_customers_change_what_is_cut_by_them_under_old_answers(company: Company) -> None:
    company.brought()
    company.brought([REGION])
    company.toy.put("customers", f"{CUSTOMERS}ben,2026-02-01 00:00:00,North\n").ingest()
    assert company.brought() == []
    assert company.brought([REGION]) == ALL


def test_ids_of_one_person_change_everything(company: Company) -> None:
    company.brought()
    company.toy.put("identities", "source_id,customer_id\nben,anna\n").ingest()
    assert company.brought() == ALL


def test_definitions_change_it_and_words_do_not(company: Company) -> None:
    company.brought([REGION])
    words = {"title": "Another", "target": 50.0, "caveats": ("so so",), "owner": "Somebody", "min_n": 99, "scale": 2.0}
    assert company.brought([REGION], NPS.model_copy(update=words)) == []
    assert company.brought([REGION.model_copy(update={"title": "Where", "id": "where"})]) == []
    for more in ({"promoters": "score >= 10"}, {"cluster": ""}, {"filter": "score > 3"}):
        assert company.brought([REGION], NPS.model_copy(update=more)) == ALL
    assert company.brought([REGION.model_copy(update={"otherwise": "nowhere"})]) == ALL


def test_other_code_finds_nothing(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.brought()
    assert sums._code() == sums._code()
    monkeypatch.setattr(sums, "_code", lambda: "another version")
    assert company.brought() == ALL


def test_what_was_kept_holds_no_customer(company: Company) -> None:
    company.brought([REGION])
    held = b"".join(path.read_bytes() for path in (company.kept / "kept").iterdir())
    assert b"North" in held
    assert b"anna" not in held
    assert b"answer-" not in held


def test_a_store_with_a_rule_of_repeats_has_sums_of_its_own(company: Company) -> None:
    from cxlib.params.intake import Repeats

    company.brought()
    rule = Repeats(keep="last", per="year")
    params = company.params()
    ruled = params.model_copy(update={"workspace": params.workspace.model_copy(update={"repeated_responses": rule})})
    with Store.open(company.toy.root, repeats=rule) as store:
        context = gather(ruled, "toy", "2026-03", store)
        company.asked.clear()
        found = Sums(context, lambda: store, Kept(company.kept / "kept")).moments(NPS, (), MONTHS)
        assert len(company.asked) == 1
        pd.testing.assert_frame_equal(found, Sums(context, lambda: store).moments(NPS, (), MONTHS))
    assert found["rows"].sum() == 2


def test_a_plan_of_several_cuts_that_brings_nothing_gives_each_of_them_nothing() -> None:
    """A month before the first answer, or a company without contacts: no row, and still a frame per segment."""
    company = params.load(ROOT)
    metric, cut = company.metrics["nps"], tuple(company.segments[name] for name in ("region", "plan"))
    empty = pd.DataFrame({"period": pd.Series(dtype="str"), "level": pd.Series(dtype="str"), "rows": []})
    found = sums._parted(metric, cut, empty)
    assert set(found) == {("nps", "region"), ("nps", "plan")}
    assert all(frame.empty and "level" in frame for frame in found.values())
