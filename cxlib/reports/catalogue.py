"""The home page of the reports: every pack with its newest report, verdicts at a glance, what came before, a search.

All of it is told from the manifests, so that a page over hundreds of reports opens no other file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from html import escape
from typing import Any

from cxlib.errors import UsageError
from cxlib.periods import Period
from cxlib.reports import finder, page, places
from cxlib.show.formats import formatting

_TITLES = {
    400: "This address cannot be read.",
    403: "This is not for you to see.",
    404: "There is no such page.",
    405: "Nothing can be sent to this page.",
    413: "That is more than this server takes.",
    429: "Too many requests.",
    500: "This page could not be made.",
    503: "All places are taken.",
}
_HELP = {
    400: "It may have been cut off when it was copied.",
    403: "Ask whoever sent you the link, or who looks after these reports, to let you in.",
    404: "The report may have been withdrawn, or the link may have been cut off when it was copied.",
    429: "Wait a moment, then load the page again.",
    503: "As many people explore reports as this server has room for. Published pages can be read all the same; "
    "try again in a few minutes.",
}
_VERDICTS = {
    "better": "better",
    "worse": "worse",
    "moved": "moved",
    "flat": '<span aria-hidden="true">○</span> no change shown',
    "few": '<span aria-hidden="true">◇</span> too few to tell',
}
_LATE = 3  # periods behind the data from which on a pack is taken for one that is no longer made


def sorry(company: str, status: int, *, told: str = "") -> str:
    """Return the page of something that is not there, not allowed, or did not work.

    Parameters
    ----------
    company
        Whose reports these are.
    status
        The HTTP status; those that have no words of their own read as 500.
    told
        What else the reader should know, as plain text, in place of the usual advice.
    """
    title = _TITLES.get(status, _TITLES[500])
    advice = escape(told or _HELP.get(status, "Try again; if it stays so, tell who looks after these reports."))
    return page.plain(title, f'<p>{advice}</p><p><a href="/">All reports</a></p>', company)


def home(standing: Sequence[places.Standing], company: str, *, query: str = "", now: datetime | None = None) -> str:
    """Return the catalogue, or what of it a search finds.

    Parameters
    ----------
    standing
        The reports that the reader may see, each pack's newest first (`places.catalogue`).
    company
        Whose reports these are.
    query
        Words to be found in titles, periods, pages, metrics, owners and headlines; empty for the whole catalogue.
    now
        The time, naive UTC; with it, ages are told in days.
    """
    words = finder.words_of(query)
    parts = ["<h1>Reports</h1>", _search(query)] if standing else ["<h1>Reports</h1>"]
    if not standing:
        parts.append("<p>No report is published yet, or none for you. Make one with <code>cx run monthly</code>.</p>")
    elif words:
        parts.append(finder.results(standing, query, words))
    else:
        closed, packs = _closed(standing), dict[str, list[places.Standing]]()
        for one in standing:
            packs.setdefault(one.pack, []).append(one)
        first = sorted(packs.values(), key=lambda mine: _period(mine[0].period) is None)  # packs that come every period
        parts += [_pack(mine, closed, now) for mine in first]
    return page.page("Reports", "\n".join(parts), page.Shell(company, "", ""), policy=page.FORM_POLICY)


def beside(standing: Iterable[places.Standing], pack: str, period: str, name: str = "index") -> dict[str, page.Link]:
    """Return `older` and `newer`: the same page of the report before and after, where they stand and have that page."""
    own, mine = _period(period), [one for one in standing if one.pack == pack and _has(one, name)]
    if own is None:
        return {}
    others = {p: one for one in mine if (p := _period(one.period)) is not None and p.kind == own.kind}
    nearest = {
        "older": max((p for p in others if p < own), default=None),
        "newer": min((p for p in others if p > own), default=None),
    }
    return {
        key: page.Link(f"/reports/{pack}/{others[p].period}/{name}.html", p.title)
        for key, p in nearest.items()
        if p is not None
    }


def _has(one: places.Standing, name: str) -> bool:
    return name == "index" or name in one.manifest.get("pages", {})


def _period(label: str) -> Period | None:
    """Return the period of that name; None for a report about something else, an experiment."""
    try:
        return Period.parse(label)
    except UsageError:
        return None


def _search(query: str) -> str:
    value = f' value="{escape(query[: finder.LONGEST])}"' if query else ""
    return (
        '<form class="search" method="get" action="/" role="search"><label for="q">Search</label>'
        f'<input type="search" id="q" name="q" maxlength="{finder.LONGEST}" autocomplete="off"{value}>'
        '<button type="submit">Search</button></form>'
    )


def _closed(standing: Iterable[places.Standing]) -> dict[str, Period]:
    """Return by kind the last period that the data of any report hold whole."""
    told = (_period(one.manifest.get("glance", {}).get("closed", "")) for one in standing)
    return {period.kind: period for period in sorted(filter(None, told))}


def _pack(mine: Sequence[places.Standing], closed: Mapping[str, Period], now: datetime | None) -> str:
    """Return a pack: its newest report at a glance, how fresh it is, and the reports before it."""
    newest, title, audience = mine[0], mine[0].manifest["title"], mine[0].manifest["audience"]
    anchor = escape(f"pack-{newest.pack}")
    earlier = _years(mine) if _period(newest.period) else _others(mine[1:])
    return (
        f'<section class="pack" aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(title)}</h2>'
        f'<p class="soft">For: {escape(audience)}</p>{_newest(newest)}{_fresh(newest, closed, now)}{earlier}</section>'
    )


def _newest(one: places.Standing) -> str:
    """Return a report at a glance: its headline, its verdicts, its pages."""
    lead, *rest = one.manifest.get("headline") or [""]
    title = f'<h3><a href="{_address(one)}">{escape(one.manifest["period_title"])}</a></h3>'
    told = f'<p class="lead">{escape(lead)}</p>' + (f'<p class="soft">{escape(rest[0])}</p>' if rest else "")
    table = _verdicts(one.manifest.get("glance", {}))
    return f'{title}<div class="at-glance"><div>{told}{_pages(one)}</div>{table}</div>'


def _address(one: places.Standing, name: str = "index") -> str:
    return escape(f"/reports/{one.pack}/{one.period}/{name}.html")


def _verdicts(glance: Mapping[str, Any]) -> str:
    """Return a table of how many metrics came out which way against what; empty without verdicts."""
    found = glance.get("verdicts", {})
    if not found:
        return ""
    heads = "".join(f'<th scope="col" class="cx-num">{escape(_against(other))}</th>' for other in found)
    lines = "".join(
        f'<tr><th scope="row">{words}</th>{"".join(_count(counts, name) for counts in found.values())}</tr>'
        for name, words in _VERDICTS.items()
        if any(counts.get(name) for counts in found.values())
    )
    return (
        '<table class="cx-table verdicts"><caption class="unseen">How many metrics came out which way</caption>'
        f'<thead><tr><th scope="col">Metrics</th>{heads}</tr></thead><tbody>{lines}</tbody></table>'
    )


def _count(counts: Mapping[str, int], name: str) -> str:
    number = counts.get(name, 0)
    tone = name if name in ("better", "worse") and number else "flat"
    return f'<td class="cx-num"><span class="cx-{tone}">{number or "–"}</span></td>'


def _against(other: str) -> str:
    period = _period(other)
    return f"since {period.title}" if period else "against target" if other == "target" else other


def _pages(one: places.Standing) -> str:
    """Return links to the pages of a report."""
    pages = one.manifest["pages"].items()
    items = "".join(f'<li><a href="{_address(one, name)}">{escape(title)}</a></li>' for name, title in pages)
    return f'<ul class="inline">{items}</ul>' if items else ""


def _fresh(one: places.Standing, closed: Mapping[str, Period], now: datetime | None) -> str:
    """Return how old a report and its data are, and what the data would allow and is not there."""
    glance, made = one.manifest.get("glance", {}), _moment(one.manifest["started_at"])
    until = _moment(glance.get("data_until", ""))
    day = formatting().day
    parts = [f"Data until {day(until)}{_ago(until, now)}"] if until else []
    parts += [f"made {day(made)}{_ago(made, now)}"] if made else []
    line = " · ".join([*parts, f"snapshot {one.manifest['snapshot']['id']}"])
    return f'<p class="soft">{escape(line[:1].upper() + line[1:])}</p>{_missing(_period(one.period), closed)}'


def _missing(own: Period | None, closed: Mapping[str, Period]) -> str:
    """Say which closed period of the data has no report; a pack that is far behind is taken for one that has ended."""
    last = closed.get(own.kind) if own else None
    if own is None or last is None or own >= last:
        return ""
    behind = len(Period.range(own, last)) - 1
    if behind > _LATE:
        return f'<p class="soft">Not made since {escape(own.title)}.</p>'
    return (
        f'<p class="warning">The data hold {escape(last.title)} whole; the newest report is of {escape(own.title)}.</p>'
    )


def _years(mine: Sequence[places.Standing]) -> str:
    """Return all reports of a pack of periods, a line a year; a shape says what became of the lead metric."""
    found = {period: one for one in mine if (period := _period(one.period)) is not None}
    if len(found) < 2:
        return ""
    years: dict[str, list[Period]] = {}
    for period in Period.range(min(found), max(found)):
        years.setdefault(period.label[:4], []).append(period)
    cells = {year: "".join(_cell(period, found.get(period)) for period in shown) for year, shown in years.items()}
    lines = "".join(
        f'<dt>{year}</dt><dd><ol class="grid">{_blanks(years[year][0])}{cells[year]}</ol></dd>'
        for year in sorted(years, reverse=True)
    )
    return f'<h3>All periods</h3><dl class="years">{lines}</dl>{_legend(mine)}'


def _blanks(first: Period) -> str:
    """Return empty places before the first period of a year, so that the same months stand below each other."""
    before = {"month": first.first_day.month - 1, "quarter": (first.first_day.month - 1) // 3}.get(first.kind, 0)
    return '<li class="before" aria-hidden="true"></li>' * before


def _cell(period: Period, one: places.Standing | None) -> str:
    """Return one period of the grid: its report, or that there is none."""
    short = escape(period.short)
    if one is None:
        return (
            f'<li><span class="none"><span aria-hidden="true">{short}</span>'
            f'<span class="unseen">{escape(period.title)}: no report</span></span></li>'
        )
    told, shape, tone = _verdict(period, one.manifest.get("glance", {}).get("lead", {}))
    mark = f' <span class="cx-{escape(tone)}">{escape(shape)}</span>' if shape else ""
    return (
        f'<li><a href="{_address(one)}"><span aria-hidden="true"><b>{short}</b>{mark}</span>'
        f'<span class="unseen">{escape(period.title + told)}</span></a></li>'
    )


def _verdict(period: Period, lead: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what became of the lead metric, in words, shape and tone: since the period before, else since a year."""
    earlier = [period.previous(), period.year_ago()]
    found = [(other, *lead["verdicts"][other.label]) for other in earlier if other.label in lead.get("verdicts", {})]
    moved = [one for one in found if one[1] in ("▲", "▼")]
    if not found:
        return "", "", "flat"
    other, shape, words, tone = (moved or found)[0]
    return f": {lead['title']}, {words} since {other.title}", shape, tone


def _legend(mine: Sequence[places.Standing]) -> str:
    """Return what the shapes of the grid say; empty where there are none."""
    leads = [one.manifest.get("glance", {}).get("lead", {}) for one in mine]
    told = next((lead for lead in leads if lead.get("verdicts")), None)
    if told is None:
        return ""
    shapes = "▲ up, ▼ down (blue better, orange worse), ○ no change shown, ◇ too few to tell"
    since = "since the period before or, where that shows no change, a year before"
    return f'<p class="soft">{escape(told["title"])} {since}: {shapes}.</p>'


def _others(rest: Sequence[places.Standing]) -> str:
    """Return the other reports of a pack that is not about periods."""
    items = "".join(
        f'<li><a href="{_address(one)}">{escape(one.manifest["period_title"])}</a>'
        f"<p>{escape(next(iter(one.manifest.get('headline', [])), ''))}</p></li>"
        for one in rest
    )
    return f'<h3>Others</h3><ul class="pages">{items}</ul>' if items else ""


def _moment(text: str) -> date | None:
    """Return the day of an ISO time; None for none."""
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        return None


def _ago(day: date, now: datetime | None) -> str:
    days = (now.date() - day).days if now else -1
    return "" if days < 0 else " (today)" if days == 0 else f" ({days} day{'s' * (days != 1)} ago)"
