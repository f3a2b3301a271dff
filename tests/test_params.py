"""params/: what is read, what is refused, and the exact words in which every fault is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cxlib import params
from cxlib.contract import DERIVED, TABLES, TYPES, types_of
from cxlib.errors import CxError, ParamsError
from cxlib.expressions import FAMILIES
from cxlib.params import yamltext
from cxlib.params.models import ColumnType, Metric

PROJECT = Path(__file__).resolve().parents[1]

GOOD = {
    "workspace.yml": "company: Acme\ntimezone: Europe/Madrid\nattributes:\n  age_band: text\n",
    "touchpoints.yml": "touchpoints:\n  checkout: {title: Checkout, group: during, stage: purchase, stream: engage}\n",
    "framework.yml": "goals:\n- {goal: Loyalty, stage: advocacy, kpi: nps, source: shop, owner: Ana}\n",
    "changes.yml": "changes:\n  chat: {title: Chat, date: '2026-02-01', what: A chat, metrics: [nps]}\n",
    "codebook.yml": "themes:\n  price: {title: Price, phrases: {en: [price*, 'NO'], pt: [010]}}\n",
    "metrics/nps.yml": "title: NPS\nquestion: Would they?\nkind: nps\nunit: points\ntable: responses\n"
    "time: responded_at\nfilter: instrument == 'nps'\nvalue: score\nhigher_is_better: true\nowner: Ana\ntarget: null\n",
    "metrics/liking.yml": "title: Liking\nquestion: Do they?\nkind: share\nunit: percent\ntable: responses\n"
    "time: responded_at\nnumerator: score > 3\nhigher_is_better: true\nowner: Ana\n",
    "segments/age.yml": "title: Age\ncolumn: age_band\n",
    "drivers/liking.yml": "title: Liking\nquestion: Why?\noutcome: liking\nfilter: touchpoint == 'survey'\n"
    "drivers:\n  late: {title: Late, value: days_late > 0, leaf: service, theme: price, experiment: updates}\n"
    "segments: [age]\nowner: Ana\n",
    "segments/lateness.yml": "title: Late\non: event\nrules:\n- {level: late, when: delivered_late}\n"
    "otherwise: in time\n",
    "sources/shop/source.yml": "title: Shop\nlicence: own\nfiles:\n  orders: {path: orders.csv, delimiter: ';'}\n",
    "sources/shop/orders.sql": "select * from orders",
    "reports/monthly.yml": "title: Monthly\naudience: all\nnotebooks: [one]\nmetrics: [nps]\nsegments: [age]\n",
    "experiments/updates.yml": "title: Updates\nhypothesis: They help\nvariants: {control: 0.5, updates: 0.5}\n"
    "start: '2026-04-01'\nstop: '2026-06-30'\nprimary_metric: nps\nsmallest_effect_that_matters: 2\n"
    "registered_on: '2026-03-01'\nowner: Ana\n",
}


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write files of params/, and the notebook that the good report names."""
    for name, text in files.items():
        path = root / "params" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    notebook = root / "notebooks" / "monthly" / "one.ipynb"
    notebook.parent.mkdir(parents=True, exist_ok=True)
    notebook.write_text("{}", encoding="utf-8")
    return root


def told(root: Path, files: dict[str, str | bytes], **known) -> list[str]:
    """Return what `check` says of the good workspace with some files replaced."""
    return [str(fault) for fault in params.check(write(root, {**GOOD, **files}), **known)]


def metric(**changed: str) -> str:
    """Return the good metric's YAML with keys changed; an empty value takes the key away."""
    lines = dict(line.split(": ", 1) for line in GOOD["metrics/nps.yml"].splitlines()) | changed
    return "".join(f"{key}: {value}\n" for key, value in lines.items() if value)


class TestGood:
    def test_everything_becomes_frozen_objects(self, tmp_path):
        found = params.load(write(tmp_path, GOOD))
        assert found.workspace.company == "Acme"
        assert found.workspace.attributes == {"age_band": "text"}
        assert found.metrics["nps"].id == "nps"
        assert found.metrics["nps"].target is None
        assert found.touchpoints["checkout"].id == "checkout"
        assert found.framework[0].kpi == "nps"
        assert found.changes["chat"].date == "2026-02-01"
        assert found.sources["shop"].files["orders"].delimiter == ";"
        assert found.experiments["updates"].variants == {"control": 0.5, "updates": 0.5}
        assert found.segments["lateness"].rules[0].level == "late"
        assert found.reports["monthly"].notebooks == ("one",)
        with pytest.raises(ValidationError):
            found.workspace.company = "Other"

    def test_texts_stay_as_written(self, tmp_path):
        """YAML 1.1 reads NO as false and 010 as 8; Norway and a code are meant."""
        assert params.load(write(tmp_path, GOOD)).codebook.themes["price"].phrases == {
            "en": ("price*", "NO"),
            "pt": ("010",),
        }

    def test_a_workspace_needs_no_more_than_itself(self, tmp_path):
        found = params.load(write(tmp_path, {"workspace.yml": "company: Acme\n"}))
        assert (found.metrics, found.framework, found.codebook.themes) == ({}, (), {})

    def test_a_key_without_value_is_not_given(self, tmp_path):
        files = {"workspace.yml": "company: Acme\nmin_n:\nattributes:\n"} | {
            "metrics/nps.yml": metric(caveats=" ", cluster="''")
        }
        found = params.load(write(tmp_path, files))
        assert (found.workspace.min_n, found.workspace.attributes) == (10, {})
        assert found.metrics["nps"].cluster == ""  # here a blank says something: rows are independent

    def test_known_columns_may_be_named(self, tmp_path):
        files = {"segments/age.yml": "title: Age\ncolumn: shoe_size\n"}
        assert len(told(tmp_path, files)) == 1
        assert told(tmp_path, files, known_columns={"customers": ["shoe_size"]}) == []

    def test_files_that_are_not_yaml_are_left_alone(self, tmp_path):
        extra = {"README.md": "x", ".hidden.yml": ": [", "metrics/notes.txt": "x", "metrics/._nps.yml": b"\x00"}
        assert told(tmp_path, extra) == []

    def test_byte_order_mark_and_windows_lines(self, tmp_path):
        assert (
            told(tmp_path, {"workspace.yml": b"\xef\xbb\xbfcompany: Acme\r\nattributes:\r\n  age_band: text\r\n"}) == []
        )

    @pytest.mark.parametrize("kind", ["share", "mean", "ratio", "rate", "quantile"])
    def test_each_kind(self, tmp_path, kind):
        keys = {
            "share": {"numerator": "score >= 9", "unit": "percent"},
            "mean": {"numerator": "score"},
            "ratio": {"numerator": "score", "denominator": "customers"},
            "rate": {"numerator": "1", "denominator": "{table: subscriptions, value: 'days_between(started_on, "
                     "period_end)'}", "scale": "1000"},
            "quantile": {"value": "score", "quantile": "0.9"},
        }[kind]  # fmt: skip
        assert told(tmp_path, {"metrics/nps.yml": metric(**({"kind": kind, "value": ""} | keys))}) == []


# One workspace with everything wrong at once; below it, what is said of it, word for word.
BROKEN: dict[str, str | bytes] = {
    "workspace.yml": "company: Acme\ntimezone: Europe/Madird\ncurrency: euro\nconfidence: 1.5\nmin_n: ten\n"
    "companny: Acme\nattributes:\n  region: text\n  shoe: texts\nperiod: day\nchecks: yes\n",
    "workpace.yml": "company: Acme\n",
    "metric/nps.yml": "title: NPS\n",
    "touchpoints.yml": "touchpoints:\n  Check-Out:\n    title: Checkout\n    group: durring\n    stage: purchase\n"
    "    stream: engage\n    digital: maybe\n    id: x\n",
    "framework.yml": "goals:\n- goal: Loyalty\n  stage: advocacy\n  kpi: npss\n  source: shpo\n",
    "changes.yml": "changes:\n  chat:\n    title: Chat\n    date: 2026-02-30\n    what: A chat\n    metrics: [csat]\n",
    "codebook.yml": "themes:\n  price: {title: Price, phrases: {en: price}}\n",
    "metrics/nps.yml": "title: NPS\ntitle: Net promoter score\nquestion:\nkind: shares\nunit: points\ntable: response\n"
    "higher_is_better: true\nowner: Ana\nnumerator: score > 8\n",
    "metrics/NPS.yaml": "title: NPS\n",
    "metrics/late.yml": "title: Late\nquestion: How many?\nkind: share\nunit: points\ntable: orders\ntime: amount\n"
    "higher_is_better: false\nowner: Ana\ntarget: 80\nfilter: amount = 3\nvalue: amount\ncluster: customer\n"
    "window: 3 months\nnumerator: deliverd_at > promised_at\n",
    "metrics/score.yml": "title: Score\nquestion: What?\nkind: mean\nunit: score\ntable: responses\n"
    "higher_is_better: nearly\nowner: Ana\nnumerator: instrument\nfilter: score == 'nps'\ntarget: .inf\n",
    "metrics/ratio.yml": "title: Ratio\nquestion: What?\nkind: ratio\nunit: count\ntable: orders\ntime: ordered_at\n"
    "higher_is_better: true\nowner: Ana\nnumerator: units\ndenominator:\n  table: costs\n  tiem: month\n",
    "metrics/tabbed.yml": "title: NPS\nkind:\n\tnps\n",
    "metrics/latin.yml": "title: Satisfacción\n".encode("latin-1"),
    "metrics/syntax.yml": "title: [NPS\n",
    "metrics/empty.yml": "",
    "metrics/list.yml": "- title\n",
    "metrics/alias.yml": "title: &t NPS\nquestion: *t\n",
    "metrics/liking.yml": "title: Liking\nquestion: Do they?\nkind: share\nunit: percent\ntable: responses\n"
    "time: responded_at\nnumerator: score > 3\nhigher_is_better: true\nowner: Ana\n",
    "segments/age.yml": "title: Age\ncolumn: age_bnad\nrules: [{level: a, when: region == 'x'}]\n",
    "segments/tenure.yml": "title: Tenure\nrules:\n- {level: new, when: joined_on > 3}\n- {level: new, when: region}\n",
    "sources/shop/source.yml": "title: Shop\nfiles:\n  orders: {path: o.csv, format: xls, encoding: utf-88}\n",
    "sources/shop/order.sql": "select 1",
    "sources/bare/source.yml": "title: Bare\nlicence: own\nfiles: {a: {path: a.csv}}\n",
    "sources/lost/orders.sql": "select 1",
    "sources/stray.yml": "title: Stray\n",
    "reports/monthly.yml": "title: Monthly\naudience: all\nnotebooks: [on, one]\nmetrics: [npss, late, late]\n"
    "segments: agee\n",
    "experiments/updates.yml": "title: Updates\nhypothesis: They help\nvariants: {control: 0.5, updates: 0.4}\n"
    "start: 2026-07-01\nstop: 2026-06-30\nprimary_metric: late\nguardrails: [lte]\nunit: custmer_id\n"
    "smallest_effect_that_matters: 0\nregistered_on: March\nowner: Ana\n",
}

SAID = """\
params/changes.yml:4: changes.chat.date: '2026-02-30' is not a day of the calendar
params/changes.yml:6: changes.chat.metrics[1]: there is no params/metrics/csat.yml
params/codebook.yml:2: themes.price.phrases.en: 'price' stands where a list is wanted, as in [a, b]
params/experiments/updates.yml:3: variants: the shares of the variants add up to 0.9, not to 1
params/experiments/updates.yml:5: stop: '2026-06-30' is before the start, 2026-07-01
params/experiments/updates.yml:7: guardrails[1]: there is no params/metrics/lte.yml; did you mean 'late'?
params/experiments/updates.yml:8: unit: 'custmer_id' is none of customer_id, account_id; did you mean 'customer_id'?
params/experiments/updates.yml:9: smallest_effect_that_matters: '0' is out of range: it must be more than 0
params/experiments/updates.yml:10: registered_on: 'March' is not a day: write it as 2026-10-31
params/framework.yml:4: goals[1].kpi: there is no params/metrics/npss.yml; did you mean 'nps'?
params/framework.yml:5: goals[1].source: there is no params/sources/shpo/source.yml; did you mean 'shop'?
params/metric: 'metric' is none of the folders of params/: metrics, segments, sources, reports, experiments, drivers; did you mean 'metrics'?
params/metrics/NPS.yaml: the id 'nps' is already taken by params/metrics/nps.yml: keep one
params/metrics/alias.yml:1: higher_is_better: is missing
params/metrics/alias.yml:1: kind: is missing
params/metrics/alias.yml:1: owner: is missing
params/metrics/alias.yml:1: table: is missing
params/metrics/alias.yml:1: unit: is missing
params/metrics/alias.yml:2: question: anchors and aliases (& and *) are not used here: write the value out
params/metrics/empty.yml:1: is empty
params/metrics/late.yml:4: unit: 'points': a share is in percent
params/metrics/late.yml:6: time: 'amount' holds money, no times; the times of orders are ordered_at, promised_at, delivered_at, next_ordered_at
params/metrics/late.yml:9: target: '80' is out of range: the target of a share is 0 to 1
params/metrics/late.yml:10: filter: 'amount = 3' is not an expression: write == to compare
params/metrics/late.yml:11: value: a share does not use it: leave it out (it uses numerator)
params/metrics/late.yml:12: cluster: orders has no column 'customer'; did you mean 'customer_id'?
params/metrics/late.yml:13: window: '3 months' is not a window: write it as 90 days
params/metrics/late.yml:14: numerator: orders has no column 'deliverd_at'; did you mean 'delivered_at'?
params/metrics/latin.yml:1: byte 0xF3 is not UTF-8: save the file as UTF-8
params/metrics/list.yml:1: holds no 'key: value' lines
params/metrics/nps.yml:1: title: is given twice, in lines 1 and 2: keep one
params/metrics/nps.yml:3: question: is empty
params/metrics/nps.yml:4: kind: 'shares' is none of share, mean, ratio, nps, rate, quantile; did you mean 'share'?
params/metrics/nps.yml:6: table: 'response' is none of the contract's tables: customers, invitations, responses, interactions, orders, subscriptions, exposures, costs, identities; did you mean 'responses'?
params/metrics/ratio.yml:10: denominator.time: is missing: give a time column, or name period_start or period_end in an expression
params/metrics/ratio.yml:12: denominator.tiem: no such key; the keys here are table, time, value, filter; did you mean 'time'?
params/metrics/score.yml:1: time: is missing: give a time column, or name period_start or period_end in an expression
params/metrics/score.yml:6: higher_is_better: 'nearly' is neither true nor false
params/metrics/score.yml:8: numerator: 'instrument' is a text where a number is due
params/metrics/score.yml:9: filter: 'score == 'nps'' does not fit: score is a number, 'nps' a text
params/metrics/score.yml:10: target: '.inf' is not a number
params/metrics/syntax.yml:2: not YAML: did not find expected ',' or ']'
params/metrics/tabbed.yml:3: a tab: YAML is indented with spaces
params/reports/monthly.yml:3: notebooks[1]: there is no notebook notebooks/monthly/on.ipynb; did you mean 'one'?
params/reports/monthly.yml:4: metrics[1]: there is no params/metrics/npss.yml; did you mean 'nps'?
params/reports/monthly.yml:4: metrics[3]: 'late' is listed twice: keep one
params/reports/monthly.yml:5: segments: 'agee' stands where a list is wanted, as in [a, b]
params/segments/age.yml:1: a segment has either 'column' or 'rules'
params/segments/age.yml:1: otherwise: is missing: rules need a catch-all level for the rows that meet none
params/segments/age.yml:2: column: customers has no column 'age_bnad'; it has customer_id, valid_from, joined_on, account_id, region, plan, acquisition_source, referred_by, consent, shoe
params/segments/tenure.yml:1: otherwise: is missing: rules need a catch-all level for the rows that meet none
params/segments/tenure.yml:3: rules[1].when: 'joined_on > 3' does not fit: joined_on is a date, 3 a number
params/segments/tenure.yml:4: rules[2].level: the level 'new' is given twice: join the two rules with 'or'
params/segments/tenure.yml:4: rules[2].when: 'region' is a text where a condition is due
params/sources/bare/source.yml:1: no SQL beside it: add one <table>.sql for each of customers, invitations, responses, interactions, orders, subscriptions, exposures, costs, identities that it fills
params/sources/lost/source.yml: is missing: it describes the files of this source
params/sources/shop/order.sql: 'order' is none of the contract's tables: customers, invitations, responses, interactions, orders, subscriptions, exposures, costs, identities; did you mean 'orders'?
params/sources/shop/source.yml:1: licence: is missing
params/sources/shop/source.yml:3: files.orders.encoding: 'utf-88' is not an encoding; most are utf-8, latin-1 or cp1252
params/sources/shop/source.yml:3: files.orders.format: 'xls' is none of csv, tsv, text, excel, parquet, jsonl
params/sources/stray.yml: a source is a folder: move this to stray/source.yml
params/touchpoints.yml:2: touchpoints.Check-Out: 'Check-Out' is not an id: small letters, digits and _, a letter first
params/touchpoints.yml:4: touchpoints.Check-Out.group: 'durring' is none of before, during, after, service; did you mean 'during'?
params/touchpoints.yml:7: touchpoints.Check-Out.digital: 'maybe' is neither true nor false
params/touchpoints.yml:8: touchpoints.Check-Out.id: the id is the key it stands under, 'Check-Out': leave this key out
params/workpace.yml: 'workpace' is none of the files of params/: workspace, touchpoints, framework, changes, codebook, watch; did you mean 'workspace'?
params/workspace.yml:2: timezone: 'Europe/Madird' is not a timezone; did you mean 'Europe/Madrid'?
params/workspace.yml:3: currency: 'euro' is not a currency: write its three capital letters, as in EUR
params/workspace.yml:4: confidence: '1.5' is out of range: it must be less than 1
params/workspace.yml:5: min_n: 'ten' is not a whole number
params/workspace.yml:6: companny: no such key; the keys here are company, store, reports, timezone, currency, locale, confidence, min_n, period, attributes, checks, limits, repeated_responses, weighting, worth, ends_recorded_since, retention_days, retention, consent, serving, settled_after_months; did you mean 'company'?
params/workspace.yml:9: attributes.shoe: 'texts' is none of text, timestamp, date, integer, number, money, boolean; did you mean 'text'?
params/workspace.yml:10: period: 'day' is none of month, quarter, week
params/workspace.yml:11: checks: 'yes' stands where 'key: value' lines are wanted
"""  # noqa: E501


DRIVERS_SAID = """\
params/drivers/liking.yml:3: outcome: there is no params/metrics/nsp.yml; did you mean 'nps'?
params/drivers/liking.yml:4: segments[2]: 'lateness' is a segment of events: only segments of customers belong to the customers' mix
params/drivers/liking.yml:7: drivers.late.experiment: there is no params/experiments/update.yml; did you mean 'updates'?
params/drivers/liking.yml:7: drivers.late.leaf: 'servce' is none of product, service, channel, digital, mix; did you mean 'service'?
params/drivers/liking.yml:7: drivers.late.theme: 'prices' is none of the themes of codebook.yml: price; did you mean 'price'?
params/drivers/liking.yml:8: drivers.slow.worst: 'worst' stands alone: how well it goes needs both worst and best
params/drivers/liking.yml:9: drivers.lost.best: '3' is the worst value, too
params/drivers/waiting.yml:3: outcome: 'wait' is a quantile: drivers are sought of a score, a share or a mean of rows
params/drivers/waiting.yml:4: filter: 'wait_seconds' is a number where a condition is due
params/drivers/waiting.yml:7: drivers.one.value: interactions has no column 'agent'; did you mean 'agent_id'?
params/drivers/waiting.yml:8: drivers.two.value: 'channel' is a text where a number is due
"""  # noqa: E501


class TestBroken:
    def test_every_fault_of_every_file_word_for_word(self, tmp_path):
        faults = params.check(write(tmp_path, BROKEN))
        assert "\n".join(map(str, faults)) + "\n" == SAID

    def test_load_raises_them_all_at_once(self, tmp_path):
        with pytest.raises(ParamsError) as caught:
            params.load(write(tmp_path, BROKEN))
        lines = SAID.splitlines()
        assert str(caught.value).splitlines() == [f"{len(lines)} faults in params/:", *(f"  {line}" for line in lines)]
        assert caught.value.exit_code == 3

    @pytest.mark.parametrize(
        ("locale", "advice"),
        [("esp", "did you mean 'es'?"), ("pt-BRR", "did you mean 'pt_BR'?"), ("?", "write one as")],
    )
    def test_a_locale_is_one_of_cldr(self, tmp_path, locale, advice):
        (fault,) = params.check(
            write(
                tmp_path,
                GOOD | {"workspace.yml": f"company: Acme\nattributes: {{age_band: text}}\nlocale: '{locale}'\n"},
            )
        )
        assert fault.key == "locale"
        assert advice in fault.message
        assert not params.check(
            write(tmp_path, GOOD | {"workspace.yml": "company: A\nattributes: {age_band: text}\nlocale: pt-BR\n"})
        )

    def test_a_fault_has_its_parts(self, tmp_path):
        (fault,) = params.check(write(tmp_path, GOOD | {"metrics/nps.yml": metric(kind="npps")}))
        assert (fault.file, fault.key, fault.value, fault.line) == ("params/metrics/nps.yml", "kind", "npps", 3)

    def test_pydantic_never_speaks(self, tmp_path):
        """Each key of each file is given a list, a mapping, and words: no message is pydantic's own."""
        spoken = []
        for name, text in GOOD.items():
            if not name.endswith(".yml"):
                continue
            for key in yamltext.parse(text).data:
                for number, value in enumerate(("[[x]]", "{a: {b: c}}", "'?!'", "")):
                    rest = "\n".join(line for line in text.splitlines() if not line.startswith((f"{key}:", " ", "-")))
                    root = tmp_path / f"{len(spoken)}{name.replace('/', '')}{key}{number}"
                    spoken += told(root, {name: f"{rest}\n{key}: {value}\n"})
        foreign = (
            "Input should",
            "validation error",
            "valid ",
            "Field required",
            "pydantic",
            "type=",
            "cannot be used",
        )
        assert len(spoken) > 100
        assert [words for words in spoken if any(part in words for part in foreign)] == []

    def test_no_workspace_file(self, tmp_path):
        assert [str(fault) for fault in params.check(tmp_path)] == [
            "params/workspace.yml: is missing: it names the company, the timezone and the currency"
        ]

    def test_a_faulty_workspace_file_does_not_blame_its_readers(self, tmp_path):
        (line,) = told(tmp_path, {"workspace.yml": "company: [\n"})
        assert line.startswith("params/workspace.yml:2: not YAML")

    def test_a_negative_control_is_a_condition_over_interactions(self, tmp_path):
        worth = "worth:\n  negative_control: {title: Bills, when: 'kind = 1'}\n"
        (line,) = told(tmp_path, {"workspace.yml": GOOD["workspace.yml"] + worth})
        assert line.startswith("params/workspace.yml:6: worth.negative_control.when: 'kind = 1' is not an expression")

    def test_a_model_of_drivers_names_what_exists(self, tmp_path):
        broken = (
            "title: Liking\nquestion: Why?\noutcome: nsp\nsegments: [age, lateness]\nowner: Ana\ndrivers:\n"
            "  late: {title: Late, value: days_late > 0, leaf: servce, theme: prices, experiment: update}\n"
            "  slow: {title: Slow, value: days_late, leaf: service, worst: 3}\n"
            "  lost: {title: Lost, value: days_late, leaf: service, worst: 3, best: 3}\n"
        )
        share = "title: A\nquestion: B\noutcome: wait\nfilter: wait_seconds\nowner: C\ndrivers:\n"
        share += (
            "  one: {title: One, value: agent, leaf: service}\n  two: {title: Two, value: channel, leaf: channel}\n"
        )
        wait = metric(kind="quantile", unit="seconds", table="interactions", time="started_at", value="wait_seconds")
        wait = wait.replace("filter: instrument == 'nps'\n", "") + "quantile: 0.5\n"
        files = {"drivers/liking.yml": broken, "drivers/waiting.yml": share, "metrics/wait.yml": wait}
        assert "\n".join(told(tmp_path, files)) + "\n" == DRIVERS_SAID

    @pytest.mark.parametrize(
        ("customers", "more", "said"),
        [
            ("age_band == '60+'", "", []),
            ("days_between(joined_on, period_end) < 90 and not is_null(plan)", "", []),
            ("age_bnad == '60+'", "", ["customers has no column 'age_bnad'; did you mean 'age_band'?"]),
            ("regoin == 'x' or paln == 'y'", "", [
                "customers has no column 'paln'; did you mean 'plan'?",
                "customers has no column 'regoin'; did you mean 'region'?",
            ]),
            ("plan", "", ["'plan' is a text where a condition is due"]),
            ("age_band = '60+'", "", ["'age_band = '60+'' is not an expression: write == to compare"]),
            ("age_band == '60+'", "segment: age, levels: {60+: '2026-02-01'}", [
                "customers were touched one by one, or levels of a segment were: keep one of the two",
            ]),
            ("customer_id == 'C1'", "", [
                "'customer_id' would publish who they are: mark them in an attribute of customers, and name that",
            ]),
        ],
    )  # fmt: skip
    def test_customers_of_a_change(self, tmp_path, customers, more, said):
        text = GOOD["changes.yml"].replace("}\n", f', customers: "{customers}"{", " if more else ""}{more}}}\n')
        lines = [line.partition(": changes.chat.customers: ") for line in told(tmp_path, {"changes.yml": text})]
        assert [line[0] for line in lines] == ["params/changes.yml:2"] * len(said)
        assert [line[2] for line in lines] == said

    def test_customers_of_a_change_of_whom_no_attribute_is_known(self, tmp_path):
        text = GOOD["changes.yml"].replace("}\n", ", customers: shoe > 3}\n")
        (line,) = told(tmp_path, {"changes.yml": text, "workspace.yml": "company: [A\n"})
        assert line.startswith("params/workspace.yml")

    def test_a_faulty_metric_still_exists(self, tmp_path):
        (line,) = told(tmp_path, {"metrics/nps.yml": metric(owner="")})
        assert line == "params/metrics/nps.yml:1: owner: is missing"

    def test_a_faulty_attribute_is_still_a_column(self, tmp_path):
        (line,) = told(tmp_path, {"workspace.yml": "company: A\nattributes: {age_band: txt}\n"})
        assert line.startswith("params/workspace.yml:2: attributes.age_band: 'txt' is none of text,")

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"value": ""}, ":1: value: is missing: an nps needs it"),
            ({"unit": "percent"}, ":4: unit: 'percent': an nps is in points"),
            ({"target": "101"}, ":11: target: '101' is out of range: the target of an nps is -100 to 100"),
            ({"value": "9 +"}, ":8: value: '9 +' is not an expression: check its brackets, quotes and operators"),
            ({"promoters": "score"}, ":12: promoters: 'score' is a number where a condition is due"),
            ({"time": "", "window": "9 days"}, ":11: window: a window needs 'time': it runs from each row's own time"),
            ({"filter": "score > window"}, ":1: an expression names 'window', which this metric does not set"),
            ({"id": "nps"}, ":12: id: the id is the file's name, 'nps': leave this key out"),
        ],
    )  # fmt: skip
    def test_rules_of_a_metric(self, tmp_path, changed, words):
        assert f"params/metrics/nps.yml{words}" in told(tmp_path, {"metrics/nps.yml": metric(**changed)})

    def test_same_id_in_two_spellings(self, tmp_path):
        assert told(tmp_path, {"metrics/nps.yaml": metric()}) == [
            "params/metrics/nps.yml: the id 'nps' is already taken by params/metrics/nps.yaml: keep one"
        ]

    @given(words=st.text(max_size=60) | st.binary(max_size=60))
    def test_no_text_makes_the_reader_fail(self, tmp_path_factory, words):
        path = tmp_path_factory.mktemp("y") / "x.yml"
        path.write_bytes(words if isinstance(words, bytes) else words.encode("utf-8", "surrogatepass"))
        found = yamltext.read(path)
        assert found.data is not None or found.faults

    def test_nesting_without_end(self, tmp_path):
        assert len(told(tmp_path, {"metrics/nps.yml": metric(title="[" * 5000)})) >= 1


class TestWorkspace:
    def test_found_upward(self, tmp_path):
        below = write(tmp_path, GOOD) / "notebooks" / "monthly"
        assert params.find_workspace(below) == tmp_path.resolve()

    def test_not_found(self, tmp_path):
        with pytest.raises(CxError, match=r"none of these folders holds params/workspace\.yml"):
            params.find_workspace(tmp_path)

    def test_from_the_working_directory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(write(tmp_path, GOOD))
        assert params.find_workspace() == tmp_path.resolve()


class TestHash:
    BASE = Metric(
        id="nps", title="NPS", question="?", kind="nps", unit="points", table="responses", time="responded_at",
        higher_is_better=True, value="score", owner="Ana", filter="instrument == 'nps'",
    )  # fmt: skip

    def test_twelve_hexadecimal_digits_that_never_change(self):
        """Records of past months hold them: a new value here restates every published page."""
        assert params.definition_hash(self.BASE) == "949a35fa473c"

    @pytest.mark.parametrize(
        "changed",
        [{"title": "x"}, {"owner": "x"}, {"caveats": ("x",)}, {"target": 3.0}, {"version": 2}, {"min_n": 50},
         {"filter": "(instrument=='nps')"}, {"numerator": "score"}],
    )  # fmt: skip
    def test_words_do_not_count(self, changed):
        assert params.definition_hash(self.BASE.model_copy(update=changed)) == params.definition_hash(self.BASE)

    @pytest.mark.parametrize(
        "changed",
        [{"filter": ""}, {"time": ""}, {"value": "score + 1"}, {"promoters": "score >= 8"}, {"cluster": ""},
         {"window": "9 days"}, {"table": "orders"}, {"scale": 2.0}],
    )  # fmt: skip
    def test_what_changes_the_number_counts(self, changed):
        assert params.definition_hash(self.BASE.model_copy(update=changed)) != params.definition_hash(self.BASE)


class TestThisProject:
    def test_its_own_params_have_no_fault(self):
        assert [str(fault) for fault in params.check(PROJECT)] == []

    def test_it_ships_what_the_mission_names(self):
        found = params.load(PROJECT)
        assert len(found.metrics) >= 15
        assert {touchpoint.group for touchpoint in found.touchpoints.values()} == {
            "before",
            "during",
            "after",
            "service",
        }
        assert {goal.stage for goal in found.framework} >= {"awareness", "consideration", "purchase", "retention"}
        assert set(found.experiments) == {"proactive_delivery_updates", "new_invoice_layout"}
        assert "chat_rollout" in found.changes

    def test_reading_params_needs_no_pandas(self):
        code = "import sys; from cxlib import params, periods; print({'pandas', 'ibis', 'numpy'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"


class TestContract:
    def test_column_types_are_the_contracts(self):
        assert set(ColumnType.__args__) == set(TYPES) == set(FAMILIES)

    def test_derived_columns_need_columns_that_exist(self):
        for table, columns in DERIVED.items():
            for name, derived in columns.items():
                assert TABLES[table].column(name) is None, "a derived column may not hide one of the contract"
                assert derived.type in TYPES
                for need in derived.needs:
                    of, _, column = need.partition(".")
                    assert TABLES[of].column(column), need

    def test_attributes_are_columns_of_customers_only(self):
        assert types_of("customers", {"age_band": "text"})["age_band"] == "text"
        assert "age_band" not in types_of("orders", {"age_band": "text"})

    @pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
    def test_keys_times_and_references_exist(self, table):
        named = (*table.key, *(name for pair in table.orders for name in pair), *table.references, table.time)
        assert [name for name in named if name and table.column(name) is None] == []
        assert set(table.key) <= set(table.required)
        for column, target in table.references.items():
            assert TABLES[target].column(column), "a reference has the name of the key that it points to"
