"""A codebook from whatever says one: the workspace's own, themes by their ids, or what a YAML file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from cxlib.errors import UsageError
from cxlib.params import Codebook, Theme

_FORM = 'Give {"late": {"phrases": {"en": ["late", "delay*"]}}}, say, or {"late": ["late", "delay*"]}.'
_WORDS = "en"  # the language of words that come without one


def book(given: Any) -> Codebook:
    """Return a codebook.

    Parameters
    ----------
    given
        A `Codebook`; or themes by their ids, each a `Theme`, a mapping as `codebook.yml` has it (`title` may be left
        out), or a list of phrases, which are taken for English; or all that a file holds, `themes` among it.

    Raises
    ------
    UsageError
        For what is none, with everything that is wrong with it.
    """
    if isinstance(given, Codebook):
        return given
    if not isinstance(given, Mapping):
        raise UsageError(f"a codebook is themes by their ids, not {type(given).__name__}", hint=_FORM)
    whole = dict(given) if isinstance(given.get("themes"), Mapping) else {"themes": given}
    whole["themes"] = {str(name): _theme(str(name), theme) for name, theme in whole["themes"].items()}
    try:
        return Codebook.model_validate(whole)
    except ValidationError as error:
        wrong = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        raise UsageError("; ".join(wrong), hint=_FORM) from None


def _theme(name: str, given: Any) -> Any:
    """Return a theme with what may be left out."""
    if isinstance(given, Theme):
        return given
    if isinstance(given, Mapping):
        return {"id": name, "title": name} | dict(given)
    words = [given] if isinstance(given, str) else given
    return {"id": name, "title": name, "phrases": {_WORDS: words}}
