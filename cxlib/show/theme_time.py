"""How did each theme go? One small panel a theme over the last months."""

from __future__ import annotations

import pandas as pd

from cxlib import results
from cxlib.analysis.voice.rates import ANY, CORRECTED, METRICS, SHARE
from cxlib.periods import Period
from cxlib.show import rows
from cxlib.show.canvas import Chart, nothing, themed
from cxlib.show.drivers import why
from cxlib.show.formats import formatting
from cxlib.show.theme_lines import lines
from cxlib.show.trends import small_multiples

_MOST, _LEAST = 9, 3  # panels, and months with a number that a panel needs: other themes are in the table


@themed
def theme_time(themes: pd.DataFrame, *, finding: str | None = None, locale: str | None = None) -> Chart:
    """One panel a theme: the share of texts that name it month by month, with its interval; hidden months are gaps.

    Parameters
    ----------
    themes
        As in `themes.theme_shares`.
    finding, locale
        As in `small_multiples`.
    """
    monthly = themes[(themes["at"] == "") & (themes["comparison"] == "level") & (themes["level"] != ANY)]
    known = monthly[(monthly["status"] == results.OK) & (monthly["metric"] == SHARE) & (monthly["estimate"] > 0)]
    months = known["level"].value_counts()
    order = [one.name for one in lines(themes) if months.get(one.name, 0) >= _LEAST][:_MOST]
    if not order:
        return nothing(why(themes, "no theme is named by enough customers in several months"), finding)
    right = set(monthly.loc[(monthly["status"] == results.OK) & (monthly["metric"] == CORRECTED), "level"])
    of = monthly["level"].isin(right).map({True: CORRECTED, False: SHARE})
    drawn = monthly[(monthly["metric"] == of) & monthly["level"].isin(order)]
    place = drawn["level"].map({name: number for number, name in enumerate(order)})
    panels = drawn.assign(_place=place).sort_values(["_place", "period"], kind="stable").drop(columns="_place")
    panels = results.conform(panels.assign(metric=panels["level"], segment="all", level="all"))
    defined = {name: METRICS[SHARE].model_copy(update={"id": name, "title": name}) for name in order}
    return small_multiples(panels, defined, finding=finding or _finding(panels, locale), locale=locale)


def _finding(panels: pd.DataFrame, locale: str | None) -> str:
    """Name the theme that went furthest from month to month, by its widest interval: what it did, no verdict."""
    form, ends = formatting(None, locale), {}
    for name in dict.fromkeys(panels["metric"]):
        known = rows.records(panels[(panels["metric"] == name) & (panels["status"] == results.OK)])
        low, high = (pick(known, key=lambda row: float(row["estimate"])) for pick in (min, max))
        widest = max(row["conf_high"] - row["conf_low"] for row in known)
        ends[name] = ((high["estimate"] - low["estimate"]) / widest if widest > 0 else 0.0, low, high)
    name = max(ends, key=lambda one: ends[one][0])
    told = [
        f"{form.value(row['estimate'], 'percent')} of texts in {Period.parse(row['period']).title}"
        for row in ends[name][1:]
    ]
    return f"{name} went furthest: between {told[0]} and {told[1]}"
