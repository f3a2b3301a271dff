"""The names that a notebook needs. Importing the package imports nothing: each name is fetched when first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# name -> where it lives: a module, or module:attribute
_NAMES = {
    "open_run": "cxlib.reports.record:open_run",
    "Run": "cxlib.reports.record:Run",
    "explore": "cxlib.reports.exploring:explore",
    "Period": "cxlib.periods:Period",
    "find_workspace": "cxlib.params:find_workspace",
    "load_params": "cxlib.params:load",
    "charts": "cxlib.show.charts",
    "tables": "cxlib.show.tables",
    "results": "cxlib.results",
    "estimates": "cxlib.measure.estimates",
    "changes": "cxlib.measure.changes",
    "control": "cxlib.measure.control",
    "sequential": "cxlib.measure.sequential",
    "weights": "cxlib.measure.weights",
    "segments": "cxlib.analysis.segments",
    "drivers": "cxlib.analysis.drivers",
    "loyalty": "cxlib.analysis.loyalty",
    "value": "cxlib.analysis.value",
    "journeys": "cxlib.analysis.journeys",
    "partners": "cxlib.analysis.partners",
    "voice": "cxlib.analysis.voice",
    "experiments": "cxlib.analysis.experiments",
    "effects": "cxlib.analysis.effects",
    "Moments": "cxlib.measure.moments:Moments",
    "CxError": "cxlib.errors:CxError",
}

__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("cxlib")
        except PackageNotFoundError:
            return "0"
    if name not in _NAMES:
        raise AttributeError(f"module 'cxlib' has no attribute '{name}'")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    globals()[name] = getattr(found, attribute) if attribute else found
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
