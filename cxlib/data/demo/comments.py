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
# Addresses of reserved domains, telephone numbers of ranges kept for fiction, a card number kept for tests.
PERSONAL = (
    "Write to me at {name}.{number}@example.com please.",
    "You can call me on +44 7700 900{number}.",
    "My number is (202) 555-0{number}.",
    "I paid with 4111 1111 1111 1111, refund it.",
)
NAMES = ("maria.lopez", "joao.silva", "emma.clark", "lucia.perez", "tom.baker")
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
    """Return the column `comment`, `personal` (data was planted) and one boolean column per theme mentioned.

    All are null where nothing is written. Arguments have one entry per answer; `wait` is in seconds, -1 for none.
    """
    written = rng.random(len(mood)) < np.asarray(TRUTHS.comments.written)[mood]
    place = np.flatnonzero(written)
    mentioned = _themes(late[place], wait[place], unresolved[place], mood[place], rng)
    before, behind, mentioned["personal"] = _extras(len(place), rng)
    parts = [_sentences(theme, mentioned[theme], language[place], rng) for theme in SENTENCES]
    text = pc.binary_join_element_wise(before, *parts, behind, " ", null_handling="skip")
    scattered = pa.array(np.cumsum(written) - 1, mask=~written)
    return {name: pc.take(pa.array(values), scattered) for name, values in mentioned.items()} | {
        "comment": pc.take(text, scattered)
    }


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


def _extras(n: int, rng: np.random.Generator) -> tuple[pa.Array, pa.Array, np.ndarray]:
    """Draw what stands before a comment (a formula) and behind it (personal data or markup); and which is personal."""
    truth, kind = TRUTHS.comments, rng.random(n)
    before: list[str | None] = [None] * n
    behind: list[str | None] = [None] * n
    personal = kind < truth.personal
    for place in np.flatnonzero(personal):
        number, name = f"{rng.integers(100, 200)}", NAMES[rng.integers(len(NAMES))]
        behind[place] = PERSONAL[rng.integers(len(PERSONAL))].format(name=name, number=number)
    for place in np.flatnonzero(kind > 1 - truth.markup):
        behind[place] = MARKUP[rng.integers(len(MARKUP))]
    for place in np.flatnonzero((kind >= 0.5) & (kind < 0.5 + truth.formula)):
        before[place] = FORMULAS[rng.integers(len(FORMULAS))]
    return pa.array(before, pa.string()), pa.array(behind, pa.string()), personal
