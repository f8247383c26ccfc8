"""MCSAN written once more, from its equations, in float64 NumPy with plain loops: nothing here is shared with `model/`.

One clip or one caption at a time, without padding or batches; every sum over frames, words, heads or taps is a loop.
Weights come as a state dict of arrays (`weights_of`), under the names of the torch modules. Numbers in brackets are the
equations of Nian et al. 2022.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray
Weights = dict[str, Array]
LEVELS = ("global", "entity", "action", "relation")


def weights_of(module: Any) -> Weights:
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def below(weights: Weights, prefix: str) -> Weights:
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def linear(w: Weights, name: str, x: Array) -> Array:
    """W x + b for one vector, one output at a time."""
    bias = w.get(f"{name}.bias", np.zeros(len(w[f"{name}.weight"])))
    return np.array([float(row @ x) + float(b) for row, b in zip(w[f"{name}.weight"], bias, strict=True)])


def relu(x: Array) -> Array:
    return np.array([max(0.0, float(value)) for value in x])


def gelu(x: Array) -> Array:
    return np.array([0.5 * float(v) * (1 + math.erf(float(v) / math.sqrt(2))) for v in x])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softmax(x: Sequence[float]) -> list[float]:
    top = max(x)
    powers = [math.exp(value - top) for value in x]
    return [power / sum(powers) for power in powers]


def mean(rows: Sequence[Array], dim: int) -> Array:
    return sum(rows) / len(rows) if rows else np.zeros(dim)


def strongest(rows: Sequence[Array]) -> Array:
    return np.array([max(float(row[c]) for row in rows) for c in range(len(rows[0]))])


def normalised(x: Array) -> Array:
    length = math.sqrt(sum(float(value) ** 2 for value in x))
    return x / length if length else x


def layer_norm(w: Weights, name: str, x: Array) -> Array:
    """Ba et al. 2016: biased variance, epsilon 1e-5 inside the root."""
    centre = sum(x) / len(x)
    variance = sum((x - centre) ** 2) / len(x)
    return (x - centre) / math.sqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


# ---------------------------------------------------------------------------------------------------- recurrent


def gru_last(w: Weights, xs: Sequence[Array], suffix: str) -> Array:
    """Cho et al. 2014 with the reset gate after the recurrent product, as cuDNN and PyTorch define the cell."""
    w_ih, w_hh, b_ih, b_hh = (w[f"{kind}_l0{suffix}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    d = w_hh.shape[1]
    h = np.zeros(d)
    for x in xs:
        new = np.zeros(d)
        for i in range(d):
            given = [float(w_ih[g * d + i] @ x + b_ih[g * d + i]) for g in range(3)]
            past = [float(w_hh[g * d + i] @ h + b_hh[g * d + i]) for g in range(3)]
            reset, update = sigmoid(given[0] + past[0]), sigmoid(given[1] + past[1])
            candidate = math.tanh(given[2] + reset * past[2])
            new[i] = (1 - update) * candidate + update * h[i]
        h = new
    return h


# -------------------------------------------------------------------------------------------------- transformer


def position(n: int, dim: int) -> Array:
    """Vaswani et al. 2017, section 3.5."""
    return np.array(
        [(math.sin if i % 2 == 0 else math.cos)(n / 10000 ** ((i - i % 2) / dim)) for i in range(dim)]
    )  # fmt: skip


def attention(w: Weights, xs: Sequence[Array], heads: int) -> list[Array]:
    """Multi-head scaled dot-product attention; the three projections are stacked in one matrix."""
    d = len(xs[0])
    size = d // heads
    q, k, v = (
        [w["in_proj_weight"][part * d : (part + 1) * d] @ x + w["in_proj_bias"][part * d : (part + 1) * d] for x in xs]
        for part in range(3)
    )
    out = []
    for i in range(len(xs)):
        joined = []
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            share = softmax([float(q[i][own] @ k[j][own]) / math.sqrt(size) for j in range(len(xs))])
            joined.append(sum(share[j] * v[j][own] for j in range(len(xs))))
        out.append(linear(w, "out_proj", np.concatenate(joined)))
    return out


def relation(w: Weights, xs: Sequence[Array], heads: int) -> Array:
    """(2-6) and (18-22): linear, positions, attention and feed-forward with residuals and norms, mean."""
    dim = len(w["project.weight"])
    if not len(xs):
        return np.zeros(dim)
    zs = [linear(w, "project", x) + position(n, dim) for n, x in enumerate(xs)]
    block = below(w, "block.")
    attended = attention(below(block, "self_attn."), zs, heads)
    out = []
    for z, a in zip(zs, attended, strict=True):
        h = layer_norm(block, "norm1", z + a)
        out.append(layer_norm(block, "norm2", h + linear(block, "linear2", relu(linear(block, "linear1", h)))))
    return mean(out, dim)


# -------------------------------------------------------------------------------------------------- video tower


def video(w: Weights, config: Any, frames: Array) -> dict[str, Array]:
    """The four vectors of one clip given as its real frames (T, D_v)."""
    rows = [np.asarray(frame, dtype=np.float64) for frame in frames]
    if config.standardise:
        rows = [(row - w["mean"]) / w["std"] for row in rows]
    if config.bottleneck:
        rows = [linear(w, "bottleneck", row) for row in rows]
    own = dict.fromkeys(LEVELS, rows)
    if config.level_fc:
        levels = [name for name in LEVELS if (name, config.video_global) != ("global", "residual")]
        if config.action_input == "entity":
            levels.remove("action")
        own |= {name: [relu(row + linear(w, f"embed.{name}", row)) for row in rows] for name in levels}  # (7-10)
    if config.action_input == "entity":
        own["action"] = own["entity"]  # (17) as printed: F^e
    pools = {name: below(w, f"pool.{name}.") for name in LEVELS}
    heads = config.heads
    if config.alike:
        return centred(w, config, {name: video_mean(pools[name], config, own[name]) for name in LEVELS})
    if config.video_global == "residual":
        own["global"] = [np.asarray(frame, dtype=np.float64) for frame in frames]
    global_pool = {"gru": video_gru, "mean": video_mean, "residual": video_residual}[config.video_global]
    found = {
        "global": global_pool(pools["global"], config, own["global"]),
        "entity": video_entity(pools["entity"], config, own["entity"]),
        "action": (video_action if config.action_pool == "conv" else video_change)(pools["action"], own["action"]),
        "relation": relation(pools["relation"], own["relation"], heads),
    }
    if config.projection:
        found |= {name: linear(w, f"project.{name}", found[name]) for name in ("entity", "action")}
    if config.pair_kinds:
        pairs = video_pairs(below(w, "pairs."), config, [np.asarray(frame, dtype=np.float64) for frame in frames])
        found["relation"] = np.concatenate([normalised(found["relation"]), pairs])
    return centred(w, config, found)


def centred(w: Weights, config: Any, found: dict[str, Array]) -> dict[str, Array]:
    """Unit vectors less the means of the training split; an absent level stays absent."""
    if not config.centred:
        return found
    return {name: normalised(v) - w[f"centre.mean_{name}"] if v.any() else v for name, v in found.items()}


def video_pairs(w: Weights, config: Any, fs: Sequence[Array]) -> Array:
    """What six numbers say of each kind of thing: its track compared with that of the likeliest other kinds."""
    readings = [linear(w, "read", f).reshape(config.pair_kinds, 7) for f in fs]
    tracks, sure = [], []
    for kind in range(config.pair_kinds):
        sure.append(sum(float(r[kind, 0]) for r in readings) / len(fs))
        track = []
        for value in range(1, 7):
            for wave in range(6):
                angles = [math.pi * wave * (n + 0.5) / len(fs) for n in range(len(fs))]
                total = sum(math.cos(a) * float(r[kind, value]) for a, r in zip(angles, readings, strict=True))
                track.append(3 * total / len(fs))
        tracks.append(np.array(track))

    def compare(a: Array, b: Array) -> Array:
        return linear(w, "compare.3", gelu(linear(w, "compare.0", np.concatenate([a, b, a - b]))))

    said = []
    for kind in range(config.pair_kinds):
        others = [other for other in range(config.pair_kinds) if other != kind]
        shares = softmax([float(w["sharpness"]) * sure[other] for other in others])
        near = sum(share * tracks[other] for share, other in zip(shares, others, strict=True))
        one, back = compare(tracks[kind], near), compare(near, tracks[kind])
        numbers = np.array([one[i] - back[i] if i < 3 else one[i] for i in range(6)])
        said.append(sigmoid(float(w["seen"][0]) * sure[kind] + float(w["seen"][1])) * numbers)
    return float(w["scale"]) * normalised(np.concatenate(said))


def video_gru(w: Weights, config: Any, fs: Sequence[Array]) -> Array:
    """(11-15): soft attention over frames, then the last state of either direction."""
    alpha = softmax([float(linear(w, "attend", f)[0]) for f in fs])
    scale = len(fs) if config.attention_scaled else 1
    xs = [scale * a * f for a, f in zip(alpha, fs, strict=True)]
    gru = below(w, "gru.")
    return np.concatenate([gru_last(gru, xs, ""), gru_last(gru, xs[::-1], "_reverse")])


def video_mean(w: Weights, config: Any, fs: Sequence[Array]) -> Array:
    return linear(w, "mlp.3", gelu(linear(w, "mlp.0", mean(fs, 0))))


def video_residual(w: Weights, config: Any, fs: Sequence[Array]) -> Array:
    return mean(fs, 0) + video_mean(w, config, fs)


def video_change(w: Weights, fs: Sequence[Array]) -> Array:
    """The mean frame and the mean size of the steps between frames, side by side."""
    xs = [gelu(linear(w, "input", f)) for f in fs]
    steps = [np.array([abs(float(b - a)) for a, b in zip(x, y, strict=True)]) for x, y in pairwise(xs)]
    return linear(w, "output", np.concatenate([mean(xs, 0), mean(steps, len(xs[0]))]))


def video_entity(w: Weights, config: Any, fs: Sequence[Array]) -> Array:
    """(16) with a maximum over time, or the mean of each channel's top ceil(T / 8)."""
    kernel = w["conv.weight"]  # (d, D, 1)
    out = [relu(np.array([float(kernel[c, :, 0] @ f + w["conv.bias"][c]) for c in range(len(kernel))])) for f in fs]
    if config.entity_pool == "max":
        return strongest(out)
    keep = math.ceil(len(fs) / 8)
    return np.array([sum(sorted((row[c] for row in out), reverse=True)[:keep]) / keep for c in range(len(kernel))])


def video_action(w: Weights, fs: Sequence[Array]) -> Array:
    """(17): windows of 2, 3 and 5 frames, zeros past either end, the longer half of an even window to the right."""
    total = np.zeros(len(w["convs.0.bias"]))
    for branch, size in enumerate((2, 3, 5)):
        kernel, bias = w[f"convs.{branch}.weight"], w[f"convs.{branch}.bias"]
        out = []
        for t in range(len(fs)):
            value = bias.copy()
            for tap in range(size):
                at = t + tap - (size - 1) // 2
                if 0 <= at < len(fs):
                    value = value + np.array([float(kernel[c, :, tap] @ fs[at]) for c in range(len(bias))])
            out.append(relu(value))
        total = total + w["beta"][branch] * strongest(out)
    return total


# --------------------------------------------------------------------------------------------------- text tower


def text(w: Weights, config: Any, sentence: Array, words: Array, parse: Any) -> dict[str, Array]:
    """The four vectors of one caption: its sentence vector, word vectors (M, d_w) and parse."""
    rows = [np.asarray(word, dtype=np.float64) for word in words]
    if config.alike:
        sentence = np.asarray(sentence, dtype=np.float64)
        whole = linear(w, "sentence", sentence) if config.text_global_fc else sentence
        return centred(w, config, {"global": whole} | {n: linear(w, f"heads.{n}", sentence) for n in LEVELS[1:]})
    nodes = graph(w, config, rows, parse)
    dim = config.embed_dim
    found = {
        "global": np.asarray(sentence, dtype=np.float64),
        "relation": relation(below(w, "relation."), rows, config.heads),
    }
    if config.text_global_fc:
        found["global"] = linear(w, "sentence", found["global"])
    for level, kind in (("entity", "noun"), ("action", "verb")):
        own = [value for value, node in zip(nodes, parse.nodes, strict=True) if node.kind == kind]
        found[level] = mean(own, dim)
        if config.projection and own:
            found[level] = linear(w, f"project.{level}", found[level])
    if config.pair_kinds:
        pairs = text_pairs(below(w, "pairs."), config, rows, parse)
        found["relation"] = np.concatenate([normalised(found["relation"]), pairs])
    return centred(w, config, found)


def text_pairs(w: Weights, config: Any, words: Sequence[Array], parse: Any) -> Array:
    """At the place of each noun's kind what its verbs say of its role."""
    found = np.zeros((config.pair_kinds, 6))
    nodes = [strongest([words[at] for at in node.words]) for node in parse.nodes]
    for verb, noun in parse.edges:
        shares = softmax(list(linear(w, "kind", nodes[noun])))
        said = linear(w, "does", nodes[verb]).reshape(-1, 6)[parse.nodes[noun].role]
        for kind in range(config.pair_kinds):
            found[kind] += shares[kind] * said
    return float(w["scale"]) * normalised(found.ravel())


def graph(w: Weights, config: Any, words: Sequence[Array], parse: Any) -> list[Array]:
    """HANet, section 3.2: a node listens to itself and to its neighbours along verb-argument edges."""
    if config.node_words == "gru":
        gru = below(w, "word.gru.")
        # The state at a word is the last state of the sequence that ends there, in either direction.
        forth = [gru_last(gru, words[: i + 1], "") for i in range(len(words))]
        back = [gru_last(gru, words[i:][::-1], "_reverse") for i in range(len(words))]
        embedded = [(a + b) / 2 for a, b in zip(forth, back, strict=True)]
    else:
        embedded = [linear(w, "word", word) for word in words]
    nodes = [strongest([embedded[at] for at in node.words]) * w["role.weight"][node.role] for node in parse.nodes]
    g = below(w, "graph.")
    out = []
    for i, node in enumerate(nodes):
        near = [j for j in range(len(nodes)) if j == i or (i, j) in parse.edges or (j, i) in parse.edges]
        query = linear(g, "query", node)
        share = softmax([float(query @ linear(g, "key", nodes[j])) / math.sqrt(len(query)) for j in near])
        heard = sum(a * linear(g, "value", nodes[j]) for a, j in zip(share, near, strict=True))
        out.append(layer_norm(g, "norm", node + heard))
    return out


# ------------------------------------------------------------------------------------------------------- scores


def holographic(v: Array, t: Array, h: Array) -> float:
    """h . (v * t) by the definition, [v * t]_k = sum_i v_i t_{(k+i) mod d}: O(d^2)."""
    d = len(v)
    return float(sum(h[k] * sum(v[i] * t[(k + i) % d] for i in range(d)) for k in range(d)))


def level_score(w: Weights, level: str, v: Array, t: Array) -> float:
    """(23) and (30-32) for unit vectors."""
    if level == "global":
        return sigmoid(holographic(v, t, w["head.weight"]) + float(w["head.bias"]))
    return float(sum(a * b for a, b in zip(v, t, strict=True)))


def fused_score(w: Weights, v: dict[str, Array], t: dict[str, Array], present: dict[str, bool]) -> float:
    """(33): the mean, weighted by positive weights, over the levels that the text has."""
    weight = dict(zip(LEVELS, softmax(list(w["log_weights"])), strict=True))
    has = [level for level in LEVELS if present[level]]
    return sum(weight[n] * level_score(w, n, v[n], t[n]) for n in has) / sum(weight[n] for n in has)


# ------------------------------------------------------------------------------------------------------- losses


def hinge(s: Array, negative: Array, margin: float, hardest: bool) -> float:
    """(34); `negative[i, j]` says that text j is a wrong one for video i."""
    total = 0.0
    for i in range(len(s)):
        wrong_texts = [max(0.0, margin + s[i, j] - s[i, i]) for j in range(len(s)) if negative[i, j]]
        wrong_videos = [max(0.0, margin + s[j, i] - s[i, i]) for j in range(len(s)) if negative[j, i]]
        for costs in (wrong_texts, wrong_videos):
            total += max(costs, default=0.0) if hardest else sum(costs)
    return total / len(s)


def info_nce(s: Array, negative: Array, temperature: float) -> float:
    """van den Oord et al. 2018, videos to texts and texts to videos; pairs that are not negatives stay out."""
    total = 0.0
    for i in range(len(s)):
        pair = float(s[i, i]) / temperature
        texts = [float(s[i, j]) / temperature for j in range(len(s)) if j == i or negative[i, j]]
        videos = [float(s[j, i]) / temperature for j in range(len(s)) if j == i or negative[j, i]]
        for among in (texts, videos):
            total += 0.5 * (math.log(sum(math.exp(x) for x in among)) - pair)
    return total / len(s)


def focal_bce(logits: Array, labels: Array, mode: str, alpha: float, gamma: float, mean: str = "vocabulary") -> float:
    """(35-37): mean over concepts and batch, or, where K is the batch, over the batch alone, once or twice."""
    total = 0.0
    for x, y in zip(logits.ravel(), labels.ravel(), strict=True):
        p = sigmoid(float(x))
        weight = 1.0
        if mode != "off":
            meant = mode == "focal" and not y
            weight = (1 - alpha) * p**gamma if meant else alpha * (1 - p) ** gamma
        total -= weight * math.log(p if y else 1 - p)
    return total / {"vocabulary": logits.size, "batch": len(logits), "twice": len(logits) ** 2}[mean]


def kl(video_row: Array, text_row: Array) -> float:
    """(38-40): sum_k p_k log(p_k / q_k), p of the text and q of the video."""
    p, q = softmax(list(text_row)), softmax(list(video_row))
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
