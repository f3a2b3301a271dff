"""An experiment of 10 million units, 100 metrics by 20 segments, against statsmodels and spotify-confidence.

The units lie in one Parquet file in the order in which they came, that is in no order of arms or segments: a row a
unit, 40 outcomes of true and false, 30 counts (16-bit) and 30 amounts of money (doubles, most of them 0); two arms and
four segments of five levels each. Every metric's effect is worked out of the whole and of the 20 levels, 2,100 Welch
intervals and p-values. That they are equal is checked.

statsmodels gets rows, in two forms. As one writes it down: one metric's column is read at a time, and the rows of each
arm and level are taken from it by a condition on categories. And in the best form that was found (`sliced`): rows are
brought in the order of a segment and its arms once for all, so that `CompareMeans` takes slices, nothing is filtered.
spotify-confidence takes frames of sums, not rows: NumPy sums one column at a time by a ready-made number of all cells,
pandas adds these up; its own part is the tests. It runs in an environment of its own, whose Python is named in
`CX_BENCH_CONFIDENCE`; without that one is made in a temporary folder, and where that fails the figures are shown
without it. All take one metric after the other, so they do a few of them, evenly spread over the three kinds, and their
time beyond a run of none is multiplied. Ours does all in one pass, with the threads that DuckDB takes; theirs have one.

Run as a script it is one of the ways: `bench_experiment.py cxlib FOLDER 100`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

UNITS = int(os.environ.get("CX_BENCH_UNITS", 10_000_000))
CHUNK, ROUNDS = 500_000, 3
SEGMENTS = {"country": "abcde", "plan": "fghij", "device": "klmno", "tenure": "pqrst"}
KINDS = {"share": 40, "count": 30, "amount": 30}
METRICS = [f"{kind}_{number}" for kind, count in KINDS.items() for number in range(count)]
SOME = {"statsmodels": 5, "statsmodels, sliced": 10, "spotify-confidence": 10}  # metrics that are timed
PEER = ("spotify-confidence==4.1.0", "numpy<2", "pandas<2", "pyarrow<18", "psutil")
KEYS, FOUND = ["metric", "segment", "level"], ["estimate", "conf_low", "conf_high", "p_value"]


def test_experiment(board, tmp_path: Path) -> None:
    from stopwatch import peer_python  # not at the top: the peer's environment lacks what it needs

    run(sys.executable, "make", tmp_path)
    peer = peer_python(tmp_path, "CX_BENCH_CONFIDENCE", PEER)
    ours = dict.fromkeys(("cxlib", "statsmodels", "statsmodels, sliced"), sys.executable)
    pythons = ours | ({"spotify-confidence": peer} if peer else {})
    taken: dict[str, list] = {way: [] for way in pythons}
    idle: dict[str, list] = {way: [] for way in SOME if way in pythons}
    for _ in range(ROUNDS):
        for way, python in pythons.items():
            taken[way].append(run(python, way, tmp_path, SOME.get(way, len(METRICS))))
            if way in idle:
                idle[way].append(run(python, way, tmp_path, 0))
    what = f"{len(METRICS)} metrics x 20 segments, {UNITS / 1e6:g} M units"
    fastest = board.add(f"{what}: cxlib", taken["cxlib"])
    known = read(tmp_path, "cxlib")
    for way, nothing in idle.items():
        begun = board.add(f"the same: {way}, no metric", nothing)
        some = board.add(f"the same: {way}, {SOME[way]} metrics", taken[way])
        whole = begun + (some - begun) * len(METRICS) / SOME[way]
        board.say(f"{whole:.0f} s for all, {whole / fastest:.0f} times ours")
        same(known, read(tmp_path, way))


def run(python: str, way: str, folder: Path, metrics: int = 0):
    """Time one way from start to exit, with the most memory that it held."""
    import psutil
    from stopwatch import LONGEST, ROOT, Taken

    env = os.environ | {"PYTHONPATH": str(ROOT) if python == sys.executable else ""}
    begun, most = time.perf_counter(), 0.0
    process = psutil.Popen([python, __file__, way, str(folder), str(metrics)], cwd=folder, env=env)
    try:
        while time.perf_counter() - begun < LONGEST:
            most = max(most, process.memory_info().rss / 1e6)
            try:
                process.wait(0.1)
            except psutil.TimeoutExpired:
                continue
            break
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 0, f"{way} failed, or took more than {LONGEST} s"
    return Taken(time.perf_counter() - begun, most)


def read(folder: Path, way: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{way}.parquet").set_index(KEYS).sort_index()


def same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Compare estimates and limits to 1e-8 of the interval's width, p-values to 1e-7.

    Of shares ours has the variance p (1 - p) / n and the peers n - 1, so that limits differ by some 1 in 2 n.
    """
    ours = ours.loc[theirs.index]
    share = ours.index.get_level_values("metric").str.startswith("share")
    for name in FOUND:
        one, other = ours[name].to_numpy(), theirs[name].to_numpy()
        width = (ours["conf_high"] - ours["conf_low"]).to_numpy() if name != "p_value" else 1.0
        tolerance = np.where(share, 20 / UNITS, 1e-7 if name == "p_value" else 1e-8)
        assert np.all(np.abs(one - other) <= tolerance * width), name


def make(folder: Path) -> None:
    """Write the units in chunks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(20261122)
    with pq.ParquetWriter(folder / "units.parquet", pa.table(units(rng, 1)).schema) as writer:
        for start in range(0, UNITS, CHUNK):
            writer.write_table(pa.table(units(rng, min(CHUNK, UNITS - start))))


def units(rng: np.random.Generator, size: int) -> dict:
    """Draw units; one metric in four is changed by the treatment."""
    import pyarrow as pa

    def named(codes: np.ndarray, names: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(codes, names).cast(pa.string())

    treated = rng.random(size) < 0.5
    columns = {"arm": named(treated.astype(np.int8), ["control", "treatment"])}
    for name, levels in SEGMENTS.items():
        codes = rng.integers(0, len(levels), size, dtype=np.int8)
        columns[name] = named(codes, [f"{name} {level}" for level in levels])
    for metric in METRICS:
        kind, number = metric.split("_")
        lift = 1 + 0.01 * treated * (int(number) % 4 == 0)
        often = 0.05 + 0.01 * int(number)
        if kind == "share":
            columns[metric] = rng.random(size) < often * lift
        elif kind == "count":
            columns[metric] = rng.poisson(10 * often * lift).astype(np.int16)
        else:
            spent = np.round(np.exp(rng.normal(3, 1, size)) * lift, 2)
            columns[metric] = np.where(rng.random(size) < 0.15 + often, spent, 0.0)
    return columns


def chosen(metrics: int) -> list[str]:
    """Return so many metrics, evenly spread over their kinds."""
    return METRICS[:: len(METRICS) // metrics] if metrics else []


def with_cxlib(folder: Path, metrics: int) -> pd.DataFrame:
    import ibis

    from cxlib.analysis import experiments
    from cxlib.data.store import MEMORY_LIMIT

    database = ibis.duckdb.connect()
    database.raw_sql(f"SET memory_limit = '{MEMORY_LIMIT}'")
    table = database.read_parquet(folder / "units.parquet")
    sums = experiments.summarise(table, chosen(metrics), arm="arm", by=list(SEGMENTS))
    return experiments.readings(sums, control="control")


def in_order(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for every segment, and the whole, where each row of its order lies and where levels and arms begin."""
    import pyarrow.parquet as pq

    columns = ["arm", *SEGMENTS]
    table = pq.read_table(folder / "units.parquet", columns=columns, read_dictionary=columns)
    codes = {name: sorted_codes(table[name].to_pandas()) for name in columns}
    found = {}
    for name in ("all", *SEGMENTS):
        cell = codes["arm"] + (2 * codes[name] if name in codes else 0)
        order = np.argsort(cell, kind="stable").astype(np.int32)
        found[name] = (order, np.concatenate([[0], np.cumsum(np.bincount(cell))]))
    return found


def sorted_codes(column: pd.Series) -> np.ndarray:
    return column.cat.reorder_categories(sorted(column.cat.categories)).cat.codes.to_numpy()


def with_statsmodels(folder: Path, metrics: int) -> pd.DataFrame:
    """Filter the rows of each arm and level, as one writes it down."""
    columns, rows = ["arm", *SEGMENTS], []
    labels = pd.read_parquet(folder / "units.parquet", columns=columns).astype("category")
    for metric in chosen(metrics):
        y = pd.read_parquet(folder / "units.parquet", columns=[metric])[metric].astype(float)
        cells = [("all", "all", None)]
        cells += [(name, f"{name} {level}", labels[name]) for name, levels in SEGMENTS.items() for level in levels]
        for segment, level, column in cells:
            here = True if column is None else column == level
            sides = [y[here & (labels["arm"] == arm)] for arm in ("treatment", "control")]
            rows.append((metric, segment, level, *compared(*sides)))
    return pd.DataFrame(rows, columns=[*KEYS, *FOUND])


def compared(treatment, control) -> tuple[float, float, float, float]:
    """Return the difference of two columns of rows, its limits and its p-value."""
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    means = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    low, high = means.tconfint_diff(usevar="unequal")
    return means.d1.mean - means.d2.mean, low, high, means.ttest_ind(usevar="unequal")[1]


def with_slices(folder: Path, metrics: int) -> pd.DataFrame:
    """Bring rows in the order of a segment and its arms once for all, and take slices."""
    import pyarrow.parquet as pq

    orders, rows = in_order(folder), []
    for metric in chosen(metrics):
        column = pq.read_table(folder / "units.parquet", columns=[metric])[metric].to_numpy().astype(float)
        for segment, (order, ends) in orders.items():
            y = column[order]
            levels = [f"{segment} {level}" for level in SEGMENTS[segment]] if segment in SEGMENTS else ["all"]
            for place, level in enumerate(levels):
                start, middle, end = ends[2 * place : 2 * place + 3]
                rows.append((metric, segment, level, *compared(y[middle:end], y[start:middle])))
    return pd.DataFrame(rows, columns=[*KEYS, *FOUND])


def with_confidence(folder: Path, metrics: int) -> pd.DataFrame:
    """Sum by cell of arm and all segments in NumPy, add cells up by pandas, and test; a row a level."""
    import pyarrow.parquet as pq
    from spotify_confidence import StudentsTTest

    columns = ["arm", *SEGMENTS]
    table = pq.read_table(folder / "units.parquet", columns=columns, read_dictionary=columns).to_pandas()
    sizes = [len(table[name].cat.categories) for name in columns]
    cell = np.ravel_multi_index([table[name].cat.codes.to_numpy() for name in columns], sizes)
    places = np.unravel_index(np.arange(np.prod(sizes)), sizes)
    labels = {n: np.asarray(table[n].cat.categories)[place] for n, place in zip(columns, places, strict=True)}
    parts, count = [], np.bincount(cell, minlength=np.prod(sizes))
    for metric in chosen(metrics):
        y = pq.read_table(folder / "units.parquet", columns=[metric])[metric].to_numpy().astype(float)
        sums = {"y": np.bincount(cell, y), "yy": np.bincount(cell, y * y), "n": count}
        cells = pd.DataFrame({**labels, **sums})
        for segment in ("all", *SEGMENTS):
            keys = ["arm", segment] if segment in SEGMENTS else ["arm"]
            frame = cells.groupby(keys, as_index=False)[list(sums)].sum()
            test = StudentsTTest(frame, numerator_column="y", numerator_sum_squares_column="yy",
                                 denominator_column="n", categorical_group_columns=keys)  # fmt: skip
            told = test.difference(level_1="control", level_2="treatment", groupby=segment if keys[1:] else None)
            level = told[segment] if keys[1:] else "all"
            parts.append(told.assign(metric=metric, segment=segment, level=level))
    names = {"difference": "estimate", "ci_lower": "conf_low", "ci_upper": "conf_high", "p-value": "p_value"}
    return pd.concat(parts).rename(columns=names) if parts else pd.DataFrame()


if __name__ == "__main__":
    way, where, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if way == "make":
        make(where)
    else:
        ways = {
            "cxlib": with_cxlib, "statsmodels": with_statsmodels, "statsmodels, sliced": with_slices,
            "spotify-confidence": with_confidence,
        }  # fmt: skip
        found = ways[way](where, count)
        if count:
            found[[*KEYS, *FOUND]].to_parquet(where / f"{way}.parquet")
