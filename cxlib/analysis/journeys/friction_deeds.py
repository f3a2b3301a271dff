"""What goes with frictions and wins in what customers do in the 30 days after: leaving, buying again, and money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cxlib.analysis.journeys.adjusted import Design, few_events
from cxlib.analysis.journeys.friction_rows import (
    BUYING,
    HOW,
    LEAVING,
    MONEY,
    Ask,
    Money,
    Told,
    design_of,
    effects,
    whys,
)  # fmt: skip
from cxlib.analysis.journeys.touched import met
from cxlib.measure.rows import Numbers


def of_deeds(
    done: pd.DataFrame | None, mine: Sequence[str], others: Sequence[str], touched: pd.DataFrame, ask: Ask
) -> list[pd.DataFrame]:  # fmt: skip
    """Return what goes with each cause in leaving, in buying again, and in money."""
    rest = [(LEAVING, "left"), (BUYING, "bought")]
    if done is None or done.empty:
        none = Told(None, dict.fromkeys(mine, "nothing is known of what customers did afterwards"))
        return [effects(none, touched, metric, ask) for metric in (LEAVING, BUYING, MONEY)]
    design = design_of(done, [*mine, *others], [*ask.segments, "period"], ask.min_n)
    why = whys(design, done, mine)
    columns = {name: done[met(name)].to_numpy(dtype=float) for name in mine if name in design.names}
    parts, rare = [], dict(why)
    for metric, column in rest:
        y = done[column].to_numpy(dtype=float) if column in done else np.array([np.nan])
        if np.isnan(y).any():
            words = f"this workspace does not tell who {'left' if column == 'left' else 'bought again'}"
            parts.append(effects(Told(None, dict.fromkeys(mine, words)), touched, metric, ask))
            continue
        few = few_events(y, columns, design.who)
        told = why | dict.fromkeys(few, "too few of those who met it, or were spared it, did so to tell")
        rare |= told
        parts.append(effects(Told(design.fit(y), told), touched, metric, ask))
    return [*parts, _money(done, design, rare, touched, ask)]


def _money(
    done: pd.DataFrame, design: Design, why: Mapping[str, str], touched: pd.DataFrame, ask: Ask
) -> pd.DataFrame:  # fmt: skip
    """Return what those who met each cause in this period are worth less, or more, than had they been spared."""
    worth, words = _worth(done, ask.money)
    told = Told(None, dict.fromkeys(touched.index, words)) if worth is None else Told(design.fit(worth), why)
    rows = effects(told, touched, MONEY, ask)
    many = touched["touched"].to_numpy()
    ends = ("estimate", "std_error", "conf_low", "conf_high")
    return rows.assign(**{name: rows[name] * many for name in ends}, method=f"{words}; {HOW}")


def _worth(done: pd.DataFrame, money: Money) -> tuple[Numbers | None, str]:
    """Return what each customer is worth after a month: what is bought in 30 days, less what goes with leaving."""
    if "amount" not in done or done["amount"].isna().any():
        return None, "this workspace does not tell what customers bought"
    margin = money.margin
    if margin is None:
        costed = float(done["costed"].sum())
        margin = 1 - float(done["cost"].sum()) / costed if costed > 0 else 1.0
    earned = margin * done["amount"].to_numpy(dtype=float)
    words = f"customers who met it in this period x margin of the 30 days after ({100 * margin:.0f} % of amounts)"
    left = done["left"].to_numpy(dtype=float)
    if np.isnan(left).any():
        return earned, words
    kept = (1 - left.mean()) / (1 + money.discount) ** (1 / 12)
    ahead = earned[left == 0].mean() * sum(kept**month for month in range(1, money.months + 1))
    return earned - left * ahead, f"{words}, less {money.months} months' margin of who leaves"
