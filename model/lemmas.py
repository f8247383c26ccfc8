"""Lemmas of inflected English nouns and verbs, where the pipeline's lemmatizer has no good answer.

A statistical lemmatizer cuts endings off words that it never saw ("dancing" -> "danc"). The regular rules of
English spelling give candidates, and a vocabulary chooses between them.
"""

from __future__ import annotations

from collections.abc import Callable

# Each entry is a lemma and its irregular forms.
_VERBS = """
be am is are been was were, do does did done, have has had, bear bore borne, beat beaten, become became,
begin began begun, bend bent, bite bit bitten, blow blew blown, break broke broken, bring brought,
build built, buy bought, catch caught, choose chose chosen, come came, creep crept, deal dealt,
die dying, dig dug, draw drew drawn, drink drank drunk, drive drove driven, eat ate eaten,
fall fell fallen, feed fed, feel felt, fight fought, find found, fly flew flown, freeze froze frozen,
get got gotten, give gave given, go went gone, grind ground, grow grew grown, hang hung, hear heard,
hide hid hidden, hold held, keep kept, kneel knelt, lay laid, lead led, lean leant, leave left,
lie lying lain, light lit, make made, meet met, pay paid, ride rode ridden, ring rang rung,
rise rose risen, run ran, say said, see saw seen, sell sold, send sent, shake shook shaken, shoot shot,
show shown, shrink shrank shrunk, sing sang sung, sink sank sunk, sit sat, sleep slept, slide slid,
speak spoke spoken, spin spun, stand stood, steal stole stolen, stick stuck, strike struck, sweep swept,
swim swam swum, swing swung, take took taken, teach taught, tear tore torn, tell told, think thought,
throw threw thrown, tie tying, wear wore worn, weave wove woven, win won, wind wound,
write wrote written
"""

_NOUNS = """
child children, man men, woman women, foot feet, tooth teeth, mouse mice, goose geese, knife knives,
leaf leaves, wolf wolves, wife wives, half halves, shelf shelves, loaf loaves, calf calves,
scarf scarves, ox oxen, people peoples
"""


def _by_form(entries: str) -> dict[str, str]:
    return {form: lemma for lemma, *forms in map(str.split, entries.split(",")) for form in forms}


IRREGULAR_VERBS = _by_form(_VERBS)
IRREGULAR_NOUNS = _by_form(_NOUNS)

VOWELS = "aeiou"
Known = Callable[[str], bool]


def lemma(form: str, proposed: str, pos: str, known: Known) -> str:
    """The lemma of a lower-case form.

    `proposed` is the pipeline's answer, `pos` a universal tag, and `known` tells whether a string is a word.
    """
    irregular = {"VERB": IRREGULAR_VERBS, "NOUN": IRREGULAR_NOUNS, "PROPN": IRREGULAR_NOUNS}.get(pos, {})
    if form in irregular:
        return irregular[form]
    regular = None
    if pos == "VERB":
        regular = _verb_base(form, known)
        if regular and proposed == form:
            return regular
    elif pos in ("NOUN", "PROPN") and proposed != form and form.endswith("s"):
        regular = _without_s(form, known)
    return regular if regular and (known(regular) or not known(proposed)) else proposed


def _verb_base(form: str, known: Known) -> str | None:
    """The infinitive of a regular form; None for a form without an ending."""
    for suffix, shortest in (("ing", 5), ("ed", 4)):
        if form.endswith(suffix) and len(form) >= shortest:
            return _without_suffix(form, suffix, known)
    return _without_s(form, known) if form.endswith("s") and not form.endswith("ss") else None


def _without_suffix(form: str, suffix: str, known: Known) -> str:
    """running -> run, falling -> fall, riding -> ride, eating -> eat, tried -> try, juggled -> juggle."""
    stem = form.removesuffix(suffix)
    if stem.endswith("i"):
        return stem[:-1] + "y" if suffix == "ed" else stem
    if len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in VOWELS:
        # "fall" and "miss" end in a double letter of their own; few other verbs do.
        return stem if known(stem) and (stem[-1] in "lsfz" or not known(stem[:-1])) else stem[:-1]
    if known(stem + "e") and (_needs_e(stem) or not known(stem)):
        return stem + "e"
    if not known(stem) and _looks_cut(stem):
        return stem + "e"
    return stem


def _needs_e(stem: str) -> bool:
    """Whether the last consonant would have been doubled if the verb had no final e: rid(e), mak(e)."""
    one_vowel = sum(letter in "aeiouy" for letter in stem) == 1
    return len(stem) > 1 and one_vowel and stem[-1] not in "aeiouwxy" and stem[-2] in "aeiouy"


def _looks_cut(stem: str) -> bool:
    """Whether no English verb ends like this stem: mov, juggl, rotat, realiz."""
    after_consonant = len(stem) > 1 and stem[-1] == "l" and stem[-2] not in VOWELS + "lrw"
    return after_consonant or stem.endswith(("v", "u", "c", "dg", "at", "iz"))


def _without_s(form: str, known: Known) -> str:
    """tries -> try, boxes -> box, horses -> horse, dogs -> dog."""
    if form.endswith("ies") and len(form) > 4:
        return form[:-1] if known(form[:-1]) and not known(form[:-3] + "y") else form[:-3] + "y"
    if form.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        return form[:-1] if known(form[:-1]) else form[:-2]
    return form[:-1]
