"""The lexicon of the lemmatizer: lemmas of the treebank's training file that the rules would get wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from treebank import Sentence

from model.language.lexicon_lemmatizer import Lexicon, by_rule


def lemma_lexicon(sentences: Iterable[Sentence], known: Callable[[str], bool]) -> Lexicon:
    """The most frequent lemma of each (Penn tag, lower-case form), the first to occur among equals.

    Left out are those that `by_rule` gives for every spelling of the form that occurs.
    """
    lemmas: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    spellings: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sentence in sentences:
        for token in sentence.tokens:
            if token.lemma != "_":
                key = token.xpos, token.form.lower()
                lemmas[key][token.lemma] += 1
                spellings[key].add(token.form)
    lexicon: Lexicon = defaultdict(dict)
    for (tag, form), counts in lemmas.items():
        word = counts.most_common(1)[0][0]
        if any(by_rule(spelling, tag, known) != word for spelling in spellings[tag, form]):
            lexicon[tag][form] = word
    return dict(lexicon)
