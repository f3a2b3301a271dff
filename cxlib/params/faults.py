"""What is wrong with a parameter, in the words of this project: file, line, key, value, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError

from cxlib.errors import did_you_mean
from cxlib.params.base import Model

_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


@dataclass(frozen=True)
class Fault:
    """One fault: `file` relative to the workspace, `key` (list items counted from 1), `value` as written, `message`."""

    file: str
    key: str
    value: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


def key_of(path: Iterable[str | int]) -> str:
    """Return a path as people write it: `files.orders.format`, `variants[2].share`."""
    words = ""
    for step in path:
        words += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if words else step
    return words


def none_of(value: str, known: Iterable[str], what: str = "") -> str:
    """Return the message for a value that is not among the known ones."""
    known = list(known)
    head = f"'{value}' is none of {what + ' ' if what else ''}{', '.join(known)}" if known else f"'{value}': none exist"
    return head + did_you_mean(value, known)


def translate(error: ValidationError, model: type[Model], data: Any) -> list[tuple[tuple[str | int, ...], str, str]]:
    """Turn pydantic's findings into (path, value, message), in our words."""
    found = []
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], data)
        value = detail["input"] if isinstance(detail["input"], str) else ""
        blank = detail["type"] == "missing" and _at(data, path) == ""
        found.append((path, value, "is empty" if blank else _message(detail, model, path)))
    return found


def _path(loc: tuple[str | int, ...], data: Any) -> tuple[str | int, ...]:
    """Return a location as a path into the data: union tags are dropped, a missing last key is kept."""
    path: list[str | int] = []
    for place, step in enumerate(loc):
        below = _at(data, (step,))
        if below is not None or place == len(loc) - 1:
            path.append(step)
            data = below
    return tuple(path)


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    """Return what stands at a path, or None."""
    for step in path:
        if isinstance(data, list):
            data = data[step] if isinstance(step, int) else None
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data


def _message(detail: Any, model: type[Model], path: tuple[str | int, ...]) -> str:
    """Return our words for one of pydantic's findings."""
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(model, path)
        return f"no such key; the keys here are {', '.join(known)}{did_you_mean(str(path[-1]), known)}"
    if kind == "missing":
        return "is missing"
    if kind == "cx":
        return str(detail["msg"])
    if kind == "literal_error" and isinstance(given, str):
        return none_of(given, context["expected"].replace("'", "").replace(" or ", ", ").split(", "))
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"'{given}' is out of range: it must be {words} {context[name]:g}"
    if kind in ("too_short", "string_too_short"):
        return "is empty"
    words = _wanted(kind)
    return f"{_said(given)} {words.replace('stands', 'stand') if isinstance(given, dict) else words}"


def _wanted(kind: str) -> str:
    """Return what a value should have been, by the first word of pydantic's name for the fault."""
    wanted = {
        "float": "is not a number",
        "finite": "is not a number",
        "int": "is not a whole number",
        "bool": "is neither true nor false",
        "string": "stands where one text is wanted",
        "literal": "stands where one text is wanted",
        "tuple": "stands where a list is wanted, as in [a, b]",
        "dict": "stands where 'key: value' lines are wanted",
        "model": "stands where 'key: value' lines are wanted",
    }
    return wanted.get(kind.split("_", 1)[0], "cannot be used here")


def _said(given: Any) -> str:
    """Return what was given, short."""
    if isinstance(given, dict | list):
        return "'key: value' lines" if isinstance(given, dict) else "a list"
    return f"'{given}'"


def _keys_at(annotation: Any, path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the model holding the last step of `path` knows (its `id` is given by its place)."""
    for step in path[:-1]:
        annotation = _below(model_in(annotation), step)
    model = model_in(annotation)
    is_model = isinstance(model, type) and issubclass(model, Model)
    return [name for name in model.model_fields if name != "id"] if is_model else []


def _below(annotation: Any, step: str | int) -> Any:
    """Return the type of what lies one step below."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation.model_fields[str(step)].annotation
    inner = [arg for arg in get_args(annotation) if arg is not Ellipsis]
    return inner[-1]


def model_in(annotation: Any) -> Any:
    """Return the member of a union that has keys; anything else unchanged."""
    if get_origin(annotation) in (Union, UnionType):
        members = [model_in(arg) for arg in get_args(annotation)]
        return next((arg for arg in members if isinstance(arg, type) and issubclass(arg, Model)), annotation)
    if hasattr(annotation, "__metadata__"):
        return model_in(get_args(annotation)[0])
    return annotation
