"""The demo's expected values, from a very large seeded run: `python -m tests.demo_reference` writes them anew.

A million customers of a seed of their own, in 100 chunks that are independent companies of 10,000. Each figure is the
ratio of summed numerators and denominators, written out here as plain SQL, apart from `cxlib.measure`; its standard
error comes from the spread between chunks (delta method). Kept in `tests/data/demo_reference.csv`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from cxlib.data.demo import CHUNK, TIMEZONE, TRUTHS, Company, simulate

SEED, CHUNKS = 1, 100
FILE = Path(__file__).parent / "data" / "demo_reference.csv"
KEYS = ["metric", "period", "segment", "level"]


def _month(moment: str) -> str:
    return f"strftime(timezone('{TIMEZONE}', timezone('UTC', {moment})), '%Y-%m')"


def _answers(metric: str, instrument: str, value: str) -> str:
    return f"""SELECT '{metric}', {_month("responded_at")}, 'all', 'all', sum({value}), count(*)
        FROM responses WHERE instrument = '{instrument}' GROUP BY ALL"""


_POINTS = "100 * ((score >= 9)::INT - (score <= 6)::INT)"
_DAYS = "greatest(0, date_diff('day', greatest(started_on, first), least(coalesce(ended_on, after), after)))"
_AT_RISK = "FROM subscriptions, months WHERE started_on < after AND (ended_on IS NULL OR ended_on >= first)"
_TRIAL = TRUTHS.delivery_updates
_WINDOW = f"instrument = 1 AND ordered >= '{_TRIAL.first}' AND ordered <= '{_TRIAL.last}'"
QUERIES = (
    _answers("nps", "nps", _POINTS),
    _answers("csat_top2", "csat", "(score >= 4)::INT"),
    _answers("csat_mean", "csat", "score"),
    _answers("ces_mean", "ces", "score"),
    f"""SELECT 'nps', {_month("responded_at")}, 'acquisition_source', acquisition_source, sum({_POINTS}), count(*)
        FROM responses JOIN (SELECT DISTINCT customer_id, acquisition_source FROM customers) USING (customer_id)
        WHERE instrument = 'nps' GROUP BY ALL""",
    f"""SELECT 'late_delivery_share', {_month("delivered_at")}, 'all', 'all', sum((delivered_at > promised_at)::INT),
        count(*) FROM orders WHERE delivered_at IS NOT NULL GROUP BY ALL""",
    f"""SELECT 'average_order_value', {_month("ordered_at")}, 'all', 'all', sum(amount), count(*)
        FROM orders GROUP BY ALL""",
    f"""SELECT 'orders_per_customer', {_month("ordered_at")}, 'all', 'all', count(*), count(DISTINCT customer_id)
        FROM orders GROUP BY ALL""",
    f"""SELECT 'repeat_purchase', {_month("ordered_at + INTERVAL 90 DAY")}, 'all', 'all',
        sum(coalesce(later < ordered_at + INTERVAL 90 DAY, false)::INT), count(*)
        FROM (SELECT *, lead(ordered_at) OVER (PARTITION BY customer_id ORDER BY ordered_at) AS later FROM orders)
        GROUP BY ALL""",
    f"""SELECT 'first_contact_resolution', {_month("started_at")}, 'all', 'all', sum(resolved::INT), count(*)
        FROM (SELECT *, row_number() OVER (PARTITION BY case_id ORDER BY started_at) AS place
              FROM interactions WHERE kind = 'contact')
        WHERE place = 1 GROUP BY ALL""",
    f"""SELECT 'response_rate', {_month("sent_at + INTERVAL 14 DAY")}, 'all', 'all',
        sum((response_id IS NOT NULL)::INT), count(*)
        FROM invitations LEFT JOIN responses USING (invitation_id) GROUP BY ALL""",
    f"""SELECT 'churn_rate', month, 'all', 'all', 30.4375 * sum((ended_on < after)::INT), sum({_DAYS})
        {_AT_RISK} GROUP BY ALL""",
    f"""SELECT 'churn_start_cohort', month, 'all', 'all', sum(coalesce(ended_on < after, false)::INT), count(*)
        {_AT_RISK} AND started_on < first GROUP BY ALL""",
    f"""SELECT 'complaint_rate', month, 'all', 'all', 30437.5 * any_value(complaints), any_value(days)
        FROM (SELECT {_month("started_at")} AS month, count(*) AS complaints FROM interactions
              WHERE kind = 'complaint' GROUP BY ALL)
        JOIN (SELECT month, sum({_DAYS}) AS days {_AT_RISK} GROUP BY ALL) USING (month) GROUP BY ALL""",
    f"""SELECT 'nps_if_all_answered', {_month("sent")}, 'all', 'all', sum({_POINTS}), count(*)
        FROM asked WHERE instrument = 0 GROUP BY ALL""",
    f"""SELECT 'delivery_csat_if_all_answered', 'experiment', 'variant', variant, sum(score), count(*)
        FROM asked WHERE {_WINDOW} GROUP BY ALL""",
    f"""SELECT 'delivery_csat', 'experiment', 'variant', variant, sum(score), count(*)
        FROM asked WHERE {_WINDOW} AND answered GROUP BY ALL""",
    f"""SELECT 'csat_mean', 'experiment', 'variant', variant, sum(score), count(*)
        FROM responses JOIN exposures USING (customer_id)
        WHERE instrument = 'csat' AND experiment = '{_TRIAL.id}' AND responded_at >= exposed_at
        AND {_month("responded_at")} <= '{_TRIAL.last}' GROUP BY ALL""",
)


def sums_of(company: Company) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return numerators and denominators of one company, and its counts of waits per month and second."""
    engine = duckdb.connect()
    engine.execute("SET threads = 1")
    for name, table in company.tables.items():
        engine.register(name, table)
    engine.execute(
        "CREATE TABLE months AS SELECT strftime(day, '%Y-%m') AS month, day::DATE AS first,"
        " (day + INTERVAL 1 MONTH)::DATE AS after"
        " FROM range(TIMESTAMP '2023-11-01', TIMESTAMP '2026-11-01', INTERVAL 1 MONTH) AS days(day)"
    )
    engine.register("asked", _asked(company))
    parts = [engine.execute(query).fetchall() for query in QUERIES]
    sums = pd.DataFrame([row for part in parts for row in part], columns=[*KEYS, "y", "x"])
    waits = engine.execute(
        f"SELECT {_month('started_at')} AS period, wait_seconds AS value, count(*) AS rows FROM interactions"
        " WHERE kind = 'contact' AND wait_seconds IS NOT NULL GROUP BY ALL"
    ).df()
    return sums.astype({"y": float, "x": float}), waits


def _asked(company: Company) -> pa.Table:
    """Return everybody asked, with the score that would be given, whether it was, and the order's month and arm."""
    asked, people = company.asked, company.people
    orders = company.tables["orders"]
    has_order = asked.order >= 0
    ordered = orders.column("ordered_at").take(pa.array(np.maximum(asked.order, 0))).to_pandas()
    numbers = company.tables["responses"].column("invitation_id").to_pandas().str[1:].astype(int)
    answered = np.isin(np.arange(len(asked.who)), numbers - company.people.first // CHUNK * 10_000_000)
    month = ordered.dt.tz_localize("UTC").dt.tz_convert(TIMEZONE).dt.strftime("%Y-%m").where(has_order, "")
    return pa.table(
        {
            "sent": pa.array(asked.sent * 1_000_000).cast(pa.timestamp("us")),
            "instrument": asked.instrument,
            "score": asked.score,
            "ordered": pa.array(month),
            "variant": np.array(_TRIAL.variants)[people.coin_updates[asked.who].astype(int)],
            "answered": answered,
        }
    )


def _chunk(number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    return sums_of(simulate(CHUNK, SEED, chunk=number))


def _ratios(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the ratio of sums per key with its standard error between chunks."""
    whole = pd.concat(parts, keys=range(len(parts)), names=["chunk"]).reset_index("chunk")
    rows = []
    for key, part in whole.groupby(KEYS, sort=True):
        value, n = part["y"].sum() / part["x"].sum(), len(part)
        error = np.sqrt(n * (part["y"] - value * part["x"]).var(ddof=1)) / part["x"].sum()
        rows.append((*key, value, error))
    return pd.DataFrame(rows, columns=[*KEYS, "value", "std_error"])


def _quantiles(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the median and the 90th percentile of waits of all chunks together, and the spread between chunks."""
    rows = []
    chunks = [dict(list(part.groupby("period"))) for part in parts]
    for period in sorted(chunks[0]):
        own = [chunk[period] for chunk in chunks]
        for metric, q in (("wait_p50", 0.5), ("wait_p90", 0.9)):
            spread = np.std([_quantile(part, q) for part in own], ddof=1) / np.sqrt(len(own))
            rows.append((metric, period, "all", "all", _quantile(pd.concat(own), q), spread))
    return pd.DataFrame(rows, columns=[*KEYS, "value", "std_error"])


def _quantile(counts: pd.DataFrame, q: float) -> float:
    upto = counts.groupby("value")["rows"].sum().sort_index().cumsum()
    return float(upto.index[np.searchsorted(upto.to_numpy(), q * upto.iloc[-1])])


def main(chunks: int) -> None:
    """Write the file from the first `chunks` chunks."""
    with ProcessPoolExecutor() as pool:
        sums, waits = zip(*pool.map(_chunk, range(chunks)), strict=True)
    found = pd.concat([_ratios(list(sums)), _quantiles(list(waits))]).sort_values(KEYS)
    found = found[found["period"].between("2023-11", "2026-10") | (found["period"] == "experiment")]
    found.to_csv(FILE, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CHUNKS)
