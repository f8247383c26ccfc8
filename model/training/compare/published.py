"""How the published models of a comparison are built for its data, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from model.baselines import dual_encoding, hgr, hit, hsl, msdc, tce, vse, w2vv, w2vvpp
from model.baselines.baseline import Baseline
from model.baselines.dual_encoding import DualEncoding
from model.baselines.experts import collaborative_experts, mithun, mmt
from model.baselines.experts.collaborative_experts import CollaborativeExperts
from model.baselines.experts.mithun import Mithun
from model.baselines.experts.mmt import MultiModalTransformer
from model.baselines.frozen_towers.clip4clip import CLIP4Clip, Frames
from model.baselines.frozen_towers.teachclip import TeachCLIP
from model.baselines.frozen_towers.vop import VoP
from model.baselines.hanet import HANet
from model.baselines.hgr import HGR
from model.baselines.hit import HiT
from model.baselines.hsl import HSL
from model.baselines.msdc import MSDC
from model.baselines.tce import TCE
from model.baselines.vse import VSE
from model.baselines.w2vv import W2VV
from model.baselines.w2vvpp import W2VVPlusPlus
from model.training.compare.inputs import Inputs
from model.two_tower.pixels import PixelTower
from quartet.errors import InputError


def _vse(inputs: Inputs, hardest: bool) -> Baseline:
    return VSE(inputs.feature_dim, inputs.word_dim, hardest, inputs.wide(vse.DIM))


def _clip4clip(inputs: Inputs, frames: Frames) -> Baseline:
    return CLIP4Clip(inputs.feature_dim, inputs.sentence_dim, frames)


def _teachclip(inputs: Inputs) -> Baseline:
    return TeachCLIP(inputs.feature_dim, inputs.sentence_dim)


def _vop(inputs: Inputs) -> Baseline:
    if not isinstance(inputs.tower, PixelTower):
        raise InputError("vop needs frames as pixels. Make them with: quartet features VIDEOS --model NAME --pixels")
    return VoP.of(inputs.tower)


def _mithun(inputs: Inputs) -> Baseline:
    return Mithun(inputs.experts, inputs.word_dim, inputs.wide(mithun.DIM))


def _w2vv(inputs: Inputs) -> Baseline:
    widths = inputs.wide(w2vv.STATES), inputs.wide(w2vv.HIDDEN)
    return W2VV(inputs.feature_dim, inputs.word_dim, inputs.bag, *widths)


def _ce(inputs: Inputs) -> Baseline:
    width = inputs.wide(collaborative_experts.DIM)
    return CollaborativeExperts(inputs.experts, inputs.word_dim, width)


def _mmt(inputs: Inputs) -> Baseline:
    return MultiModalTransformer(inputs.experts, inputs.sentence_dim, inputs.wide(mmt.DIM))


def _w2vvpp(inputs: Inputs) -> Baseline:
    widths = inputs.wide(w2vvpp.HIDDEN), inputs.wide(w2vvpp.DIM)
    return W2VVPlusPlus(inputs.feature_dim, inputs.word_dim, inputs.bag, *widths)


def _dual_encoding(inputs: Inputs) -> Baseline:
    widths = inputs.wide(dual_encoding.DIM), inputs.wide(dual_encoding.HIDDEN), inputs.wide(dual_encoding.FILTERS)
    return DualEncoding(inputs.feature_dim, inputs.word_dim, inputs.bag, *widths)


def _hsl(inputs: Inputs) -> Baseline:
    widths = inputs.wide(dual_encoding.DIM), inputs.wide(dual_encoding.HIDDEN), inputs.wide(dual_encoding.FILTERS)
    concepts = sum(inputs.concepts(level) for level in hsl.CONCEPT_LEVELS)
    return HSL(inputs.feature_dim, inputs.word_dim, inputs.bag, concepts, *widths)


def _tce(inputs: Inputs) -> Baseline:
    return TCE(inputs.feature_dim, inputs.word_dim, inputs.wide(tce.DIM), inputs.wide(tce.HIDDEN))


def _msdc(inputs: Inputs) -> Baseline:
    widths = inputs.wide(msdc.DIM), inputs.wide(msdc.HIDDEN), inputs.wide(msdc.FILTERS)
    return MSDC(inputs.feature_dim, inputs.word_dim, *widths)


def _hgr(inputs: Inputs) -> Baseline:
    return HGR(inputs.feature_dim, inputs.word_dim, inputs.wide(hgr.DIM))


def _hanet(inputs: Inputs) -> Baseline:
    concepts = {level: inputs.concepts(level) for level in hgr.NODE_LEVELS}
    return HANet(inputs.feature_dim, inputs.word_dim, concepts, inputs.wide(hgr.DIM))


def _hit(inputs: Inputs) -> Baseline:
    return HiT(inputs.feature_dim, inputs.word_dim, inputs.wide(hit.DIM))


FROZEN_TOWERS: dict[str, Callable[[Inputs], Baseline]] = {
    "clip4clip-mean": partial(_clip4clip, frames="mean"),
    "clip4clip-lstm": partial(_clip4clip, frames="lstm"),
    "clip4clip-transformer": partial(_clip4clip, frames="transformer"),
    "teachclip": _teachclip,
}
"""Models whose frames and captions a two-tower model must have read."""

OF_PIXELS: dict[str, Callable[[Inputs], Baseline]] = {"vop": _vop}
"""Models that learn inside a two-tower model, from frames as it takes them."""

PUBLISHED: dict[str, Callable[[Inputs], Baseline]] = {
    "vse": partial(_vse, hardest=False),
    "vse++": partial(_vse, hardest=True),
    "mithun": _mithun,
    "w2vv": _w2vv,
    "w2vv++": _w2vvpp,
    "dual-encoding": _dual_encoding,
    "hsl": _hsl,
    "tce": _tce,
    "msdc": _msdc,
    "hgr": _hgr,
    "hanet": _hanet,
    "ce": _ce,
    "mmt": _mmt,
    "hit": _hit,
    **FROZEN_TOWERS,
    **OF_PIXELS,
}
