"""Other dependency labels to Universal Dependencies, which the rest of the project reads.

spaCy's own English pipelines (en_core_web_sm and larger) have those of ClearNLP
(https://github.com/clir/clearnlp-guidelines), its German ones those of the TIGER treebank (Albert et al., TIGER
Annotationsschema, 2003). Both hang nouns below their preposition and call relations by other names.
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

TIGER_ONLY = frozenset(("sb", "oa", "nk", "oc", "mo", "svp", "cj", "mnr", "ag"))
TIGER_RENAMED = {
    "sb": "nsubj", "oa": "obj", "oa2": "obj", "da": "iobj", "og": "obj", "oc": "xcomp", "cj": "conj", "cd": "cc",
    "rc": "acl:relcl", "ag": "nmod", "svp": "compound:prt", "pnc": "flat", "app": "appos", "cp": "mark", "pm": "mark",
}  # fmt: skip
TIGER_KERNEL = {"DET": "det", "PRON": "det", "NUM": "nummod", "ADJ": "amod", "VERB": "amod", "ADV": "advmod"}


def to_universal(words: list[Word]) -> None:
    """Turn a tree with the labels of ClearNLP or TIGER in place; leave any other tree as it is."""
    if any(word.dep in TIGER_ONLY for word in words):
        _from_tiger(words)
    elif any(word.dep in CLEAR_ONLY for word in words):
        _from_clear(words)


def _from_tiger(words: list[Word]) -> None:
    """Nouns take the places of their prepositions, conjuncts those of "und"; a participle stays below its auxiliary."""
    for word in words:
        head = words[word.head]
        if word.dep == "cj" and head.dep == "cd":
            word.head = head.head
        elif word.dep == "nk" and head.pos == "ADP":
            outer = words[head.head]
            word.head, word.dep = outer.index, "nmod" if outer.pos in NOUN_TAGS else "obl"
            head.head, head.dep = word.index, "case"
        elif word.dep == "nk":
            word.dep = TIGER_KERNEL.get(word.pos, "nmod")
    for word in words:
        word.dep = TIGER_RENAMED.get(word.dep, word.dep)


def _from_clear(words: list[Word]) -> None:
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
