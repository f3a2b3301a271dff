"""The demo company holds what `TRUTHS` says of it, and intervals cover its expected values as often as they claim.

The outside reference is the declaration itself: probabilities and coefficients that the data are drawn from. Where an
expected value has no formula it comes from `data/demo_reference.csv`, made by `demo_reference.py` from a million
customers of another seed. Tolerances are `SIGMAS` standard errors; seeds are fixed, so a test passes always or never.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm
from demo_reference import CHUNKS, KEYS, sums_of
from scipy import optimize, stats

from cxlib import contract, params
from cxlib.analysis import voice
from cxlib.data import demo
from cxlib.data.demo import TRUTHS, calendar, comments
from cxlib.data.demo.truths import LANGUAGES, PLANS, REGIONS
from cxlib.data.ingest import ingest
from cxlib.errors import UsageError
from cxlib.measure import estimates, plans
from cxlib.params import Segment
from cxlib.periods import Period

TESTS = Path(__file__).parent
SIGMAS = 4.0  # of some hundred comparisons in this file, none should stray so far by chance
QUIET = [calendar.label(m) for m in range(27) if calendar.label(m) != TRUTHS.outage.month]  # before the roll-out


@pytest.fixture(scope="module")
def company() -> demo.Company:
    """One full chunk of the default company."""
    return demo.simulate(demo.CHUNK)


@pytest.fixture(scope="module")
def frames(company: demo.Company) -> dict[str, pd.DataFrame]:
    """Its tables in pandas, with the local month of each event."""
    found = {name: table.to_pandas() for name, table in company.tables.items()}
    for name, frame in found.items():
        if name in contract.TABLES and contract.TABLES[name].time in frame and name != "subscriptions":
            frame["month"] = local_month(frame[contract.TABLES[name].time])
    return found


@pytest.fixture(scope="module")
def reference() -> pd.Series:
    """Expected values by (metric, period, segment, level)."""
    table = pd.read_csv(TESTS / "data" / "demo_reference.csv")
    return table.set_index(["metric", "period", "segment", "level"])["value"]


def local_month(moments: pd.Series) -> pd.Series:
    return moments.dt.tz_localize("UTC").dt.tz_convert(demo.TIMEZONE).dt.strftime("%Y-%m")


def assert_share(found: pd.Series | np.ndarray, expected: float) -> None:
    """Assert that a share of 0s and 1s is the expected one within `SIGMAS` standard errors."""
    n = len(found)
    error = np.sqrt(expected * (1 - expected) / n)
    assert abs(np.mean(found) - expected) < SIGMAS * error, (np.mean(found), expected, n)


# The generator


def test_a_full_chunk_is_the_same_whatever_the_size(tmp_path: Path) -> None:
    few, more = tmp_path / "few", tmp_path / "more"
    demo.write(few, customers=demo.CHUNK)
    demo.write(more, customers=demo.CHUNK + 300)
    for path in few.glob("*-0000.parquet"):
        assert path.read_bytes() == (more / path.name).read_bytes()
    assert len(list(more.glob("orders-*.parquet"))) == 2


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_of_a_larger_demo(tmp_path: Path) -> None:
    def prints() -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}

    first = demo.write(tmp_path, customers=300) and prints()
    demo.write(tmp_path, customers=demo.CHUNK + 1, seed=5)
    demo.write(tmp_path, customers=300)
    assert prints() == first


def test_seeds_differ_and_a_tiny_demo_is_refused(tmp_path: Path) -> None:
    assert not demo.tables(50, 1)["orders"].equals(demo.tables(50, 2)["orders"])
    with pytest.raises(UsageError, match="too small"):
        demo.write(tmp_path, customers=10)


def test_asking_for_some_months_leaves_out_the_events_of_others() -> None:
    found = demo.tables(300, 3, first="2026-01", last="2026-03")
    assert set(local_month(found["orders"].to_pandas()["ordered_at"])) == {"2026-01", "2026-02", "2026-03"}
    assert found["customers"].num_rows > 150


def test_tables_have_the_contracts_columns_and_keys(frames: dict[str, pd.DataFrame], company: demo.Company) -> None:
    more = {"age_band", "household"}
    types = {"timestamp": "timestamp[us]", "date": "date32[day]", "money": "decimal128(18, 2)", "text": "string",
             "integer": "int64", "boolean": "bool"}  # fmt: skip
    for name, table in company.tables.items():
        shape = contract.TABLES[name]
        assert set(table.column_names) - set(shape.names) <= more
        assert not frames[name].duplicated(list(shape.key)).any(), name
        for column in shape.columns:
            if column.name in table.column_names:
                assert str(table.schema.field(column.name).type) == types[column.type], (name, column.name)
                assert not (column.required and table.column(column.name).null_count), (name, column.name)


def test_no_event_lies_outside_the_36_months(frames: dict[str, pd.DataFrame]) -> None:
    for name in ("orders", "interactions", "invitations", "responses", "exposures"):
        assert frames[name]["month"].between("2023-11", "2026-10").all(), name
    for name in ("orders", "interactions"):
        assert frames[name]["month"].nunique() == 36
    spells = frames["subscriptions"]
    assert spells["started_on"].astype(str).min() >= "2021-11-01"
    assert spells["ended_on"].dropna().astype(str).min() >= "2023-11-01"
    assert spells["ended_on"].dropna().astype(str).max() <= "2026-10-31"


def test_touchpoints_and_attributes_are_those_of_the_parameters(frames: dict[str, pd.DataFrame]) -> None:
    known = params.load(TESTS.parent)
    for name in ("interactions", "invitations", "responses"):
        assert set(frames[name]["touchpoint"]) <= set(known.touchpoints)
    assert set(known.workspace.attributes) <= set(frames["customers"].columns)
    assert known.workspace.timezone == demo.TIMEZONE
    for experiment in (TRUTHS.delivery_updates, TRUTHS.invoice_layout):
        plan = known.experiments[experiment.id]
        assert tuple(plan.variants) == experiment.variants
        assert (plan.start[:7], plan.stop[:7]) == (experiment.first, experiment.last)


def test_the_reference_run_is_of_this_generator(company: demo.Company) -> None:
    """One chunk of another seed agrees with the stored figures; their errors are those of 100 chunks together."""
    table = pd.read_csv(TESTS / "data" / "demo_reference.csv").set_index(KEYS)
    sums, _ = sums_of(company)
    found = sums.set_index(KEYS)
    both = table.join(found, how="inner")
    score = (both["y"] / both["x"] - both["value"]) / (both["std_error"] * np.sqrt(CHUNKS + 1))
    assert len(score) > 650
    assert score.abs().max() < SIGMAS + 1
    assert score.std() == pytest.approx(1, abs=0.15)


# Truth 1: satisfaction


def test_answers_follow_the_latent_scale(company: demo.Company) -> None:
    """Probit of top-2-box on the parts gives back the planted coefficients (noise has standard deviation 1)."""
    asked, truth = company.asked, TRUTHS.satisfaction
    support = (asked.instrument == 1) & (asked.touchpoint >= 2)
    minutes = np.clip(asked.wait / 60, 0, truth.most_minutes)
    x = np.column_stack([np.ones(support.sum()), asked.base[support], minutes[support], asked.unresolved[support]])
    fit = sm.Probit(asked.score[support] >= 4, x).fit(disp=0)
    planted = [truth.csat_support_offset - truth.csat_cuts[2], 1.0, truth.per_wait_minute, truth.unresolved]
    assert (np.abs(fit.params - planted) < SIGMAS * fit.bse).all(), fit.params
    delivery = (asked.instrument == 1) & (asked.touchpoint == 1)
    for cut, score in zip(truth.csat_cuts, (2, 3, 4, 5), strict=True):
        p = stats.norm.cdf(asked.latent[delivery] - cut)
        error = np.sqrt((p * (1 - p)).sum())
        assert abs((asked.score[delivery] >= score).sum() - p.sum()) < SIGMAS * error


# Truth 2: churn


def test_churn_hazard_depends_on_latent_satisfaction(company: demo.Company) -> None:
    """Poisson regression on customer-days gives back the hazard ratio and each plan's base."""
    life = company.life
    days = (life.end - life.begin).astype(float)
    calendar_days = calendar.days_in(np.arange(calendar.MONTHS))
    who, month = np.nonzero(days > 0)
    left = life.end[who, month] < calendar_days[month]
    x = np.column_stack([life.before[who, month], *(life.plan[who, month] == plan for plan in range(3))]).astype(float)
    offset = np.log(days[who, month] / 30.4375)
    fit = sm.GLM(left.astype(float), x, family=sm.families.Poisson(), offset=offset).fit()
    planted = np.log([TRUTHS.churn.hazard_ratio, *TRUTHS.churn.base])
    assert (np.abs(fit.params - planted) < SIGMAS * fit.bse).all(), np.exp(fit.params)


# Truth 3: the mix shift


def test_every_source_rises_and_the_whole_falls(reference: pd.Series) -> None:
    nps = reference["nps"]
    rise = nps["2026-10", "acquisition_source"] - nps["2025-10", "acquisition_source"]
    assert len(rise) == 5
    assert (rise > 8).all()
    assert nps["2026-10", "all", "all"] - nps["2025-10", "all", "all"] < -2


def test_the_default_company_shows_it() -> None:
    """20,000 customers of the default seed, October against a year before: all five sources up, the whole down."""
    parts = [demo.simulate(demo.CHUNK, chunk=chunk).tables for chunk in range(2)]
    found = {name: pa.concat_tables([part[name] for part in parts]).to_pandas() for name in ("customers", "responses")}
    sources = found["customers"].drop_duplicates("customer_id")[["customer_id", "acquisition_source"]]
    nps = found["responses"].query("instrument == 'nps'").merge(sources)
    nps["month"] = local_month(nps["responded_at"])
    nps["y"] = 100 * ((nps["score"] >= 9).astype(int) - (nps["score"] <= 6).astype(int))
    before, after = (nps[nps["month"] == month] for month in ("2025-10", "2026-10"))
    by = [rows.groupby("acquisition_source")["y"].mean() for rows in (before, after)]
    assert (by[1] > by[0]).all()
    assert stats.ttest_ind(after["y"], before["y"], equal_var=False, alternative="less").pvalue < 0.05
    shares = [(rows["acquisition_source"] == TRUTHS.mix_shift.source).mean() for rows in (before, after)]
    assert shares[1] > 3 * shares[0]


# Truth 4: the experiments


def test_arms_are_even_and_the_null_experiment_is_null(company: demo.Company, frames: dict[str, pd.DataFrame]) -> None:
    exposed = frames["exposures"]
    for experiment in (TRUTHS.delivery_updates, TRUTHS.invoice_layout):
        mine = exposed[exposed["experiment"] == experiment.id]
        assert_share(mine["variant"] == experiment.variants[1], 0.5)
        assert mine["month"].between(experiment.first, experiment.last).all()
    null = exposed[exposed["experiment"] == TRUTHS.invoice_layout.id]
    answers = (
        frames["responses"].merge(null, on="customer_id").query("instrument == 'csat' and responded_at > exposed_at")
    )
    arms = [arm["score"] for _, arm in answers.groupby("variant")]
    assert stats.ttest_ind(*arms, equal_var=False).pvalue > 0.001


def test_delivery_updates_help_by_a_quarter_point(company: demo.Company, reference: pd.Series) -> None:
    everybody = reference["delivery_csat_if_all_answered", "experiment", "variant"]
    effect = everybody["updates"] - everybody["control"]
    assert 0.20 < effect < 0.30
    asked = company.asked
    month = local_month(pd.Series(pd.to_datetime(asked.sent, unit="s")))
    window = (asked.touchpoint == 1) & month.between("2026-04", "2026-06").to_numpy()
    arms = [asked.score[window & (company.people.coin_updates[asked.who] == arm)] for arm in (False, True)]
    error = np.sqrt(sum(arm.var() / len(arm) for arm in arms))
    assert abs(arms[1].mean() - arms[0].mean() - effect) < SIGMAS * error + 0.02  # March orders


# Truths 5 and 6: the roll-out and the outage


def first_contacts(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    contacts = frames["interactions"].query("kind == 'contact'").sort_values("started_at")
    first = contacts.drop_duplicates("case_id")
    history = frames["customers"].sort_values("valid_from")[["customer_id", "valid_from", "region"]]
    return pd.merge_asof(first, history, left_on="started_at", right_on="valid_from", by="customer_id")


def test_resolution_is_as_declared_by_region_and_month(frames: dict[str, pd.DataFrame]) -> None:
    first = first_contacts(frames)
    quiet = first[first["month"].isin(QUIET) & (first["month"] < TRUTHS.rollout.trend_since)]
    for region, expected in zip(REGIONS, TRUTHS.support.resolved, strict=True):
        assert_share(quiet.loc[quiet["region"] == region, "resolved"].astype(bool), expected)
    broken = first[first["month"] == TRUTHS.outage.month]
    usual = np.average(TRUTHS.support.resolved, weights=[(broken["region"] == region).mean() for region in REGIONS])
    assert_share(broken["resolved"].astype(bool), usual + TRUTHS.outage.resolved)


def test_before_and_after_misleads_and_difference_in_differences_does_not(frames: dict[str, pd.DataFrame]) -> None:
    first = first_contacts(frames)
    first["resolved"] = first["resolved"].astype(float)
    north, islands = (first[first["region"] == region] for region in ("North", "Islands"))

    def change(rows: pd.DataFrame) -> tuple[float, float]:
        before, after = rows.query("'2025-04' <= month <= '2026-01'"), rows.query("month >= '2026-08'")
        error = before["resolved"].var() / len(before) + after["resolved"].var() / len(after)
        return after["resolved"].mean() - before["resolved"].mean(), error

    (naive, error), (common, common_error) = change(north), change(islands)
    assert naive - TRUTHS.rollout.resolved > 1.5 * np.sqrt(error)
    assert abs(naive - common - TRUTHS.rollout.resolved) < SIGMAS * np.sqrt(error + common_error)


def test_waits_follow_the_declared_distribution(frames: dict[str, pd.DataFrame], reference: pd.Series) -> None:
    truth = TRUTHS.support
    shares = np.array(truth.touchpoint[:2]) / sum(truth.touchpoint[:2])

    def quantile(q: float, factor: float = 1.0) -> float:
        def excess(seconds: float) -> float:
            below = stats.norm.cdf(np.log(seconds / (factor * np.array(truth.median_wait[:2]))) / truth.wait_sd)
            return float(shares @ below - q)

        return float(optimize.brentq(excess, 1, truth.longest_wait))

    waits = frames["interactions"].query("kind == 'contact'").dropna(subset="wait_seconds")
    quiet = waits.loc[waits["month"].isin(QUIET) & (waits["month"] < TRUTHS.rollout.trend_since), "wait_seconds"]
    for metric, q in (("wait_p50", 0.5), ("wait_p90", 0.9)):
        assert_share(quiet <= quantile(q), q)
        assert reference[metric, "2024-06", "all", "all"] == pytest.approx(quantile(q), rel=0.02)
        outage = reference[metric, TRUTHS.outage.month, "all", "all"]
        assert outage == pytest.approx(quantile(q, TRUTHS.outage.wait), rel=0.02)


def test_the_outage_is_slow_and_brings_complaints(frames: dict[str, pd.DataFrame], reference: pd.Series) -> None:
    load = frames["interactions"].dropna(subset="load_ms").groupby("month")["load_ms"].median()
    others = load.drop(TRUTHS.outage.month)
    assert load[TRUTHS.outage.month] / others.median() == pytest.approx(TRUTHS.outage.load, rel=0.1)
    assert others.max() / others.min() < 1.25
    complaints = reference["complaint_rate"].droplevel(["segment", "level"])
    assert complaints[TRUTHS.outage.month] > 2.5 * complaints.drop(TRUTHS.outage.month).max()


# Truth 7: seasons


def test_deliveries_are_late_as_declared(frames: dict[str, pd.DataFrame]) -> None:
    orders = frames["orders"].query("month < '2026-09'").dropna(subset="delivered_at")
    late, truth = orders["delivered_at"] > orders["promised_at"], TRUTHS.orders
    base = float(np.dot(truth.carrier_share, truth.carrier_late))
    for month_of_year, factor in enumerate(truth.late_season, start=1):
        mine = orders["month"].str.endswith(f"-{month_of_year:02d}")
        assert_share(late[mine], base * factor)
    per_day = frames["orders"].groupby(frames["orders"]["month"].str[5:]).size()
    assert per_day.nlargest(2).index.tolist() == ["12", "11"]


# Truths 8 and 11: the survey


def test_who_answers_depends_on_mood_and_age(company: demo.Company, frames: dict[str, pd.DataFrame]) -> None:
    asked, truth = company.asked, TRUTHS.surveys
    answered = np.zeros(len(asked.who), bool)
    answered[frames["responses"]["invitation_id"].str[1:].astype(int)] = True
    known = asked.sent < calendar.end_of_data() - 15 * calendar.DAY
    mood, age = demo.surveys.mood(asked), company.people.age[asked.who]
    for instrument, chances in enumerate((truth.nps_response, truth.csat_response, truth.ces_response)):
        for feeling, chance in enumerate(chances):
            for band, factor in enumerate(truth.age):
                cell = known & (asked.instrument == instrument) & (mood == feeling) & (age == band)
                assert_share(answered[cell], chance * factor)


def test_answers_flatter(reference: pd.Series) -> None:
    """Promoters answer more often: what is measured lies far above what everybody would say."""
    measured, of_all = (
        reference[name].xs(("all", "all"), level=("segment", "level")) for name in ("nps", "nps_if_all_answered")
    )
    gap = measured - of_all
    assert len(gap) == 36
    assert gap.min() > 15


def test_some_surveys_come_before_the_parcel(frames: dict[str, pd.DataFrame]) -> None:
    sent = frames["invitations"].query("touchpoint == 'delivery'").merge(frames["orders"], on="order_id")
    assert_share(sent["sent_at"] < sent["delivered_at"], TRUTHS.surveys.sent_before_arrival)
    often = frames["invitations"].query("instrument == 'nps'").groupby(["customer_id", "month"]).size()
    people = often[often > 1].reset_index()["customer_id"].nunique() / frames["invitations"]["customer_id"].nunique()
    assert people == pytest.approx(TRUTHS.surveys.over_contacted, rel=0.25)


# Truth 9: comments


def test_comments_mention_their_causes(company: demo.Company, frames: dict[str, pd.DataFrame]) -> None:
    asked, truth = company.asked, TRUTHS.comments
    place = frames["responses"]["invitation_id"].str[1:].astype(int).to_numpy()
    themes, text = company.themes.to_pandas(), frames["responses"]["comment"]
    written = text.notna().to_numpy()
    mood = demo.surveys.mood(asked)[place]
    for feeling, chance in enumerate(truth.written):
        assert_share(written[mood == feeling], chance)
    causes = {
        "late": (asked.late[place], truth.late),
        "wait": (asked.wait[place] >= truth.long_wait, truth.wait),
        "unresolved": (asked.unresolved[place], truth.unresolved),
        "price": (np.ones(len(place), bool), truth.price),
        "praise": (mood == 2, truth.praise),
    }
    for theme, (cause, chance) in causes.items():
        assert_share(themes.loc[written & cause, theme].astype(bool), chance)
        assert not themes.loc[written & ~cause, theme].astype(bool).any()
        said = themes.loc[written, theme].astype(bool)
        sentences = [s for group in comments.SENTENCES[theme].values() for s in group]
        assert (text[written].str.contains("|".join(map(_escape, sentences))) == said).all()
    shares = frames["responses"]["language"].value_counts(normalize=True)
    assert shares[LANGUAGES[0]] == pytest.approx(TRUTHS.population.languages[0], abs=0.03)


def _escape(text: str) -> str:
    return text.replace(".", r"\.").replace("?", r"\?")


def test_comments_carry_what_a_publisher_must_catch(company: demo.Company, frames: dict[str, pd.DataFrame]) -> None:
    text = frames["responses"]["comment"].dropna().reset_index(drop=True)
    themes = company.themes.to_pandas().loc[frames["responses"]["comment"].notna().to_numpy()].reset_index(drop=True)
    personal, planted = themes["personal"].astype(bool), themes["planted"].dropna()
    assert_share(personal, TRUTHS.comments.personal)
    assert personal[personal].index.equals(planted.index)
    assert all(value in text[place] for place, value in planted.items())
    assert not [
        value for value, clean in zip(planted, voice.redact_series(text[personal]), strict=True) if value in clean
    ]
    assert_share(text.str.contains("<", regex=False), TRUTHS.comments.markup)
    assert_share(text.str.startswith(("=", "+", "@")), TRUTHS.comments.formula)


# Truth 10: dirty rows, through the whole intake


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """A demo of 2,500 customers, ingested."""
    root = tmp_path_factory.mktemp("demo")
    shutil.copytree(TESTS.parent / "params", root / "params")
    rows = demo.write(root / "data" / "raw" / "demo", customers=2_500)
    return root, rows, ingest(root, params.load(TESTS.parent), "demo")


def test_the_contract_refuses_exactly_the_dirty_rows(taken_in: tuple) -> None:
    _, rows, report = taken_in
    for table, counts in report.tables.items():
        mine = [dirty for dirty in TRUTHS.dirty if dirty.table == table]
        assert counts.rejected == sum(d.count(2_500) for d in mine if d.outcome == "rejected"), table
        assert counts.duplicated == sum(d.count(2_500) for d in mine if d.outcome == "duplicated"), table
        assert counts.rows_in == rows[table]
        for dirty in (d for d in mine if d.outcome == "rejected"):
            target = report.quarantine / f"{table}.parquet"
            found = duckdb.sql(f"SELECT reasons FROM '{target}'").df()["reasons"]
            assert found.str.startswith(dirty.reason).sum() == dirty.count(2_500), dirty.reason


def test_good_rows_stay_and_older_ids_are_known(taken_in: tuple) -> None:
    from cxlib.data.store import Store

    root, *_ = taken_in
    clean = demo.tables(2_500)
    with Store.open(root) as store:
        for name, table in clean.items():
            key = list(contract.TABLES[name].key)
            found = store.run(store.tables[name]).sort_values(key, ignore_index=True)
            wanted = table.to_pandas().sort_values(key, ignore_index=True)
            for column in wanted.columns:
                same = (found[column] == wanted[column]) | (found[column].isna() & wanted[column].isna())
                assert same.all(), (name, column)


# Coverage


METRICS = (
    "nps", "csat_top2", "csat_mean", "late_delivery_share", "average_order_value", "orders_per_customer",
    "repeat_purchase", "first_contact_resolution", "response_rate", "churn_rate", "churn_start_cohort",
    "complaint_rate", "wait_p50", "wait_p90",
)  # fmt: skip
MONTH, CUSTOMERS = "2026-05", 1_000  # its answers, deliveries and windows reach back to 2026-02
# Intervals of small samples are approximate: shares and clustered ratios may cover a little less than they say, exact
# ones (Poisson, order statistics) a little more. Beyond these bounds an interval is wrong, not approximate.
LEAST, MOST = 0.93, 0.98


def small_companies(chunks: range) -> dict[str, ibis.Table]:
    """Return ten companies of 1,000 customers from each chunk, as one: `household` says whose customer somebody is."""
    parts = [demo.simulate(demo.CHUNK, 77, chunk=chunk, first="2026-01", last=MONTH).tables for chunk in chunks]
    tables = {name: pa.concat_tables([part[name] for part in parts]) for name in parts[0]}
    customers = tables["customers"].to_pandas()
    number = customers["customer_id"].str[1:].astype(int) // CUSTOMERS
    tables["customers"] = pa.Table.from_pandas(customers.assign(household="company " + number.astype(str)))
    engine = ibis.duckdb.connect()
    return {name: engine.create_table(name, table) for name, table in tables.items()}


@pytest.mark.simulation
def test_intervals_cover_the_expected_values_of_small_companies(
    reference: pd.Series, replicates: Callable[[int, int], int]
) -> None:
    known = params.load(TESTS.parent)
    by = Segment(id="company", title="Company", column="household")
    period = [Period.parse(MONTH)]
    covered: dict[str, list[bool]] = {name: [] for name in METRICS}
    for first in range(0, replicates(10, 100), 10):
        tables = small_companies(range(first, first + 10))
        for name in METRICS:
            plan = plans.plan(known.metrics[name], tables, period, timezone=demo.TIMEZONE, segments=(by,))
            found = estimates.from_moments(known.metrics[name], plan.to_pyarrow().to_pandas(), segment="company")
            expected = reference[name, MONTH, "all", "all"]
            inside = (found["conf_low"] <= expected) & (expected <= found["conf_high"])
            covered[name] += inside[found["status"] == "ok"].tolist()
    told = {name: (sum(inside), len(inside)) for name, inside in covered.items()}
    print({name: round(x / n, 3) for name, (x, n) in told.items()})
    for name, (inside, n) in told.items():
        assert stats.binom.ppf(1e-4, n, LEAST) <= inside <= stats.binom.ppf(1 - 1e-4, n, MOST), (name, inside, n)


def test_plans_are_those_of_the_truths(frames: dict[str, pd.DataFrame]) -> None:
    spells = frames["subscriptions"].drop_duplicates("plan").set_index("plan")["monthly_amount"].astype(float)
    assert spells.loc[list(PLANS)].tolist() == list(TRUTHS.churn.fees)


def test_the_docs_tell_the_truths() -> None:
    told = (TESTS.parent / "docs" / "demo.md").read_text(encoding="utf-8")
    numbers = [
        TRUTHS.satisfaction.late, TRUTHS.satisfaction.per_day_late, TRUTHS.satisfaction.per_wait_minute,
        TRUTHS.satisfaction.unresolved, TRUTHS.satisfaction.asked_too_early, TRUTHS.churn.hazard_ratio,
        *TRUTHS.churn.base, *TRUTHS.support.resolved, TRUTHS.rollout.resolved, TRUTHS.rollout.wait,
        TRUTHS.delivery_updates.shift, TRUTHS.outage.resolved, *TRUTHS.orders.carrier_late,
        *TRUTHS.surveys.nps_response, *TRUTHS.surveys.csat_response,
        *TRUTHS.surveys.age, TRUTHS.surveys.sent_before_arrival, TRUTHS.comments.late,
        TRUTHS.comments.wait, TRUTHS.comments.unresolved, TRUTHS.orders.per_satisfaction,
    ]  # fmt: skip
    words = told.replace("\u2212", "-")
    assert not [n for n in numbers if f"{n:g}" not in words and f"{n:.2f}" not in words]
    assert not [dirty.reason for dirty in TRUTHS.dirty if dirty.reason not in words]
    assert not [
        month for month in (*TRUTHS.rollout.months, TRUTHS.outage.month, TRUTHS.mix_shift.since) if month not in words
    ]
