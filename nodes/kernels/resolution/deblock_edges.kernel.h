// The steps at a grid's edges, along one axis, made as large as those beside them: all where a step is smaller than the
// quantiser could make it, none where it is twice as large, for that is an edge of the picture.
// Edges lie between pixels e - 1 and e, e = phase + n * period, rounded.
// Reference: List et al. 2003 (H.264's filter: the same by thresholds).
#include "driver.h"

struct deblock_edges_args {
    sl::Grid grid;
    sl::In source;
    sl::Out out;
    int down;  // along y
    float period, phase;
    float amount;  // 1: all of the excess
    float limit;   // steps up to here are blocks
};

template <bool EDGE>
SL_FN void deblock_edges(const deblock_edges_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F v[5];  // two before and two after
    for (int i = 0; i < 5; ++i) v[i] = k.down ? at.load(k.source, 0, 0, i - 2) : at.load(k.source, 0, i - 2, 0);
    const F place = to_float(k.down ? splat(at.y) : at.xs());
    const F n = sl::floor((place + 0.5f - k.phase) / k.period + 0.5f);
    const F edge = sl::floor(mad(n, splat(k.period), splat(k.phase + 0.5f)));
    const M after = place == edge, before = place == edge - 1.0f;
    const F p1 = select(after, v[0], v[1]), p0 = select(after, v[1], v[2]);
    const F q0 = select(after, v[2], v[3]), q1 = select(after, v[3], v[4]);
    const F over = (q0 - p0) - ((p0 - p1) + (q1 - q0)) * 0.5f;
    const F share = clamp(2.0f - sl::abs(over) / k.limit, splat(0.0f), splat(1.0f)) * (0.5f * k.amount);
    const F moved = over * share;
    at.store(k.out, 0, v[2] + select(after, -moved, select(before, moved, splat(0.0f))));
}
SL_PIXEL_KERNEL(deblock_edges)
