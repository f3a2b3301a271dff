"""What a parameters cell declares, and what may be given for it."""

from __future__ import annotations

import pytest
import toy_workspace as toy
from hypothesis import given
from hypothesis import strategies as st

from cxlib.errors import RunError, UsageError
from cxlib.reports.parameters import TYPES, Declared, convert, declared, resolve


def cell(source: str) -> dict:
    return {"cells": [toy.prose("# x"), toy.cell(source, "parameters"), toy.cell("print(1)")]}


def test_reads_types_defaults_and_help() -> None:
    found = declared(cell('"""words"""\na: str = "x"  # the help\nb = 3\nc: float = 1\nd: bool = True'), "nb")
    assert found["a"] == Declared("a", "str", "x", "the help")
    assert [(p.type, p.default) for p in found.values()] == [("str", "x"), ("int", 3), ("float", 1), ("bool", True)]
    assert declared({"cells": [toy.cell("a = 1")]}, "nb") == {}


@pytest.mark.parametrize(
    "line",
    ["import os", "a: int = 'x'", "a: int", "a = [1]", "a: float = True", "a = b = 1", "a: date = 1", "a.b = 1", "a ="],
)
def test_refuses_what_is_no_parameter(line: str) -> None:
    with pytest.raises(RunError, match=r"nb: .*parameters cell"):
        declared(cell(line), "nb")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("int", "3", 3), ("float", "3", 3.0), ("float", "1e-3", 0.001), ("bool", "No", False), ("bool", "TRUE", True),
     ("str", "3", "3"), ("str", "", "")],
)  # fmt: skip
def test_converts_text_to_the_declared_type(kind: str, text: str, value: object) -> None:
    found = convert(text, Declared("p", kind, ""))
    assert found == value
    assert type(found) is TYPES[kind]


@pytest.mark.parametrize(("kind", "given"), [("int", "3.5"), ("bool", "2"), ("float", "x"), ("int", True), ("str", 3)])
def test_refuses_another_type(kind: str, given: object) -> None:
    with pytest.raises(UsageError, match="parameter 'p' is"):
        convert(given, Declared("p", kind, ""))


def test_every_fault_is_told_at_once_and_each_notebook_gets_its_own() -> None:
    notebooks = {"a": {"size": Declared("size", "int", 1), "period": Declared("period", "str", "")}, "b": {}}
    assert resolve(notebooks, {"size": "2"}, {"period": "2026-10", "pack": "x"}) == {
        "a": {"size": 2, "period": "2026-10"}, "b": {},
    }  # fmt: skip
    with pytest.raises(UsageError) as fault:
        resolve(notebooks, {"size": "x", "sizes": "1", "period": "2026-09"}, {})
    for words in ("'size' is int", "'sizes'; did you mean 'size'?", "use --period"):
        assert words in fault.value.message


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1))
def test_no_undeclared_name_ever_passes(given: dict[str, str]) -> None:
    """Names given to papermill are executed as code, so only declared ones may reach it."""
    given.pop("size", None)
    try:
        found = resolve({"a": {"size": Declared("size", "int", 1)}}, given, {})
    except UsageError:
        return
    assert found == {"a": {}}
