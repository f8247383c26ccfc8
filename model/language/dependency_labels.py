"""ClearNLP dependency labels to Universal Dependencies.

spaCy's own English pipelines (en_core_web_sm and larger) hang nouns below their preposition and call
relations by other names (https://github.com/clir/clearnlp-guidelines). The rest of the project reads
Universal Dependencies, so that trees are turned here.
"""

from __future__ import annotations

from model.language.dependency_tree import NOUN_TAGS, Word

CLEAR_ONLY = frozenset(("pobj", "dobj", "nsubjpass", "prep", "auxpass", "agent"))
RENAMED = {
    "nsubjpass": "nsubj:pass", "csubjpass": "csubj:pass", "auxpass": "aux:pass", "dobj": "obj",
    "dative": "iobj", "prt": "compound:prt", "relcl": "acl:relcl", "poss": "nmod:poss", "nn": "compound",
    "npadvmod": "obl:unmarked",
}  # fmt: skip
PREPOSITIONS = ("prep", "agent", "dative")


def to_universal(words: list[Word]) -> None:
    """Turn a tree with ClearNLP labels in place; leave any other tree as it is."""
    if not any(word.dep in CLEAR_ONLY for word in words):
        return
    for noun in words:
        if noun.dep != "pobj":
            continue
        cases = [words[noun.head]]
        while cases[-1].dep in PREPOSITIONS and words[cases[-1].head].dep in PREPOSITIONS:
            cases.append(words[cases[-1].head])  # "out of": one preposition below another
        top = cases[-1]
        if top.dep not in PREPOSITIONS:
            continue
        head = words[top.head]
        noun.dep = "obl:agent" if top.dep == "agent" else "nmod" if head.pos in NOUN_TAGS else "obl"
        noun.head = head.index
        for case in cases:
            case.head, case.dep = noun.index, "case"
    for word in words:
        word.dep = RENAMED.get(word.dep, word.dep)
