// The fused score again under other weights, from the level scores of an answer that is already here:
//
//   score = sum_l w_l s_l / sum_l w_l      over the levels that both sides have
//
// It reorders what is shown while a slider moves; the service's own answer, which may bring other hits, replaces it.

// Hits in their new order, or null where this answer cannot tell: a level that had weight 0 in it says nothing
// about which hits have that level.
export function reranked(answer, weights) {
  const before = answer.weights;
  const levels = Object.keys(before);
  const wanted = (level) => weights[level] ?? before[level];
  if (levels.some((level) => before[level] === 0 && wanted(level) > 0)) return null;
  const hits = answer.hits.map((hit) => weighed(hit, wanted));
  return hits.includes(null) ? null : hits.sort((a, b) => b.score - a.score);
}

function weighed(hit, wanted) {
  const weightOf = (name, level) => (level.weight === 0 ? 0 : wanted(name));
  const here = Object.entries(hit.levels).map(([name, level]) => [name, level, weightOf(name, level)]);
  const total = here.reduce((sum, [, , weight]) => sum + weight, 0);
  if (total === 0) return null;
  const levels = Object.fromEntries(
    here.map(([name, level, weight]) => {
      const contribution = (weight * level.activation) / total;
      return [name, { ...level, weight, contribution }];
    }),
  );
  const score = Object.values(levels).reduce((sum, level) => sum + level.contribution, 0);
  return { ...hit, levels, score };
}
