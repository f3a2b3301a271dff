"""What personal data look like in letters and digits: addresses of any kind, telephone numbers, cards, ids.

Every pattern is bounded: whatever is written, looking through it takes time in proportion to its length. `strict`
leaves out what a number of a report may look like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A place in a text: where it starts and ends, and the kind of what stands there."""

    start: int
    end: int
    kind: str


class Shape(NamedTuple):
    """A pattern, the kind that it finds, and what else must be true.

    `strict` patterns hold among the numbers of a report too; a text is looked through where `GATES[gate]`
    finds something.
    """

    kind: str
    pattern: re.Pattern[str]
    gate: str
    strict: bool = True
    holds: Callable[[str], bool] = bool


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdecimal())


def luhn(digits: str) -> bool:
    """Tell whether the last digit checks the others, as on payment cards (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _is_card(text: str) -> bool:
    """Tell whether digits are a card: checked, of an issuer, or at least written as one."""
    digits = _digits(text)
    written = re.fullmatch(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}", text) is not None
    return digits[0] in "23456" and len(set(digits)) > 1 and (luhn(digits) or written)


_IBAN = {
    "AD": 24, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IT": 27, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27,
}  # fmt: skip
_IBAN_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9]{4})")


def _ibans(text: str, strict: bool) -> Iterator[Span]:
    """Find account numbers whose check digits hold (ISO 13616), in groups or not; `strict` in capitals alone."""
    for found in _IBAN_START.finditer(text):
        wanted, place, letters = _IBAN.get(found[0][:2].upper(), 0), found.start(), ""
        while len(letters) < wanted and place < len(text):
            letter = text[place]
            if letter.isascii() and letter.isalnum():
                letters += letter
            elif letter not in " -":
                break
            place += 1
        whole = len(letters) == wanted > 0 and not text[place : place + 1].isalnum()
        if whole and (letters.isupper() or not strict):
            number = "".join(str(int(letter, 36)) for letter in letters[4:] + letters[:4])
            if int(number) % 97 == 1:
                yield Span(found.start(), place, "account")


def _checked(digits: str, weights: list[list[int]]) -> bool:
    """Tell whether the last digits check the others modulo 11, as in Brazilian numbers."""
    for row in weights:
        rest = sum(int(digit) * weight for digit, weight in zip(digits, row, strict=False)) % 11
        if int(digits[len(row)]) != (0 if rest < 2 else 11 - rest):
            return False
    return len(set(digits)) > 1


def is_cpf(text: str) -> bool:
    """Tell whether digits are a Brazilian person's number (Receita Federal)."""
    return _checked(_digits(text), [list(range(10, 1, -1)), list(range(11, 1, -1))])


def is_cnpj(text: str) -> bool:
    """Tell whether digits are a Brazilian company's number (Receita Federal)."""
    first = [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]
    return _checked(_digits(text), [first, [6, *first]])


def is_dni(text: str) -> bool:
    """Tell whether the letter of a Spanish DNI or NIE checks its digits (Real Decreto 1553/2005)."""
    plain = "".join(letter for letter in text.upper() if letter.isalnum())
    number = {"X": "0", "Y": "1", "Z": "2"}.get(plain[0], plain[0]) + plain[1:-1]
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


_DATE = re.compile(r"(?:\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2}))(?!\d)")


def _is_phone(text: str) -> bool:
    """Tell digits of a telephone from a date, a round sum and a row of years."""
    digits = _digits(text)
    if not 7 <= len(digits) <= 15 or _DATE.match(text) or len(set(digits)) < 3:
        return False
    years = re.fullmatch(r"(?:19|20)\d\d[ -]+(?:19|20)\d\d", text)
    return years is None and not digits.endswith("000000")


def _follows_cue(text: str) -> bool:
    """Tell whether what follows a word as "call me on" has enough digits, and is no date."""
    return 6 <= len(_digits(text)) <= 15 and not _DATE.match(text)


def _is_whole(text: str) -> bool:
    """Tell whether digits behind such a word are a whole number of a telephone, by themselves in a report."""
    return 9 <= len(_digits(text)) <= 13 and _is_phone(text)


_B = r"(?<![\w+.,/#-])"  # before a number; what stands there belongs to it
_E = r"(?![\w]|[.,/-]\d)"
_MONEY = r"(?! ?(?:€|eur|euros?|usd|r\$|\$|£|reais|%))"
_ABROAD = r"\d{1,3}[ .\-]?(?:\(0?\d{1,4}\)[ .\-]?)?\d(?:[ .\-/]{0,2}\d){5,12}(?!\w)"
_TLD = (
    "com|net|org|edu|gov|info|biz|io|co|me|app|shop|store|eu|uk|us|ca|au|ie|es|pt|br|mx|ar|cl|de|at|ch|fr|it|nl|be|ly|"
    "gl"
)
_MAIL = "gmail|googlemail|hotmail|outlook|yahoo|icloud|live|msn|aol|gmx|web|proton|protonmail|uol|bol|terra|sapo|ig"
_DOT = r"(?: ?\(dot\) ?| ?\[dot\] ?| (?:dot|punto|ponto|punkt|pt) | ?\. ?)"
_SAID = r"(?: (?:dot|punto|ponto|punkt) )"
_AT = r" ?(?:[\(\[\{] ?(?:at|arroba|ät) ?[\)\]\}]|(?<= )arroba(?= )|(?<= )@) ?"
_LOCAL = rf"(?<![\w.+%'-])[\w+%'-](?:[\w.+%'-]|{_SAID}){{0,63}}"
_CUE = (
    r"(?<!\w)(?:(?:tele)?phone|tel|tlf|telf|telefon\w{0,6}|tel[eé]fono|m[oó]vil|mobile|cell|celular|telem[oó]vel|handy|"
    r"whats ?app|zap|call(?: me)?|ring(?: me)?|reach me|text me|sms|ll[aá]m[ae]\w{0,4}|lig(?:ue|uem|a)|"
    r"anruf\w{0,3}|fax|"
    r"my number|mi n[uú]mero|meu n[uú]mero|meine nummer|contacto?|contato|erreichbar|fone)(?![\w=-])"
)
_ORDER = (
    r"(?<!\w)(?:order|pedido|encomenda|compra|bestell(?:ung|nummer)|auftrags?(?:nummer)?|customer|cliente|"
    r"kunden(?:nummer|nr)?|"
    r"booking|reservation|reserva|confirmation|conf|ticket|case|caso|reference|refer[eê]ncia|referencia|ref|invoice|"
    r"factura|fatura|rechnung\w{0,6}|account|conta|cuenta|tracking|rastreio|rastreamento|c[oó]digo|record locator|pnr|"
    r"locator|protocolo|nota fiscal|vorgang|passport|pasaporte|passaporte|reisepass|membership|frequent flyer|"
    r"(?:rapid rewards|mileage ?plus|sky ?miles))(?!\w)"
)
_NIN = (
    r"(?<!\w)(?:nif|nie|dni|cpf|cnpj|rg|contribuinte|steuer-?id|steuernummer|ssn|nino|nhs|social security|ni number|"
    r"national insurance(?: number)?|driving licen[cs]e|f[üu]hrerschein|carn[eé] de conducir)(?!\w)"
)
_BORN = (
    r"(?<!\w)(?:born|birth ?day|birth ?date|date of birth|d\.?o\.?b|nasci(?:d[oa])?|data de nascimento|anivers[aá]rio|"
    r"nac[ií](?:d[oa])?|fecha de nacimiento|cumplea[nñ]os|geboren|geburtstag|geburtsdatum)(?!\w)"
)
_DAY = (
    r"(?:\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4}|"
    r"\d{1,2}(?:st|nd|rd|th|[ºª.])?(?: of| de| ){0,2} ?[^\W\d_]{3,10}\.?(?: de| del|,)? \d{4}|"
    r"[^\W\d_]{3,10} \d{1,2}(?:st|nd|rd|th)?,? \d{4})"
)
_STREET = (
    r"Street|St\.?|Road|Rd\.?|Avenue|Ave\.?|Lane|Ln\.?|Drive|Dr\.?|Court|Ct\.?|Boulevard|Blvd\.?|Way|"
    r"Close|Terrace|Place|"
    r"Pl\.?|Square|Sq\.?|Crescent|Gardens|Row|Hill|Mews|Parkway|Pkwy\.?|Highway|Hwy\.?"
)
_VIA = (
    r"Calle|C/|Avenida|Avda\.?|Av\.?|Plaza|Pza\.?|Paseo|Rua|Travessa|Praça|Alameda|Estrada|Rodovia|"
    r"Carrer|Largo|Camino|"
    r"Ronda|Beco|Rambla|Passeig|Vila|Gran Vía"
)
_NAME = r"[A-ZÀ-ÖØ-ÞŠŽ][\w'’.-]{0,30}"
_LESS = r"(?:de|da|do|das|dos|del|la|las|los|el|e|y|of|the|und|der|den|d')"
_FLAT = (
    r"(?i:,? ?(?:apt|apartment|flat|unit|suite|piso|puerta|planta|esc|apto?|apartamento|bloco|casa|andar|lote|lado|"
    r"[0-9]{1,2}[ºª°])\b\.? ?[\w-]{0,6}[ºª°]?){0,3}"
)
_TOWN = rf"(?:,? ?(?:[0-9]{{4,5}}(?:-[0-9]{{3}})?,? {_NAME}(?: {_NAME}){{0,2}}|[0-9]{{5}}(?:-[0-9]{{3}})?))?"
_CITY = (
    rf"(?:, {_NAME}(?: {_NAME}){{0,2}})?(?:,? [A-Z]{{2}} [0-9]{{5}}(?:-[0-9]{{4}})?|"
    rf",? [A-Z]{{1,2}}[0-9][A-Z0-9]? [0-9][A-Z]{{2}})?"
)


GATES = {
    "digit": re.compile(r"\d"),
    "number": re.compile(r"\d(?:\D{0,4}\d){4}"),  # five digits near each other
    "said": re.compile(rf"(?i:arroba|[(\[{{] ?[aä]t|(?<= )(?:dot|punto|ponto|punkt)(?= )|(?<=[ @])(?:{_MAIL})| @ )"),
    "link": re.compile(r"://|[wW]{3}\.|\.\w{2,5}/"),
    "at": re.compile("@"),
}


def _made(
    kind: str, pattern: str, holds: Callable[[str], bool] | None = None, *, loose: bool = False, gate: str = "number"
) -> Shape:
    return Shape(kind, re.compile(pattern), gate, not loose, holds or bool)


SHAPES = (
    _made("e-mail", r"(?<![\w+%])[\w+%][\w.+%'-]{0,63}@[^\W_][\w-]{0,62}(?:\.[\w-]{1,63}){1,5}", gate="at"),
    _made("e-mail", rf"(?i:{_LOCAL}{_AT}[\w-]{{1,63}}{_DOT}(?:{_TLD})\b)", gate="said"),
    _made("e-mail", rf"(?i:{_LOCAL} at [\w-]{{1,63}}(?:{_SAID}| ?\(dot\) ?)(?:{_TLD})\b)", gate="said"),
    _made("e-mail", rf"(?i:{_LOCAL} ?(?:@| at ) ?(?:{_MAIL})(?: ?[.,] ?| dot )(?:{_TLD})\b)", gate="said"),
    _made("link", r"(?i:\b(?:https?|ftp)://|\bwww\.)[^\s<>\"'\ue000]{2,2000}(?<![.,;:!?)\]])", loose=True, gate="link"),
    _made(
        "link",
        rf"(?i:(?<![\w@.-])[a-z0-9][a-z0-9-]{{0,62}}(?:\.[a-z0-9-]{{1,63}}){{0,3}}\."
        rf"(?:{_TLD})/[^\s<>\"'\ue000]{{1,2000}}(?<![.,;:!?)\]]))", loose=True, gate="link",
    ),
    _made("card", rf"(?<![\w.,-])\d{{4}}[ -]?\d{{4}}[ -]?\d{{4}}[ -]?\d{{1,7}}{_E}", _is_card),
    _made("card", rf"(?<![\w.,-])3[47]\d{{2}}[ -]?\d{{6}}[ -]?\d{{5}}{_E}", lambda found: luhn(_digits(found))),
    _made("card", rf"(?<![\w.,-])3[068]\d{{2}}[ -]\d{{6}}[ -]\d{{4}}{_E}", lambda found: luhn(_digits(found))),
    _made("id", rf"{_B}\d{{3}}\.\d{{3}}\.\d{{3}}-\d{{2}}{_E}"),
    _made("id", rf"{_B}\d{{2}}\.\d{{3}}\.\d{{3}}/\d{{4}}-\d{{2}}{_E}"),
    _made("id", rf"{_B}(?:\d{{11}}|\d{{9}}-\d{{2}}){_E}", is_cpf, loose=True),
    _made("id", rf"{_B}\d{{8}}/?\d{{4}}-?\d{{2}}{_E}", is_cnpj, loose=True),
    _made("id", rf"{_B}\d{{8}}-?[A-HJ-NP-TV-Z](?!\w)", is_dni),
    _made("id", rf"{_B}\d{{8}}[ -]?[A-HJ-NP-TV-Za-hj-np-tv-z](?!\w)", is_dni, loose=True),
    _made("id", r"(?<![\w.,-])\d{1,2}\.\d{3}\.\d{3}[ -]?[A-HJ-NP-TV-Z](?!\w)", is_dni),
    _made("id", r"(?<![\w-])[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z](?!\w)", is_dni),
    _made("id", r"(?<![\w-])[XYZxyz][ -]?\d{7}[ -]?[A-HJ-NP-TV-Za-hj-np-tv-z](?!\w)", is_dni, loose=True),
    _made("id", rf"{_B}(?!000|666|9)\d{{3}}-(?!00)\d{{2}}-(?!0000)\d{{4}}{_E}"),
    _made("id", r"(?<!\w)[A-CEGHJ-PR-TW-Z]{2} \d{2} \d{2} \d{2} [A-D](?!\w)"),
    _made("id", r"(?<!\w)[A-CEGHJ-PR-TW-Z]{2}\d{6}[A-D](?!\w)", loose=True),
    _made(
        "id", rf"(?i:{_NIN})[^\d\n\ue000]{{0,12}}(?P<it>[A-Za-z]{{0,2}}\d(?:[ .\-/]?\d){{5,13}}(?:-?[A-Za-z])?)(?!\w)"
    ),
    _made("id", rf"(?i:{_BORN})[^\d\n\ue000]{{0,15}}?(?P<it>(?i:{_DAY}))(?!\w)", loose=True, gate="digit"),
    _made("phone", rf"(?<![\w+])\+{_ABROAD}", _is_phone),
    _made("phone", rf"(?<![\w+.,/-])(?<!\d )00[ -]?(?=[1-9]\d{{0,2}}[ -]){_ABROAD}", _is_phone),
    _made("phone", rf"(?<![\w+.,/-])00(?=[1-9]){_ABROAD}", _is_phone, loose=True),
    _made("phone", rf"{_B}(?:\+?1[ .-]?)?\([2-9]\d{{2}}\)[ .-]?[2-9]\d{{2}}[ .-]?\d{{4}}{_E}", _is_phone),
    _made("phone", rf"{_B}(?:1-)?[2-9]\d{{2}}-[2-9]\d{{2}}-\d{{4}}{_E}", _is_phone),
    _made("phone", rf"{_B}(?:1[ .])?[2-9]\d{{2}}([ .])[2-9]\d{{2}}\1\d{{4}}{_E}", _is_phone, loose=True),
    _made("phone", rf"{_B}[26-9]\d{{2}}([ .-])\d{{3}}\1\d{{3}}{_E}(?i:{_MONEY})", _is_phone, loose=True),
    _made("phone", rf"{_B}[6-9]\d{{2}}([ .-])\d{{2}}\1\d{{2}}\1\d{{2}}{_E}", _is_phone),
    _made("phone", rf"(?<![\w+.,/#-])\(?0?[1-9]\d\)[ .-]?(?:9[ .]?)?\d{{4}}[ .-]?\d{{4}}{_E}", _is_phone),
    _made("phone", rf"{_B}(?:0?[1-9]\d[ .-])?9[ .]?\d{{4}}-\d{{4}}{_E}", _is_phone, loose=True),
    _made("phone", rf"{_B}[1-9]\d (?:9 ?)?\d{{4}}[ .-]?\d{{4}}{_E}", _is_phone, loose=True),
    _made("phone", rf"{_B}\(?0\)?[1-9]\d{{1,4}}\)?(?:[ /.\-]{{1,3}}\d{{2,8}}){{1,4}}{_E}", _is_phone, loose=True),
    _made("phone", rf"{_B}0[1-9](?:[ .-]\d{{2}}){{4}}{_E}", _is_phone, loose=True),
    _made("phone", rf"{_B}[1-9]\d ?\d{{3}} \d{{2}} \d{{2}}{_E}", _is_phone, loose=True),
    _made("phone", rf"{_B}0[1-9]\d{{8,10}}{_E}", _is_phone, loose=True),
    _made("phone", rf"{_B}(?:[67]\d{{8}}|9[1236]\d{{7}}){_E}(?i:{_MONEY})", _is_phone, loose=True),
    _made(
        "id",
        rf"(?i:{_ORDER})[^\w\n\ue000]{{0,3}}(?i:(?:number|numero|número|nummer|num|no|nr|nº|n°|id|code)\b)?"
        rf"(?i:[^\w\n\ue000]{{0,3}}(?:is|es|é|ist)\b)?[^\w\n\ue000]{{0,4}}(?P<it>(?=[A-Z\-/]{{0,12}}\d)[A-Z0-9]"
        rf"(?:[\-/]?[A-Z0-9]){{3,23}})(?!\w|[.,:]\d)(?i:{_MONEY})",
        lambda found: len(_digits(found)) > 3 or (len(found) == 6 and found.isupper()),
        loose=True,
        gate="digit",
    ),
    _made(
        "phone",
        rf"(?i:{_CUE})[^\d+(\n\ue000]{{0,25}}(?P<it>[+(]{{0,2}}\d[\d ().\-/]{{4,20}}\d)(?!\w|[.,:]\d)"
        rf"(?i:{_MONEY})",
        _follows_cue,
        loose=True,
    ),
    _made(
        "phone", rf"(?i:{_CUE})[^\d+(\n\ue000]{{0,25}}(?P<it>\(?\d{{2,5}}\)?(?:[ -]?\d{{2,6}}){{1,5}}){_E}", _is_whole
    ),
    _made(
        "address",
        r"(?i:(?<!\w)(?:flat|apt\.?|apartment|unit|suite) ?\w{1,4}, ?)?"
        rf"(?<![\w.,])\d{{1,5}}[A-Za-z]?,? (?:(?:{_NAME}|[0-9]{{1,3}}(?:st|nd|rd|th)) ){{1,4}}(?:{_STREET})"
        rf"(?!\w){_FLAT}{_CITY}",
        gate="digit",
    ),
    _made(
        "address",
        rf"(?<!\w)(?i:{_VIA}) ?(?:(?:{_LESS} ){{0,3}}{_NAME} ?){{1,5}},? ?(?:"
        rf"(?i:n[º°.ro]{{0,3}}|número|num\.?) ?)?\d{{1,5}}(?!\w|[.,:]\d){_FLAT}{_TOWN}",
        gate="digit",
    ),
    _made(
        "address",
        rf"(?<!\w)(?!(?:Die|Der|Das|Den|Dem|Im) )(?:[A-ZÄÖÜ][\wäöüß-]{{1,30}}(?:straße|strasse|str\.|weg|platz|"
        rf"allee|gasse|damm|ufer)|{_NAME} (?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Damm|Ring|"
        rf"Ufer)) ?\d{{1,4}} ?[a-z]?(?!\w){_TOWN}",
        gate="digit",
    ),
    _made(
        "address",
        rf"(?<![\w.]){_NAME}(?: {_NAME}){{0,3}} \d{{1,4}} ?[a-z]?, ?(?:\d{{5}}|\d{{4}}-\d{{3}}) {_NAME}",
        loose=True,
        gate="digit",
    ),
    _made(
        "address",
        rf"(?<![\w.,])\d{{1,4}},? (?i:rue|avenue|boulevard|calle|via|rua) (?:{_LESS} ){{0,3}}{_NAME}(?: {_NAME}){{0,3}}"
        rf"{_TOWN}",
        gate="digit",
    ),
    _made(
        "address",
        rf"(?<!\w)(?i:p\.? ?o\.? ?box|apartado|apdo\.?|postfach|caixa postal) ?\d{{1,6}}(?!\w)(?:, {_NAME})?",
        gate="digit",
    ),
    _made("address", r"(?<![\w-])[A-PR-UWYZ][A-HK-Y]?\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}(?!\w)", loose=True, gate="digit"),
    _made("address", rf"(?<![\w.,-])\d{{5}}-\d{{3}}{_E}", loose=True, gate="digit"),
    _made(
        "address",
        rf"(?i:\b(?:cep|plz|zip(?: ?code)?|postcode|post ?leitzahl|c[oó]digo postal|c\.?p\.)) ?:? ?"
        rf"(?P<it>\d{{4,5}}(?:-\d{{3,4}})?){_E}",
        gate="digit",
    ),
    _made("address", rf"(?<![\w.,-])\d{{4}}-\d{{3}} {_NAME}", loose=True, gate="digit"),
    _made(
        "ip",
        r"(?<![\w.])(?<!version )(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|"
        r"\.\d)",
        lambda found: any(int(part) > 19 for part in found.split(".")),  # else a version,
        gate="digit",
    ),
    _made("ip", r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])", gate="digit"),
    _made("ip", r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){2,6}(?::[0-9A-Fa-f]{1,4}){1,5}(?![\w:])", gate="digit"),
    _made("handle", r"(?<![\w@.])@\w{2,30}(?:\.\w{1,30})?(?![\w(@])", loose=True, gate="at"),
    _made("id", r"(?<![\w-])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\w-])", loose=True),
    _made("id", r"(?<![\w-])(?=[a-f]{0,31}\d)[0-9a-f]{32}(?![\w-])", loose=True),
    _made("id", r"(?<![\w-])[A-Z]{1,4}-?\d{5,20}(?:[A-Z]{2})?(?!\w)", loose=True),
    _made("id", rf"(?<![\w.,])\d{{9,40}}{_E}", loose=True),
)  # fmt: skip


def shaped(text: str, gate: str, *, strict: bool = False) -> Iterator[Span]:
    """Find what has the form of personal data, of the shapes behind one gate."""
    if gate == "number":
        yield from _ibans(text, strict)
    for shape in SHAPES:
        if shape.gate == gate and (shape.strict or not strict):
            what = "it" if "it" in shape.pattern.groupindex else 0  # not the words before it
            for found in shape.pattern.finditer(text):
                if shape.holds(found[what]):
                    yield Span(*found.span(what), shape.kind)
