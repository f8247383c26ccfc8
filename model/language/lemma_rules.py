"""Lemmas of inflected English nouns and verbs, where the pipeline's lemmatizer has no good answer.

A statistical lemmatizer cuts endings off words that it never saw ("dancing" -> "danc"). The regular rules of
English spelling give candidates, and a vocabulary chooses between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# Each entry is a lemma and its irregular forms.
_VERBS = """
be am is are been was were, do does did done, have has had, arise arose arisen, awake awoke awoken,
bear bore borne, beat beaten, become became, begin began begun, bend bent, bite bit bitten, blow blew blown,
break broke broken, breed bred, bring brought, build built, burn burnt, buy bought, catch caught,
choose chose chosen, cling clung, come came, creep crept, deal dealt, die dying, dig dug, draw drew drawn,
drink drank drunk, drive drove driven, eat ate eaten, fall fell fallen, feed fed, feel felt, fight fought,
find found, flee fled, fling flung, fly flew flown, forget forgot forgotten, freeze froze frozen,
get got gotten, give gave given, go went gone, grind ground, grow grew grown, hang hung, hear heard,
hide hid hidden, hold held, keep kept, kneel knelt, know knew known, lay laid, lead led, lean leant,
leap leapt, learn learnt, leave left, lend lent, lie lying lain, light lit, lose lost, make made, mean meant,
meet met, overtake overtook overtaken, pay paid, ride rode ridden, ring rang rung, rise rose risen, run ran,
say said, see saw seen, seek sought, sell sold, send sent, sew sewn, shake shook shaken, shoot shot,
show shown, shrink shrank shrunk, sing sang sung, sink sank sunk, sit sat, sleep slept, slide slid,
sling slung, speak spoke spoken, spend spent, spill spilt, spin spun, spring sprang sprung, stand stood,
steal stole stolen, stick stuck, sting stung, stride strode, strike struck, string strung, swear swore sworn,
swell swollen, sweep swept, swim swam swum, swing swung, take took taken, teach taught, tear tore torn,
tell told, think thought, throw threw thrown, tie tying, understand understood, undo undid undone,
unwind unwound, wake woke woken, wear wore worn, weave wove woven, weep wept, win won, wind wound,
withdraw withdrew withdrawn, wring wrung, write wrote written
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
IRREGULAR_ENDINGS = {"children": "child", "women": "woman", "men": "man"}  # "grandchildren", "firemen"

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
    elif pos in ("NOUN", "PROPN") and proposed != form:
        for plural, singular in IRREGULAR_ENDINGS.items():
            if form.endswith(plural):
                return form.removesuffix(plural) + singular
        if form.endswith("s"):
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
        return stem if suffix == "ing" else stem + "e" if len(stem) == 2 else stem[:-1] + "y"
    if len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in VOWELS:
        # "add", "miss" and "sniff" end in a double letter of their own, "fall" perhaps; few other verbs do.
        own = len(stem) == 3 or stem[-1] in "sf" or (known(stem) and (stem[-1] in "lz" or not known(stem[:-1])))
        return stem if own else stem[:-1]
    if known(stem + "e") and (_needs_e(stem) or not known(stem)):
        return stem + "e"
    if not known(stem) and _looks_cut(stem):
        return stem + "e"
    return stem


def _needs_e(stem: str) -> bool:
    """Whether the last consonant would have been doubled if the verb had no final e: rid(e), mak(e); or chang(e)."""
    one_vowel = sum(letter in "aeiouy" for letter in stem) == 1
    doubles = len(stem) > 1 and one_vowel and stem[-1] not in "aeiouwxy" and stem[-2] in "aeiouy"
    return doubles or stem.endswith("ang")


_CUT = re.compile(
    r"[vucsz]$"  # mov, rescu, danc, clos, realiz
    r"|[^eo]at$"  # rotat, situat; "cheat", "float"
    r"|[^aeioulrw]l$"  # juggl
    r"|([lrd]|[aeu]n)g$"  # enlarg, dodg, chang
    r"|(^|[^aeiou])[aeiou][bdfgklmnprt]$"  # delet, invok, one vowel before one consonant
)
# Unstressed endings after which English verbs neither double the consonant nor have an e: listen, offer, visit.
_WHOLE = re.compile(r"(e[nrlt]|o[nrmp]|al|[^c]it)$")


def _looks_cut(stem: str) -> bool:
    """Whether few English verbs end like this stem, but many with an e after it."""
    return bool(_CUT.search(stem)) and not (len(stem) > 3 and _WHOLE.search(stem))


def _without_s(form: str, known: Known) -> str:
    """tries -> try, boxes -> box, horses -> horse, dogs -> dog, 1970s as it is."""
    if not form[-2:-1].isalpha():
        return form
    if form.endswith("ies") and len(form) > 4:
        return form[:-1] if known(form[:-1]) and not known(form[:-3] + "y") else form[:-3] + "y"
    if form.endswith(("ses", "zes")) and form[-4:-3] != form[-3]:
        return form[:-2] if known(form[:-2]) and not known(form[:-1]) else form[:-1]
    if form.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        return form[:-1] if known(form[:-1]) else form[:-2]
    return form[:-1]
