"""Moments of 20 metrics by 3 segments over 13 months on 10 million answers, against SQL by hand and against pandas.

The SQL is what an analyst writes for the same numbers: sums per customer, then sums of their squares, all metrics of a
question in one statement, on the same threads. It has the memory that `data.store` allows by default; ours has so much
less that the process stays below 1 GB, which costs it no time. pandas reads one segment's columns and sums one segment,
a third of the work: its time is multiplied by three. That the numbers are equal is checked.

Run as a script it is one of the ways: `bench_moments.py ours FOLDER`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd
from stopwatch import Board, python

from cxlib.data.store import MEMORY_LIMIT
from cxlib.measure import plans
from cxlib.params import Metric, Segment
from cxlib.periods import Period

ANSWERS = int(os.environ.get("CX_BENCH_ANSWERS", 10_000_000))
ROUNDS = 3
SMALL_MEMORY = "700MB"
SUMS = list(plans.SUMS)
SEGMENTS = {name: Segment(id=name, title=name, column=name, on=on)
            for name, on in (("region", "customers"), ("plan", "customers"), ("channel", "event"))}  # fmt: skip
# Each question's scale ends here; promoters and detractors, and shares of the answers that meet a condition.
QUESTIONS = {
    "nps": (10, ("score >= 9", "score <= 6", "score >= 7", "score = 10", "score = 0")),
    "csat": (5, ("score >= 4", "score <= 2", "score >= 3", "score = 5", "score = 1")),
    "ces": (7, ("score >= 5", "score <= 3", "score >= 6", "score = 7")),
}


def test_moments(board: Board, tmp_path: Path) -> None:
    python(__file__, "make", str(tmp_path), cwd=tmp_path)
    taken: dict[str, list] = {"SQL by hand": [], "pandas": [], "cxlib": []}
    for _ in range(ROUNDS):
        for way, times in taken.items():
            times.append(python(__file__, way, str(tmp_path), cwd=tmp_path))
    cells = f"{len(metrics())} metrics x {len(SEGMENTS)} segments x 13 months, {ANSWERS / 1e6:g} M answers"
    slow = board.add(f"{cells}: pandas, one segment", taken["pandas"]) * len(SEGMENTS)
    hand = board.add(f"{cells}: SQL by hand", taken["SQL by hand"])
    ours = board.add(f"{cells}: cxlib", taken["cxlib"])
    board.say(f"{ours / hand:.2f} of SQL's time; pandas x {len(SEGMENTS)} takes {slow / ours:.1f} times ours")
    found = {way: pd.read_parquet(tmp_path / f"{way}.parquet") for way in taken}
    pd.testing.assert_frame_equal(found["cxlib"], found["SQL by hand"], check_exact=True)
    first = found["cxlib"].query("segment == 'region'").reset_index(drop=True)
    pd.testing.assert_frame_equal(first, found["pandas"], check_exact=True)


def metrics() -> list[Metric]:
    """Return a mean, a net score and some shares of each question."""
    found = []
    for name, (_, shares) in QUESTIONS.items():
        words = {
            "title": name, "question": "?", "unit": "score", "table": "responses", "time": "responded_at",
            "higher_is_better": True, "filter": f"instrument == '{name}'", "owner": "cx",
        }  # fmt: skip
        found.append(Metric(id=f"{name}_0", kind="mean", numerator="score", **words))
        net = {"value": "score", "promoters": shares[0], "detractors": shares[1]}
        found.append(Metric(id=f"{name}_1", kind="nps", **net, **words))
        for number, share in enumerate(shares, 2):
            found.append(Metric(id=f"{name}_{number}", kind="share", numerator=share.replace(" = ", " == "), **words))
    return found


def make(folder: Path) -> None:
    """Write answers in the order of their months, and customers, every tenth of whom moved on 1 March 2026."""
    customers = 3 * ANSWERS // 10
    scales = " ".join(f"WHEN '{name}' THEN {top}" for name, (top, _) in QUESTIONS.items())
    with connect() as database:
        database.execute("CREATE MACRO draw(number, what) AS (hash(number, what) >> 1)::BIGINT")
        database.execute(f"""
            COPY (WITH drawn AS (
                SELECT number, draw(number, 1) AS a, draw(number, 2) AS b, draw(number, 3) AS c, draw(number, 4) AS d,
                       ['nps', 'csat', 'ces'][1 + number % 3] AS instrument
                FROM range({ANSWERS}) AS numbers(number))
            SELECT 'r' || number AS response_id, instrument,
                   CASE WHEN a % 50 > 0 THEN 'c' || (pow((b % 1000000) / 1e6, 1.3) * {customers})::INT END customer_id,
                   TIMESTAMP '2025-10-01' + to_seconds((c % (396 * 86400))::BIGINT) AS responded_at,
                   CASE WHEN d % 100 > 0 THEN (d // 100 % (1 + CASE instrument {scales} END))::BIGINT END AS score,
                   ['web', 'app', 'store', 'phone'][1 + a // 50 % 4] AS channel
            FROM drawn ORDER BY date_trunc('month', responded_at))
            TO '{folder}/responses.parquet' (FORMAT parquet)""")
        database.execute(f"""
            COPY (SELECT 'c' || number AS customer_id, valid_from,
                         ['North', 'South', 'East', 'West'][1 + draw(number, year(valid_from)) % 4] AS region,
                         ['Basic', 'Plus', 'Pro'][1 + draw(number, 1 - year(valid_from)) % 3] AS plan
                  FROM range({customers} + 1) AS numbers(number), (VALUES (TIMESTAMP '2024-01-01'),
                       (TIMESTAMP '2026-03-01')) AS versions(valid_from)
                  WHERE number % 10 = 0 OR valid_from < TIMESTAMP '2025-01-01')
            TO '{folder}/customers.parquet' (FORMAT parquet)""")


def connect(memory_limit: str = MEMORY_LIMIT) -> duckdb.DuckDBPyConnection:
    """Return a database as `data.store` sets it up; it spills into the folder of the answers."""
    database = duckdb.connect()
    database.execute(f"SET memory_limit = '{memory_limit}'; SET temp_directory = 'spilled'; SET TimeZone = 'UTC'")
    return database


def with_cxlib(folder: Path) -> pd.DataFrame:
    database = ibis.duckdb.from_connection(connect(SMALL_MEMORY))
    tables = {name: database.read_parquet(folder / f"{name}.parquet") for name in ("responses", "customers")}
    parts = []
    for segment in SEGMENTS.values():
        for family in plans.families(metrics()):
            query = plans.together(
                family, tables, Period.range("2025-10", "2026-10"), timezone="UTC", segments=[segment]
            )
            parts.append(database.to_pyarrow(query).to_pandas().assign(segment=segment.id))
    return pd.concat(parts)


HISTORY = """
    SELECT customer_id, region, plan,
           CASE WHEN lag(valid_from) OVER w IS NULL THEN TIMESTAMP '0001-01-01' ELSE valid_from END AS since,
           coalesce(lead(valid_from) OVER w, TIMESTAMP '9999-01-01') AS until
    FROM 'customers.parquet' WINDOW w AS (PARTITION BY customer_id ORDER BY valid_from)"""


def with_sql(folder: Path) -> pd.DataFrame:
    os.chdir(folder)
    parts = []
    with connect() as database:
        for segment in SEGMENTS:
            for question in QUESTIONS:
                wide = database.execute(statement(question, segment)).df()
                for number, _ in enumerate(numerators(question)):
                    names = {f"{name}_{number}": name for name in SUMS}
                    one = wide[["period", "level", *names]].rename(columns=names)
                    parts.append(one.assign(metric=f"{question}_{number}", segment=segment))
    return pd.concat(parts)


def numerators(question: str) -> list[str]:
    """Return the SQL of each metric's number per row."""
    shares = QUESTIONS[question][1]
    net = f"CASE WHEN {shares[0]} THEN 1 WHEN {shares[1]} THEN -1 WHEN score IS NOT NULL THEN 0 END"
    return ["score", net, *(f"({share})::BIGINT" for share in shares)]


def statement(question: str, segment: str) -> str:
    """Return the SQL of all metrics of a question by one segment."""
    numbers = range(len(numerators(question)))
    own = segment == "channel"
    level = segment if own else f"coalesce({segment}, 'unknown')"
    joined = (
        ""
        if own
        else """LEFT JOIN history ON responses.customer_id = history.customer_id
                               AND responded_at >= since AND responded_at < until"""
    )
    rows = ", ".join(f"{text} AS y_{n}" for n, text in enumerate(numerators(question)))
    cells = ", ".join(f"sum(y_{n}) AS y_{n}, count(y_{n}) AS n_{n}, sum(y_{n} * y_{n}) AS q_{n}" for n in numbers)
    sums = ", ".join(
        f"""sum(n_{n})::DOUBLE AS rows_{n}, sum(answers - n_{n})::DOUBLE AS missing_{n},
            sum((n_{n} > 0)::BIGINT)::DOUBLE AS clusters_{n}, sum(y_{n})::DOUBLE AS y_{n}, sum(n_{n})::DOUBLE AS x_{n},
            sum(y_{n} * y_{n})::DOUBLE AS yy_{n}, sum(n_{n} * y_{n})::DOUBLE AS xy_{n},
            sum(n_{n} * n_{n})::DOUBLE AS xx_{n}, sum(q_{n})::DOUBLE AS y2_{n}"""
        for n in numbers
    )
    return f"""
        WITH history AS ({HISTORY}),
        answers AS (
            SELECT date_trunc('month', responded_at) AS month, {level} AS level,
                   coalesce(responses.customer_id, response_id) AS customer, {rows}
            FROM 'responses.parquet' AS responses {joined} WHERE instrument = '{question}'),
        cells AS (SELECT month, level, customer, count(*) AS answers, {cells} FROM answers GROUP BY ALL)
        SELECT strftime(month, '%Y-%m') AS period, level, {sums} FROM cells GROUP BY month, level"""


def with_pandas(folder: Path) -> pd.DataFrame:
    columns = ["response_id", "customer_id", "responded_at", "instrument", "score"]
    people = pd.read_parquet(folder / "customers.parquet", columns=["customer_id", "valid_from", "region"])
    people = people.sort_values("valid_from", ignore_index=True)
    parts = []
    for question in QUESTIONS:
        rows = pd.read_parquet(folder / "responses.parquet", columns=columns, filters=[("instrument", "==", question)])
        rows = rows.sort_values("responded_at", ignore_index=True)
        rows = pd.merge_asof(rows, people, left_on="responded_at", right_on="valid_from", by="customer_id")
        keys = [rows["responded_at"].dt.strftime("%Y-%m").rename("period"),
                rows["region"].fillna("unknown").rename("level"),
                rows["customer_id"].fillna(rows["response_id"]).rename("customer")]  # fmt: skip
        numbers = pd.DataFrame(dict(enumerate(in_pandas(rows["score"], question))))
        parts += [one.assign(metric=f"{question}_{number}", segment="region") for number, one in summed(numbers, keys)]
    return pd.concat(parts)


def in_pandas(score: pd.Series, question: str) -> Iterator[pd.Series]:
    """Yield each metric's number per row."""
    meets: dict[str, Callable[[int], pd.Series]] = {">=": score.ge, "<=": score.le, "=": score.eq}
    shares = [meets[share.split()[1]](int(share.split()[2])).astype(float) for share in QUESTIONS[question][1]]
    for y in (score, shares[0] - shares[1], *shares):
        yield y.where(score.notna())


def summed(numbers: pd.DataFrame, keys: list[pd.Series]) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield each metric's sums: per customer first, then of their products."""
    customers = numbers.groupby(keys, sort=False)
    totals, counts, answers = customers.sum(), customers.count(), customers.size()
    squares = (numbers**2).groupby(keys[:2]).sum()
    for number in numbers:
        y, x = totals[number], counts[number]
        cells = pd.DataFrame({
            "rows": x, "missing": answers - x, "clusters": x > 0, "y": y, "x": x, "yy": y * y, "xy": x * y, "xx": x * x,
        })  # fmt: skip
        found = cells.groupby(level=["period", "level"]).sum().astype(float)
        yield number, found.assign(y2=squares[number]).reset_index()


def tidy(found: pd.DataFrame) -> pd.DataFrame:
    """Return rows and columns in one order."""
    keys = ["segment", "metric", "period", "level"]
    found = found.astype(dict.fromkeys(keys, "str") | dict.fromkeys(SUMS, np.float64))
    return found[[*keys, *SUMS]].sort_values(keys, ignore_index=True)


if __name__ == "__main__":
    way, where = sys.argv[1], Path(sys.argv[2])
    if way == "make":
        make(where)
    else:
        ways = {"cxlib": with_cxlib, "SQL by hand": with_sql, "pandas": with_pandas}
        tidy(ways[way](where)).to_parquet(where / f"{way}.parquet")
