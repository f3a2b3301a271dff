"""What the measurement framework leaves open: told by `cx check` with its place, and no fault unless one is strict."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cxlib import params
from cxlib.cli import main
from cxlib.params import framework
from cxlib.params.models import Goal

METRIC = (
    "title: {0}\nquestion: '?'\nkind: share\nunit: percent\ntable: responses\ntime: responded_at\n"
    "numerator: score > 3\nhigher_is_better: true\nowner: Ana\n"
)
FILES = {
    "workspace.yml": "company: Acme\n",
    "metrics/nps.yml": METRIC.format("NPS"),
    "metrics/csat.yml": METRIC.format("Satisfied"),
    "sources/shop/source.yml": "title: Shop\nlicence: own\nfiles:\n  orders: {path: orders.csv}\n",
    "sources/shop/orders.sql": "select * from orders",
    "reports/monthly.yml": "title: Monthly\naudience: all\nnotebooks: [one]\nmetrics: [nps, csat]\n",
}
GOALS = """\
goals:
  - {goal: They recommend us, stage: advocacy, kpi: nps, source: shop, owner: Ana}
  - {goal: They hear of us, stage: awareness, owner: Ben}
  - goal: They stay
    stage: retention
    kpi: nps
    owner: Ben
  - {goal: They buy, stage: purchase, kpi: nps, source: shop}
"""
SAID = """\
params/framework.yml:3: goals[2]: 'They hear of us' has no KPI: nobody measures this
params/framework.yml:4: goals[3]: 'nps' has no source
params/framework.yml:8: goals[4]: 'nps' has no owner
params/framework.yml: the stage awareness has no goal with a KPI: nobody measures this
params/framework.yml: the stage consideration has no goal with a KPI: nobody measures this
params/framework.yml:7: goals[3].owner: 'nps' is answered for by Ana and by Ben: keep one
params/framework.yml: the report monthly shows one metric of no goal: csat
"""


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """A workspace whose framework leaves much open."""
    for name, text in {**FILES, "framework.yml": GOALS}.items():
        path = tmp_path / "params" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    notebook = tmp_path / "notebooks" / "monthly" / "one.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.write_text("{}", encoding="utf-8")
    return tmp_path


def test_every_gap_is_told_with_its_place(company: Path) -> None:
    found = params.open_in(company, params.load(company))
    assert "\n".join(map(str, found)) + "\n" == SAID
    assert [gap.state for gap in found] == ["gap"] * 6 + ["info"]


def test_check_warns_of_gaps_and_ends_with_a_fault_where_it_is_strict(company: Path) -> None:
    cx = CliRunner()
    done = cx.invoke(main, ["-w", str(company), "check"])
    assert done.exit_code == 0
    assert done.output.count("warning: params/framework.yml") == 6
    assert "note: params/framework.yml: the report monthly shows one metric of no goal: csat" in done.output
    assert cx.invoke(main, ["-w", str(company), "check", "--strict"]).exit_code == 3
    whole = [f"  - {{goal: G, stage: {stage}, kpi: nps, source: shop, owner: Ana}}" for stage in framework.STAGES]
    (company / "params" / "framework.yml").write_text("\n".join(["goals:", *whole]) + "\n", encoding="utf-8")
    done = cx.invoke(main, ["-w", str(company), "check", "--strict"])
    assert done.exit_code == 0, done.output  # what is merely worth knowing is no gap
    assert "warning" not in done.output


def test_names_that_do_not_exist_are_faults(company: Path) -> None:
    (company / "params" / "framework.yml").write_text(GOALS.replace("kpi: nps, source: shop", "kpi: npss, source: shp"))
    done = CliRunner().invoke(main, ["-w", str(company), "check"])
    assert done.exit_code == 3
    assert "there is no params/metrics/npss.yml; did you mean 'nps'?" in done.output
    assert "there is no params/sources/shp/source.yml; did you mean 'shop'?" in done.output


def test_a_workspace_without_a_framework_leaves_nothing_open(company: Path) -> None:
    (company / "params" / "framework.yml").unlink()
    assert params.open_in(company, params.load(company)) == []


def test_stages_are_watched_only_by_goals_with_a_kpi() -> None:
    goals = [Goal(goal="A", stage="awareness"), Goal(goal="B", stage="purchase", kpi="nps")]
    assert framework.unwatched(goals) == ["awareness", "consideration", "retention", "advocacy"]


def test_the_shipped_framework_leaves_nothing_open() -> None:
    root = Path(__file__).resolve().parents[1]
    assert [gap for gap in params.open_in(root, params.load(root)) if gap.state == "gap"] == []
