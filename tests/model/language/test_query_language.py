"""Which queries the English parser is spared, and which it is not."""

from __future__ import annotations

import pytest

from model.language.query_language import foreign_language
from model.language.spacy_parser import SpacyParser

FOREIGN = {
    "de": ["ein Hund jagt eine Katze", "zwei Männer spielen Fußball im Regen", "eine Frau kocht Suppe"],
    "fr": ["un chien court sur la plage", "une femme joue de la guitare", "des enfants dansent"],
    "es": ["dos hombres juegan al fútbol", "mujer cocinando", "el niño come una manzana"],
    "it": ["una donna suona il pianoforte", "due uomini parlano"],
    "pt": ["um cachorro corre na praia", "uma mulher canta", "duas crianças brincam"],
    "nl": ["een hond rent over het strand", "een vrouw snijdt groente"],
    "pl": ["dwóch mężczyzn rozmawia", "zachód słońca"],
    "tr": ["bir köpek kediyi kovalıyor", "iki adam konuşuyor"],  # noqa: RUF001
    "fi": ["koira jahtaa kissaa", "kaksi miestä puhuu"],
    "vi": ["con chó đuổi con mèo"],
    "ru": ["собака гонится за кошкой"],
    "ja": ["犬が猫を追いかける", "ねこ"],
    "ko": ["개가 고양이를 쫓는다"],
    "el": ["ένας σκύλος κυνηγά μια γάτα"],
}
"""Of these the language is told, too."""

NOT_ENGLISH = ["кошка", "狗", "一只狗追一只猫", "pies goni kota", "en kvinna lagar mat", "wanita memasak"]

ENGLISH = [
    "a red ball rolls behind a box", "sunset", "red ball", "dog", "in", "cats", "two dogs chase a ball", "die hard",
    "a man is cooking pasta", "tacos al pastor", "café in Paris", "Angela Merkel gives a speech", "Fußball match",
    "taekwondo", "karate kata", "a sushi chef cuts salmon", "mariachi band plays", "CNC milling", "FPV", "piñata party",
    "pizza napoletana dough stretching", "la la land dance scene", "woman dancing salsa", "", "42", "!?",
]  # fmt: skip


@pytest.fixture(scope="module")
def parser() -> SpacyParser:
    return SpacyParser()


def test_other_languages_are_told(parser: SpacyParser) -> None:
    told = {text: foreign_language(text, parser.is_known) for texts in FOREIGN.values() for text in texts}
    assert told == {text: language for language, texts in FOREIGN.items() for text in texts}
    assert all(foreign_language(text, parser.is_known) for text in NOT_ENGLISH)


def test_english_with_foreign_words_stays_english(parser: SpacyParser) -> None:
    assert {text: foreign_language(text, parser.is_known) for text in ENGLISH} == dict.fromkeys(ENGLISH)
