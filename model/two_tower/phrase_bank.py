"""Things and actions that a zero-shot model is asked about beforehand, and what their answers are good for.

An index holds one vector per clip and level, but the best frame for a phrase depends on the phrase. `BestFrames` finds
the vector whose cosines with the phrases of a bank are nearest to those of the best frames (or windows) for each: a
phrase that is not in the bank gets what is between the phrases like it. `Bank.shown` tells which words a clip
shows: those that stand out from the bank.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_THINGS = """
man woman child baby boy girl person crowd family couple team player dancer singer musician drummer guitarist chef
soldier firefighter doctor teacher student nurse skier surfer cyclist runner swimmer climber clown puppet dog cat
horse cow sheep goat pig chicken duck bird parrot owl eagle fish shark whale dolphin turtle frog snake spider
butterfly bee elephant lion tiger bear monkey giraffe zebra kangaroo rabbit mouse squirrel fox wolf deer car truck bus
motorcycle bicycle train airplane helicopter boat ship tractor ambulance scooter skateboard rocket house building
tower bridge street road city village church castle shop restaurant kitchen bathroom bedroom office classroom stadium
stage gym pool garden park farm factory airport station beach sea river lake waterfall mountain hill desert forest
field sky cloud sun moon sunset snow rain fire smoke grass tree flower leaf rock sand ice table chair sofa bed door
window lamp mirror clock shelf stairs computer laptop phone camera television screen keyboard microphone robot drone
machine engine wheel guitar piano violin drum trumpet ball bat racket net goal helmet glove bag backpack umbrella hat
glasses mask shirt dress suit shoe knife fork spoon plate bowl cup bottle glass pan pot oven stove bread cake pizza
sandwich salad soup meat egg cheese rice pasta vegetable tomato potato onion carrot fruit apple banana orange coffee
beer wine water milk book newspaper paper pen pencil paint painting map sign flag box toy doll balloon rope tool
hammer saw scissors gun sword makeup hair face hand foot tattoo cartoon logo
"""

_ACTIONS = """
walking, running, jumping, dancing, singing, talking, laughing, crying, sleeping, sitting, standing, kneeling, waving,
clapping, hugging, kissing, fighting, boxing, wrestling, exercising, stretching, lifting weights, doing yoga, doing a
flip, swimming, diving, surfing, sailing, rowing a boat, fishing, skiing, snowboarding, skating, skateboarding, riding
a bicycle, riding a horse, riding a motorcycle, driving a car, racing, flying, falling, climbing, crawling, rolling,
spinning, sliding, swinging, playing football, playing basketball, playing tennis, playing baseball, playing golf,
playing volleyball, playing a video game, playing cards, playing the guitar, playing the piano, playing the drums,
playing the violin, throwing a ball, catching a ball, kicking a ball, cooking, frying, baking, boiling water, grilling
meat, cutting, chopping vegetables, peeling, mixing, stirring, pouring, eating, drinking, washing dishes, washing
hands, cleaning, sweeping, brushing teeth, cutting hair, combing hair, putting on makeup, getting dressed, painting,
drawing, writing, reading, typing, folding paper, sewing, knitting, building, hammering, sawing, digging, planting,
watering plants, mowing the lawn, repairing, opening, closing, pushing, pulling, carrying, packing, giving a speech,
giving an interview, teaching, presenting, shaking hands, walking a dog, feeding animals, chasing, barking, shooting,
exploding, burning, smoking, marching, celebrating, performing on a stage
"""


THINGS = tuple(_THINGS.split())
ACTIONS = tuple(" ".join(phrase.split()) for phrase in _ACTIONS.split(","))
"""Everyday things and actions of video captions; those of another field are then interpolated between them."""

WORD_THRESHOLD = 2.0
"""A clip shows a word that is so many standard deviations above the bank's mean for that clip.

That is about one word in forty of a bank by chance. It is a convention, not a fitted value.
"""


@dataclass(frozen=True)
class BestFrames:
    """Clips from unit vectors of their frames or windows, as the phrases `bank` (K, d), unit, would pick them.

    With N the bank, m_k the mean of the `keep` best cosines of phrase k with the parts of a clip, and u the mean part:

        v = u + N^T (N N^T + r I)^-1 (m - N u)

    the ridge solution of N v = m around u. `ridge` is in units of the bank's variance: the more, the nearer to u.
    """

    bank: Tensor
    solver: Tensor  # (K, d)

    @classmethod
    def of(cls, bank: Tensor, ridge: float = 0.3) -> BestFrames:
        gram = (bank @ bank.T).double()
        variance = float(gram.diagonal().mean() - gram.mean())
        gram.diagonal().add_(max(ridge * variance, 1e-6))
        return cls(bank, torch.linalg.solve(gram, bank.double()).float())

    def __call__(self, parts: Tensor, keep: int) -> Tensor:
        """Parts (T, d) of one clip, T >= 1, -> (d,), not normalised. One part gives itself."""
        mean = parts.mean(0)
        cosines = self.bank @ parts.T  # (K, T)
        best = cosines.topk(min(keep, len(parts)), dim=1).values.mean(1)
        return mean + (best - self.bank @ mean) @ self.solver


def stands_out(words: Tensor, bank: Tensor, clip: Tensor) -> Tensor:
    """Which of the words (W, d) a clip (d,) shows, all unit: bool (W,). See `WORD_THRESHOLD`."""
    usual = bank @ clip
    return words @ clip > usual.mean() + WORD_THRESHOLD * usual.std()
