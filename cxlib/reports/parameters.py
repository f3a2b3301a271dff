"""What a notebook declares in its `parameters` cell, and the check of what a run is given.

Names that reach papermill are executed as code, so only declared names ever do (`TRAPS`: papermill alone warns).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxlib.errors import RunError, UsageError, did_you_mean

Value = str | int | float | bool
TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
# Set by the runner itself, by options of their own; `-p` may not name them.
RESERVED = {"period": "--period", "as_of": "--as-of", "experiment": "--experiment", "pack": "", "run_folder": ""}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Declared:
    """One line `name: type = default  # help` of a `parameters` cell."""

    name: str
    type: str
    default: Value
    help: str = ""


def declared(notebook: Mapping[str, Any], name: str) -> dict[str, Declared]:
    """Read the cell tagged `parameters`.

    Parameters
    ----------
    notebook
        The notebook as nbformat reads it.
    name
        Its name, for messages.

    Returns
    -------
    dict
        Parameter name -> what is declared; empty without such a cell.

    Raises
    ------
    RunError
        Where the cell holds anything but assignments of plain values.
    """
    cells = [c for c in notebook["cells"] if "parameters" in c.get("metadata", {}).get("tags", [])]
    if not cells:
        return {}
    source = "".join(cells[0]["source"])
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise RunError(f"{name}: its parameters cell is not Python: {error.msg}, line {error.lineno}") from None
    lines = source.splitlines()
    found = [_one(statement, lines, name) for statement in statements if not _is_text(statement)]
    return {parameter.name: parameter for parameter in found}


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _one(statement: ast.stmt, lines: list[str], name: str) -> Declared:
    """Read one assignment of a parameters cell."""
    target: ast.expr | None = None
    kind = ""
    if isinstance(statement, ast.AnnAssign):
        target, kind = statement.target, ast.unparse(statement.annotation)
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    value = getattr(statement, "value", None)
    try:
        default: Any = ast.literal_eval(value) if value is not None else None
    except ValueError:
        default = None
    kind = kind or type(default).__name__
    if not isinstance(target, ast.Name) or kind not in TYPES or not _fits(default, kind):
        raise RunError(
            f"{name}: '{lines[statement.lineno - 1].strip()}' in its parameters cell is not a parameter",
            hint=f"Write one per line: name: type = default  # help, with a type of {', '.join(TYPES)}.",
        )
    comment = lines[(statement.end_lineno or statement.lineno) - 1][statement.end_col_offset or 0 :]
    return Declared(target.id, kind, default, comment.strip().lstrip("# "))


def _fits(value: object, kind: str) -> bool:
    """Say whether a plain value is of the declared type; a whole number may stand for a float, a bool for no number."""
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, TYPES[kind]) or (kind == "float" and isinstance(value, int))


def convert(text: object, parameter: Declared) -> Value:
    """Turn what was given (text from a command line, or a value) into the declared type.

    Raises `UsageError` saying which parameter, which value and what is allowed.
    """
    if not isinstance(text, str):
        if not _fits(text, parameter.type):
            raise UsageError(f"parameter '{parameter.name}' is {parameter.type}, not {text!r}")
        return TYPES[parameter.type](text)
    if parameter.type == "str":
        return text
    if parameter.type == "bool":
        if text.lower() in (*_TRUE, *_FALSE):
            return text.lower() in _TRUE
        raise UsageError(f"parameter '{parameter.name}' is bool: '{text}' is neither true nor false")
    try:
        return TYPES[parameter.type](text)
    except ValueError:
        raise UsageError(f"parameter '{parameter.name}' is {parameter.type}, not '{text}'") from None


def resolve(
    notebooks: Mapping[str, Mapping[str, Declared]], given: Mapping[str, object], own: Mapping[str, str]
) -> dict[str, dict[str, Value]]:
    """Give each notebook its parameters, before anything runs.

    Parameters
    ----------
    notebooks
        Notebook name -> what it declares.
    given
        What the user set; each name must be declared by one notebook at least.
    own
        What the runner sets (`RESERVED`); passed where declared.

    Returns
    -------
    dict
        Notebook name -> parameters to pass. Only declared names are in it.

    Raises
    ------
    UsageError
        Naming every unknown, reserved or mistyped parameter at once.
    """
    known = sorted({name for names in notebooks.values() for name in names} - set(RESERVED))
    faults, values = [], {name: dict(_own(names, own)) for name, names in notebooks.items()}
    for name, value in given.items():
        takers = [notebook for notebook, names in notebooks.items() if name in names]
        if name in RESERVED:
            faults.append(f"'{name}' is set by the run itself{_use(name)}")
        elif not takers:
            faults.append(f"no notebook has a parameter '{name}'{did_you_mean(name, known)}")
        for notebook in takers if name not in RESERVED else ():
            try:
                values[notebook][name] = convert(value, notebooks[notebook][name])
            except UsageError as error:
                faults.append(error.message)
    if faults:
        allowed = f"Parameters of this pack: {', '.join(known)}." if known else "This pack has no parameters to set."
        raise UsageError("; ".join(dict.fromkeys(faults)), hint=allowed)
    return values


def _own(names: Mapping[str, Declared], own: Mapping[str, str]) -> dict[str, Value]:
    return {name: value for name, value in own.items() if name in names}


def _use(name: str) -> str:
    return f"; use {RESERVED[name]}" if RESERVED[name] else ""
