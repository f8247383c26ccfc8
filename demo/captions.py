"""Differently worded English sentences for one clip: synonyms, passives, inverse verbs, omissions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.world import Actor, ClipSpec

NOUNS = {
    "dog": ("dog", "puppy"), "car": ("car", "automobile"), "ball": ("ball",), "cat": ("cat", "kitten"),
    "bird": ("bird",), "boat": ("boat", "ship"), "robot": ("robot",), "fish": ("fish",),
    "truck": ("truck", "lorry"), "balloon": ("balloon",), "rabbit": ("rabbit", "bunny"), "star": ("star",),
    "plane": ("plane", "airplane"), "box": ("box", "cube"), "turtle": ("turtle", "tortoise"),
    "rocket": ("rocket", "spaceship"), "flower": ("flower",), "elephant": ("elephant",), "cup": ("cup", "mug"),
    "train": ("train", "locomotive"), "heart": ("heart",), "umbrella": ("umbrella", "parasol"),
    "snail": ("snail",), "mushroom": ("mushroom", "toadstool"),
}  # fmt: skip
SIZE_WORDS = {"small": ("small", "little", "tiny"), "big": ("big", "large", "huge"), "medium": ()}
PLACES = {
    "park": ("in the park", "on the grass"), "beach": ("on the beach", "by the sea"),
    "street": ("on the street", "in the city"), "snow": ("in the snow",), "desert": ("in the desert",),
    "night": ("at night", "under the stars"), "room": ("in a room", "inside a house"),
}  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """Ways to say one verb: (third person, -ing form) pairs for the active voice, (participle phrase, before "by")
    for the passive, and active pairs with the roles exchanged ("the cat flees from the dog")."""

    active: tuple[tuple[str, str], ...]
    passive: tuple[str, ...] = ()
    inverse: tuple[tuple[str, str], ...] = ()


WORDINGS: dict[str, Wording] = {
    "slide": Wording((("slides along", "sliding along"), ("glides sideways", "gliding sideways"))),
    "bounce": Wording((("bounces up and down", "bouncing up and down"), ("keeps bouncing", "bouncing"))),
    "spin": Wording((("spins", "spinning"), ("rotates on the spot", "rotating on the spot"))),
    "roll": Wording((("rolls along the ground", "rolling along the ground"), ("tumbles along", "tumbling along"))),
    "jump": Wording((("jumps once", "jumping once"), ("leaps into the air", "leaping into the air"))),
    "fall": Wording((("falls down", "falling down"), ("drops from the sky", "dropping from the sky"))),
    "rise": Wording((("rises up", "rising up"), ("floats upward", "floating upward"))),
    "shake": Wording((("shakes", "shaking"), ("trembles", "trembling"))),
    "circle": Wording((("moves in a circle", "moving in a circle"), ("flies in circles", "flying in circles"))),
    "grow": Wording((("grows", "growing"), ("gets bigger", "getting bigger"))),
    "swing": Wording((("swings on a rope", "swinging on a rope"), ("hangs and sways", "hanging and swaying"))),
    "blink": Wording((("blinks", "blinking"), ("flashes on and off", "flashing on and off"))),
    "shrink": Wording((("shrinks", "shrinking"), ("gets smaller", "getting smaller"))),
    "zigzag": Wording((("zigzags", "zigzagging"), ("moves in a zigzag", "moving in a zigzag"))),
    "vanish": Wording((("vanishes", "vanishing"), ("fades away", "fading away"))),
    "appear": Wording((("appears", "appearing"), ("fades in", "fading in"))),
    "flip": Wording((("flips over", "flipping over"), ("turns upside down", "turning upside down"))),
    "chase": Wording(
        (("chases", "chasing"), ("runs after", "running after"), ("pursues", "pursuing")),
        ("chased", "pursued"),
        (("runs away from", "running away from"), ("flees from", "fleeing from")),
    ),
    "push": Wording((("pushes", "pushing"), ("shoves", "shoving")), ("pushed", "shoved")),
    "approach": Wording(
        (("approaches", "approaching"), ("comes up to", "coming up to"), ("moves toward", "moving toward")),
        ("approached",),
    ),
    "jump over": Wording(
        (("jumps over", "jumping over"), ("leaps over", "leaping over"), ("hops over", "hopping over"))
    ),
    "hit": Wording(
        (("hits", "hitting"), ("bumps into", "bumping into"), ("crashes into", "crashing into")),
        ("hit", "knocked away"),
    ),
    "carry": Wording(
        (("carries", "carrying"), ("transports", "transporting")),
        ("carried", "transported"),
        (("rides on", "riding on"), ("sits on top of", "sitting on top of")),
    ),
    "pull": Wording((("pulls", "pulling"), ("tows", "towing"), ("drags", "dragging")), ("pulled", "towed", "dragged")),
    "circle around": Wording((("circles around", "circling around"), ("orbits", "orbiting")), ("orbited", "circled")),
    "land on": Wording((("lands on", "landing on"), ("drops onto", "dropping onto"), ("falls onto", "falling onto"))),
    "leave": Wording(
        (("leaves", "leaving"), ("moves away from", "moving away from"), ("departs from", "departing from")),
        ("left behind", "abandoned"),
    ),
    "overtake": Wording((("overtakes", "overtaking"), ("passes", "passing")), ("overtaken", "passed")),
    "eat": Wording((("eats", "eating"), ("swallows", "swallowing")), ("eaten", "swallowed")),
    "hide behind": Wording((("hides behind", "hiding behind"), ("sneaks behind", "sneaking behind"))),
    "throw": Wording((("throws", "throwing"), ("tosses", "tossing")), ("thrown", "tossed")),
}  # fmt: skip


def captions(spec: ClipSpec, count: int = 6) -> list[str]:
    """`count` different captions of one clip, the first two complete, deterministic by the clip's seed."""
    rng = np.random.default_rng([spec.seed, 3])
    found: dict[str, None] = {}
    while len(found) < count:
        found[_caption(rng, spec, complete=len(found) < 2)] = None
    return list(found)


def _pick(rng: np.random.Generator, options: tuple) -> object:
    return options[rng.integers(len(options))]


def _noun_phrase(rng: np.random.Generator, actor: Actor, complete: bool, sized: bool) -> str:
    words = []
    if sized and SIZE_WORDS[actor.size] and (complete or rng.random() < 0.65):
        words.append(_pick(rng, SIZE_WORDS[actor.size]))
    if complete or rng.random() < 0.85:
        words.append(actor.colour)
    words.append(_pick(rng, NOUNS[actor.kind]))
    article = "the" if rng.random() < 0.2 else "an" if str(words[0])[0] in "aeiou" else "a"
    return " ".join([article, *map(str, words)])


def _caption(rng: np.random.Generator, spec: ClipSpec, complete: bool) -> str:
    wording = WORDINGS[spec.verb]
    # Growing and shrinking have no one size that a caption could name.
    subject = _noun_phrase(rng, spec.subject, complete, sized=spec.verb not in ("grow", "shrink"))
    place = str(_pick(rng, PLACES[spec.scene])) if complete or rng.random() < 0.65 else ""
    if spec.object is None:
        return _sentence(rng, subject, wording.active, "", place)
    other = _noun_phrase(rng, spec.object, complete, sized=True)
    voice = rng.random()
    if wording.passive and voice < 0.25:
        return _passive(rng, other, str(_pick(rng, wording.passive)), subject, place)
    if wording.inverse and voice < 0.5:
        return _sentence(rng, other, wording.inverse, subject, place)
    return _sentence(rng, subject, wording.active, other, place)


def _sentence(
    rng: np.random.Generator, subject: str, verbs: tuple[tuple[str, str], ...], other: str, place: str
) -> str:
    present, participle = verbs[rng.integers(len(verbs))]
    form = rng.integers(5)
    if form == 0:
        return _join(subject, present, other, place)
    if form == 1:
        return _join(subject, "is", participle, other, place)
    if form == 2 and place:
        return _join(place, subject, present, other)
    if form == 3:
        return _join(subject, participle, other, place)
    return _join("there is", subject, participle, other, place)


def _passive(rng: np.random.Generator, patient: str, participle: str, agent: str, place: str) -> str:
    be = ("is", "is being", "")[rng.integers(3)]
    return _join(patient, be, participle, "by", agent, place)


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
