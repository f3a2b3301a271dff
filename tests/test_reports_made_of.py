"""What a run is made of: what makes a report anew, and what leaves it alone."""

from __future__ import annotations

from pathlib import Path

import quick_workspace as quick

from cxlib import params
from cxlib.data.ledger import Ledger
from cxlib.periods import Period
from cxlib.reports import made_of
from cxlib.reports.runner import builds


def digests(root: Path, period: str) -> dict[str, str]:
    made_of._files.cache_clear()
    (build,) = builds(root, "quick", [period], parameters={})
    return made_of.tables_of(root, build.params, build.snapshot, build.period)


def test_data_of_settled_months_make_nothing_anew(tmp_path: Path) -> None:
    root = quick.workspace(tmp_path / "w", ("2026-01", "2026-02", "2026-03"))
    january, march = digests(root, "2026-01"), digests(root, "2026-03")
    quick.take_in(root, ("2026-05",))  # four months after January, two after March
    assert digests(root, "2026-01") == january
    assert digests(root, "2026-03") != march
    march = digests(root, "2026-03")
    quick.take_in(root, ("2026-01",), first=60)  # late answers
    assert digests(root, "2026-01") != january
    assert digests(root, "2026-03") != march


def test_what_changed_is_named(tmp_path: Path) -> None:
    root = quick.workspace(tmp_path / "w", ("2026-09",))
    (build,) = builds(root, "quick", ["2026-09"], parameters={})
    then = {
        "period": "2026-09", "made_of": made_of.made_of(build), "notebooks": build.notebook_hashes(),
        "parameters": {"given": {}},
    }  # fmt: skip
    assert made_of.changed(then, build) == []
    metric = root / "params" / "metrics" / "nps.yml"
    metric.write_text(metric.read_text(encoding="utf-8") + "target: 20\n", encoding="utf-8")
    quick.notebook(root, "02_levels", "1 + 1")
    (build,) = builds(root, "quick", ["2026-09"], parameters={})
    assert made_of.changed(then, build) == ["the notebooks (02_levels)", "the definitions (metrics/nps)"]
    assert made_of.changed(then | {"made_of": then["made_of"] | {"code": "another"}}, build)[-1] == "the code"
    assert "the data" in made_of.changed({}, build)  # a manifest of before there were such digests


def test_a_table_without_time_is_always_read_whole(tmp_path: Path) -> None:
    root = quick.workspace(tmp_path / "w", ("2026-01",))
    snapshot = Ledger.find(root / "data" / "store")
    tables = {"tables": {name: {"version": version.version} for name, version in snapshot.tables.items()}}
    made_of._files.cache_clear()
    found = made_of.params_of(params.load(root), "quick")
    assert {"workspace", "reports/quick", "codebook", "metrics/nps", "segments/channel"} <= set(found)
    assert set(made_of.tables_of(root, params.load(root), tables, Period.parse("2026-01"))) == {"responses"}
    assert made_of._MONTH.fullmatch("all") is None
