"""spaCy's English tokenizer with the habits of UD English EWT where the two differ and a rule can tell.

The treebank keeps runs of punctuation ("!!!"), words with a prefix ("e-mail", "pre-heated") and telephone numbers
in one piece, and cuts "7pm" and "wanna". Words that are cut in other places than the treebank's have no gold labels
to learn from or to be compared with.
"""

from __future__ import annotations

import re

from spacy.language import Language
from spacy.symbols import ORTH
from spacy.util import compile_prefix_regex, compile_suffix_regex

# Runs of punctuation from their beginning, lest a long run before a letter be tried from each of its marks.
RUNS = (
    r"(?<![!?.])(?=\.*[!?])[!?.]{2,}",
    *(rf"(?<!{re.escape(mark)}){re.escape(mark)}{{2,}}" for mark in "*=_<>"),
)
CLOCK = r"(?<=\d)[aApP][mM]"

# The treebank keeps these prefixes with their word; other hyphens are tokens of their own.
PREFIXES = (
    "anti", "bi", "co", "counter", "de", "dis", "e", "ex", "extra", "inter", "intra", "micro", "mid", "mini", "mis",
    "multi", "non", "post", "pre", "pro", "re", "semi", "sub", "super", "t", "ultra", "un",
)  # fmt: skip
# Ends in $ because a stored tokenizer matches from the start only.
WHOLE = re.compile(rf"(?i)(?:(?:{'|'.join(PREFIXES)})-[a-z]+|(?:\d-)?(?:\d{{3}}-)?\d{{3}}-\d{{4}})$")

ABBREVIATIONS = ("ft.", "lt.", "capt.", "sgt.", "approx.", "dept.", "mins.", "yrs.")
PIECES = (("and", "/", "or"), ("wan", "na"), ("out", "ta"))


def adapt_tokenizer(nlp: Language) -> None:
    """Give an English pipeline the treebank's tokens."""
    tokenizer = nlp.tokenizer
    tokenizer.prefix_search = compile_prefix_regex([*RUNS, *nlp.Defaults.prefixes]).search
    tokenizer.suffix_search = compile_suffix_regex([*RUNS, CLOCK, *nlp.Defaults.suffixes]).search
    tokenizer.token_match = WHOLE.match
    for abbreviation in ABBREVIATIONS:
        for form in (abbreviation, abbreviation.capitalize()):
            tokenizer.add_special_case(form, [{ORTH: form}])
    for pieces in PIECES:
        tokenizer.add_special_case("".join(pieces), [{ORTH: piece} for piece in pieces])
