"""Month after month: who is there, what they order, whom they call, how satisfied they are, who leaves.

Everything that feeds back is decided here, one loop over months with arrays over customers. What hangs on it without
feeding back (times, amounts, answers, comments) is drawn afterwards by the other modules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxlib.data.demo import calendar
from cxlib.data.demo.people import People
from cxlib.data.demo.truths import TRUTHS

Log = dict[str, np.ndarray]
_MEAN_MONTH = 30.4375


@dataclass(frozen=True)
class Life:
    """What happened: matrices are (customers, months)."""

    begin: np.ndarray  # first active day of the month, from 0
    end: np.ndarray  # day after the last active one; begin == end: not active
    before: np.ndarray  # latent satisfaction at the start of the month (float32)
    after: np.ndarray  # and with the month's experience
    region: np.ndarray
    plan: np.ndarray
    orders: Log  # who, month, day of the month, carrier, late, days_late, delivered, promised
    cases: Log  # who, month, day of the month, touchpoint, agent, wait, resolved
    spells: Log  # who, started, ended (days since 1970; ended -1 = open), plan, latent


def live(people: People, rng: np.random.Generator, months: int) -> Life:
    """Run the first `months` months for `people`."""
    state = _State(people, rng, months)
    for month in range(months):
        state.step(month)
    return state.life()


def chance_resolved(region: np.ndarray, agent: np.ndarray, month: int | np.ndarray) -> np.ndarray:
    """Return the probability that a first contact resolves the case."""
    truth, rollout, outage = TRUTHS.support, TRUTHS.rollout, TRUTHS.outage
    own = np.linspace(-truth.agent_spread, truth.agent_spread, truth.agents)[agent]
    trend = rollout.trend_resolved * months_since(rollout.trend_since, month)
    broken = outage.resolved * (np.asarray(month) == calendar.index(outage.month))
    return np.asarray(truth.resolved)[region] + own + trend + broken + rollout.resolved * with_chat(region, month)


def wait_factor(region: np.ndarray, month: int | np.ndarray) -> np.ndarray:
    """Return what multiplies the waits of a quiet month: the outage, the common trend, the roll-out."""
    rollout, outage = TRUTHS.rollout, TRUTHS.outage
    factor = rollout.trend_wait ** months_since(rollout.trend_since, month)
    factor = factor * np.where(np.asarray(month) == calendar.index(outage.month), outage.wait, 1.0)
    return factor * np.where(with_chat(region, month), rollout.wait, 1.0)


def draw_waits(touchpoint: np.ndarray, factor: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw waits in whole seconds; -1 where the touchpoint has none."""
    truth = TRUTHS.support
    median = np.asarray(truth.median_wait)[touchpoint]
    wait = median * factor * np.exp(rng.normal(0.0, truth.wait_sd, len(touchpoint)))
    return np.where(median > 0, np.minimum(np.rint(wait), truth.longest_wait), -1).astype(np.int64)


def with_chat(region: np.ndarray, month: int | np.ndarray) -> np.ndarray:
    """Return whether the region has been given chat support by that month."""
    start = np.array([calendar.index(label) if label else 10_000 for label in TRUTHS.rollout.months])
    return np.asarray(month) >= start[region]


def months_since(since: str, month: int | np.ndarray) -> np.ndarray:
    """Return 1 in month `since`, 2 in the next, 0 before."""
    return np.maximum(np.asarray(month) - calendar.index(since) + 1, 0)


def effect_of_delivery(late: np.ndarray, days_late: np.ndarray) -> np.ndarray:
    """Return what a delivery does to latent satisfaction."""
    truth = TRUTHS.satisfaction
    return late * (truth.late + truth.per_day_late * np.minimum(days_late, truth.most_days))


def effect_of_contact(wait: np.ndarray, resolved: np.ndarray) -> np.ndarray:
    """Return what a first contact does to latent satisfaction; waits in seconds, -1 = none."""
    truth = TRUTHS.satisfaction
    minutes = np.clip(wait / 60, 0.0, truth.most_minutes)
    return truth.per_wait_minute * minutes + truth.unresolved * ~resolved


class _State:
    """The moving part: what is true of each customer now, and the logs."""

    def __init__(self, people: People, rng: np.random.Generator, months: int) -> None:
        n = people.n
        self.people, self.rng = people, rng
        self.region, self.plan = people.region.copy(), people.plan.copy()
        self.memory = np.zeros(n)
        self.active = people.join_month < 0
        self.left = np.zeros(n, dtype=bool)
        self.started = calendar.first_day(people.join_month) + people.join_day
        self.spell_plan = people.plan.copy()
        self.logs: dict[str, list[Log]] = {"orders": [], "cases": [], "spells": []}
        types = {"before": np.float32, "after": np.float32}
        names = ("begin", "end", "before", "after", "region", "plan")
        self.kept: Log = {name: np.zeros((n, months), types.get(name, np.int8)) for name in names}

    def step(self, month: int) -> None:
        """Live one month."""
        if month:
            self._change_attributes()
        begin = self._arrive(month)
        latent = self._latent(month)
        end = self._leave(month, begin, latent)
        effect = self._order_and_call(month, latent, begin, end)
        self.memory = TRUTHS.satisfaction.kept * self.memory + TRUTHS.satisfaction.remembered * effect
        after = self._latent(month)
        for name, values in (("begin", begin), ("end", end), ("before", latent), ("after", after)):
            self.kept[name][:, month] = values
        self.kept["region"][:, month], self.kept["plan"][:, month] = self.region, self.plan

    def _change_attributes(self) -> None:
        """Upgrade, downgrade and move some of the active, from the first of the month."""
        truth, chance = TRUTHS.population, self.rng.random(self.people.n)
        up = self.active & (chance < truth.upgrade)
        down = self.active & (chance > 1 - truth.downgrade)
        self.plan = np.clip(self.plan + up - down, 0, 2).astype(np.int8)
        moved = np.flatnonzero(self.active & (self.rng.random(self.people.n) < truth.move))
        step = self.rng.integers(1, 5, len(moved))
        self.region[moved] = (self.region[moved] + step) % 5

    def _arrive(self, month: int) -> np.ndarray:
        """Let joiners in and some who left come back; return the first active day of each."""
        n, days = self.people.n, int(calendar.days_in(np.array(month)))
        joining = self.people.join_month == month
        returning = self.left & (self.rng.random(n) < TRUTHS.churn.return_per_month)
        begin = np.where(joining, self.people.join_day, 0)
        begin = np.where(returning, (self.rng.random(n) * days).astype(np.int64), begin)
        arriving = joining | returning
        self.started = np.where(arriving, int(calendar.first_day(np.array(month))) + begin, self.started)
        self.spell_plan = np.where(arriving, self.plan, self.spell_plan)
        self.memory = np.where(arriving, 0.0, self.memory)
        self.active, self.left = self.active | arriving, self.left & ~returning
        return np.where(self.active, begin, 0)

    def _latent(self, month: int) -> np.ndarray:
        """Latent satisfaction now."""
        truth, shift, people = TRUTHS.satisfaction, TRUTHS.mix_shift, self.people
        segments = np.asarray(truth.region)[self.region] + np.asarray(truth.plan)[self.plan]
        segments += np.asarray(truth.source)[people.source] + np.asarray(truth.age)[people.age]
        programme = shift.programme_per_month * months_since(shift.since, month)
        return people.personal + segments + programme + self.memory

    def _leave(self, month: int, begin: np.ndarray, latent: np.ndarray) -> np.ndarray:
        """End some subscriptions; return the day after the last active one."""
        truth, days = TRUTHS.churn, int(calendar.days_in(np.array(month)))
        hazard = np.asarray(truth.base)[self.plan] * truth.hazard_ratio**latent
        day = begin + np.floor(self.rng.exponential(_MEAN_MONTH, self.people.n) / hazard).clip(0, 10_000).astype(int)
        who = np.flatnonzero(self.active & (day < days))
        ended = int(calendar.first_day(np.array(month))) + day[who]
        self._log(
            "spells", who=who, started=self.started[who], ended=ended, plan=self.spell_plan[who], latent=latent[who]
        )
        end = np.where(self.active, np.minimum(day, days), 0)
        self.active[who], self.left[who] = False, True
        return end

    def _order_and_call(self, month: int, latent: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Draw the month's orders and cases; return what they do to each customer's satisfaction."""
        n, share = self.people.n, (end - begin) / calendar.days_in(np.array(month))
        orders = self._orders(month, latent, begin, end, share)
        cases = self._cases(month, *self._who_calls(orders, begin, end, share))
        delivery = effect_of_delivery(orders["late"], orders["days_late"])
        contact = effect_of_contact(cases["wait"], cases["resolved"])
        return np.bincount(orders["who"], delivery, n) + np.bincount(cases["who"], contact, n)

    def _who_calls(
        self, orders: Log, begin: np.ndarray, end: np.ndarray, share: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw who opens a case and on which day: anybody on any day, and some whose order was late, days after."""
        anyway = np.repeat(np.arange(self.people.n), self.rng.poisson(TRUTHS.support.rate * share))
        late = np.flatnonzero(orders["late"] & (self.rng.random(len(orders["who"])) < TRUTHS.support.after_late))
        called, gap = orders["who"][late], self.rng.integers(3, 8, len(late))
        after = np.minimum(orders["day"][late] + gap, end[called] - 1)
        return np.concatenate([anyway, called]), np.concatenate([self._some_day(anyway, begin, end), after])

    def _some_day(self, who: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Draw one active day of the month for each of `who`."""
        return begin[who] + (self.rng.random(len(who)) * (end - begin)[who]).astype(np.int64)

    def _orders(self, month: int, latent: np.ndarray, begin: np.ndarray, end: np.ndarray, share: np.ndarray) -> Log:
        truth, people, rng = TRUTHS.orders, self.people, self.rng
        season = int(calendar.month_of_year(np.array(month)))
        rate = truth.rate * truth.season[season] * np.exp(truth.per_satisfaction * latent) * share
        rate *= np.asarray(truth.plan)[self.plan] * np.asarray(truth.style)[people.style]
        who = np.repeat(np.arange(people.n), rng.poisson(rate))
        carrier = np.searchsorted(np.cumsum(truth.carrier_share)[:-1], rng.random(len(who)), side="right")
        fate = rng.random(len(who))
        promised, delivered = fate >= truth.no_delivery, fate >= truth.no_delivery + truth.lost
        chance = np.asarray(truth.carrier_late)[carrier] * truth.late_season[season]
        late = delivered & (rng.random(len(who)) < chance)
        days_late = np.where(late, rng.exponential(truth.days_late_mean, len(who)) + 0.1, 0.0)
        day = self._some_day(who, begin, end)
        return self._log(
            "orders",
            who=who,
            month=np.full(len(who), month),
            day=day,
            carrier=carrier,
            late=late,
            days_late=days_late,
            delivered=delivered,
            promised=promised,
        )

    def _cases(self, month: int, who: np.ndarray, day: np.ndarray) -> Log:
        truth, rng = TRUTHS.support, self.rng
        touchpoint = np.searchsorted(np.cumsum(truth.touchpoint)[:-1], rng.random(len(who)), side="right")
        agent = rng.integers(0, truth.agents, len(who))
        wait = draw_waits(touchpoint, wait_factor(self.region[who], month), rng)
        resolved = rng.random(len(who)) < chance_resolved(self.region[who], agent, month)
        return self._log(
            "cases",
            who=who,
            month=np.full(len(who), month),
            day=day,
            touchpoint=touchpoint,
            agent=agent,
            wait=wait,
            resolved=resolved,
        )

    def _log(self, name: str, **columns: np.ndarray) -> Log:
        self.logs[name].append(columns)
        return columns

    def life(self) -> Life:
        """Close the books: open spells are logged without an end."""
        who = np.flatnonzero(self.active)
        self._log(
            "spells",
            who=who,
            started=self.started[who],
            ended=np.full(len(who), -1),
            plan=self.spell_plan[who],
            latent=np.zeros(len(who)),
        )
        logs = [
            {key: np.concatenate([log[key] for log in self.logs[name]]) for key in self.logs[name][0]}
            for name in ("orders", "cases", "spells")
        ]
        return Life(**self.kept, orders=logs[0], cases=logs[1], spells=logs[2])
