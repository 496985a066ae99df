// How far every pixel departs from both moved neighbours, in standard deviations of the noise, for four features: grey,
// each record weighted by how little noise it has, and each record alone.
//
// Support (SDIp): the smaller departure of the smoothed pixel from the two smoothed neighbours where both have one sign.
// Seed (ROD): departure from the range of the 3 x 3 pixels in both, so that edges misplaced by a pixel do not count.
// A neighbour that itself departs from the frame on the other side and from the frame beyond, with one sign, is damaged
// there: the frame beyond takes its place.
// References: Kokaram 1998 (SDIp); Nadenau and Mitra 1997 (ROD).
#include "../elementary.h"
#include "driver.h"

struct dirt_depart_args {
    sl::Grid grid;
    sl::In centre;       // grey, red - blue, green against both (orthonormal), or one plane
    sl::In others;       // before, after, two before, two after: their planes
    sl::In steady;       // grey of the same, moved by vectors smooth enough to keep what moves by itself
    sl::In match;        // block by block of 16 x 16: for each of the four, the bias of each plane, then the variance
                         // that motion left in grey and in colour
    sl::Out out;         // grey seed, support; of the record that departs most its seed and support, and by how much the
                         // others depart, in the planes' unit; support of the (steady) frames before
                         // and after against this one and those beyond, or opposite;
                         // how far the neighbours are apart; in the planes' unit: departure in grey, and of the record; support
                         // of this frame against the steady ones
    sl::Table variance;  // of each channel over its level
    int planes;
    int beyond;          // whether there are two before and two after
    float grey[3];       // the planes' weights in grey, of unit length
    float weight[3];     // the records' weights in it, their sum positive
    float whole[4];      // variance of each feature's single pixels against that of white noise
    float smooth[4];     // the same after smoothing
    float floor;         // least variance
    float suspect;       // departure of a neighbour that rules it out
    int left, top;       // where the blocks begin
};

namespace sl {

struct DirtSeen {  // one feature of one frame around a pixel
    F mean, low, high;
};

// A feature's value from planes (y, u, v), orthonormal in the records: grey, or one record.
SL_FN F dirt_feature(const dirt_depart_args& k, int f, F y, F u, F v) {
    if (f == 0) return mad(y, splat(k.grey[0]), mad(u, splat(k.grey[1]), v * k.grey[2]));
    const F base = y * 0.577350269f;
    if (f == 2) return mad(v, splat(-0.816496581f), base);
    return mad(u, splat(f == 1 ? 0.707106781f : -0.707106781f), mad(v, splat(0.408248290f), base));
}

// What `match` says of the block a pixel lies in. Most runs of pixels lie in one block, and are loaded but once.
template <bool EDGE>
SL_FN F dirt_block(const dirt_depart_args& k, const At<EDGE>& at, int plane) {
    const int first = (at.x - k.left) >> 4, last = (at.x - k.left + LANES - 1) >> 4, y = (at.y - k.top) >> 4;
    if (first != last) return gather(k.match, plane, ((at.xs() - k.left) >> 4) + k.match.x0, splat(y + k.match.y0));
    return splat(k.match.p[plane * k.match.plane + iclamp(y, 0, k.match.h - 1) * k.match.row + iclamp(first, 0, k.match.w - 1)]);
}

// All features of one frame, `seen` of them, from planes `first` on.
template <int PLANES, bool EDGE>
SL_FN void dirt_look(const dirt_depart_args& k, const At<EDGE>& at, const In& in, int first, const F* bias, DirtSeen* seen) {
    constexpr int features = PLANES == 3 ? 4 : 1;
    F mean[3] = {splat(0.0f), splat(0.0f), splat(0.0f)};
    for (int f = 0; f < features; ++f) seen[f] = DirtSeen{splat(0.0f), splat(3.0e38f), splat(-3.0e38f)};
    for (int j = -1; j <= 1; ++j)
        for (int i = -1; i <= 1; ++i) {
            const float w = (i ? 1.0f : 2.0f) * (j ? 1.0f : 2.0f) * 0.0625f;
            F p[3] = {splat(0.0f), splat(0.0f), splat(0.0f)};
            for (int c = 0; c < PLANES; ++c) {
                p[c] = at.load(in, first + c, i, j);
                mean[c] = mad(p[c], splat(w), mean[c]);
            }
            for (int f = 0; f < features; ++f) {
                const F v = PLANES == 3 ? dirt_feature(k, f, p[0], p[1], p[2]) : p[0];
                seen[f].low = sl::min(seen[f].low, v);
                seen[f].high = sl::max(seen[f].high, v);
            }
        }
    for (int f = 0; f < features; ++f) {
        const F shift = PLANES == 3 ? dirt_feature(k, f, bias[0], bias[1], bias[2]) : bias[0];
        seen[f].mean = (PLANES == 3 ? dirt_feature(k, f, mean[0], mean[1], mean[2]) : mean[0]) + shift;
        seen[f].low = seen[f].low + shift;
        seen[f].high = seen[f].high + shift;
    }
}

// Mean of 3 x 3 pixels of one plane.
template <bool EDGE>
SL_FN F dirt_mean(const At<EDGE>& at, const In& in, int plane) {
    F mean = splat(0.0f);
    for (int j = -1; j <= 1; ++j)
        for (int i = -1; i <= 1; ++i)
            mean = mad(at.load(in, plane, i, j), splat((i ? 1.0f : 2.0f) * (j ? 1.0f : 2.0f) * 0.0625f), mean);
    return mean;
}

// The smaller of two departures where both have one sign, else 0.
SL_FN F dirt_both(F a, F b) {
    const F least = sl::min(sl::abs(a), sl::abs(b));
    return select((a > 0.0f) & (b > 0.0f), least, select((a < 0.0f) & (b < 0.0f), splat(0.0f) - least, splat(0.0f)));
}

SL_FN DirtSeen dirt_choose(M m, const DirtSeen& a, const DirtSeen& b) {
    return DirtSeen{select(m, a.mean, b.mean), select(m, a.low, b.low), select(m, a.high, b.high)};
}

}  // namespace sl

template <int PLANES, bool EDGE>
SL_FN void dirt_depart_of(const dirt_depart_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    constexpr int n = PLANES, each = n + 2;

    // Level, hence noise: of the background, as the mean of both neighbours shows it.
    F var[3];
    {
        F v[3];
        for (int c = 0; c < n; ++c) v[c] = (at.load(k.others, c) + at.load(k.others, n + c)) * 0.5f;
        if (n == 3) {
            const F grey = v[0] * 0.577350269f, side = v[2] * 0.408248290f, half = v[1] * 0.707106781f;
            const F r = lookup(k.variance, 0, grey + side + half), g = lookup(k.variance, 1, grey - (side + side)),
                    b = lookup(k.variance, 2, grey + side - half);
            var[0] = r, var[1] = g, var[2] = b;
        } else {
            var[0] = lookup(k.variance, 0, v[0]);
        }
    }
    DirtSeen looks[5][4];
    F lefts[4][2], shifts[4];
    const F zero[3] = {splat(0.0f), splat(0.0f), splat(0.0f)};
    for (int s = 0; s < (k.beyond ? 4 : 2); ++s) {
        F bias[3] = {zero[0], zero[0], zero[0]};
        for (int c = 0; c < n; ++c) bias[c] = dirt_block(k, at, s * each + c);
        for (int i = 0; i < 2; ++i) lefts[s][i] = dirt_block(k, at, s * each + n + i);
        if (n == 3) lefts[s][1] = mad(lefts[s][1], splat(0.666666667f), lefts[s][0] * 0.333333333f);
        shifts[s] = n == 3 ? dirt_feature(k, 0, bias[0], bias[1], bias[2]) : bias[0];
        dirt_look<PLANES>(k, at, k.others, s * n, bias, looks[s]);
    }
    dirt_look<PLANES>(k, at, k.centre, 0, zero, looks[4]);
    if (!k.beyond)
        for (int s = 0; s < 2; ++s) {
            for (int f = 0; f < 4; ++f) looks[2 + s][f] = looks[s][f];
            for (int i = 0; i < 2; ++i) lefts[2 + s][i] = lefts[s][i];
            shifts[2 + s] = shifts[s];
        }
    const float sum = n == 3 ? k.weight[0] + k.weight[1] + k.weight[2] : 1.0f;
    F best_seed = splat(0.0f), best_support = splat(0.0f), best_rest = splat(0.0f), best_mean = splat(0.0f);
    F grey = splat(0.0f);
    for (int f = 0; f < (n == 3 ? 4 : 1); ++f) {
        // Variance of white noise in this feature.
        F white = var[f ? f - 1 : 0];
        if (n == 3 && f == 0)
            white = mad(var[0], splat(k.weight[0] * k.weight[0]),
                        mad(var[1], splat(k.weight[1] * k.weight[1]), var[2] * (k.weight[2] * k.weight[2])));
        white = sl::max(white, splat(k.floor));
        const float whole = k.whole[f], smooth = k.smooth[f];
        const DirtSeen seen[4] = {looks[0][f], looks[1][f], looks[2][f], looks[3][f]}, here = looks[4][f];
        const F left[4] = {lefts[0][f > 0], lefts[1][f > 0], lefts[2][f > 0], lefts[3][f > 0]};
        const F noise = white * (2.0f * smooth);
        const F plain = sqrt(noise);
        DirtSeen before = seen[0], after = seen[1];
        F excess = sl::max(left[0], left[1]);
        if (k.beyond) {
            const F limit = plain * k.suspect;
            const M bad_before = sl::abs(dirt_both(seen[0].mean - seen[1].mean, seen[0].mean - seen[2].mean)) > limit;
            const M bad_after = sl::abs(dirt_both(seen[1].mean - seen[0].mean, seen[1].mean - seen[3].mean)) > limit;
            before = dirt_choose(bad_before, seen[2], seen[0]);
            after = dirt_choose(bad_after, seen[3], seen[1]);
            excess = sl::max(select(bad_before, left[2], left[0]), select(bad_after, left[3], left[1]));
        }
        const F per = splat(1.0f) / sqrt(noise + excess);
        const F support = dirt_both(here.mean - before.mean, here.mean - after.mean) * per;
        // Of nine noisy pixels the largest lies 1.49 standard deviations above their mean.
        const F lift = sqrt(white * whole) * 1.2f;
        const F top = sl::max(sl::max(before.high, after.high) - lift, sl::max(before.mean, after.mean));
        const F bottom = sl::min(sl::min(before.low, after.low) + lift, sl::min(before.mean, after.mean));
        const F seed = (sl::max(here.mean - top, splat(0.0f)) + sl::min(here.mean - bottom, splat(0.0f))) * per;
        const F mean = here.mean - (before.mean + after.mean) * 0.5f;
        if (f == 0) {
            grey = mean;
            at.store(k.out, 0, seed);
            at.store(k.out, 1, support);
            at.store(k.out, 7, sl::abs(before.mean - after.mean) / plain);
            at.store(k.out, 8, mean * (1.0f / sum));
            F still[4];
            for (int s = 0; s < (k.beyond ? 4 : 2); ++s) still[s] = dirt_mean(at, k.steady, s) + shifts[s];
            if (!k.beyond) still[2] = still[1], still[3] = still[0];
            at.store(k.out, 5, dirt_both(still[0] - still[2], still[0] - here.mean) * per);
            // One of them may be damaged on the spot itself.
            const F own = dirt_both(here.mean - still[0], here.mean - still[1]);
            F most = own;
            if (k.beyond) {
                const F early = dirt_both(here.mean - still[2], here.mean - still[1]);
                const F late = dirt_both(here.mean - still[0], here.mean - still[3]);
                most = select(sl::abs(early) > sl::abs(most), early, most);
                most = select(sl::abs(late) > sl::abs(most), late, most);
            }
            at.store(k.out, 10, most * per);
            at.store(k.out, 6, dirt_both(still[1] - still[3], still[1] - here.mean) * per);
        } else {
            const M more = sl::abs(support) > sl::abs(best_support);
            best_seed = select(more, seed, best_seed);
            best_support = select(more, support, best_support);
            best_rest = select(more, (grey - mean * k.weight[f - 1]) * (1.0f / (sum - k.weight[f - 1])), best_rest);
            best_mean = select(more, mean, best_mean);
        }
    }
    at.store(k.out, 2, best_seed);
    at.store(k.out, 3, best_support);
    at.store(k.out, 4, best_rest);
    at.store(k.out, 9, best_mean);
}

template <bool EDGE>
SL_FN void dirt_depart(const dirt_depart_args& k, const sl::At<EDGE>& at) {
    if (k.planes == 3)
        dirt_depart_of<3>(k, at);
    else
        dirt_depart_of<1>(k, at);
}
SL_PIXEL_KERNEL(dirt_depart)
