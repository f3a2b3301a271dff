"""Interactions: support cases with their follow-ups, complaints, visits, messages, invoices and referrals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cxlib.contract import KINDS_OF_INTERACTION as KINDS
from cxlib.data.demo import calendar, columns
from cxlib.data.demo.calendar import DAY
from cxlib.data.demo.life import Life, Log, draw_waits, wait_factor
from cxlib.data.demo.people import People
from cxlib.data.demo.truths import SUPPORT, TRUTHS

TOUCHPOINTS = (
    *SUPPORT, "complaint_desk", "website", "checkout", "payment", "self_service", "chatbot", "social_ad", "search_ad",
    "loyalty_programme", "store_visit", "event", "onboarding", "thank_you_note", "renewal", "billing", "referral",
)  # fmt: skip
_CODE = {name: code for code, name in enumerate(TOUCHPOINTS)}
_LOADED = ("website", "checkout", "payment", "self_service", "chatbot", "social_ad", "search_ad")
_VISITED = (*_LOADED[:1], *_LOADED[3:], "loyalty_programme", "store_visit", "event")
_VISIT_SHARES = (0.30, 0.15, 0.05, 0.10, 0.10, 0.08, 0.17, 0.05)
_CHANNEL = {"support_phone": "phone", "support_chat": "chat", "support_email": "email", "store_visit": "store",
            "event": "store", "complaint_desk": "email"}  # fmt: skip
_UNKNOWN = {"wait": -1, "handle": -1, "resolved": -1, "case": -1, "agent": -1, "partner": -1}


@dataclass(frozen=True)
class Presence:
    """Every customer-month with an active day, flattened: the frame that interactions and surveys are drawn on."""

    who: np.ndarray
    month: np.ndarray
    day: np.ndarray  # first active day, days since 1970
    days: np.ndarray  # number of active days
    share: np.ndarray  # of the month
    after: np.ndarray  # latent satisfaction with the month's experience

    @classmethod
    def of(cls, life: Life, since: int) -> Presence:
        """Read it from the matrices, from month `since` on."""
        who, column = np.nonzero((life.end > life.begin)[:, since:])
        month = column + since
        begin, end = life.begin[who, month].astype(np.int64), life.end[who, month].astype(np.int64)
        share = (end - begin) / calendar.days_in(month)
        return cls(who, month, calendar.first_day(month) + begin, end - begin, share, life.after[who, month])

    def some(self, rate: float | np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw events at `rate` a month: their places in this frame, and their times (UTC seconds)."""
        place = np.repeat(np.arange(len(self.who)), rng.poisson(rate * self.share))
        day = self.day[place] + (rng.random(len(place)) * self.days[place]).astype(np.int64)
        return place, calendar.at_some_hour(day, rng)


def cases(log: Log, rng: np.random.Generator) -> Log:
    """Add to the log of cases when the first contact started and ended (UTC seconds)."""
    started = calendar.at_some_hour(calendar.first_day(log["month"]) + log["day"], rng)
    handle = _handle(len(started), rng)
    return log | {"at": started, "handle": handle, "end": started + np.maximum(log["wait"], 0) + handle}


def interactions(
    people: People, life: Life, presence: Presence, cases: Log, orders: Log, first_id: int, rng: np.random.Generator
) -> pa.Table:
    """All interactions, by kind."""
    parts = [
        *_contacts(life, cases, first_id, rng),
        _complaints(presence, cases, orders, rng),
        *_visits(presence, orders, rng),
        *_messages(people, presence, orders, rng),
    ]
    rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    known = rows["at"] < calendar.end_of_data()
    return _table(people, {key: values[known] for key, values in rows.items()}, first_id, rng)


def _rows(kind: str, touchpoint: str | np.ndarray, who: np.ndarray, at: np.ndarray, **more: np.ndarray) -> Log:
    """Return rows of one kind with everything that is not given unknown."""
    n = len(who)
    code = np.full(n, _CODE[touchpoint]) if isinstance(touchpoint, str) else touchpoint
    rows = {"who": who, "at": at, "kind": np.full(n, KINDS.index(kind)), "touchpoint": code}
    return rows | {name: np.full(n, value) for name, value in _UNKNOWN.items()} | more


def _contacts(life: Life, cases: Log, first_id: int, rng: np.random.Generator) -> list[Log]:
    """First contacts, and up to two follow-ups of the cases that stay unresolved."""
    case = first_id + np.arange(len(cases["who"]))
    parts = [_rows("contact", cases["touchpoint"], cases["who"], cases["at"], wait=cases["wait"], case=case,
                   handle=cases["handle"], resolved=cases["resolved"].astype(int), agent=cases["agent"],
                   partner=np.where(cases["touchpoint"] == 0, case % 3 - 1, -1))]  # fmt: skip
    for _ in range(2):
        last, truth = parts[-1], TRUTHS.support
        again = np.flatnonzero((last["resolved"] == 0) & (rng.random(len(last["who"])) < truth.follow_up))
        at = last["at"][again] + rng.integers(1, 6, len(again)) * DAY
        parts.append(_follow_up(life, {key: values[again] for key, values in last.items()} | {"at": at}, rng))
    return parts


def _follow_up(life: Life, rows: Log, rng: np.random.Generator) -> Log:
    """Draw another contact of the same case: its own wait, agent and outcome."""
    n, truth = len(rows["who"]), TRUTHS.support
    month = np.searchsorted(_month_starts(), rows["at"], side="right") - 1
    region = life.region[rows["who"], np.minimum(month, life.region.shape[1] - 1)]
    wait = draw_waits(rows["touchpoint"], wait_factor(region, month), rng)
    resolved = (rng.random(n) < truth.follow_up_resolved).astype(int)
    return rows | {"wait": wait, "handle": _handle(n, rng), "resolved": resolved,
                   "agent": rng.integers(0, truth.agents, n)}  # fmt: skip


def _month_starts() -> np.ndarray:
    return calendar.to_utc(calendar.first_day(np.arange(calendar.MONTHS + 1)) * DAY)


def _handle(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.rint(420 * np.exp(rng.normal(0.0, 0.6, n))).astype(np.int64)


def _complaints(presence: Presence, cases: Log, orders: Log, rng: np.random.Generator) -> Log:
    """Complaints after unresolved contacts, after late orders, and for other reasons; all more in the outage."""
    truth = TRUTHS.support

    def more(month: np.ndarray) -> np.ndarray:
        return np.where(month == calendar.index(TRUTHS.outage.month), TRUTHS.outage.complaints, 1.0)

    bad = rng.random(len(cases["who"])) < truth.complaint_unresolved * ~cases["resolved"] * more(cases["month"])
    late = rng.random(len(orders["who"])) < truth.complaint_late * orders["late"] * more(orders["month"])
    place, at = presence.some(truth.complaint_base * more(presence.month), rng)
    who = np.concatenate([cases["who"][bad], orders["who"][late], presence.who[place]])
    at = np.concatenate([cases["end"][bad] + 3600, orders["promised_at"][late] + DAY // 2, at])
    resolved = (rng.random(len(who)) < 0.8).astype(int)
    return _rows("complaint", "complaint_desk", who, at, resolved=resolved)


def _visits(presence: Presence, orders: Log, rng: np.random.Generator) -> list[Log]:
    """Visits at a rate that no satisfaction touches (a negative control), and the steps before some orders."""
    place, at = presence.some(TRUTHS.journeys.visits, rng)
    codes = np.array([_CODE[name] for name in _VISITED])
    parts = [_rows("visit", rng.choice(codes, len(place), p=_VISIT_SHARES), presence.who[place], at)]
    seen = rng.random(len(orders["who"])) < TRUTHS.journeys.before_order
    for touchpoint, seconds in (("website", 900), ("checkout", 240), ("payment", 60)):
        parts.append(_rows("visit", touchpoint, orders["who"][seen], orders["ordered_at"][seen] - seconds))
    return parts


def _messages(people: People, presence: Presence, orders: Log, rng: np.random.Generator) -> list[Log]:
    """Welcome messages, thanks, renewal letters, invoices looked at, referrals made."""
    truth = TRUTHS.journeys
    joined = presence.month == people.join_month[presence.who]
    parts = [_rows("message", "onboarding", presence.who[joined], _morning(presence.day[joined]))]
    thanked = orders["known"] & (rng.random(len(orders["who"])) < truth.thanked)
    parts.append(_rows("message", "thank_you_note", orders["who"][thanked], orders["delivered_at"][thanked] + DAY))
    referring = truth.referrals * np.exp(truth.referrals_per_satisfaction * presence.after)
    for kind, touchpoint, rate in (
        ("message", "renewal", truth.renewals),
        ("billing", "billing", truth.invoices),
        ("referral", "referral", referring),
    ):
        place, at = presence.some(rate, rng)
        parts.append(_rows(kind, touchpoint, presence.who[place], at))
    return parts


def _morning(day: np.ndarray) -> np.ndarray:
    return calendar.to_utc(day * DAY + 9 * 3600)


def _table(people: People, rows: Log, first_id: int, rng: np.random.Generator) -> pa.Table:
    """Put names on the codes; page loads and transfers are drawn here."""
    n, contact = len(rows["who"]), rows["kind"] == KINDS.index("contact")
    moved = contact & (rng.random(n) < np.where(rows["resolved"] == 0, 0.25, 0.08))
    ended = rows["at"] + np.maximum(rows["wait"], 0) + np.maximum(rows["handle"], 0)
    channel = [_CHANNEL.get(name, "web" if name in _LOADED else "email") for name in TOUCHPOINTS]
    return pa.table(
        {
            "interaction_id": columns.ids("I", first_id + np.arange(n), 10),
            "customer_id": columns.ids("C", rows["who"] + people.first),
            "started_at": columns.moments(rows["at"]),
            "touchpoint": columns.names(rows["touchpoint"], TOUCHPOINTS),
            "kind": columns.names(rows["kind"], KINDS),
            "ended_at": columns.moments(ended, contact),
            "channel": columns.names(rows["touchpoint"], channel),
            "case_id": columns.ids("K", rows["case"], 10),
            "wait_seconds": columns.whole(rows["wait"]),
            "handle_seconds": columns.whole(rows["handle"]),
            "resolved": columns.flags(rows["resolved"] == 1, rows["resolved"] >= 0),
            "transferred": columns.flags(moved, contact),
            "load_ms": columns.whole(_load(rows, rng)),
            "agent_id": columns.ids("agent_", rows["agent"], 2),
            "partner_id": columns.names(rows["partner"], ("desk_vega", "desk_luna")),
        }
    )


def _load(rows: Log, rng: np.random.Generator) -> np.ndarray:
    """Page loads in milliseconds, slower in the outage; -1 where nothing loads."""
    digital = np.isin(rows["touchpoint"], [_CODE[name] for name in _LOADED])
    month = np.searchsorted(_month_starts(), rows["at"], side="right") - 1
    slow = np.where(month == calendar.index(TRUTHS.outage.month), TRUTHS.outage.load, 1.0)
    load = np.rint(900 * slow * np.exp(rng.normal(0.0, 0.5, len(digital))))
    return np.where(digital, load, -1).astype(np.int64)
