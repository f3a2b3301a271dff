"""The verdict on an experiment, the plan that it was made against, and whether the experiment can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from cxlib import results
from cxlib.analysis.experiments.verdict_plan import DO_NOT_SHIP, NO_CALL, SHIP, ArmDecision, read_decision
from cxlib.params.models import Experiment, Metric
from cxlib.show import markup, rows
from cxlib.show.differences import p_told, plain, sentences
from cxlib.show.formats import Format, decimals, formatting
from cxlib.show.markup import FIGURE, Html

_LOOKS = {SHIP: ("▲", "better"), DO_NOT_SHIP: ("■", "worse"), NO_CALL: ("◇", "flat")}
_STATES = {"passes": ("●", "passes", "better"), "warns": ("▲", "look", "worse"), "fails": ("■", "fails", "worse")}
_RATIO, _ALIKE = "sample_ratio_mismatch", "arms alike before the start"
_CHECKS = {_RATIO: "Arms as large as planned"}
_GRAVITY = {"fails": 0, "warns": 1, "passes": 2}


def decision_table(
    decision: pd.DataFrame,
    plan: Experiment,
    metrics: Mapping[str, Metric],
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """The verdict on each arm with its reasons, and the plan that was registered.

    Parameters
    ----------
    decision
        Result frame of `Run.decision`.
    plan
        The registered plan.
    metrics
        Metric id -> definition.
    title
        Heading; default the experiment's.
    currency, locale
        As in `charts.small_multiples`.
    """
    form, heading = formatting(currency, locale), escape(title or f"The verdict on: {plan.title}")
    mine = decision[decision["metric"] == "decision"]
    arms = read_decision(mine).arms if len(mine) else ()
    blocks = [_block(one) for one in arms] if len(mine) else [_none(decision)]
    early = [] if plan.registered else ["Not pre-registered."]
    found = escape(" ".join([*early, *(plain(one.headline) for one in arms)]))  # opens the page, where its cell leads
    warning = "" if plan.registered else _banner(
        f"Not pre-registered: the plan was written on {plan.registered_on}, after the start on {plan.start}. "
        "What is found so is a reason to test it again."
    )  # fmt: skip
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in _facts(plan, metrics, form) if words
    )
    return Html(
        f'<figure class="{FIGURE}"><figcaption>{heading}</figcaption>{warning}{"".join(blocks)}'
        f'<details data-finding="{found}"><summary>The registered plan</summary>'
        f'<dl class="facts">{facts}</dl></details></figure>'
    )


def _none(decision: pd.DataFrame) -> str:
    why = rows.why_not(decision, "nothing was decided")
    return f"<p>{escape(plain(why[:1].upper() + why[1:]))}</p>"


def _block(one: ArmDecision) -> str:
    """Return the call on one arm: in word, mark and colour, then the reasons."""
    mark, tone = _LOOKS[one.call]
    head, _, rest = plain(one.headline).partition(": ")
    reasons = "".join(f"<li>{_reason(plain(reason))}</li>" for reason in one.reasons)
    call = f'<span class="cx-{tone}"><span aria-hidden="true">{mark}</span> {escape(head)}</span>'
    told = f'<p class="lead"><strong>{call}</strong>{f": {escape(rest)}" if rest else ""}</p>'
    return told + (f"<ul>{reasons}</ul>" if reasons else "")


def _reason(words: str) -> str:
    """Return a reason; of a long one what it says first, the rest folded."""
    first, rest = sentences(words)
    rest = rest[:1].upper() + rest[1:]
    return escape(first) + (f"<details><summary>More on this</summary>{escape(rest)}</details>" if rest else "")


def _banner(words: str) -> str:
    return f'<p class="warning" role="note">{escape(words)}</p>'


def _percent(share: float, form: Format) -> str:
    return form.percent(form.number(100 * share, decimals(100 * share)))


def _facts(plan: Experiment, metrics: Mapping[str, Metric], form: Format) -> list[tuple[str, str]]:
    """Return the plan in short."""
    primary = metrics[plan.primary_metric]
    shares = rows.listed([f"{arm.replace('_', ' ')} {_percent(share, form)}" for arm, share in plan.variants.items()])
    looks = "at any time, with intervals that allow for it" if plan.any_time else rows.listed(plan.looks)
    return [
        ("What is expected", plan.hypothesis),
        ("Who", f"{plan.unit.removesuffix('_id')}s, by lot: {shares}"),
        ("When", f"{plan.start} to {plan.stop}" + (f", outcomes of {plan.window} each" if plan.window else "")),
        ("What decides", primary.title),
        ("Smallest effect that matters", _size(plan.smallest_effect_that_matters, primary, form)),
        ("What must not get worse", rows.listed([_guard(plan, metrics[name], form) for name in plan.guardrails])),
        ("Error allowed", _percent(plan.alpha, form)),
        ("Looked at before the end", looks),
        ("Registered on", f"{plan.registered_on}{'' if plan.registered else ', after the start'}"),
        ("Owner", plan.owner),
        ("What was promised", plan.decision),
    ]


def _guard(plan: Experiment, metric: Metric, form: Format) -> str:
    margin = plan.margins.get(metric.id, metric.change_that_matters)
    if margin is None:
        return metric.title
    return f"{metric.title} (by more than {_size(margin, metric, form)})"


def _size(value: float, metric: Metric, form: Format) -> str:
    return form.change(value, metric.unit).lstrip("+")


def health_table(health: pd.DataFrame, metrics: Mapping[str, Metric], *, title: str | None = None) -> Html:
    """The checks of an experiment, the gravest first; where one fails a banner says that no verdict is given.

    Parameters
    ----------
    health
        Result frame of `Run.health`.
    metrics
        Metric id -> definition, for the titles of outcomes.
    title
        Heading; default what was found.
    """
    found = rows.records(health)
    if not found or any(row["at"] not in _STATES for row in found):
        return markup.nothing(title or "Can it be believed?", rows.why_not(health, "nothing was checked"))
    found.sort(key=lambda row: (_GRAVITY[row["at"]], row["metric"] != _RATIO))
    look = [row for row in found if row["at"] != "passes"]
    fails, rest = [row for row in look if row["at"] == "fails"], found[len(look) :]
    heading = title or _health_title(len(found), len(look), len(fails))
    opened = f"<details><summary>{_passing(len(rest))}</summary>{_checks(rest, metrics)}</details>" if rest else ""
    made = Html(
        f'<figure class="{FIGURE}"><figcaption>{escape(heading)}</figcaption>{_warning(look, metrics)}'
        f"{_checks(look, metrics) if look else ''}{opened}</figure>"
    )
    made.heading, made.grid = heading, _table(found, metrics).grid
    return made


def _warning(look: Sequence[rows.Row], metrics: Mapping[str, Metric]) -> str:
    """Return what must be read before any effect: checks that fail, or arms that may not be as large as planned."""
    fails = [row for row in look if row["at"] == "fails"]
    if fails:
        return _banner(f"The verdict is withheld. What fails: {'; '.join(_check(row, metrics) for row in fails)}.")
    first = next((row for row in look if row["metric"] == _RATIO), None)
    if first is None:
        return ""
    return _banner(
        f"Read this first: {_found(first)}. The verdict is not withheld, but find out why: whoever is missing may be "
        "missing for a reason that the change has to do with."
    )


def _passing(count: int) -> str:
    return f"The {count} checks that pass" if count != 1 else "The one check that passes"


def _health_title(count: int, look: int, fails: int) -> str:
    if fails:
        return f"{fails} of {count} checks fail{'s' if fails == 1 else ''}: nothing below may be believed"
    if look:
        return f"{look} of {count} checks need{'s' if look == 1 else ''} a look; none withholds the verdict"
    return f"All {count} checks pass: nothing speaks against the experiment" if count > 1 else "The one check passes"


def _checks(found: Sequence[rows.Row], metrics: Mapping[str, Metric]) -> str:
    """Return the table of some checks, scrollable."""
    body = _table(found, metrics)
    return f'<div class="cx-scroll" role="region" aria-label="Checks" tabindex="0">{body}</div>'


def _table(found: Sequence[rows.Row], metrics: Mapping[str, Metric]) -> Html:
    columns = {
        "State": [_state(row) for row in found],
        "What was found": [markup.text_cell(_found(row)) for row in found],
    }
    return markup.table(columns, ["Check"], [(_check(row, metrics),) for row in found])


def _state(row: rows.Row) -> markup.Cell:
    mark, words, tone = _STATES[row["at"]]
    return markup.Cell(
        f'<span class="cx-{tone}"><span aria-hidden="true">{mark}</span>&nbsp;{words}</span>', number=False
    )


def _check(row: rows.Row, metrics: Mapping[str, Metric]) -> str:
    """Return what was checked, and of which outcome."""
    name = _CHECKS.get(row["metric"], row["metric"][:1].upper() + row["metric"][1:])
    outcome = metrics[row["level"]].title if row["level"] in metrics else ""
    return f"{name}: {outcome}" if outcome else name


def _found(row: rows.Row) -> str:
    """Return the words of a check, with its p-value where it has one."""
    p_value = row["p_adjusted"] if row["p_adjusted"] == row["p_adjusted"] else row["p_value"]
    told = f" ({p_told(p_value)})" if p_value == p_value and "p = " not in row["note"] else ""
    if row["metric"] == _ALIKE and row["status"] == results.OK and row["note"].endswith(_APART):
        # The raw values are of any unit; what can be compared is how far apart they are.
        value, low, high = (formatting().number(row[name], 2, sign=True) for name in ("estimate", *_ENDS))
        return f"{value}{_APART} from the control, {low} to {high}{told}"
    return f"{plain(row['note']) or 'nothing was found'}{told}"


_APART, _ENDS = " standard deviations", ("conf_low", "conf_high")
