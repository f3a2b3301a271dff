"""What customers write: sentences by theme and language, joined; some carry what a publisher must catch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cxlib.data.demo.truths import LANGUAGES, TRUTHS

# theme -> language -> sentences
SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "late": {
        "en": ("My parcel arrived days late.", "The delivery came after the promised date.",
               "Late delivery again, the order was delayed."),
        "pt": ("A encomenda chegou atrasada.", "A entrega veio depois do prazo."),
        "es": ("El pedido llegó tarde.", "La entrega vino con retraso."),
    },
    "wait": {
        "en": ("I waited far too long to speak to someone.", "Endless time on hold.",
               "The waiting time on the phone is a joke."),
        "pt": ("Esperei demasiado tempo pelo atendimento.", "Uma espera sem fim ao telefone."),
        "es": ("Esperé demasiado para hablar con alguien.", "Una espera interminable al teléfono."),
    },
    "unresolved": {
        "en": ("My problem is still not solved.", "Nobody could fix it, I have to call again.",
               "The issue was not resolved."),
        "pt": ("O meu problema continua sem solução.", "Ninguém resolveu nada."),
        "es": ("Mi problema sigue sin resolver.", "Nadie lo ha solucionado."),
    },
    "price": {
        "en": ("It has become too expensive.", "The price is too high for what you get."),
        "pt": ("Ficou demasiado caro.",),
        "es": ("Se ha vuelto demasiado caro.",),
    },
    "praise": {
        "en": ("Great service, thank you!", "I love the quality.", "Friendly people and beautiful products."),
        "pt": ("Ótimo serviço, obrigado!", "Adoro a qualidade."),
        "es": ("Muy buen servicio, ¡gracias!", "Me encanta la calidad."),
    },
    "other": {
        "en": ("Nothing to add.", "It was as expected.", "OK."),
        "pt": ("Nada a acrescentar.", "Tudo normal."),
        "es": ("Nada que añadir.", "Normal."),
    },
}  # fmt: skip
# What tells who somebody is, all of it invented: addresses of reserved domains, telephone numbers of ranges kept for
# fiction, numbers that standards give as examples. kind -> values, one of which is drawn.
PERSONAL: dict[str, tuple[str, ...]] = {
    "e-mail": ("{first}.{last}.{number}@example.com", "{first}{number} at gmail dot com"),
    "phone": ("+44 7700 900{number}", "(202) 555-0{number}"),
    "card": ("4111 1111 1111 1111", "5555-5555-5555-4444"),
    "account": ("ES91 2100 0418 4502 0005 1332",),
    "id": ("12345678Z", "529.982.247-25"),
    "address": ("{number} Example Street", "Calle Ejemplo {number}", "Rua Exemplo, {number}"),
    "name": ("{First} {Last}",),
}
# kind -> language -> what is said around it
SAID: dict[str, dict[str, str]] = {
    "e-mail": {"en": "Write to me at {it} please.", "pt": "O meu e-mail: {it}.", "es": "Mi correo: {it}."},
    "phone": {"en": "You can call me on {it}.", "pt": "O meu telefone: {it}.", "es": "Mi teléfono: {it}."},
    "card": {"en": "I paid with {it}, refund it.", "pt": "Paguei com {it}.", "es": "Pagué con {it}."},
    "account": {"en": "My account: {it}.", "pt": "A minha conta: {it}.", "es": "Mi cuenta: {it}."},
    "id": {"en": "My identity card: {it}.", "pt": "O meu CPF: {it}.", "es": "Mi DNI: {it}."},
    "address": {"en": "I live at {it}.", "pt": "Moro na {it}.", "es": "Vivo en {it}."},
    "name": {"en": "My name is {it}.", "pt": "Meu nome é {it}.", "es": "Me llamo {it}."},
}
FIRST = ("maria", "joão", "emma", "lucia", "thomas")
LAST = ("lopez", "silva", "clark", "perez", "baker")
MARKUP = ("<script>alert(1)</script>", "<b>bold</b> <img src=x onerror=alert(1)>", "</td></table>")
FORMULAS = ("=1+1", "=HYPERLINK(\"http://example.com\")", "@SUM(A1:A9)", "+cmd|' /C calc'!A0")  # fmt: skip


def write(
    late: np.ndarray,
    wait: np.ndarray,
    unresolved: np.ndarray,
    mood: np.ndarray,
    language: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Return the column `comment`, and of each comment one boolean column per theme mentioned, `personal` (it tells who
    somebody is) and `planted` (what tells it).

    All are null where nothing is written. Arguments have one entry per answer; `wait` is in seconds, -1 for none.
    """
    written = rng.random(len(mood)) < np.asarray(TRUTHS.comments.written)[mood]
    place = np.flatnonzero(written)
    mentioned = _themes(late[place], wait[place], unresolved[place], mood[place], rng)
    before, behind, planted = _extras(language[place], rng)
    mentioned["personal"] = np.array([value is not None for value in planted])
    parts = [_sentences(theme, mentioned[theme], language[place], rng) for theme in SENTENCES]
    text = pc.binary_join_element_wise(before, *parts, behind, " ", null_handling="skip")
    scattered = pa.array(np.cumsum(written) - 1, mask=~written)
    columns = {name: pa.array(values) for name, values in mentioned.items()}
    columns |= {"planted": pa.array(planted, pa.string()), "comment": text}
    return {name: pc.take(values, scattered) for name, values in columns.items()}


def _themes(
    late: np.ndarray, wait: np.ndarray, unresolved: np.ndarray, mood: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw which themes each comment mentions, given its causes; `other` where there is none."""
    truth, n = TRUTHS.comments, len(mood)
    said = {
        "late": late & (rng.random(n) < truth.late),
        "wait": (wait >= truth.long_wait) & (rng.random(n) < truth.wait),
        "unresolved": unresolved & (rng.random(n) < truth.unresolved),
        "price": rng.random(n) < truth.price,
        "praise": (mood == 2) & (rng.random(n) < truth.praise),
    }
    return said | {"other": ~np.logical_or.reduce(list(said.values()))}


def _sentences(theme: str, said: np.ndarray, language: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """Choose a sentence of the theme in the customer's language; null where the theme is not mentioned."""
    pool: list[str] = []
    first, count = [], []
    for name in LANGUAGES:
        first.append(len(pool))
        count.append(len(SENTENCES[theme][name]))
        pool += SENTENCES[theme][name]
    chosen = np.asarray(first)[language] + (rng.random(len(said)) * np.asarray(count)[language]).astype(np.int64)
    return pc.take(pa.array(pool), pa.array(chosen, mask=~said))


def _extras(language: np.ndarray, rng: np.random.Generator) -> tuple[pa.Array, pa.Array, list[str | None]]:
    """Draw what stands before a comment (a formula) and behind it (personal data or markup), and what was planted.

    Personal data come from a generator of their own: what is planted changes no other draw.
    """
    n, truth = len(language), TRUTHS.comments
    kind, own = rng.random(n), _beside(rng)
    before: list[str | None] = [None] * n
    behind, planted = list(before), list(before)
    for place in np.flatnonzero(kind < truth.personal):
        (
            rng.integers(100, 200),
            rng.integers(5),
            rng.integers(4),
        )  # what was drawn here once: later draws stay as they are
        behind[place], planted[place] = _personal(LANGUAGES[language[place]], own)
    for place in np.flatnonzero(kind > 1 - truth.markup):
        behind[place] = MARKUP[rng.integers(len(MARKUP))]
    for place in np.flatnonzero((kind >= 0.5) & (kind < 0.5 + truth.formula)):
        before[place] = FORMULAS[rng.integers(len(FORMULAS))]
    return pa.array(before, pa.string()), pa.array(behind, pa.string()), planted


def _beside(rng: np.random.Generator) -> np.random.Generator:
    """Return another generator of the same seed, without drawing from the first."""
    seed = rng.bit_generator.seed_seq
    assert isinstance(seed, np.random.SeedSequence)
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, 1)))


def _personal(language: str, rng: np.random.Generator) -> tuple[str, str]:
    """Draw a sentence that tells who somebody is, and what tells it."""
    kind = list(PERSONAL)[rng.integers(len(PERSONAL))]
    first, last = FIRST[rng.integers(len(FIRST))], LAST[rng.integers(len(LAST))]
    plain = first.replace("ã", "a")
    form = PERSONAL[kind][rng.integers(len(PERSONAL[kind]))]
    names = {"First": first.title(), "Last": last.title(), "first": plain, "last": last}
    value = form.format(number=rng.integers(100, 200), **names)
    return SAID[kind][language].format(it=value), value
