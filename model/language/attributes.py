"""From the clauses of a caption to its graph and its triplets.

Nodes are nouns (the head of a compound; pronouns are not) and verbs (auxiliaries and copulas are not).
Triplets are in the active voice. A subject or object that is a pronoun or unsaid is "":

    a cat is chased by a dog        (dog, chase, cat)
    food is being cooked            ("", cook, food)
    a man jumps over a box          (man, jump over, box)
    a man puts food on a plate      (man, put, food), (man, put on, plate)
    a car is parked in a garage     ("", park, car), (car, park in, garage)
    a man is running away           (man, run away, "")
    dog on grass                    (dog, on, grass)
"""

from __future__ import annotations

from collections.abc import Sequence

from model.language.clauses import CaptionTree, Clause
from model.language.dependency_tree import Word
from model.language.parsed_caption import ROLES, Node

Triplet = tuple[str, str, str]


def graph(tree: CaptionTree, positions: Sequence[int | None]) -> tuple[list[Node], list[tuple[int, int]]]:
    """Nodes in order of their head words, and edges from verbs to the nouns that are their arguments.

    `positions` maps each token to its place in `ParsedCaption.words` (None: punctuation).
    """
    clauses = tree.clauses
    agents = {s.index for clause in clauses.values() if clause.passive for s in clause.subjects if s}
    heads = sorted([*tree.nouns, *(clause.verb for clause in clauses.values())], key=lambda w: w.index)
    nodes: list[Node] = []
    node_of: dict[int, int] = {}
    for head in heads:
        is_verb = head.index in clauses
        members = [head] if is_verb else tree.compound(head)
        span = tuple(p for member in members if (p := positions[member.index]) is not None)
        if span:
            role = "verb" if is_verb else "obl:agent" if head.index in agents else _role(head.dep)
            node_of[head.index] = len(nodes)
            described = members if is_verb else tree.noun_phrase(head)
            phrase = tuple(p for member in described if (p := positions[member.index]) is not None)
            nodes.append(Node("verb" if is_verb else "noun", span, head.lemma, ROLES.index(role), phrase))
    edges = [
        (node_of[index], node_of[noun])
        for index, clause in clauses.items()
        for noun in _argument_indices(clause)
        if index in node_of and noun in node_of
    ]
    return nodes, edges


def triplets(tree: CaptionTree) -> list[Triplet]:
    """(subject, relation, object) lemmas, each once: those of verbs, then those of bare prepositions."""
    found = [triplet for clause in tree.clauses.values() for triplet in _clause_triplets(clause)]
    found += [(noun.lemma, word, other.lemma) for noun, word, other in tree.prepositional_pairs()]
    return list(dict.fromkeys(t for t in found if t[0] or t[2]))


def _role(dep: str) -> str:
    """The semantic role of a noun from its dependency label."""
    if dep in ROLES and dep != "obl:agent":  # agents are those of passive verbs, whatever the parser says
        return dep
    base = "root" if dep == "ROOT" else dep.split(":", maxsplit=1)[0]
    return base if base in ROLES and base != "verb" else "other"


def _argument_indices(clause: Clause) -> list[int]:
    nouns = [*clause.subjects, *clause.objects, *(noun for _, noun in clause.obliques)]
    return list(dict.fromkeys(noun.index for noun in nouns if noun))


def _clause_triplets(clause: Clause) -> list[Triplet]:
    found = [
        (_lemma(subject), clause.relation, _lemma(thing)) for subject in clause.subjects for thing in clause.objects
    ]
    # "a car is parked in a garage" says where the car is: without an agent the patient stands for it.
    actors = clause.surface if clause.passive and clause.subjects == [None] else clause.subjects
    found += [(_lemma(actor), relation, noun.lemma) for actor in actors for relation, noun in clause.obliques]
    return found or [(_lemma(subject), clause.relation, "") for subject in clause.subjects]


def _lemma(word: Word | None) -> str:
    return word.lemma if word else ""
