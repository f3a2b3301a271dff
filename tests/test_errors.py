"""Errors: what is wrong, what to do, and an exit code of its own for each kind."""

from __future__ import annotations

import pytest

from cxlib import errors
from cxlib.errors import CxError, ParamsError, did_you_mean

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CxError)]


def test_exit_codes_tell_the_kinds_apart():
    codes = [kind.exit_code for kind in KINDS]
    assert len(KINDS) == 10
    assert len(set(codes)) == len(codes)
    assert 0 not in codes, "0 means success"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not ParamsError])
def test_the_hint_has_a_line_of_its_own(kind):
    assert str(kind("3 rows lack a score")) == "3 rows lack a score"
    error = kind("3 rows lack a score", hint="Fill them in.")
    assert str(error) == "3 rows lack a score\nFill them in."
    assert (error.message, error.hint) == ("3 rows lack a score", "Fill them in.")


def test_params_error_lists_every_fault():
    assert str(ParamsError(["a.yml: x"])) == "1 fault in params/:\n  a.yml: x"
    error = ParamsError(fault for fault in ("a.yml: x", "b.yml: y"))
    assert str(error) == "2 faults in params/:\n  a.yml: x\n  b.yml: y"
    assert error.faults == ("a.yml: x", "b.yml: y")


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("shares", ["share", "mean"], "; did you mean 'share'?"),
        ("NPS", ["nps", "csat"], "; did you mean 'nps'?"),
        ("zebra", ["share", "mean"], ""),
        ("x", [], ""),
        ("tiem", (name for name in ("time", "table")), "; did you mean 'time'?"),
    ],
)
def test_did_you_mean(word, known, said):
    assert did_you_mean(word, known) == said
