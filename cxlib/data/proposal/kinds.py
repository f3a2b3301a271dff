"""What a single value looks like: a number, a time, an address. Nothing is decided here, only recognised."""

from __future__ import annotations

import re
from functools import lru_cache

# What tools and people write for "nothing".
MISSING = {
    *("null", "n/a", "na", "none", "nan", "nil", "-", "--", "#n/a", "(blank)", "(not set)", "not set", "\\n"),
    *("0000-00-00", "0000-00-00 00:00:00"),
}
YES = {"yes", "true", "y", "t", "ja", "si", "sí", "sim", "oui", "wahr", "verdadero", "vrai", "vero", "tak", "sì"}
NO = {"no", "false", "n", "f", "nein", "nee", "não", "nao", "non", "falsch", "falso", "faux", "nie"}

_INTEGER = re.compile(r"[+-]?\d+")
_MONEY = r"(?:[€$£¥₹]|R\$|[A-Z]{3})?\s?"
_NUMBER = re.compile(
    rf"[+-]?{_MONEY}[+-]?(?:\d{{1,3}}(?:[.,' \u00a0\u202f]\d{{3}})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?|[.,]\d+)\s?"
    r"(?:%|[€$£¥₹]|[A-Z]{3})?"
)
# A spreadsheet saves a long number as 1.23E+15.
_DAMAGED = re.compile(r"\d([.,]\d+)?[eE]\+\d+")
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[A-Za-z]{2,}")
_IP = re.compile(r"(\d{1,3}\.){3}\d{1,3}|(?=.*::|(?:.*:){3})[0-9a-fA-F:]{3,39}")
_URL = re.compile(r"https?://\S+")
_PHONE = re.compile(r"(\+|00)\d[\d ()./-]{6,18}\d|\(\d{2,5}\)[\d ./-]{5,14}\d")
_DURATION = re.compile(r"\d{1,3}:[0-5]\d(:[0-5]\d)?")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
TIME = re.compile(
    r"(?P<week>(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*(?P<comma>,?) )?"
    r"(?:(?P<ymd>(?P<year>(?:19|20)\d\d)(?P<ysep>[-/.])(?P<ymonth>\d{1,2})(?P=ysep)(?P<yday>\d{1,2}))"
    r"|(?P<eight>(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    r"|(?P<two>(?P<first>\d{1,2})(?P<sep>[-/.])(?P<second>\d{1,2})(?P=sep)(?P<years>(?:19|20)?\d\d))"
    rf"|(?P<dmy>\d{{1,2}}(?P<dsep>[ -])(?P<dname>(?:{_MONTHS})[a-z]*)(?P=dsep)(?P<dyear>(?:19|20)?\d\d))"
    rf"|(?P<mdy>(?P<mname>(?:{_MONTHS})[a-z]*) \d{{1,2}}(?P<mcomma>,?) (?P<myear>(?:19|20)\d\d)))"
    r"(?:(?P<join>T|,? at |,? )(?P<clock>\d{1,2}:\d{2}(?P<seconds>:\d{2}(?P<part>\.\d{1,9})?)?)"
    r"(?P<half>(?P<hblank> ?)[ap]m)?(?P<zone>(?P<zblank> ?)(?:(?P<named>Z|[A-Z]{3,4})|[+-]\d{2}:?\d{2}))?)?",
    re.IGNORECASE,
)


@lru_cache(maxsize=100_000)
def kind_of(value: str) -> str:
    """Return `damaged`, `boolean`, `integer`, `number`, `time`, `duration`, `email`, `ip`, `url`, `phone` or `text`."""
    if value.lower() in YES | NO:
        return "boolean"
    found = {
        "damaged": _DAMAGED,
        "ip": _IP,
        "integer": _INTEGER,
        "time": TIME,
        "number": _NUMBER,
        "duration": _DURATION,
        "email": _EMAIL,
        "url": _URL,
        "phone": _PHONE,
    }
    return next((kind for kind, shape in found.items() if shape.fullmatch(value)), "text")


def is_missing(value: str) -> bool:
    """Say whether a value stands for nothing."""
    return value.lower() in MISSING
