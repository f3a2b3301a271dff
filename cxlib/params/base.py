"""What every model of `params/` is made of: texts that may not be empty, days, shares, and the strict base model."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError


def fault(message: str) -> PydanticCustomError:
    """Return an error for a validator, whose words reach the reader unchanged."""
    return PydanticCustomError("cx", "{message}", {"message": message})


def _day(text: str) -> str:
    """Accept a day written as 2026-10-31."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise fault(f"'{text}' is not a day: write it as 2026-10-31")
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise fault(f"'{text}' is not a day of the calendar") from None


def _currency(text: str) -> str:
    """Accept the code of a currency."""
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise fault(f"'{text}' is not a currency: write its three capital letters, as in EUR")
    return text


def _window(text: str) -> str:
    """Accept a follow-up written as `90 days`."""
    if not re.fullmatch(r"[1-9][0-9]{0,3} days?", text):
        raise fault(f"'{text}' is not a window: write it as 90 days")
    return text


def _null(value: Any) -> Any:
    """Read `null` as no value: the base loader brings it as a text."""
    return None if value in ("null", "~", "none") else value


Name = Annotated[str, StringConstraints(min_length=1)]
Day = Annotated[str, AfterValidator(_day)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]
Currency = Annotated[str, AfterValidator(_currency)]
Share = Annotated[float, Field(gt=0, le=1)]
Window = Annotated[str, AfterValidator(_window)]
Null = BeforeValidator(_null)  # beside a type that admits None


class Model(BaseModel):
    """Frozen, and every key known."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_blanks(cls, data: Any) -> Any:
        """Take a key without a value as not given, but where a blank says something: `cluster:` is no cluster."""
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        speaks = {name for name, field in fields.items() if isinstance(field.default, str) and field.default}
        return {key: value for key, value in data.items() if value != "" or key in speaks or key not in fields}
