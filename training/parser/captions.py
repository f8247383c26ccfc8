"""Generated captions with their trees: what video captions say often and the treebank says rarely.

The treebank (reviews, mail, blogs) hardly ever says "a man cooking food" or "a chef chops an onion", and a
parser that saw it alone reads "the goalkeeper dives" as a compound noun. A few templates with random words
mend that. Nouns come from the treebank; verbs from the treebank and `lexicon.toml`. Meaning plays no part.
"""

from __future__ import annotations

import random

from lexicon import (
    ADJECTIVES,
    CONTROL,
    PARTICLES,
    PREPOSITIONS,
    VOWELS,
    Verb,
    lexicon,
    participle,
    third_person,
)
from treebank import Sentence, Token


class Grammar:
    """Draws captions. Each method appends words and returns the position of their head."""

    def __init__(self, sentences: list[Sentence], seed: int) -> None:
        self.rng = random.Random(seed)
        self.nouns, self.verbs = lexicon(sentences)
        self.tokens: list[Token] = []

    def captions(self, count: int) -> list[Sentence]:
        return [self._caption() for _ in range(count)]

    def _caption(self) -> Sentence:
        self.tokens = []
        templates = (
            self._finite, self._finite, self._progressive, self._progressive, self._modified, self._modified,
            self._passive, self._passive, self._scene, self._existential, self._while, self._two,
        )  # fmt: skip
        root = self.rng.choice(templates)()
        self.tokens[root].head, self.tokens[root].deprel = root, "root"
        if self.rng.random() < 0.5:
            first = self.tokens[0]
            first.form = first.form[:1].upper() + first.form[1:]
            self.tokens[-1].space = False
            self._add(".", ".", "PUNCT", ".", "_", "punct", root)
        return Sentence(self.tokens, True)

    def _add(
        self, form: str, lemma: str, upos: str, xpos: str, feats: str = "_", dep: str = "dep", head: int = 0
    ) -> int:
        self.tokens.append(Token(form, lemma, upos, xpos, feats, head, dep, True))
        return len(self.tokens) - 1

    def _link(self, index: int, head: int, dep: str) -> int:
        self.tokens[index].head, self.tokens[index].deprel = head, dep
        return index

    def _noun_phrase(self, conjoined: float = 0.1) -> int:
        rng, parts = self.rng, []
        form, lemma, tag = rng.choice(self.nouns)
        words = rng.sample(ADJECTIVES, rng.choice((0, 0, 1, 1, 2)))
        if tag == "NNS":
            if rng.random() < 0.4:
                number = rng.choice(("two", "three", "four"))
                feats = "NumForm=Word|NumType=Card"
                parts.append((self._add(number, number, "NUM", "CD", feats), "nummod"))
        elif rng.random() < 0.87:
            vowel = (words[0] if words else form)[0] in VOWELS
            article = rng.choice(("the", "an" if vowel else "a"))
            kind = "Def" if article == "the" else "Ind"
            lemma_of = "the" if article == "the" else "a"
            feats = f"Definite={kind}|PronType=Art"
            parts.append((self._add(article, lemma_of, "DET", "DT", feats), "det"))
        parts += [(self._add(word, word, "ADJ", "JJ", "Degree=Pos"), "amod") for word in words]
        if rng.random() < 0.1:
            modifier = rng.choice([noun for noun in rng.sample(self.nouns, 20) if noun[2] == "NN"])
            parts.append((self._add(modifier[0], modifier[1], "NOUN", "NN", "Number=Sing"), "compound"))
        number = "Plur" if tag == "NNS" else "Sing"
        noun = self._add(form, lemma, "NOUN", tag, f"Number={number}")
        for index, dep in parts:
            self._link(index, noun, dep)
        if rng.random() < conjoined:
            if rng.random() < 0.3:
                comma = self._add(",", ",", "PUNCT", ",")
                middle = self._link(self._noun_phrase(0), noun, "conj")
                self._link(comma, middle, "punct")
            conjunction = self._add("and", "and", "CCONJ", "CC")
            second = self._link(self._noun_phrase(0), noun, "conj")
            self._link(conjunction, second, "cc")
        return noun

    def _prepositional(self, head: int, dep: str, preposition: str | None = None) -> int:
        word = preposition or self.rng.choice(PREPOSITIONS)
        case = self._add(word, word, "ADP", "IN")
        noun = self._link(self._noun_phrase(0.05), head, dep)
        self._link(case, noun, "case")
        return noun

    def _verb(self, tag: str, transitive: bool | None = None) -> tuple[int, Verb]:
        verb = self.rng.choice(self.verbs)
        while transitive is not None and verb.transitive != transitive:
            verb = self.rng.choice(self.verbs)
        feats = {
            "VB": "VerbForm=Inf",
            "VBZ": "Mood=Ind|Number=Sing|Person=3|Tense=Pres|VerbForm=Fin",
            "VBP": "Mood=Ind|Number=Plur|Person=3|Tense=Pres|VerbForm=Fin",
            "VBG": "Tense=Pres|VerbForm=Part",
            "VBN": "Tense=Past|VerbForm=Part|Voice=Pass",
        }[tag]
        return self._add(verb.forms["VB" if tag == "VBP" else tag], verb.lemma, "VERB", tag, feats), verb

    def _verb_phrase(self, tag: str, depth: int = 0) -> int:
        rng = self.rng
        if depth == 0 and rng.random() < 0.06:
            return self._control(tag)
        index, verb = self._verb(tag)
        if not verb.transitive and rng.random() < 0.25:
            word = rng.choice(PARTICLES)
            if rng.random() < 0.5:
                self._add(word, word, "ADP", "RP", "_", "compound:prt", index)
            else:
                self._add(word, word, "ADV", "RB", "_", "advmod", index)
        if verb.transitive:
            self._link(self._noun_phrase(), index, "obj")
        if rng.random() < 0.5:
            self._prepositional(index, "obl")
        if depth == 0 and rng.random() < 0.12:
            conjunction = self._add("and", "and", "CCONJ", "CC")
            second = self._link(self._verb_phrase(tag, 1), index, "conj")
            self._link(conjunction, second, "cc")
        return index

    def _control(self, tag: str) -> int:
        lemma = self.rng.choice(CONTROL)
        form = {"VBZ": third_person(lemma), "VBG": participle(lemma)}.get(tag, lemma)
        if lemma == "prepare" and tag == "VBG":
            form = "preparing"
        feats = "Tense=Pres|VerbForm=Part" if tag == "VBG" else "Mood=Ind|Number=Sing|Person=3|Tense=Pres|VerbForm=Fin"
        index = self._add(form, lemma, "VERB", tag, feats)
        to = self._add("to", "to", "PART", "TO")
        inner = self._link(self._verb_phrase("VB", 1), index, "xcomp")
        self._link(to, inner, "mark")
        return index

    def _plural(self, noun: int) -> bool:
        return self.tokens[noun].xpos == "NNS" or any(
            t.head == noun and t.deprel == "conj" for i, t in enumerate(self.tokens) if i > noun
        )

    def _fronted(self) -> tuple[int, int | None] | None:
        """A prepositional phrase before the sentence, with a comma or without: "in the park a dog barks"."""
        if self.rng.random() > 0.15:
            return None
        place = self._prepositional(0, "obl")
        comma = self._add(",", ",", "PUNCT", ",") if self.rng.random() < 0.4 else None
        return place, comma

    def _attach(self, fronted: tuple[int, int | None] | None, verb: int) -> None:
        if fronted:
            self._link(fronted[0], verb, "obl")
            if fronted[1] is not None:
                self._link(fronted[1], verb, "punct")

    def _subject(self) -> int:
        noun = self._noun_phrase()
        if self.rng.random() < 0.1:
            self._prepositional(noun, "nmod", self.rng.choice(("with", "in", "of")))
        elif self.rng.random() < 0.08:
            pronoun = self._add(self.rng.choice(("that", "who")), "that", "PRON", "WDT", "PronType=Rel")
            if self.tokens[pronoun].form == "who":
                self.tokens[pronoun].lemma, self.tokens[pronoun].xpos = "who", "WP"
            if self.rng.random() < 0.35:  # "the ball that a dog chases"
                other = self._noun_phrase(0)
                verb, _ = self._verb("VBP" if self._plural(other) else "VBZ", transitive=True)
                self._link(other, verb, "nsubj")
                self._link(pronoun, verb, "obj")
            else:
                auxiliary = self._be(self._plural(noun))
                verb = self._verb_phrase("VBG", 1)
                self._link(pronoun, verb, "nsubj")
                self._link(auxiliary, verb, "aux")
            self._link(verb, noun, "acl:relcl")
        return noun

    def _be(self, plural: bool) -> int:
        number = "Plur" if plural else "Sing"
        feats = f"Mood=Ind|Number={number}|Person=3|Tense=Pres|VerbForm=Fin"
        return self._add("are" if plural else "is", "be", "AUX", "VBP" if plural else "VBZ", feats)

    def _finite(self) -> int:
        fronted = self._fronted()
        subject = self._subject()
        verb = self._verb_phrase("VBP" if self._plural(subject) else "VBZ")
        self._link(subject, verb, "nsubj")
        self._attach(fronted, verb)
        return verb

    def _progressive(self) -> int:
        fronted = self._fronted()
        subject = self._subject()
        auxiliary = self._be(self._plural(subject))
        verb = self._verb_phrase("VBG")
        self._link(subject, verb, "nsubj")
        self._link(auxiliary, verb, "aux")
        self._attach(fronted, verb)
        return verb

    def _modified(self) -> int:
        """A noun phrase with a participle and no finite verb: "a man cooking food", "a box pulled by a dog"."""
        noun = self._noun_phrase()
        if self.rng.random() < 0.3:
            verb, _ = self._verb("VBN", transitive=True)
            self._prepositional(verb, "obl:agent", "by")
            if self.rng.random() < 0.4:
                self._prepositional(verb, "obl")
        else:
            verb = self._verb_phrase("VBG")
        self._link(verb, noun, "acl")
        return noun

    def _two(self) -> int:
        """Two sentences joined by "and"."""
        first = self.rng.choice((self._finite, self._progressive))()
        conjunction = self._add("and", "and", "CCONJ", "CC")
        second = self._link(self.rng.choice((self._finite, self._progressive))(), first, "conj")
        self._link(conjunction, second, "cc")
        return first

    def _passive(self) -> int:
        subject = self._noun_phrase()
        with_get = not self._plural(subject) and self.rng.random() < 0.1
        if with_get:
            feats = "Mood=Ind|Number=Sing|Person=3|Tense=Pres|VerbForm=Fin"
            auxiliaries = [self._add("gets", "get", "AUX", "VBZ", feats)]
        else:
            auxiliaries = [self._be(self._plural(subject))]
        being = not with_get and self.rng.random() < 0.5
        if being:
            auxiliaries.append(self._add("being", "be", "AUX", "VBG", "VerbForm=Ger"))
        stranded = self.rng.random() < 0.2
        verb, _ = self._verb("VBN", transitive=not stranded)
        if stranded:
            word = self.rng.choice(PREPOSITIONS)
            self._add(word, word, "ADP", "RP", "_", "compound:prt", verb)
        if stranded or self.rng.random() < 0.7:
            self._prepositional(verb, "obl:agent", "by")
        if self.rng.random() < 0.35:
            self._prepositional(verb, "obl", self.rng.choice(("in", "on", "with", "into", "at", "near")))
        self._link(subject, verb, "nsubj:pass")
        for auxiliary in auxiliaries:
            self._link(auxiliary, verb, "aux")
        self.tokens[auxiliaries[-1]].deprel = "aux:pass"
        return verb

    def _scene(self) -> int:
        """A noun phrase without any verb: "a dog on the grass"."""
        noun = self._noun_phrase()
        self._prepositional(noun, "nmod")
        return noun

    def _existential(self) -> int:
        there = self._add("there", "there", "PRON", "EX")
        be = self._add("is", "be", "VERB", "VBZ", "Mood=Ind|Number=Sing|Person=3|Tense=Pres|VerbForm=Fin")
        noun = self._link(self._noun_phrase(), be, "nsubj")
        if self.rng.random() < 0.6:
            self._link(self._verb_phrase("VBG", 1), noun, "acl")
        else:
            self._prepositional(noun, "nmod")
        self._link(there, be, "expl")
        return be

    def _while(self) -> int:
        verb = self._finite()
        mark = self._add("while", "while", "SCONJ", "IN")
        inner = self._verb_phrase("VBG", 1) if self.rng.random() < 0.5 else self._progressive()
        self._link(inner, verb, "advcl")
        self._link(mark, inner, "mark")
        return verb
