"""The finding of a decomposition in one sentence. Only what is shown is told as a fact; nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence

from cxlib.errors import CxError
from cxlib.measure.told import Amount, Level, Told
from cxlib.params.models import Metric, Part
from cxlib.periods import Period
from cxlib.show import rows
from cxlib.show.formats import Format, shortened

_NAMED = 2  # levels that the sentence names


def sentence(told: Told, metric: Metric, form: Format) -> str:
    """Return what moved a metric, as its decomposition has it, without a full stop.

    A part whose interval holds 0 is `not shown`; where mix and rate pull apart, both are told.
    """
    if told.missing:
        return f"{metric.title}: {told.missing}"
    moved = told.change is not None and told.change.shown
    head = _change(told, metric, form)
    if told.mix is None:
        named = _by(_leading(told.rate_by, "rate"), metric, form)
        return f"{head}: {f'above all {named}' if named else 'no single level is shown to have changed'}"
    if not any(amount is not None and amount.shown for amount in (told.mix, told.rate)):
        return f"{head}: neither {_mixed(told)} nor a like-for-like change is shown"
    between = ": " if moved else ", but " if told.opposed else "; "
    return f"{head}{between}{_mix(told, metric, form)}; {_rate(told, metric, form)}"


def behind(told: Told, metric: Metric, form: Format) -> str:
    """Return what is behind a change that was told already, without a full stop; the finding where none is shown.

    A part is called most of the change only where even the near end of its interval is half of it.
    """
    if told.missing or told.change is None or not told.change.shown:
        return sentence(told, metric, form)
    since, whole = f"since {when(told.against)}", told.change.value
    if told.mix is None:
        named = _by(_leading(told.rate_by, "rate"), metric, form)
        where = f"above all {named}" if named else "no single level is shown to have changed"
        return f"Since {when(told.against)} {where}"
    mix, rate = _mix(told, metric, form), _rate(told, metric, form)
    if not told.opposed and _most(told.mix, whole):
        return f"Most of the change {since}: {mix}; {rate}"
    if not told.opposed and _most(told.rate, whole):
        return f"Most of the change {since}: {rate}; {mix}"
    return f"Since {when(told.against)} {mix}; {rate}"


def _most(part: Amount | None, whole: float) -> bool:
    """Tell whether a part goes the way of the whole and is at least half of it, at either end of its interval."""
    if part is None or not part.shown or (part.value > 0) != (whole > 0):
        return False
    return min(abs(part.low), abs(part.high)) * 2 >= abs(whole)


def when(label: str) -> str:
    """Return the title of a period, or the label as it is where it names none."""
    try:
        return Period.parse(label).title
    except CxError:
        return label


def plain(words: str) -> str:
    """Return an id as words."""
    return words.replace("_", " ")


def base_of(metric: Metric) -> str:
    """Return what a level's share is a share of."""
    if isinstance(metric.denominator, Part):
        return f"the {metric.denominator.table}"
    if metric.denominator not in ("", "1"):
        return "all customers" if metric.denominator == "customers" else "what is divided by"
    return {"responses": "the answers"}.get(metric.table, f"the {metric.table}")


def size(value: float, metric: Metric, form: Format) -> str:
    """Return a change without its sign: `7.1 points`."""
    return form.change(abs(value), metric.unit).lstrip("+")


def shares(level: Level, form: Format) -> str:
    """Return `8.0 % to 24.0 %`, the share before and after; empty where one is not known."""
    before, after = level.share
    return f"{form.value(before.value, 'percent')} to {form.value(after.value, 'percent')}" if before and after else ""


def _change(told: Told, metric: Metric, form: Format) -> str:
    """Say whether it moved, and between which values."""
    before, after = told.value
    ends = (
        f" ({form.short(before.value, metric.unit)} to {form.short(after.value, metric.unit)})"
        if before and after
        else ""
    )
    other = f"against {when(told.against)}{ends}"
    if told.change is None or not told.change.shown:
        return f"{metric.title}: no change shown {other}"
    return f"{metric.title} {_way(told.change)} {size(told.change.value, metric, form)} {other}"


def _way(amount: Amount) -> str:
    return "rose" if amount.value > 0 else "fell"


def _mixed(told: Told) -> str:
    return f"a different mix by {rows.listed([plain(name) for name in told.dimensions])}"


def _mix(told: Told, metric: Metric, form: Format) -> str:
    """Say what the mix did, and which level's share did most."""
    if told.mix is None or not told.mix.shown:
        return "no effect of the mix is shown"
    verb = "added" if told.mix.value > 0 else "took"
    top = _leading(told.mix_by, "mix", told.mix)
    named = [_grown(level, metric, form, first=place == 0) for place, level in enumerate(top)]
    above = f", above all {rows.listed(named)}" if named else ""
    return f"{_mixed(told)} {verb} {size(told.mix.value, metric, form)}{above}"


def _grown(level: Level, metric: Metric, form: Format, *, first: bool) -> str:
    """Return `partner, 8.0 % to 24.0 % of the answers`."""
    moved = shares(level, form)
    of = f" of {base_of(metric)}" if first else ""
    return f"{shortened(level.name)} ({moved}{of})" if moved else plain(level.name)


def _rate(told: Told, metric: Metric, form: Format) -> str:
    """Say what happened like for like, and where most where nothing else happened."""
    if told.rate is None or not told.rate.shown:
        return "like for like no change is shown"
    alone = told.mix is None or not told.mix.shown
    named = _by(_leading(told.rate_by, "rate", told.rate), metric, form) if alone else ""
    above = f", above all {named}" if named else ""
    return f"like for like it {_way(told.rate)} {size(told.rate.value, metric, form)}{above}"


def _by(levels: Sequence[Level], metric: Metric, form: Format) -> str:
    """Return `North (+2.1 points) and South (+1.8 points)`."""
    return rows.listed(
        [f"{shortened(one.name)} ({form.change(one.rate.value, metric.unit)})" for one in levels if one.rate]
    )


def _leading(levels: Sequence[Level], kind: str, total: Amount | None = None) -> list[Level]:
    """Return the levels that did most: shown, at least half as much as the first, and the way of `total` if given."""
    amounts = [(level, level.mix if kind == "mix" else level.rate) for level in levels]
    mine = [
        (level, amount.value)
        for level, amount in amounts
        if amount is not None and amount.shown and (total is None or (amount.value > 0) == (total.value > 0))
    ]
    return [level for level, value in mine[:_NAMED] if abs(value) * 2 >= abs(mine[0][1])]
