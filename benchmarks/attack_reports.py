"""Attack published reports: what of all that they hide can be worked out by somebody who has read them all.

`python benchmarks/attack_reports.py WORKSPACE PACK` looks at what stands in the workspace, as after
`cx backfill monthly --from 2025-10 --to 2026-10`. Then one hidden level of each cut and month is taken as shown,
which is what a rule without neighbours comes to: it shows that the attacker has teeth.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cxlib import params
from cxlib.measure.audit import OUT_OF_RANGE
from cxlib.params.models import Params
from cxlib.reports.context import least
from cxlib.reports.disclosure import audit, families


def pages(folders: Sequence[Path], metrics: set[str]) -> list[families.Page]:
    """Read all that the folders tell, as the newest of them would be read at its gate."""
    found = []
    for folder in folders:
        page = families.standing(folder, metrics)
        found.append(families.Page(page.sums, page.frames, standing=False))
    return found


def carefree(page: families.Page) -> families.Page:
    """Take one of several hidden levels as shown, with some number: what is left hidden stands alone or nearly so."""
    sums = []
    for file, cut, frame in page.sums:
        gone = frame["rows"].isna()
        several = frame[gone].groupby("period")["level"].transform("size") > 1
        shown = frame[gone][several.to_numpy()].drop_duplicates("period", keep="last").index
        blank = [name for name in frame if name not in ("metric", "period", "level", "span")]
        sums.append(
            (file, cut, frame.assign(**{name: frame[name].mask(frame.index.isin(shown), 1.0) for name in blank}))
        )
    return families.Page(sums, page.frames, standing=False)


def attacked(known: Params, shown: Sequence[families.Page]) -> tuple[audit.Audit, list[audit.Leak], float]:
    """Return the attack, what it found, and its seconds of processor time."""
    counted = [*known.metrics.values(), OUT_OF_RANGE]
    small = {metric.id: least(known.workspace, metric) for metric in counted}
    started = time.process_time()
    told = families.gathered(shown, {one.id: one for one in counted}, known.touchpoints, known.segments)
    look = audit.Audit(told, small)
    found = look.leaks()
    return look, found, time.process_time() - started


def main() -> int:
    """Attack, and say what was found; 1 where anything was."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("workspace", type=Path)
    asked.add_argument("pack")
    given = asked.parse_args()
    known = params.load(given.workspace)
    folders = sorted((given.workspace / "reports" / given.pack).glob("[!._]*"))
    shown = pages(folders, {*known.metrics, OUT_OF_RANGE.id})
    look, found, seconds = attacked(known, shown)
    numbers = {number for family in look.families for number, _ in family}
    unknown = {number for number in numbers if number not in look.published.known}
    print(f"{len(folders)} reports, {len(look.published.hidden)} hidden cells, {len(unknown)} hidden numbers")
    print(f"{len(look.families)} sums that they stand in, of {len(numbers)} numbers; {seconds:.1f} s of processor time")
    for leak in found:
        print(f"  {leak.told()}")
    print(f"worked out: {len(found)}")
    _, easy, _ = attacked(known, [carefree(page) for page in shown])
    print(f"had one neighbour of each been shown: {len(easy)}, {sum(leak.exact for leak in easy)} of them exactly")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
