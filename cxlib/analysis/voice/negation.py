"""Words that turn what follows into its contrary, by language, and what ends their reach.

A negator reaches `REACH` words far (NegEx, Chapman et al. 2001, takes five, of longer clinical sentences), at most to
the next punctuation mark or a word such as "but". All words stand here without case, accents and apostrophes.
"""

from __future__ import annotations

REACH = 4

NEGATORS: dict[str, str] = {
    "en": "no not never none nobody nothing neither nor without hardly barely cannot cant dont doesnt didnt isnt arent "
    "wasnt werent wont wouldnt couldnt shouldnt havent hasnt hadnt aint",
    "pt": "nao nunca jamais nem sem nenhum nenhuma ninguem nada tampouco",
    "es": "no nunca jamas ni sin ningun ninguno ninguna nadie nada tampoco",
}
# What ends the reach of a negator as a full stop does.
TURNS: dict[str, str] = {
    "en": "but however although though yet except because",
    "pt": "mas porem contudo entretanto embora porque pois",
    "es": "pero aunque sino porque",
}
# Where a negator negates nothing: "not only late", "I can't believe how late".
EMPHATIC: dict[str, tuple[str, ...]] = {
    "en": (
        "not only", "not just", "not to mention", "not sure", "not even mention", "no doubt", "no wonder", "no matter",
        "can't believe", "cannot believe", "couldn't believe", "don't know why", "don't know how", "don't know if",
        "don't understand why", "don't understand how", "why not", "never been so", "never been this",
        "never had such", "never seen such", "never again",
    ),
    "pt": (
        "não só", "não apenas", "não somente", "não sei se", "não sei porque", "não sei por que", "não entendi porque",
        "não entendo porque", "sem dúvida", "sem dúvidas", "sem contar", "sem falar", "nunca mais", "nunca vi",
        "nunca tive", "nada contra",
    ),
    "es": ("no solo", "no sólo", "no solamente", "sin duda", "sin contar", "nunca más", "no sé si"),
}  # fmt: skip
# Other ways to write a word in a hurry: each finds the phrases that are written with it.
SPELLINGS: dict[str, dict[str, str]] = {"pt": {"nao": "n nn naum num ñ"}, "es": {"que": "q", "porque": "xq"}}
