"""Cookie Cats read out in full: 90,189 players, gate at level 30 or 40, from a file to a published page.

The arms are not as large as planned (p = .0086): the page leads with that, and decides all the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import cxlib as cx
from cxlib import results
from cxlib.analysis import experiments
from cxlib.cli import main
from cxlib.reports.record import Run
from cxlib.reports.runner import RunOutcome, run_pack
from tests.conftest import ROOT

PERIOD = "2026-01"
EXACT = 1e-6  # of estimates and limits, the oracle's own tolerance
CLOSE = 1e-3  # of p-values, relative, the oracle's own tolerance
HYBRID = 2e-6  # Newcombe's limits beside Wald's: they differ by terms of the order 1 / n, n being 44,700

WORKSPACE = """\
company: Tactile
timezone: UTC
attributes:
  retention_1: boolean
  retention_7: boolean
  rounds: integer
"""
SOURCE = """\
title: Cookie Cats
timezone: UTC
licence: not shipped
files:
  players: {path: cookie_cats.csv}
"""
CUSTOMERS = """\
SELECT userid AS customer_id, TIMESTAMP '2026-01-01 00:00:00' AS valid_from, retention_1, retention_7,
  sum_gamerounds AS rounds
FROM players
"""
EXPOSURES = """\
SELECT 'gate' AS experiment, userid AS customer_id, version AS variant, TIMESTAMP '2026-01-31 12:00:00' AS exposed_at
FROM players
"""
METRIC = """\
title: {title}
question: Do players come back?
kind: {kind}
unit: {unit}
table: customers
higher_is_better: true
filter: {filter}
numerator: {numerator}
change_that_matters: {matters}
owner: Games
"""
METRICS = {
    "retention_7": ("Back after 7 days", "share", "percent", "valid_from < period_until", "retention_7", 0.002),
    "retention_1": ("Back after 1 day", "share", "percent", "valid_from < period_until", "retention_1", 0.005),
    "rounds": ("Rounds played", "mean", "count", "valid_from < period_until", "rounds", 1),
    "rounds_of_people": (
        "Rounds played, below 10,000", "mean", "count", "valid_from < period_until and rounds < 10000", "rounds", 1,
    ),
}  # fmt: skip
PLAN = """\
title: Gate at level 40
hypothesis: A later gate keeps more players.
variants:
  gate_30: 0.5
  gate_40: 0.5
start: "2026-01-05"
stop: "2026-01-31"
primary_metric: retention_7
metrics:
  - retention_1
  - rounds
guardrails:
  - rounds_of_people
smallest_effect_that_matters: 0.002
registered_on: "2026-01-02"
owner: Games
"""


def write(root: Path, files: dict[str, str]) -> None:
    """Write the files of a workspace."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def cats(tmp_path_factory: pytest.TempPathFactory, shared_data: Callable[[str], Path]) -> Path:
    """A workspace of the experiment alone: its players, who saw what, and no event beside."""
    raw, root = shared_data("cookie_cats"), tmp_path_factory.mktemp("cats") / "Ünï cats"
    names = ("title", "kind", "unit", "filter", "numerator", "matters")
    metrics = {
        f"params/metrics/{name}.yml": METRIC.format(**dict(zip(names, words, strict=True)))
        for name, words in METRICS.items()
    }
    source = {"source.yml": SOURCE, "customers.sql": CUSTOMERS, "exposures.sql": EXPOSURES}
    write(
        root,
        {"params/workspace.yml": WORKSPACE, "params/experiments/gate.yml": PLAN, **metrics}
        | {f"params/sources/cookie_cats/{name}": text for name, text in source.items()},
    )
    for name in ("params/reports/readout.yml", "params/reports/design.yml"):
        write(root, {name: (ROOT / name).read_text(encoding="utf-8")})
    shutil.copytree(ROOT / "notebooks" / "experiments", root / "notebooks" / "experiments")
    done = CliRunner().invoke(main, ["-w", str(root), "ingest", "cookie_cats", "--from", str(raw)])
    assert done.exit_code == 0, done.output
    return root


@pytest.fixture(scope="module")
def asked(cats: Path) -> dict[str, pd.DataFrame]:
    """The answers of the readout, from the store."""
    run = opened(cats)
    return {name: getattr(run, name)() for name in ("health", "effects", "guardrails", "estimators", "decision")}


def opened(root: Path) -> Run:
    """Open a run about the experiment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run = cx.open_run(PERIOD, pack="readout", experiment="gate")
        run.tables  # noqa: B018, opened while we stand in the workspace
    return run


def one(frame: pd.DataFrame, metric: str, comparison: str = "difference", at: str = "gate_40") -> pd.Series:
    """Return the one row of a metric."""
    (row,) = frame[(frame["metric"] == metric) & (frame["comparison"] == comparison) & (frame["at"] == at)].iloc
    return row


def test_the_sample_ratio_leads_and_warns_and_withholds_nothing(
    asked: dict[str, pd.DataFrame], oracle: Callable[[str], dict]
) -> None:
    first = asked["health"].iloc[0]
    known = oracle("exp_cookie_cats")["expected"]["R"]
    assert first["metric"] == "sample_ratio_mismatch"
    assert first["at"] == "warns"
    assert first["p_value"] == pytest.approx(known["srm_p"], rel=CLOSE)
    assert first["estimate"] == pytest.approx(known["srm_chisq"], rel=EXACT)
    assert set(asked["health"]["at"].iloc[1:]) == {"passes"}
    decision = experiments.read_decision(asked["decision"])
    assert decision.call == "do not ship"
    assert decision.headline == "Do not ship gate 40: Back after 7 days got worse."
    assert any(told.startswith("Read with care. The arms may not be split as planned") for told in decision.reasons)


def test_effects_on_retention_are_those_of_r(asked: dict[str, pd.DataFrame], oracle: Callable[[str], dict]) -> None:
    """Shares: our limits are Newcombe's (1998, method 10), R's `prop.test(correct = FALSE)` has Wald's."""
    known = oracle("exp_cookie_cats")["expected"]["R"]
    for metric, short in (("retention_7", "r7"), ("retention_1", "r1")):
        arms = {arm: one(asked["effects"], metric, "level", arm)["estimate"] for arm in ("gate_30", "gate_40")}
        assert arms == pytest.approx({arm: known[f"{short}.{arm}"] for arm in arms}, abs=EXACT)
        row = one(asked["effects"], metric)
        assert row["method"] == "newcombe"
        assert row["estimate"] == pytest.approx(known[f"{short}.gate_40"] - known[f"{short}.gate_30"], abs=EXACT)
        limits = [known[f"{short}.wald_ci_40_minus_30.{side}"] for side in (1, 2)]
        assert [row["conf_low"], row["conf_high"]] == pytest.approx(limits, abs=HYBRID)
        assert row["p_value"] == pytest.approx(known[f"{short}.p"], rel=CLOSE)
        # Relative effects by the delta method, as growthbook's gbstats has them.
        gb = oracle("exp_cookie_cats")["expected"]["gbstats"][f"cookie_retention_{short[1]}_relative"]
        row = one(asked["effects"], metric, "relative")
        assert [row["estimate"], row["conf_low"], row["conf_high"]] == pytest.approx(
            [gb["expected"], *gb["ci"]], abs=EXACT
        )
    assert one(asked["effects"], "retention_7")["verdict"] == "moved"
    assert one(asked["effects"], "retention_1")["verdict"] != "moved"
    assert one(asked["estimators"], "retention_7")["estimate"] == one(asked["effects"], "retention_7")["estimate"]


def test_effects_on_rounds_are_welchs_with_and_without_the_outlier(
    asked: dict[str, pd.DataFrame], oracle: Callable[[str], dict]
) -> None:
    """Means: R `t.test`, Welch's. One player of gate_30 played 49,854 rounds; the second metric is without."""
    known = oracle("exp_cookie_cats")["expected"]["R"]
    for metric, name in (("rounds", "rounds"), ("rounds_of_people", "rounds_no_outlier")):
        mean = known.get(f"{name}_mean.mean in group gate_30"), known.get(f"{name}_mean.mean in group gate_40")
        row = one(asked["effects"], metric)
        assert row["method"] == "Welch"
        assert row["estimate"] == pytest.approx(mean[1] - mean[0], abs=EXACT)
        p = known["rounds_welch_p"] if name == "rounds" else known["rounds_no_outlier_p"]
        assert row["p_value"] == pytest.approx(p, rel=CLOSE)
        assert one(asked["effects"], metric, "level", "gate_30")["estimate"] == pytest.approx(mean[0], abs=EXACT)
    assert one(asked["effects"], "rounds")["n"] - one(asked["effects"], "rounds_of_people")["n"] == 1
    guard = one(asked["guardrails"], "rounds_of_people")
    assert guard["note"] == "could be worse by more than 1 (registered margin)"


def test_what_the_data_cannot_tell_is_said(cats: Path) -> None:
    run = opened(cats)
    for name, words in (
        ("answering", "is not asked for: nobody can leave it unanswered"), ("subgroups", "no segments are registered"),
        ("looks", "no looks are registered"), ("design", "this workspace has no table 'orders'"),
    ):  # fmt: skip
        (row,) = getattr(run, name)().iloc
        assert row["status"] == results.UNDEFINED
        assert words in row["note"]


@pytest.fixture(scope="module")
def published(cats: Path, warm_module: None) -> RunOutcome:
    """The published readout; its last period is told by the exposures, for there are no other events."""
    return run_pack(cats, "readout", experiment="gate")


def test_the_page_names_the_warning_before_any_effect(published: RunOutcome, cats: Path) -> None:
    folder = cats / "reports" / "readout" / "gate"
    assert (published.state, published.folder) == ("published", folder)
    manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (manifest["experiment"], manifest["period"]) == ("gate", PERIOD)
    assert "experiments/gate" in manifest["definitions"]
    assert manifest["disclosure"]["verdict"] == "passed"
    page = (folder / "readout.html").read_text(encoding="utf-8")
    brief, body = page[page.index('<p class="lead">') :].split('class="run-box"')
    first, decided = brief.index("1 of 8 checks needs a look"), brief.index("Do not ship gate 40")
    assert first < decided < brief.index("Back after 7 days fell by")
    box, first = body.index("Snapshot 0001-"), body.index("Arms as large as planned")
    assert box < first < body.index("Do not ship gate 40") < body.index("Back after 7 days fell by")
    assert first < body.index("<img")
    assert "<img" not in brief
    assert "49.56 %, 50.44 % of units where 50.00 %, 50.00 % were planned" in page
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert "Do not ship gate 40: Back after 7 days got worse." in index
    assert "Read with care. The arms may not be split as planned" in index


def test_what_the_page_shows_is_kept_without_players_and_replayed(
    published: RunOutcome, asked: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no workspace here
    run = cx.open_run(PERIOD, run_folder=str(published.folder), notebook="readout")
    for name, frame in asked.items():
        pd.testing.assert_frame_equal(getattr(run, name)("gate"), frame)
    for path in (published.folder / "inputs" / "readout").glob("*.parquet"):
        assert tuple(pd.read_parquet(path).columns) == results.COLUMNS


def test_the_catalogue_and_the_server_have_it_under_its_name(published: RunOutcome, cats: Path) -> None:
    from cxlib.reports import catalogue, places

    home = catalogue.home(places.catalogue(published.folder.parent.parent), "Tactile")
    assert 'href="/reports/readout/gate/index.html"' in home
    assert "Gate at level 40" in home
    assert "Do not ship gate 40: Back after 7 days got worse." in home
