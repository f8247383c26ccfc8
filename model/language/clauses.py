"""Who does what in a caption: nouns, verbs and the arguments of each verb, read off a dependency tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from model.language.dependency_tree import NOUN_TAGS, Word

SUBJECTS = ("nsubj", "nsubj:pass", "nsubj:outer")
RELATIVE_PRONOUNS = ("that", "who", "which", "whom")
MODIFIES_NOUN = ("acl", "acl:relcl", "amod")
# Clauses whose unsaid subject is that of the clause above ("a man sings while playing").
SHARES_SUBJECT = ("conj", "xcomp", "advcl", "ccomp", "parataxis")
# What stands before a noun and describes it.
MODIFIERS = ("det", "nummod", "amod")
PARTICLES = frozenset({
    "away", "up", "down", "off", "out", "in", "over", "around", "along", "through", "past", "by", "on",
    "across", "back", "apart", "into",
})  # fmt: skip


@dataclass
class Clause:
    """One verb and its arguments in the active voice; None is a pronoun or an unsaid argument.

    `surface` holds the grammatical subjects: of a passive verb these are its objects.
    """

    verb: Word
    passive: bool
    surface: list[Word | None] = field(default_factory=list)
    subjects: list[Word | None] = field(default_factory=list)
    objects: list[Word | None] = field(default_factory=list)
    obliques: list[tuple[str, Word]] = field(default_factory=list)  # (particles and preposition, noun)
    relation: str = ""  # the verb with its particles, "run away"


class CaptionTree:
    """The nouns and clauses of a repaired dependency tree (`model/language/dependency_tree.py`).

    adjectives_follow  whether adjectives also stand behind their noun ("un chien noir"), which English does not do
    """

    def __init__(self, words: list[Word], adjectives_follow: bool = False) -> None:
        self.words = words
        self._adjectives_follow = adjectives_follow
        self._children: list[list[Word]] = [[] for _ in words]
        for word in words:
            if word.head != word.index:
                self._children[word.head].append(word)
        self.nouns = [word for word in words if word.pos in NOUN_TAGS and not self._in_compound(word)]
        self.clauses: dict[int, Clause] = {}
        for word in words:
            if self._is_verb(word):
                self.clauses[word.index] = Clause(word, self._is_passive(word))
        for clause in self.clauses.values():
            clause.surface = self._surface_subjects(clause.verb)
        for clause in self.clauses.values():
            self._fill(clause)

    def compound(self, noun: Word) -> list[Word]:
        """A noun and its compound modifiers, in order; adjectives are not part of it."""
        parts, queue = [noun], [noun]
        while queue:
            inner = [child for child in self._children[queue.pop().index] if self._in_compound(child)]
            parts += inner
            queue += inner
        return sorted(parts, key=lambda w: w.index)

    def noun_phrase(self, noun: Word) -> list[Word]:
        """A noun with its compound, determiner, numerals and adjectives, in order: "a very big red dog"."""
        members = {word.index: word for word in self.compound(noun)}
        last = len(self.words) if self._adjectives_follow else noun.index
        queue = [c for c in self._children[noun.index] if c.dep in MODIFIERS and c.index < last]
        while queue:
            word = queue.pop()
            members[word.index] = word
            queue += [c for c in self._children[word.index] if c.dep in (*MODIFIERS, "advmod", "conj", "cc")]
        return [members[index] for index in sorted(members) if index <= last]

    def prepositional_pairs(self) -> list[tuple[Word, str, Word]]:
        """(noun, preposition, noun) without a verb: "dog on grass", "a cat is on the table"."""
        pairs = []
        for noun in self.nouns:
            below = self._children[noun.index]
            preposition = self._preposition(noun)
            if preposition and any(child.dep == "cop" for child in below):
                subjects = self._arguments(child for child in below if child.dep in SUBJECTS)
                pairs += [(subject, preposition, noun) for subject in subjects if subject]
            head = self.words[noun.head]
            if noun.dep in SUBJECTS and (head.lemma == "be" or head.pos == "ADJ"):
                # "there is a dog on the sofa", "a dog is close to a car"
                pairs += [(noun, word, place) for word, place in self._obliques(head)]
            pairs += [(noun, word, other) for word, other in self._obliques(noun)]
        return pairs

    def _is_verb(self, word: Word) -> bool:
        if word.pos != "VERB" or word.lemma == "be" or word.dep in ("case", "aux", "cop"):
            return False
        # "a flying bird" shows an action, "a painted wall" does not.
        return word.dep != "amod" or word.text.endswith("ing")

    def _in_compound(self, word: Word) -> bool:
        head = self.words[word.head]
        return word.dep.split(":")[0] in ("compound", "flat") and head is not word and head.pos in NOUN_TAGS

    def _is_passive(self, verb: Word) -> bool:
        if verb.text.endswith("ing"):
            return False  # "is sliding by the sea", whatever the parser calls the sea
        deps = {child.dep for child in self._children[verb.index]}
        if deps & {"nsubj:pass", "aux:pass"} or (verb.participle and "obl:agent" in deps):
            return True
        if verb.dep == "acl" and not deps & {"aux", "mark", "nsubj", "obj"}:
            return True  # "a car parked on the street"
        if not verb.participle or "aux" in deps:
            return False
        if verb.dep == "advcl":
            return "nsubj" not in deps and "obj" not in deps
        head = self.words[verb.head]
        return verb.dep == "conj" and head is not verb and head.participle and self._is_passive(head)

    def _conjuncts(self, noun: Word) -> list[Word]:
        """A noun and what "and" joins to it."""
        found = [noun]
        for word in found:
            found += [c for c in self._children[word.index] if c.dep == "conj" and c.pos in (*NOUN_TAGS, "PRON")]
        return found

    def _arguments(self, heads: Iterable[Word]) -> list[Word | None]:
        """Nouns at argument positions with their conjuncts; one None for any pronouns."""
        found: dict[int | None, Word | None] = {}
        for head in heads:
            for word in self._conjuncts(head):
                noun = word if word.pos in NOUN_TAGS else None
                found[noun.index if noun else None] = noun
        return list(found.values())

    def _surface_subjects(self, verb: Word) -> list[Word | None]:
        """The grammatical subjects of a verb: its own, or those that it shares with a clause above."""
        seen: set[int] = set()
        while verb.index not in seen:
            seen.add(verb.index)
            own = [child for child in self._children[verb.index] if child.dep in SUBJECTS]
            head = self.words[verb.head]
            if own and not all(child.text in RELATIVE_PRONOUNS for child in own):
                return self._arguments(own)
            below = self._children[verb.index]
            if verb.dep == "acl" and head.dep == "obj" and any(child.text == "to" for child in below):
                verb = self.words[head.head]  # "a man uses a hammer to break a window"
                continue
            if verb.dep in MODIFIES_NOUN:
                return self._arguments([head]) if verb.dep == "amod" or head.pos in NOUN_TAGS else [None]
            if verb.dep == "xcomp":
                controllers = [child for child in self._children[head.index] if child.dep in ("obj", "iobj")]
                if controllers:  # "a man helps a child tie his shoes"
                    return self._arguments(controllers[:1])
            if verb.dep not in SHARES_SUBJECT:
                break
            if head.pos in NOUN_TAGS and not any(c.dep in SUBJECTS for c in self._children[head.index]):
                return self._arguments([head])
            verb = head
        return [None]

    def _fill(self, clause: Clause) -> None:
        verb = clause.verb
        below = self._children[verb.index]
        objects = self._arguments(c for c in below if c.dep == "obj" or self._is_nominal_complement(c))
        agents = self._arguments(c for c in below if self._is_agent(clause, c))
        if clause.passive:
            clause.subjects, clause.objects = agents or [None], clause.surface
        else:
            clause.subjects, clause.objects = clause.surface, objects
            if not objects:
                clause.objects = self._outer_objects(verb)
        particles = [c for c in below if c.index > verb.index and self._is_particle(c)]
        clause.relation = " ".join([verb.lemma, *(c.text for c in particles)])
        for preposition, noun in self._obliques(verb):
            if noun in agents:
                continue
            before = [c.text for c in particles if c.index < noun.index]
            clause.obliques.append((" ".join([verb.lemma, *before, preposition]), noun))

    def _is_particle(self, word: Word) -> bool:
        loose = word.dep in ("advmod", "obl", "case", "mark") and word.pos in ("ADV", "ADP")
        return word.text in PARTICLES and (loose or word.dep == "compound:prt")

    def _is_nominal_complement(self, child: Word) -> bool:
        """ "becomes a pilot": the complement of a verb that is a noun."""
        return child.dep == "xcomp" and child.pos in NOUN_TAGS and not self._preposition(child)

    def _is_agent(self, clause: Clause, child: Word) -> bool:
        return clause.passive and child.dep.startswith("obl") and self._preposition(child).endswith("by")

    def _outer_objects(self, verb: Word) -> list[Word | None]:
        """What a verb shares with the clause above: "the ball a man throws", "washes and dries a car"."""
        head = self.words[verb.head]
        own_subject = any(c.dep in SUBJECTS and c.text not in RELATIVE_PRONOUNS for c in self._children[verb.index])
        if verb.dep == "acl:relcl" and own_subject:
            return self._arguments([head])
        if verb.dep == "conj":
            return self._arguments(c for c in self._children[head.index] if c.dep == "obj" and c.index > verb.index)
        return []

    def _preposition(self, noun: Word) -> str:
        words = [c for c in self._children[noun.index] if c.dep == "case" and c.index < noun.index]
        words += [c for case in words for c in self._children[case.index] if c.dep == "fixed"]
        return " ".join(w.text for w in sorted(words, key=lambda w: w.index) if w.pos != "PART")

    def _obliques(self, head: Word) -> list[tuple[str, Word]]:
        """(preposition, noun) of the prepositional phrases below a noun or verb."""
        found = []
        for child in self._children[head.index]:
            if child.dep.split(":")[0] not in ("obl", "nmod") or child.dep == "nmod:poss":
                continue
            preposition = self._preposition(child)
            for noun in self._conjuncts(child):
                # "from one flask into another": a conjunct may have its own preposition.
                preposition = self._preposition(noun) or preposition
                if preposition and noun.pos in NOUN_TAGS:
                    found.append((preposition, noun))
        return found
