"""What is planted in the demo company, in one place: every number that a later analysis should find again.

Nothing here draws or computes: the other modules of this package read these objects and do what they say. The same
truths are told in words in `docs/demo.md`. Months are labels such as "2026-10"; effects on satisfaction are on the
latent scale, on which an answer's own noise is normal with standard deviation 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TIMEZONE = "Europe/Madrid"
FIRST_MONTH, LAST_MONTH, BASE_MONTH = "2023-11", "2026-10", "2021-11"
REGIONS = ("North", "East", "Centre", "South", "Islands")
PLANS = ("Basic", "Plus", "Pro")
SOURCES = ("organic", "search", "social", "referral", "partner")
AGE_BANDS = ("18-29", "30-44", "45-59", "60+")
HOUSEHOLDS = ("single", "couple", "family")  # touches nothing: what is found by household is noise
LANGUAGES = ("en", "pt", "es")
STYLES = ("regular", "bargain", "collector")
SUPPORT = ("support_phone", "support_chat", "support_email")
CARRIERS = ("carrier_alba", "carrier_brisa", "carrier_cima", "carrier_duna", "carrier_ebro", "carrier_faro")


@dataclass(frozen=True)
class Population:
    """Who the customers are: independent draws per customer, shares in the order of the names above."""

    base: float = 0.45  # customers already there on 2023-11-01, joined over the 24 months before
    regions: tuple[float, ...] = (0.24, 0.22, 0.24, 0.18, 0.12)
    plans: tuple[float, ...] = (0.50, 0.35, 0.15)
    sources: tuple[float, ...] = (0.34, 0.24, 0.20, 0.14, 0.08)  # outside the partner surge
    ages: tuple[float, ...] = (0.24, 0.33, 0.26, 0.17)
    households: tuple[float, ...] = (0.35, 0.30, 0.35)
    languages: tuple[float, ...] = (0.85, 0.08, 0.07)
    styles: tuple[float, ...] = (0.60, 0.25, 0.15)  # three ways of buying: the planted clusters
    consent: float = 0.93
    account: float = 0.20  # belong to an account of two to four customers
    second_id: float = 0.06  # also known under an older id
    upgrade: float = 0.006  # a month, one plan up
    downgrade: float = 0.002
    move: float = 0.003  # a month, to another region


@dataclass(frozen=True)
class Satisfaction:
    """Truth 1: latent satisfaction = personal + segment effects + programme + memory of what happened.

    An answer adds the experience it asks about and normal noise (standard deviation 1), then falls between cuts.
    Memory takes `remembered` of each experience of the month and keeps `kept` of last month's memory.
    """

    personal_sd: float = 0.7
    region: tuple[float, ...] = (0.25, 0.10, 0.0, -0.15, -0.25)
    plan: tuple[float, ...] = (-0.10, 0.0, 0.20)
    source: tuple[float, ...] = (0.15, 0.0, -0.15, 0.35, -1.20)
    age: tuple[float, ...] = (-0.25, 0.0, 0.05, 0.25)
    late: float = -0.90  # the order came after the promised time
    per_day_late: float = -0.08  # and for each day late, up to `most_days`
    most_days: float = 10.0
    per_wait_minute: float = -0.06  # up to `most_minutes`
    most_minutes: float = 30.0
    unresolved: float = -1.20  # not resolved at the first contact
    remembered: float = 0.5
    kept: float = 0.5
    asked_too_early: float = -0.60  # the delivery survey came before the parcel
    csat_support_offset: float = 0.55
    ces_support_offset: float = 0.35
    nps_cuts: tuple[float, ...] = (-3.0, -2.7, -2.4, -2.1, -1.8, -1.4, -0.85, -0.30, 0.35, 1.05)
    csat_cuts: tuple[float, ...] = (-2.3, -1.6, -0.9, 0.20)
    ces_cuts: tuple[float, ...] = (-2.2, -1.6, -1.0, -0.5, 0.2, 1.0)


@dataclass(frozen=True)
class Churn:
    """Truth 2: constant hazard within a month, base[plan] x hazard_ratio ** (latent satisfaction at its start)."""

    base: tuple[float, ...] = (0.026, 0.019, 0.013)  # per month of 30.4375 days, at latent satisfaction 0
    hazard_ratio: float = 0.70  # per unit of latent satisfaction
    return_per_month: float = 0.010  # lapsed customers who come back, whatever their satisfaction
    fees: tuple[float, ...] = (9.90, 19.90, 34.90)
    reasons: tuple[str, ...] = ("service", "price", "competitor", "moved", "payment_failed")


@dataclass(frozen=True)
class MixShift:
    """Truth 3: customers from `partner`, the least satisfied source, pour in while every source gets better."""

    source: str = "partner"
    since: str = "2025-11"
    joiners: float = 0.24  # share of all customers ever, spread evenly over the months since
    programme_per_month: float = 0.022  # latent satisfaction of everybody, each month from `since`


@dataclass(frozen=True)
class Experiment:
    """Truth 4: 50/50 by one independent coin per customer; `shift` moves the delivery answer's latent scale."""

    id: str
    first: str  # first month of exposure
    last: str  # last month of exposure
    shift: float
    exposed_at: str
    variants: tuple[str, str]  # control, treatment


@dataclass(frozen=True)
class Rollout:
    """Truth 5: chat support, region by region, the better regions first; all regions improve meanwhile."""

    months: tuple[str, ...] = ("2026-02", "2026-03", "2026-05", "2026-07", "")  # by region, "" = never
    resolved: float = 0.07  # added to the probability of first-contact resolution
    wait: float = 0.65  # multiplies waits
    trend_since: str = "2026-01"  # the common trend that a before-after comparison mistakes for the effect
    trend_resolved: float = 0.006  # per month
    trend_wait: float = 0.985  # per month


@dataclass(frozen=True)
class Outage:
    """Truth 6: one bad month."""

    month: str = "2025-03"
    wait: float = 3.0
    resolved: float = -0.20
    load: float = 2.5
    complaints: float = 3.0


@dataclass(frozen=True)
class Orders:
    """Truth 7, and how customers buy. Late is decided per order: carrier's probability x season."""

    rate: float = 0.55  # orders a month at latent satisfaction 0, regular style, Basic, neutral month
    per_satisfaction: float = 0.15  # log rate per unit of latent satisfaction at the start of the month
    plan: tuple[float, ...] = (1.0, 1.1, 1.25)
    style: tuple[float, ...] = (1.0, 1.6, 0.7)
    season: tuple[float, ...] = (0.85, 0.85, 0.95, 0.95, 1.0, 0.95, 0.9, 0.85, 0.95, 1.0, 1.35, 1.60)  # Jan..Dec
    late_season: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.3, 2.2)
    carrier_share: tuple[float, ...] = (0.25, 0.20, 0.20, 0.15, 0.12, 0.08)
    carrier_late: tuple[float, ...] = (0.05, 0.07, 0.09, 0.11, 0.14, 0.18)
    days_late_mean: float = 2.5  # exponential
    no_delivery: float = 0.03  # gift cards and the like: nothing promised, nothing delivered
    lost: float = 0.004  # promised, never delivered
    median_amount: tuple[float, ...] = (56.0, 32.0, 140.0)  # by style
    amount_sd: float = 0.35  # of the logarithm
    discounted: tuple[float, ...] = (0.10, 0.70, 0.05)  # by style; 20 % off


@dataclass(frozen=True)
class Support:
    """Contacts: how many, how long they wait, how they end."""

    rate: float = 0.10  # cases a month, whatever the satisfaction
    after_late: float = 0.25  # a late order opens a case
    touchpoint: tuple[float, ...] = (0.45, 0.30, 0.25)
    median_wait: tuple[float, ...] = (200.0, 110.0, 0.0)  # seconds, log-normal; e-mail has no wait
    wait_sd: float = 0.9  # of the logarithm
    longest_wait: int = 3600
    resolved: tuple[float, ...] = (0.78, 0.75, 0.71, 0.67, 0.64)  # at first contact, by region
    agents: int = 40
    agent_spread: float = 0.04  # agents' own effect on resolution, evenly from -spread to +spread
    follow_up: float = 0.55  # an unresolved contact is followed by another of the case; at most two follow
    follow_up_resolved: float = 0.65
    complaint_base: float = 0.006  # a month
    complaint_unresolved: float = 0.12  # after an unresolved first contact
    complaint_late: float = 0.01  # after a late order


@dataclass(frozen=True)
class Journeys:
    """Everything else that customers do, a month and active customer unless said otherwise."""

    visits: float = 0.12  # of all digital and physical touchpoints, whatever the satisfaction: a negative control
    before_order: float = 0.15  # of orders: website, checkout and payment were recorded in the minutes before
    thanked: float = 0.06  # of deliveries
    renewals: float = 0.03
    invoices: float = 0.08
    referrals: float = 0.004
    referrals_per_satisfaction: float = 0.8  # log rate per unit of latent satisfaction


@dataclass(frozen=True)
class Surveys:
    """Truths 8 and 11: who is asked, when, and who answers. Response = by mood x by age band."""

    nps_share: float = 1 / 3  # of active customers asked each month
    delivery_share: float = 0.40  # of delivered orders
    support_share: float = 0.60  # of first contacts; half csat, half ces
    nps_response: tuple[float, ...] = (0.22, 0.30, 0.40)  # would answer 0-6, 7-8, 9-10
    csat_response: tuple[float, ...] = (0.36, 0.25, 0.28)  # would answer 1-2, 3, 4-5
    ces_response: tuple[float, ...] = (0.36, 0.25, 0.28)  # would answer 1-3, 4, 5-7
    age: tuple[float, ...] = (0.70, 0.95, 1.10, 1.25)
    days_to_answer: float = 1.5  # exponential, answers after 14 days are lost
    sent_before_arrival: float = 0.04  # of delivery surveys
    over_contacted: float = 0.01  # of customers: asked for nps four times every month


@dataclass(frozen=True)
class Comments:
    """Truth 9: what people write, given an answer and its cause."""

    written: tuple[float, ...] = (0.60, 0.25, 0.40)  # low, middle, high mood
    late: float = 0.70  # mentioned, where the order was late
    wait: float = 0.55  # mentioned, where the wait was `long_wait` seconds or more
    unresolved: float = 0.65  # mentioned, where the first contact did not resolve it
    long_wait: int = 300
    price: float = 0.08  # mentioned by anybody
    praise: float = 0.60  # mentioned in high moods
    personal: float = 0.010  # of comments: tell who somebody is, in one of seven ways (`comments.PERSONAL`)
    markup: float = 0.003  # HTML or script
    formula: float = 0.002  # begins like a spreadsheet formula


@dataclass(frozen=True)
class Dirty:
    """Truth 10: one kind of bad row, copied from good ones of the first chunk, with some columns overwritten.

    There are `per_1000` rows of it for each thousand customers, rounded down, at least one. `reason` is what the
    contract says of it; `outcome` is "rejected", or "duplicated" for a key that is there twice: the good row stays.
    """

    table: str
    reason: str
    changes: dict[str, str]
    where: dict[str, str] = field(default_factory=dict)  # column -> value of the rows that are copied
    per_1000: float = 0.5
    outcome: str = "rejected"

    def count(self, customers: int) -> int:
        """Return the rows of this kind in a company of `customers`."""
        return max(1, int(customers * self.per_1000 / 1000))


_NPS, _CSAT = {"instrument": "nps"}, {"instrument": "csat"}
DIRTY = (
    Dirty("responses", "score '11' is outside 0 to 10 for nps", {"score": "11"}, _NPS, per_1000=1.0),
    Dirty("responses", "score '0' is outside 1 to 5 for csat", {"score": "0"}, _CSAT),
    Dirty("responses", "score 'n/a' is not an integer", {"score": "n/a"}, _NPS),
    Dirty("responses", "instrument 'osat' is not one of nps, csat, ces", {"instrument": "osat"}),
    Dirty("responses", "customer_id 'C9999999' is not in customers", {"customer_id": "C9999999"}),
    Dirty("responses", "responded_at is missing", {"responded_at": ""}),
    Dirty("responses", "the same row again", {}, outcome="duplicated"),
    Dirty("responses", "the same key with other content", {"score": "0", "comment": "typed again"},
          {"instrument": "nps", "score": "9"}, outcome="duplicated"),
    Dirty("orders", "amount '12,50 EUR' is not an amount", {"amount": "12,50 EUR"}, per_1000=1.0),
    Dirty("orders", "amount '-9.90' is below 0", {"amount": "-9.90"}),
    Dirty("orders", "customer_id is missing", {"customer_id": ""}),
    Dirty("orders", "delivered_at '2023-10-01 12:00:00' is before ordered_at", {"delivered_at": "2023-10-01 12:00:00"}),
    Dirty("orders", "ordered_at '3026-10-05 10:00:00' is not between the years 1900 and 2999",
          {"ordered_at": "3026-10-05 10:00:00", "promised_at": "", "delivered_at": ""}),
    Dirty("orders", "the same row again", {}, outcome="duplicated"),
    Dirty("interactions", "ended_at '2023-10-01 12:00:00' is before started_at", {"ended_at": "2023-10-01 12:00:00"},
          {"kind": "contact"}, per_1000=1.0),
    Dirty("interactions", "kind 'fax' is not one of", {"kind": "fax"}),
    Dirty("interactions", "wait_seconds '-60' is below 0", {"wait_seconds": "-60"}, {"kind": "contact"}),
    Dirty("interactions", "customer_id 'C9999999' is not in customers", {"customer_id": "C9999999"}),
    Dirty("subscriptions", "ended_on '2024-02-01' is before started_on",
          {"started_on": "2024-03-01", "ended_on": "2024-02-01"}),
)  # fmt: skip


@dataclass(frozen=True)
class Truths:
    """All of it."""

    population: Population = Population()
    satisfaction: Satisfaction = Satisfaction()
    churn: Churn = Churn()
    mix_shift: MixShift = MixShift()
    delivery_updates: Experiment = Experiment(
        "proactive_delivery_updates",
        "2026-04",
        "2026-06",
        shift=0.33,
        exposed_at="the first order of the window",
        variants=("control", "updates"),
    )
    invoice_layout: Experiment = Experiment(
        "new_invoice_layout",
        "2026-07",
        "2026-08",
        shift=0.0,
        exposed_at="the first invoice of the window",
        variants=("control", "new_layout"),
    )
    rollout: Rollout = Rollout()
    outage: Outage = Outage()
    orders: Orders = Orders()
    support: Support = Support()
    journeys: Journeys = Journeys()
    surveys: Surveys = Surveys()
    comments: Comments = Comments()
    dirty: tuple[Dirty, ...] = DIRTY
    cost_per_joiner: dict[str, float] = field(
        default_factory=lambda: {"organic": 4.0, "search": 31.0, "social": 27.0, "referral": 15.0, "partner": 12.0}
    )


TRUTHS = Truths()
