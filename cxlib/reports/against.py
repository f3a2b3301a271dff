"""Which periods a period is compared with, as people name them. Light: the command line asks before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cxlib.errors import UsageError, did_you_mean
from cxlib.params.models import Params
from cxlib.periods import Period

COMPARE: dict[str, Callable[[Period], Period]] = {
    "previous": lambda period: period.previous(),
    "year_ago": lambda period: period.year_ago(),
    "target": lambda period: period,  # compared with a number, not with a period
}


def compared(period: Period, names: Sequence[str]) -> tuple[list[Period], bool]:
    """Return the periods that a period is compared with, and whether it is compared with the target.

    `names` are of `COMPARE`, or labels of earlier periods; empty ones are passed over. `UsageError` says what else
    there is.
    """
    others: list[Period] = []
    for name in filter(None, names):
        if name not in COMPARE and not name[:1].isdigit():
            near = did_you_mean(name, COMPARE)
            raise UsageError(
                f"no comparison is called '{name}'{near}",
                hint=f"There are {', '.join(COMPARE)}, and any period such as {period.previous()}.",
            )
        if name != "target":
            others.append(COMPARE[name](period) if name in COMPARE else Period.parse(name))
    later = [other for other in others if other > period and other.kind == period.kind]
    if later:
        raise UsageError(f"{later[0].title} is later than {period.title}", hint="Compare with what came before.")
    if period in others:
        raise UsageError(f"{period} cannot be compared with itself")
    longer = [other for other in others if other.kind != period.kind]
    if longer:
        raise UsageError(
            f"{longer[0].title} is a {longer[0].kind} and {period.title} a {period.kind}: much grows with time alone",
            hint=f"Compare with another {period.kind}, such as {period.previous()}.",
        )
    return list(dict.fromkeys(others)), "target" in names


def check_values(params: Params, period: Period, given: Mapping[str, object]) -> None:
    """Refuse a metric, a segment or a period that does not exist, before any notebook is started with it.

    Parameters
    ----------
    params
        What the company decided.
    period
        The period of the run.
    given
        Parameters that were set; `metric`, `by` and `against` are looked at.

    Raises
    ------
    UsageError
        Naming all that is wrong.
    """
    faults: list[str] = []
    for name, known in (("metric", params.metrics), ("by", params.segments)):
        value = str(given.get(name, ""))
        if value and value not in known:
            faults.append(f"-p {name}={value}: there is none of this name{did_you_mean(value, known)}")
    try:
        if compared(period, [str(given.get("against", ""))])[1]:
            faults.append("-p against=target: a target has no answers to compare; name a period")
    except UsageError as error:
        faults.append(f"-p against={given['against']}: {error.message}{f' ({error.hint})' if error.hint else ''}")
    if faults:
        raise UsageError("; ".join(faults))
