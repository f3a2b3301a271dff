"""The gate: a run that tells what is hidden mends itself or is refused, beside all that is published."""

from __future__ import annotations

import csv
import json
from calendar import monthrange
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import quick_workspace as quick

import cxlib as cx
from cxlib import params
from cxlib.data.ingest import ingest
from cxlib.errors import BusyError, DisclosureError
from cxlib.periods import Period
from cxlib.reports import disclosure, places, withheld
from cxlib.reports.context import least
from cxlib.reports.disclosure import audit, families
from cxlib.reports.runner import run_pack
from cxlib.reports.verifying import verify

pytestmark = pytest.mark.usefixtures("warm_module")
SEGMENT = "title: Channel\nquestion: Where?\non: event\ncolumn: channel\nowner: Insight\n"
LEVELS = "answers = run.measure(by='channel', periods=2, compare='previous')\nrun.record(answers)"
WHY = "parts = run.explain('nps', by='channel', against='previous')\nrun.record(parts)"
# Of October web is the smallest beside shop; of both months, phone is. So one page hides web and the other shows it.
SIZES = {"2026-09": {"web": 30, "phone": 12, "shop": 3}, "2026-10": {"web": 22, "phone": 30, "shop": 4}}


def company(root: Path, sizes: Mapping[str, Mapping[str, int]], second: str = WHY) -> Path:
    """Write a workspace with so many answers by month and channel, each of another customer."""
    quick.workspace(root, ())
    (root / "params" / "segments" / "channel.yml").write_text(SEGMENT, encoding="utf-8")
    quick.notebook(root, "01_score", LEVELS)
    quick.notebook(root, "02_levels", second)
    raw = root / "data" / "raw" / "answers"
    with (raw / "responses.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["response_id", "responded_at", "instrument", "score", "customer_id", "channel"])
        for month, channels in sizes.items():
            last = monthrange(int(month[:4]), int(month[5:]))[1]
            for channel, n in channels.items():
                for one in range(n):
                    name = f"{month}-{channel}-{one}"
                    out.writerow(
                        [name, f"{month}-{last - one % 28:02} 10:00:00", "nps", one * 7 % 11, f"c-{name}", channel]
                    )
    ingest(root, params.load(root), "answers", folder=raw)
    return root


def manifest(root: Path, period: str = "2026-10") -> dict[str, Any]:
    return json.loads((root / "reports" / "quick" / period / "run.json").read_text(encoding="utf-8"))


def look(root: Path, folders: list[Path]) -> audit.Audit:
    """What an attacker sees who reads some published folders."""
    known = params.load(root)
    frames = [[("results.parquet", pd.read_parquet(folder / "results.parquet"))] for folder in folders]
    sums = [families.standing(folder, set(known.metrics)).sums for folder in folders]
    pages = [families.Page(one, other, False) for one, other in zip(sums, frames, strict=True)]
    small = {name: least(known.workspace, metric) for name, metric in known.metrics.items()}
    return audit.Audit(families.gathered(pages, known.metrics, known.touchpoints), small)


def test_a_page_that_shows_what_another_hides_is_made_again(tmp_path: Path) -> None:
    root = company(tmp_path, SIZES)
    seen: list[tuple[str, str]] = []
    run_pack(root, "quick", "2026-10", progress=lambda *step: seen.append((step[1], step[4])))
    found = manifest(root)["disclosure"]
    assert found["verdict"] == "passed"
    assert ["nps", "channel", "2026-10", "web"] in found["withheld"]
    assert seen.count(("02_levels", "done")) == 2
    folder = root / "reports" / "quick" / "2026-10"
    shown = pd.read_parquet(folder / "results.parquet")
    gone = {("2026-10", "web"), ("2026-10", "shop"), ("2026-09", "phone"), ("2026-09", "shop")}
    for period, level in gone:
        rows = shown[(shown["period"] == period) & (shown["level"] == level)]
        assert (rows["status"] == "suppressed").all()
        assert rows[["estimate", "n", "conf_low"]].isna().all(axis=None)
    assert not look(root, [folder]).leaks()
    left = {path.name for path in folder.iterdir()}
    assert not left & {withheld.FILE, "results", ".results"}

    (again,) = verify(root, "quick", progress=lambda *_: None)  # makes the same choice, without the gate's rounds
    assert again.differences == ()


def test_without_the_gate_it_would_be_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same two pages, as they were before the gate looked: shop's four answers are the whole less the others."""
    monkeypatch.chdir(company(tmp_path, SIZES))
    folder = tmp_path / "out"
    one = cx.open_run("2026-10", pack="quick", run_folder=str(folder), notebook="01_score")
    two = cx.open_run("2026-10", pack="quick", run_folder=str(folder), notebook="02_levels")
    frames = [one.measure(by="channel"), one.measure(), two.explain("nps", by="channel", against="previous")]
    cx.results.concat(frames).to_parquet(folder / "results.parquet")
    (leak,) = [leak for leak in look(tmp_path, [folder]).leaks() if leak.number.what == families.ROWS]
    assert (leak.number.level, leak.number.period, leak.low, leak.high) == ("shop", "2026-10", 4, 4)
    assert leak.told() == (
        "how many answers of responses 2026-10 by channel = shop can be worked out exactly from 3 numbers that are "
        "shown with it"
    )


@pytest.mark.parametrize(
    ("level", "n", "said"),
    [
        ("shop", 4.0, "results/02_levels.parquet: nps 2026-10, channel = shop: fewer than 5 answers"),
        ("web", 22.0, "nps 2026-10 by channel = web is shown there and hidden elsewhere"),
    ],
)
def test_a_frame_recorded_unmasked_publishes_nothing(tmp_path: Path, level: str, n: float, said: str) -> None:
    leak = (
        "run.record(run.measure(), cx.results.frame(metric='nps', period='2026-10', segment='channel', "
        f"level='{level}', estimate=1.0, n={n}))"
    )
    root = company(tmp_path, SIZES, second=leak)
    with pytest.raises(DisclosureError, match=said) as fault:
        run_pack(root, "quick", "2026-10")
    assert fault.value.exit_code == DisclosureError.exit_code != 0
    assert not (root / "reports" / "quick" / "2026-10").exists()
    (failed,) = (root / "reports" / "_failed" / "quick").iterdir()
    assert said in (failed / "index.html").read_text(encoding="utf-8")


def test_last_months_choice_is_kept(tmp_path: Path) -> None:
    """September's report hides phone beside shop. Late answers make web September's smallest: phone stays hidden."""
    root = company(tmp_path, SIZES, second="run.record(run.measure())")
    run_pack(root, "quick", "2026-09")
    before = {tuple(cell) for cell in manifest(root, "2026-09")["disclosure"]["hidden"]}
    assert ("nps", "channel", "2026-09", "phone") in before
    late = {"2026-09": {"web": 6, "phone": 40, "shop": 3}, "2026-10": SIZES["2026-10"]}
    moved = company(tmp_path / "late", late, second="run.record(run.measure())")
    (moved / "reports").mkdir(exist_ok=True)
    (root / "reports" / "quick").rename(moved / "reports" / "quick")
    run_pack(moved, "quick", "2026-10")
    found = manifest(moved)["disclosure"]
    assert before <= {tuple(cell) for cell in found["withheld"]}
    assert ["nps", "channel", "2026-09", "phone"] in found["hidden"]
    reports = [moved / "reports" / "quick" / period for period in SIZES]
    assert not look(moved, reports).leaks()


def test_a_report_published_meanwhile_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's worker saw September alone; before it is published, another report is: it is looked at once more."""
    root = company(tmp_path, SIZES, second="run.record(run.measure())")
    run_pack(root, "quick", "2026-09")
    others, publish, asked = places.others, places.publish, []

    def late(reports: Path, name: tuple[str, str]) -> list[places.Standing]:
        asked.append(name)
        found = others(reports, name)
        return [*found, places.Standing("quick", "2026-08", found[0].folder, {})] if len(asked) > 1 else found

    def alone(place: places.Place) -> Path | None:
        with pytest.raises(BusyError, match="another run is publishing"), places.publishing(place.reports):
            pass  # so no other process can publish between the last look and the rename
        return publish(place)

    for name, stand_in in {"others": late, "publish": alone, "_PATIENCE": 0.0}.items():
        monkeypatch.setattr(places, name, stand_in)
    run_pack(root, "quick", "2026-10")
    assert manifest(root)["disclosure"]["beside"] == places.named(late(root / "reports", ("quick", "2026-10")))


def test_thirteen_months_tell_nothing_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack over a year of reports of a small company, each with three months by channel and its change explained.

    Without kernels: each month is made twice at most, the second time with what the gate asks for.
    """
    months = [month.label for month in Period.parse("2026-10").last(13)]
    sizes = {
        month: {"web": 40 + 7 * n % 11, "phone": 9 + 5 * n % 13, "shop": 2 + 3 * n % 5, "mail": 12 + n % 4}
        for n, month in enumerate(months)
    }
    root = company(tmp_path, sizes)
    monkeypatch.chdir(root)
    known, reports, hidden = params.load(root), root / "reports" / "quick", 0
    small = {name: least(known.workspace, metric) for name, metric in known.metrics.items()}
    for month in months[1:]:
        standing, away = sorted(reports.glob("20*")), set()
        for folder in standing:
            away |= {disclosure.Cell(*cell) for cell in json.loads((folder / "hidden.json").read_text())}
        for attempt in range(4):
            folder = tmp_path / "building" / f"{month}-{attempt}"
            folder.mkdir(parents=True)
            withheld.write(folder, away)
            run = cx.open_run(month, pack="quick", run_folder=str(folder), notebook="01_score")
            why = run.explain("nps", by="channel", against="previous")
            cx.results.concat([run.measure(periods=3), run.measure(by="channel", periods=3), why]).to_parquet(
                folder / "results.parquet"
            )
            beside = disclosure.Beside(known.metrics, known.touchpoints, standing, away)
            found = disclosure.check(folder, small, known.workspace.min_n, beside)
            if not found["withhold"]:
                break
            away |= {disclosure.Cell(*cell) for cell in found["withhold"]}
        assert found["verdict"] == "passed", found["found"]
        (folder / "hidden.json").write_text(json.dumps(found["hidden"]))
        reports.mkdir(parents=True, exist_ok=True)
        folder.rename(reports / month)
        hidden += len(found["hidden"])
    assert hidden > 40
    assert not look(root, sorted(reports.glob("20*"))).leaks()
