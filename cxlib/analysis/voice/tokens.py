"""From a text to the words that phrases are looked for among: mended, without case and accents, breaks kept."""

from __future__ import annotations

import html
import re
import unicodedata

from cxlib.analysis.redaction import KINDS

BETWEEN = "\x00"  # stands between texts that are looked through together
_SENTENCE, _CLAUSE = r"[.!?;…\n\r|]+", r"[,:()\[\]<>–—]+| -+ "
_EMOJI = "[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_TOKEN = re.compile(rf"\w[\w'’]*|\x00|{_SENTENCE}|{_CLAUSE}|{_EMOJI}")
_PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")
# UTF-8 that was read as Windows-1252: the letters of its first bytes, and of the bytes that may follow.
_FOLLOWS = "\u0080-\u00bf" + re.escape(bytes(range(0x80, 0xA0)).decode("cp1252", "ignore"))
_MOJIBAKE = re.compile(f"[\u00c2-\u00df][{_FOLLOWS}]|[\u00e0-\u00ef][{_FOLLOWS}]{{2}}|[\u00f0-\u00f4][{_FOLLOWS}]{{3}}")
_UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff\ufe0e\ufe0f]")
_ENDING = re.compile(r"['’](?:s|ll|re|ve|d|m)?$")
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}")


def plain(text: str) -> str:
    """Return a text without case and accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def mended(text: str) -> str:
    """Return a text as it was meant: entities and mojibake read, look-alikes of letters and quotes made plain.

    What redaction has put in the place of personal data goes: "[phone]" is no word of the customer.
    """
    if "&" in text:
        text = html.unescape(text)
    if "[" in text:
        text = _PLACEHOLDER.sub(", ", text)
    if BETWEEN in text:
        text = text.replace(BETWEEN, " ")
    if text.isascii():
        return text
    text = _UNSEEN.sub("", unicodedata.normalize("NFKC", _MOJIBAKE.sub(_reread, text)))
    return text.replace("‘", "'").replace("`", "'").replace("´", "'")


def _reread(found: re.Match[str]) -> str:
    """Return the letter that some bytes stand for in UTF-8; what they are where they stand for none."""
    raw = b"".join(letter.encode("latin-1") if letter < "\u0100" else letter.encode("cp1252") for letter in found[0])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return found[0]


def split(text: str) -> list[str]:
    """Return the words, emoji and breaks of a text that was mended, in order."""
    return _TOKEN.findall(text)


def ends_sentence(token: str) -> bool:
    """Tell whether a token is a full stop, an end of line or the end of a text."""
    return token[0] in ".!?;…\n\r|\x00"


def ends_clause(token: str) -> bool:
    """Tell whether a token is any break, a comma too."""
    return token[0] in ",:()[]<>–— " or ends_sentence(token)


def folded(word: str) -> str:
    """Return a word as it is compared: "Don't" is dont, "flight's" flight, "NÃO" nao."""
    word = _ENDING.sub("", word).replace("'", "").replace("’", "")
    return word.lower() if word.isascii() else plain(word)


def forms(word: str) -> tuple[str, ...]:
    """Return a folded word and, where letters are drawn out ("laaate"), what it may have been."""
    short = _DRAWN_OUT.sub(r"\1\1", word)
    return (word,) if short == word else (word, short, _DRAWN_OUT.sub(r"\1", word))
