"""Who is asked, what they would answer, who answers, when: invitations and responses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cxlib.data.demo import calendar, columns, comments, shop
from cxlib.data.demo.calendar import DAY
from cxlib.data.demo.contacts import Presence
from cxlib.data.demo.life import Life, Log, effect_of_contact, effect_of_delivery
from cxlib.data.demo.people import People
from cxlib.data.demo.truths import LANGUAGES, SUPPORT, TRUTHS

INSTRUMENTS = ("nps", "csat", "ces")
TOUCHPOINTS = ("survey", "delivery", *SUPPORT)
QUESTIONS = (
    "How likely are you to recommend Lumen & Loom?",
    "How satisfied are you?",
    "Lumen & Loom made it easy for me.",
)
# The answers from which on the mood is middle, and high.
_MOODS = {"nps": (7, 9), "csat": (3, 4), "ces": (4, 5)}


@dataclass(frozen=True)
class Asked:
    """One row per invitation: what it asks, and what would be answered by everybody asked."""

    who: np.ndarray
    sent: np.ndarray  # UTC seconds
    instrument: np.ndarray
    touchpoint: np.ndarray
    order: np.ndarray  # place in the orders, -1 for none
    score: np.ndarray
    base: np.ndarray  # latent satisfaction before the experience asked about; for nps, with the month's experience
    latent: np.ndarray  # with that experience; the answer adds noise of standard deviation 1
    late: np.ndarray  # what happened: the causes that a comment may mention
    wait: np.ndarray  # seconds, -1 for none
    unresolved: np.ndarray


def asked(people: People, life: Life, presence: Presence, orders: Log, cases: Log, rng: np.random.Generator) -> Asked:
    """Draw all invitations and the answers that would be given."""
    parts = [
        _relationship(people, presence, orders, cases, rng),
        _after_delivery(people, life, orders, rng),
        _after_contact(life, cases, rng),
    ]
    names = list(Asked.__dataclass_fields__)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in names}
    known = whole["sent"] < calendar.end_of_data()
    return Asked(**{name: values[known] for name, values in whole.items()})


def _relationship(people: People, presence: Presence, orders: Log, cases: Log, rng: np.random.Generator) -> Log:
    """NPS: a share of the active each month, a few customers four times."""
    truth, n = TRUTHS.surveys, len(presence.who)
    times = np.where(people.over_contacted[presence.who], 4, rng.random(n) < truth.nps_share)
    place = np.repeat(np.arange(n), times)
    day = presence.day[place] + (rng.random(len(place)) * presence.days[place]).astype(np.int64)
    key = presence.who * calendar.MONTHS + presence.month
    in_month = {name: log["who"] * calendar.MONTHS + log["month"] for name, log in (("o", orders), ("c", cases))}
    size = people.n * calendar.MONTHS
    late = np.bincount(in_month["o"], orders["late"], size)[key] > 0
    unresolved = np.bincount(in_month["c"], ~cases["resolved"], size)[key] > 0
    wait = np.full(size, -1)
    np.maximum.at(wait, in_month["c"], cases["wait"])
    return _part("nps", 0, presence.who[place], calendar.at_some_hour(day, rng), presence.after[place], rng,
                 late=late[place], wait=wait[key][place], unresolved=unresolved[place])  # fmt: skip


def _after_delivery(people: People, life: Life, orders: Log, rng: np.random.Generator) -> Log:
    """CSAT a day after delivery; a few are sent before the parcel came."""
    truth, draw = TRUTHS.surveys, rng.random(len(orders["who"]))
    place = np.flatnonzero(orders["known"] & (draw < truth.delivery_share))
    log = {key: values[place] for key, values in orders.items()}
    early = rng.random(len(place)) < truth.sent_before_arrival
    on_the_way = rng.uniform(0.2, 0.8, len(place)) * (log["delivered_at"] - log["ordered_at"])
    sent = np.where(early, log["ordered_at"] + on_the_way.astype(np.int64), log["delivered_at"] + DAY)
    late = log["late"] & ~early
    base = life.before[log["who"], log["month"]]
    latent = base + effect_of_delivery(late, log["days_late"]) + TRUTHS.satisfaction.asked_too_early * early
    latent = latent + TRUTHS.delivery_updates.shift * shop.treated(people, log)
    return _part("csat", 1, log["who"], sent, latent, rng, base=base, order=place, late=late)


def _after_contact(life: Life, cases: Log, rng: np.random.Generator) -> Log:
    """CSAT or CES, by a coin, an hour after a first contact."""
    truth = TRUTHS.satisfaction
    place = np.flatnonzero(rng.random(len(cases["who"])) < TRUTHS.surveys.support_share)
    log = {key: values[place] for key, values in cases.items()}
    base = life.before[log["who"], log["month"]]
    effort = rng.random(len(place)) < 0.5
    latent = base + np.where(effort, truth.ces_support_offset, truth.csat_support_offset)
    latent = latent + effect_of_contact(log["wait"], log["resolved"])
    parts = []
    for instrument, mine in (("csat", ~effort), ("ces", effort)):
        rows = {name: values[mine] for name, values in log.items()}
        more = {"base": base[mine], "wait": rows["wait"], "unresolved": ~rows["resolved"]}
        sent = rows["end"] + 3600
        parts.append(_part(instrument, 2 + rows["touchpoint"], rows["who"], sent, latent[mine], rng, **more))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _part(
    instrument: str, touchpoint: int | np.ndarray, who: np.ndarray, sent: np.ndarray, latent: np.ndarray,
    rng: np.random.Generator, **more: np.ndarray,
) -> Log:  # fmt: skip
    """Return the invitations of one kind, with the score that would be given: latent + noise between the cuts."""
    n, cuts = len(who), getattr(TRUTHS.satisfaction, f"{instrument}_cuts")
    score = np.searchsorted(cuts, latent + rng.normal(0.0, 1.0, n)) + (instrument != "nps")
    rows = {
        "who": who,
        "sent": sent,
        "score": score,
        "base": latent,
        "latent": latent,
        "order": np.full(n, -1),
        "late": np.zeros(n, bool),
    }
    rows |= {"instrument": np.full(n, INSTRUMENTS.index(instrument)), "touchpoint": np.full(n, touchpoint)}
    return rows | {"wait": np.full(n, -1), "unresolved": np.zeros(n, bool)} | more


def mood(asked: Asked) -> np.ndarray:
    """Return 0, 1 or 2: a low, a middle or a high score."""
    middle, high = (np.array([_MOODS[name][i] for name in INSTRUMENTS])[asked.instrument] for i in (0, 1))
    return (asked.score >= middle).astype(int) + (asked.score >= high)


def invitations(people: People, asked: Asked, first_id: int, first_order: int) -> pa.Table:
    """One row per invitation."""
    n = len(asked.who)
    return pa.table(
        {
            "invitation_id": columns.ids("V", first_id + np.arange(n), 10),
            "customer_id": columns.ids("C", asked.who + people.first),
            "sent_at": columns.moments(asked.sent),
            "instrument": columns.names(asked.instrument, INSTRUMENTS),
            "touchpoint": columns.names(asked.touchpoint, TOUCHPOINTS),
            "order_id": columns.ids("O", np.where(asked.order < 0, -1, asked.order + first_order), 10),
        }
    )


def responses(
    people: People, asked: Asked, first_id: int, first_order: int, rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """Draw who answers. Returns the responses, and beside them the themes that each comment was made from."""
    truth, feeling = TRUTHS.surveys, mood(asked)
    by_mood = np.array([truth.nps_response, truth.csat_response, truth.ces_response])
    chance = by_mood[asked.instrument, feeling] * np.asarray(truth.age)[people.age[asked.who]]
    lag = rng.exponential(truth.days_to_answer, len(feeling))
    at = asked.sent + np.maximum((lag * DAY).astype(np.int64), 60)
    answered = (rng.random(len(feeling)) < chance) & (lag < 14) & (at < calendar.end_of_data())
    place = np.flatnonzero(answered)
    language = people.language[asked.who[place]]
    order = asked.order[place]
    told = comments.write(asked.late[place], asked.wait[place], asked.unresolved[place], feeling[place], language, rng)
    response_id = columns.ids("R", first_id + place, 10)
    table = pa.table(
        {
            "response_id": response_id,
            "responded_at": columns.moments(at[place]),
            "instrument": columns.names(asked.instrument[place], INSTRUMENTS),
            "score": columns.whole(asked.score[place]),
            "customer_id": columns.ids("C", asked.who[place] + people.first),
            "question": columns.names(asked.instrument[place], QUESTIONS),
            "invitation_id": columns.ids("V", first_id + place, 10),
            "order_id": columns.ids("O", np.where(order < 0, -1, order + first_order), 10),
            "touchpoint": columns.names(asked.touchpoint[place], TOUCHPOINTS),
            "channel": columns.names(rng.choice(3, len(place), p=(0.6, 0.3, 0.1)), ("email", "app", "sms")),
            "language": columns.names(language, LANGUAGES),
            "comment": told.pop("comment"),
        }
    )
    return table, pa.table({"response_id": response_id, **told})
