"""Populations within populations: what is left of one once its parts are taken from it is people, too."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from disclosure_tables import CHANNEL, SHARE, Cells, only, page, sums, whole
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cxlib.params.models import Segment
from cxlib.reports.disclosure import audit, families, nested
from cxlib.reports.disclosure.nested import Rows, conditions

FILTERS = {
    "every": "not is_null(invitation_id)",
    "nps": "instrument == 'nps'",
    "csat": "instrument == 'csat'",
    "ces": "instrument == 'ces'",
    "ces_phone": "instrument == 'ces' and channel != 'sms'",
    "ces_late": "instrument == 'ces' and hours_to_answer >= 24",
}
METRICS = {name: SHARE.model_copy(update={"id": name, "filter": text}) for name, text in FILTERS.items()}
BY = Segment(id="channel", title="Channel", on="event", column="channel")
LEAST = 10
# The verifier's case: of text messages 3 answers on effort, hidden beside e-mail; of all surveys nobody is few.
ANSWERS: dict[str, Cells] = {
    "nps": {"app": (40, 20), "mail": (30, 9), "sms": (25, 9)},
    "csat": {"app": (50, 20), "mail": (35, 9), "sms": (28, 9)},
    "ces": {"app": (60, 20), "mail": (36, 9), "sms": (3, 2)},
}


def together(cells: Mapping[str, Cells]) -> Cells:
    """Add up answers by level."""
    levels = sorted({level for one in cells.values() for level in one})
    return {x: tuple(sum(one.get(x, (0, 0))[i] for one in cells.values()) for i in (0, 1)) for x in levels}


def shown(name: str, cells: Cells, gone: str = "", *, cut: bool = True) -> families.Page:
    levels = only(sums(cells), [level for level in cells if level in gone.split()])
    frames = {"all": whole(cells)} | ({"channel": levels} if cut else {})
    return page(frames, METRICS[name])


def look(*pages: families.Page) -> audit.Audit:
    told = families.gathered(pages, METRICS, {}, {"channel": BY})
    return audit.Audit(told, dict.fromkeys(METRICS, LEAST))


def rows(found: audit.Audit) -> set[tuple[str, str]]:
    """Return whose counts can be worked out, with the level."""
    return {(leak.number.of, leak.number.level) for leak in found.leaks() if leak.number.what == families.ROWS}


def test_all_surveys_less_two_of_three_kinds_are_the_third() -> None:
    pages = [shown("nps", ANSWERS["nps"]), shown("csat", ANSWERS["csat"]), shown("ces", ANSWERS["ces"], "mail sms")]
    assert not rows(look(*pages))
    found = look(*pages, shown("every", together(ANSWERS)))
    ces = families.population(METRICS["ces"], "ces")
    assert {(ces, "sms"), (ces, "mail")} <= rows(found)
    exact = [leak for leak in found.leaks() if leak.number.level == "sms" and leak.number.of == ces]
    assert exact
    assert exact[0].exact
    assert found.repaired()
    assert {cell.metric for cell in found.hide} <= {"every", "nps", "csat"}  # no other level of effort would help
    assert "sms" in {cell.level for cell in found.hide}


def test_a_metric_that_leaves_out_six_people_tells_of_them() -> None:
    """105 answers less 99: no cell is hidden, none is small, and six people are told of."""
    pages = [shown("ces", {"app": (105, 40)}, cut=False), shown("ces_phone", {"app": (99, 38)}, cut=False)]
    (leak,) = look(*pages).leaks()
    assert (leak.low, leak.high) == (6, 6)
    assert leak.told() == (
        "responses 2026-10: too few lie between those of (instrument == 'ces') and those of "
        "(instrument == 'ces' and channel != 'sms')"
    )
    found = look(*pages)
    assert found.repaired()
    assert [cell.segment for cell in found.hide] == ["all"]  # one of the two has to go
    many = shown("ces_phone", {"app": (90, 38)}, cut=False)
    assert not look(pages[0], many).leaks()
    assert not look(pages[0], shown("ces_phone", {"app": (105, 40)}, cut=False)).leaks()  # nobody is left


def test_a_small_difference_in_a_level_is_hidden() -> None:
    one = {"app": (60, 20), "mail": (50, 9), "sms": (30, 9)}
    inner = {"app": (40, 20), "mail": (45, 9), "sms": (15, 9)}
    found = look(shown("ces", one), shown("ces_late", inner))
    assert {level for _, level in rows(found)} == {"mail"}
    assert found.repaired()
    assert ("ces_late", "mail") in {(cell.metric, cell.level) for cell in found.hide}


def test_a_filter_on_a_cut_is_a_sum_of_its_levels() -> None:
    """Effort but for text messages is that by app and by e-mail: with one hidden beside text messages it follows."""
    cells = {"app": (60, 20), "mail": (36, 9), "sms": (12, 9)}
    pages = [shown("ces", cells, "mail sms"), shown("ces_phone", {"app": (96, 29)}, cut=False)]
    assert not rows(look(pages[0]))
    assert {"mail", "sms"} <= {level for _, level in rows(look(*pages))}


@pytest.mark.parametrize(
    ("inner", "outer", "holds"),
    [
        ("instrument == 'ces' and channel != 'sms'", "channel != 'sms' and instrument == 'ces'", False),
        ("instrument == 'ces' and channel != 'sms'", "instrument in ('ces', 'nps')", True),
        ("channel == 'app'", "channel != 'sms'", True),
        ("channel not in ('app', 'sms')", "channel != 'sms'", True),
        ("channel != 'sms'", "channel == 'app'", False),
        ("score >= 4 and late", "late and not is_null(score)", True),
        ("score >= 4 or late", "late", False),
        ("instrument != 'nps' and instrument != 'csat'", "instrument != 'nps'", True),
    ],
)
def test_more_conditions_are_fewer_rows(inner: str, outer: str, *, holds: bool) -> None:
    source = ("responses", "responded_at", "")
    assert Rows(source, conditions(inner)).inside(Rows(source, conditions(outer))) is holds
    assert not Rows(("orders", "", ""), conditions(inner)).inside(Rows(source, conditions(outer)))


def test_disjoint_parts() -> None:
    source = ("responses", "responded_at", "")
    parts = {
        name: Rows(source, conditions(text)) for name, text in FILTERS.items() if name not in ("every", "ces_late")
    }
    parts |= {"late": Rows(source, conditions("late")), "early": Rows(source, conditions("not late"))}
    found = {frozenset(one) for one in nested.disjoint(parts)}
    assert found == {
        frozenset({"nps", "csat", "ces"}), frozenset({"nps", "csat", "ces_phone"}), frozenset({"late", "early"})
    }  # fmt: skip


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 3), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None, phases=(Phase.generate,))
def test_no_difference_of_few_is_left(sizes: list[tuple[int, ...]]) -> None:
    """Whatever is shown of a population and of a part of it: once repaired, no level's difference is of few."""
    outer = {f"l{i}": (10 + n + m, n) for i, (n, m, _) in enumerate(sizes)}
    inner = {f"l{i}": (10 + n, n) for i, (n, _, _) in enumerate(sizes)}
    found = look(shown("ces", outer), shown("ces_late", inner))
    if not found.repaired():
        rest = sum(n for n, _ in outer.values()) - sum(n for n, _ in inner.values())
        assert 0 < rest < LEAST or found.leaks()
        return
    known = found.published.known
    for level in outer:
        told = [
            known.get(families.Number("rows", families.population(METRICS[name], name), "channel", 1, "2026-10", level))
            for name in ("ces", "ces_late")
        ]
        if all(told):
            left = told[0].value - told[1].value
            assert left == 0 or left >= LEAST


def test_instruments_of_the_demo_are_told_apart() -> None:
    assert CHANNEL.id == BY.id
    assert nested.related(METRICS, {"nps"}) == set(METRICS)


def test_of_a_whole_that_is_worked_out_the_population_of_which_least_is_shown_goes() -> None:
    """Three answers on effort in all, which are all surveys less the two other kinds: no level is to blame."""
    answers = {**ANSWERS, "ces": {"app": (2, 1), "sms": (1, 1)}}
    few = page({"all": only(whole(answers["ces"]), ["all"])}, METRICS["ces"])
    pages = [shown("nps", answers["nps"]), shown("csat", answers["csat"]), few]
    assert not rows(look(*pages))
    found = look(*pages, shown("every", together(answers), cut=False))
    assert rows(found) == {(families.population(METRICS["ces"], "ces"), "all")}
    assert found.repaired()
    assert {(cell.metric, cell.segment) for cell in found.hide} == {("every", "all")}


def test_where_nobody_is_nothing_can_hide() -> None:
    """Two levels of three people together need a third with somebody in it: the level of nobody comes last."""
    cells: Cells = {"app": (40, 20), "mail": (12, 5), "post": (0, 0), "sms": (2, 1), "web": (1, 1)}
    found = look(shown("nps", cells, "sms web"))
    assert found.repaired()
    assert {cell.level for cell in found.hide} == {"mail"}


def test_what_is_remembered_is_what_would_be_found_again() -> None:
    pages = [shown("nps", ANSWERS["nps"]), shown("csat", ANSWERS["csat"]), shown("ces", ANSWERS["ces"], "mail sms")]
    once = look(*pages, shown("every", together(ANSWERS)))
    assert once.repaired()
    again = look(*pages, shown("every", together(ANSWERS)))
    again.hide = set()
    while leaks := again.leaks():
        again._memo.clear()
        again.hide |= again._chosen(leaks)
    assert again.hide == once.hide


def test_that_nothing_was_done_to_anybody_is_no_secret_but_that_nobody_answered_is() -> None:
    """Of two regions that are hidden nobody called, as the whole tells; the same of answers is a leak."""
    calls = SHARE.model_copy(update={"id": "calls", "table": "interactions", "filter": "kind == 'contact'"})
    cells: Cells = {"app": (0, 0), "sms": (0, 0)}
    for metric, leaks in ((calls, False), (METRICS["ces"], True)):
        one = page({"all": whole(cells), "channel": only(sums(cells), ["app", "sms"])}, metric)
        told = families.gathered([one], {metric.id: metric}, {}, {"channel": BY})
        found = {leak.number.what for leak in audit.Audit(told, {metric.id: LEAST}).leaks()}
        assert (families.ROWS in found) == leaks
