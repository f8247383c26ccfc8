"""Which language a text is in, as far as it matters: whether the English parser can read it.

A parser makes something of any text: of "ein Hund jagt eine Katze" a noun "ein". Queries are too short for a language
detector alone ("red ball" looks as much like German), so its word counts only where the parser does not know most
of the words, and the more, the fewer it knows. tests/model/language/test_query_language.py holds what that gets right.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable

_LANGUAGES = frozenset(
    """ar bg bn cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv nl no pl pt ro ru sk sl sr sv ta te th tl
    tr uk ur vi zh""".split()  # noqa: SIM905  one name a word is easier to read and to change
)
"""Those that the detector chooses between: small ones that look like these would share their probability."""

_MOSTLY_KNOWN, _HALF_KNOWN = 0.7, 0.45
_SURE, _LIKELY = 0.999, 0.1
"""How probable the detector must find another language: on few words it is nearly sure of a right one."""

_WORDS = re.compile(r"[^\W\d_]+")


def foreign_language(text: str, is_known: Callable[[str], bool]) -> str | None:
    """The ISO 639 code of a text that is not English; None for English, and where nothing tells.

    `is_known` tells whether the parser has met a lower-case word. A single word in Latin letters is taken for English:
    it is a noun in any case.
    """
    words = _WORDS.findall(text)
    letters = [letter for word in words for letter in word]
    if not letters:
        return None
    if sum(not unicodedata.name(letter, "").startswith("LATIN") for letter in letters) > len(letters) / 2:
        return _detected(text, but="en")[0]
    share = sum(is_known(word.lower()) for word in words) / len(words)
    if len(words) < 2 or share > _MOSTLY_KNOWN:
        return None
    if share > _HALF_KNOWN and len(words) < 4:
        return None  # "tacos al pastor", "karate kata": English has many foreign words
    language, probability = _detected(text)
    enough = 5 if share > _HALF_KNOWN else 3 if share == 0 else 4
    return language if language != "en" and probability >= (_LIKELY if len(words) >= enough else _SURE) else None


def _detected(text: str, but: str = "") -> tuple[str, float]:
    """The likeliest language of a text, other than `but`, and its probability."""
    import py3langid  # takes a moment to load, which most queries do not need

    scores = {name: score for name, score in py3langid.rank(text) if name in _LANGUAGES and name != but}
    best = max(scores, key=lambda name: scores[name])
    return best, 1 / sum(math.exp(score - scores[best]) for score in scores.values())
