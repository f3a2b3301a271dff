"""The expression language: what parses, what fits, and the words in which the rest is refused."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.contract import types_of
from cxlib.errors import UsageError
from cxlib.expressions import FUNCTIONS, PERIOD_NAMES, family_of, parse

TYPES = types_of("responses") | {"amount": "money", "resolved": "boolean", "started_on": "date", "unknown": ""}


class TestParse:
    def test_names_are_found(self):
        found = parse("score >= 9 and days_between(sent_at, responded_at) <= window and is_null(comment) == true")
        assert found.columns == {"score", "sent_at", "responded_at", "comment"}
        assert found.period_names == {"window"}
        assert isinstance(found.tree, ast.BoolOp)

    def test_a_column_may_be_called_like_a_function(self):
        assert parse("least(least, 3)").columns == {"least"}

    def test_lines_are_joined(self):
        assert parse("score >= 9\n  and score <= 10\n").columns == {"score"}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "the expression is empty"),
            ("score = 9", "'score = 9' is not an expression: write == to compare"),
            ("a && b", "'a && b' is not an expression: write 'and' for &&"),
            ("a || b", "'a || b' is not an expression: write 'or' for ||"),
            ("a <> b", "'a <> b' is not an expression: write != for <>"),
            (
                "a AND b",
                ("'a AND b' is not an expression: and, or, not, in are written small; there is no IS, LIKE or BETWEEN"),
            ),
            ("(score", "'(score' is not an expression: check its brackets, quotes and operators"),
            ("a is None", "'a is None' uses 'is': use is_null(...) or =="),
            ("a & b", "'a & b' uses &: write 'and'"),
            ("orders.amount", "'orders.amount' uses a dot: name a column alone"),
            ("a[0]", "'a[0]' uses Subscript, which expressions do not have"),
            ("lambda: 1", "'lambda: 1' uses Lambda, which expressions do not have"),
            ("a ** 2", "'a ** 2' uses Pow, which expressions do not have"),
            ("f'{a}'", "'f'{a}'' uses JoinedStr, which expressions do not have"),
            ("a == NULL", "'a == NULL' names NULL: write true, false or is_null(...)"),
            ("a == None", "'a == None' has the constant None: use texts, numbers, true, false or is_null(...)"),
            ("a == True", "'a == True' has the constant True: use texts, numbers, true, false or is_null(...)"),
            ("isnull(a)", "'isnull(a)' calls 'isnull', which does not exist; did you mean 'is_null'?"),
            (
                "__import__('os')",
                (
                    "'__import__('os')' calls '__import__', which does not exist; "
                    "there are is_null, coalesce, least, greatest, days_between, seconds_between"
                ),
            ),
            ("is_null(a, b)", "'is_null(a, b)': is_null takes 1 arguments, not 2"),
            ("coalesce(a)", "'coalesce(a)': coalesce takes two or more arguments, not 1"),
            (
                "a.lower()",
                (
                    "'a.lower()': only plain calls of is_null, coalesce, least, greatest, days_between, "
                    "seconds_between are allowed"
                ),
            ),
            ("a in 'abc'", "'a in 'abc'': what follows 'in' is a list of values, as in ('a', 'b')"),
            ("a in ()", "'a in ()': what follows 'in' is a list of values, as in ('a', 'b')"),
            ("a == (1, 2)", "'a == (1, 2)' has a list outside of 'in'"),
            ("(1, 2)", "'(1, 2)' has a list outside of 'in'"),
            ("a in ((1, 2), 3)", "'a in ((1, 2), 3)' has a list outside of 'in'"),
        ],
    )
    def test_refusals_word_for_word(self, text, said):
        with pytest.raises(UsageError) as caught:
            parse(text)
        assert str(caught.value) == said

    @pytest.mark.parametrize("text", ["+".join(["a"] * 400), "(" * 300 + "a" + ")" * 300, "not " * 5000 + "a"])
    def test_what_is_too_long_to_read_is_refused(self, text):
        with pytest.raises(UsageError, match=r"too long|not an expression"):
            parse(text)

    @given(text=st.text(max_size=40) | st.text("ab01 ()<>=!+-*/,'.[]and or not in", max_size=60))
    def test_any_text_is_either_parsed_or_refused(self, text):
        try:
            found = parse(text)
        except UsageError:
            return
        assert parse(ast.unparse(found.tree)).columns == found.columns


class TestFamily:
    @pytest.mark.parametrize(
        ("text", "family"),
        [
            ("score", "number"),
            ("amount / score + 1", "number"),
            ("-score", "number"),
            ("resolved + 1", "number"),  # a condition counts as 0 or 1
            ("score >= 9", "condition"),
            ("1 < score <= 5", "condition"),
            ("not delivered_late or true", "condition"),
            ("instrument in ('nps', 'csat')", "condition"),
            ("comment", "text"),
            ("coalesce(comment, 'none')", "text"),
            ("responded_at < period_until", "condition"),
            ("least(started_on, period_end)", "date"),
            ("greatest(responded_at, period_from)", "time"),
            ("days_between(started_on, period_end)", "number"),
            ("seconds_between(responded_at, period_until)", "number"),
            ("is_null(comment)", "condition"),
            ("unknown", ""),
            ("unknown > 3 and unknown == 'x'", "condition"),
        ],
    )
    def test_what_fits(self, text, family):
        assert family_of(parse(text), TYPES) == family

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("score == 'nps'", "'score == 'nps'' does not fit: score is a number, 'nps' a text"),
            ("score in (1, 'a')", "'score in (1, 'a')' does not fit: score is a number, 'a' a text"),
            ("coalesce(score, 'a')", "'coalesce(score, 'a')' does not fit: score is a number, 'a' a text"),
            ("resolved == 1", "'resolved == 1' does not fit: resolved is a condition, 1 a number"),
            (
                "responded_at < period_end",
                ("'responded_at < period_end' does not fit: responded_at is a time, period_end a date"),
            ),
            ("not score", "'not score': score is a number where a condition is due"),
            ("score and resolved", "'score and resolved': score is a number where a condition is due"),
            ("comment + 1", "'comment + 1': comment is a text where a number is due"),
            ("responded_at - 1", "'responded_at - 1': responded_at is a time where a number is due"),
            (
                "seconds_between(period_start, period_end)",
                ("'seconds_between(period_start, period_end)': period_start is a date where a time is due"),
            ),
            ("days_between(1, 2)", "'days_between(1, 2)': 1 is a number where a time is due"),
        ],
    )
    def test_what_does_not_fit_word_for_word(self, text, said):
        with pytest.raises(UsageError) as caught:
            family_of(parse(text), TYPES)
        assert str(caught.value) == said

    def test_every_function_and_every_period_name_has_a_family(self):
        for name, count in FUNCTIONS.items():
            arguments = ", ".join(["responded_at"] * (count or 2))
            assert family_of(parse(f"{name}({arguments})"), TYPES) in ("condition", "time", "number")
        for name in PERIOD_NAMES:
            assert family_of(parse(name), {}) in ("date", "time", "number")
