// How far every pixel departs from both moved neighbours, in standard deviations of the noise, for four features: grey,
// each record weighted by how little noise it has, and each record alone.
//
// Support (SDIp): the smaller departure of the smoothed pixel from the two smoothed neighbours where both have one sign.
// Seed (ROD): departure from the range of the 3 x 3 pixels in both, so that edges misplaced by a pixel do not count.
// A neighbour that itself departs from the frame on the other side and from the frame beyond, with one sign, is damaged
// there: the frame beyond takes its place.
//
// What motion and light leave lies on all records, damage of one on that one alone: in a neighbour each record is what
// it shows and, by coefficients found block by block, what the other two records tell of the difference. Where both
// frames of one side agree, their mean is compared, weighted by how well each matches.
// References: Kokaram 1998 (SDIp); Nadenau and Mitra 1997 (ROD).
#include "../elementary.h"
#include "driver.h"

struct dirt_depart_args {
    sl::Grid grid;
    sl::In centre;       // grey, red - blue, green against both (orthonormal), or one plane
    sl::In others;       // before, after, two before, two after: their planes
    sl::In steady;       // grey of the same, moved by vectors smooth enough to keep what moves by itself
    sl::InOwn match;      // block by block of 16 x 16: for each of the four, the bias of each plane, the variance that
                         // motion left in grey; of three planes then that in each record once the others are known, and
                         // the coefficients of G, B for R, of R, B for G, of R, G for B
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
    float alike;         // square of the difference up to which the two frames of a side agree, in variances
    float least;         // support from which a seed is looked for; 0 elsewhere
    int left, top;       // where the blocks begin
};

namespace sl {

struct DirtRange {  // of one feature of one frame around a pixel
    F low, high;
};

// A feature's value from planes (y, u, v), orthonormal in the records: grey, or one record.
SL_FN F dirt_feature(const dirt_depart_args& k, int f, F y, F u, F v) {
    if (f == 0) return mad(y, splat(k.grey[0]), mad(u, splat(k.grey[1]), v * k.grey[2]));
    const F base = y * 0.577350269f;
    if (f == 2) return mad(v, splat(-0.816496581f), base);
    return mad(u, splat(f == 1 ? 0.707106781f : -0.707106781f), mad(v, splat(0.408248290f), base));
}

template <int PLANES>
SL_FN F dirt_of(const dirt_depart_args& k, int f, const F* p) {
    return PLANES == 3 ? dirt_feature(k, f, p[0], p[1], p[2]) : p[0];
}

// What `match` says of the block a pixel lies in. Most runs of pixels lie in one block, and are loaded but once.
template <bool EDGE>
SL_FN F dirt_block(const dirt_depart_args& k, const At<EDGE>& at, int plane) {
    const int first = (at.x - k.left) >> 4, last = (at.x - k.left + LANES - 1) >> 4, y = (at.y - k.top) >> 4;
    if (first != last) return gather(k.match, plane, ((at.xs() - k.left) >> 4) + k.match.x0, splat(y + k.match.y0));
    return splat(k.match.p[plane * k.match.plane + iclamp(y, 0, k.match.h - 1) * k.match.row + iclamp(first, 0, k.match.w - 1)]);
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

// Means of all features of one frame, from planes `first` on, its bias added.
template <int PLANES, bool EDGE>
SL_FN void dirt_means(const dirt_depart_args& k, const At<EDGE>& at, const In& in, int first, const F* bias, F* means) {
    F p[3] = {splat(0.0f), splat(0.0f), splat(0.0f)};
    for (int c = 0; c < PLANES; ++c) p[c] = dirt_mean(at, in, first + c) + bias[c];
    for (int f = 0; f < (PLANES == 3 ? 4 : 1); ++f) means[f] = dirt_of<PLANES>(k, f, p);
}

// Range of one feature over 3 x 3 pixels of one frame, less its bias.
template <int PLANES, bool EDGE>
SL_FN DirtRange dirt_range(const dirt_depart_args& k, const At<EDGE>& at, const In& in, int first, int f) {
    DirtRange seen{splat(3.0e38f), splat(-3.0e38f)};
    for (int j = -1; j <= 1; ++j)
        for (int i = -1; i <= 1; ++i) {
            F v = at.load(in, first, i, j);
            if (PLANES == 3) v = dirt_feature(k, f, v, at.load(in, first + 1, i, j), at.load(in, first + 2, i, j));
            seen.low = sl::min(seen.low, v);
            seen.high = sl::max(seen.high, v);
        }
    return seen;
}

// The smaller of two departures where both have one sign, else 0.
SL_FN F dirt_both(F a, F b) {
    const F least = sl::min(sl::abs(a), sl::abs(b));
    return select((a > 0.0f) & (b > 0.0f), least, select((a < 0.0f) & (b < 0.0f), splat(0.0f) - least, splat(0.0f)));
}

}  // namespace sl

template <int PLANES, bool EDGE>
SL_FN void dirt_depart_of(const dirt_depart_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    constexpr int n = PLANES, each = n == 3 ? 13 : 2;

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
    F means[5][4], lefts[4][4], biases[4][3], told[4][4];
    const F zero[3] = {splat(0.0f), splat(0.0f), splat(0.0f)};
    for (int s = 0; s < 4; ++s) {
        if (s >= 2 && !k.beyond) {
            for (int f = 0; f < 4; ++f) means[s][f] = means[s - 2][f];
            for (int f = 0; f < 4; ++f) lefts[s][f] = lefts[s - 2][f];
            for (int c = 0; c < 3; ++c) biases[s][c] = biases[s - 2][c];
            continue;
        }
        for (int c = 0; c < 3; ++c) biases[s][c] = c < n ? dirt_block(k, at, s * each + c) : zero[c];
        for (int f = 0; f < (n == 3 ? 4 : 1); ++f) lefts[s][f] = dirt_block(k, at, s * each + n + f);
        dirt_means<PLANES>(k, at, k.others, s * n, biases[s], means[s]);
    }
    dirt_means<PLANES>(k, at, k.centre, 0, zero, means[4]);
    // By how much the other two records lift each one of a neighbour.
    for (int s = 0; s < 4; ++s) {
        told[s][0] = splat(0.0f);
        if (n < 3) continue;
        if (s >= 2 && !k.beyond) {
            for (int f = 1; f < 4; ++f) told[s][f] = told[s - 2][f];
            continue;
        }
        F step[3];
        for (int f = 0; f < 3; ++f) step[f] = means[4][f + 1] - means[s][f + 1];
        for (int f = 0; f < 3; ++f) {
            const int first = s * each + n + 4 + 2 * f;
            told[s][f + 1] = mad(step[f == 0 ? 1 : 0], dirt_block(k, at, first), step[f == 2 ? 1 : 2] * dirt_block(k, at, first + 1));
        }
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
        const F here = means[4][f], noise = white * (2.0f * smooth), plain = sqrt(noise);
        F seen[4];
        for (int s = 0; s < 4; ++s) seen[s] = f ? means[s][f] + told[s][f] : means[s][f];
        F before = seen[0], after = seen[1], raw = (means[0][f] + means[1][f]) * 0.5f;
        F excess = sl::max(lefts[0][f], lefts[1][f]);
        M bad_before = before > before, bad_after = bad_before;
        if (k.beyond) {
            const F limit = plain * k.suspect;
            bad_before = sl::abs(dirt_both(seen[0] - seen[1], seen[0] - seen[2])) > limit;
            bad_after = sl::abs(dirt_both(seen[1] - seen[0], seen[1] - seen[3])) > limit;
            before = select(bad_before, seen[2], before);
            after = select(bad_after, seen[3], after);
            excess = sl::max(select(bad_before, lefts[2][f], lefts[0][f]), select(bad_after, lefts[3][f], lefts[1][f]));
            if (f) {
                raw = (select(bad_before, means[2][f], means[0][f]) + select(bad_after, means[3][f], means[1][f])) * 0.5f;
                F mean[2], left[2];
                for (int s = 0; s < 2; ++s) {
                    const F own = noise * 0.5f, first = own + lefts[s][f], second = own + lefts[s + 2][f], d = seen[s] - seen[s + 2];
                    const F weight = second / (first + second);
                    const M alike = d * d < (first + second) * k.alike;
                    mean[s] = select(alike, mad(seen[s] - seen[s + 2], weight, seen[s + 2]), seen[s]);
                    left[s] = select(alike, first * weight, first) - own;
                }
                before = select(bad_before, before, mean[0]);
                after = select(bad_after, after, mean[1]);
                excess = sl::max(select(bad_before, lefts[2][f], left[0]), select(bad_after, lefts[3][f], left[1]));
            }
        }
        const F per = splat(1.0f) / sqrt(noise + excess);
        const F support = dirt_both(here - before, here - after) * per;
        const F mean = here - (before + after) * 0.5f;
        const M hot = sl::abs(support) > k.least;
        F seed = splat(0.0f);
        if (any(hot)) {
            F high = splat(-3.0e38f), low = splat(3.0e38f);
            for (int s = 0; s < (k.beyond ? 4 : 2); ++s) {
                const M bad = s & 1 ? bad_after : bad_before;
                if (s >= 2 && !any(bad)) continue;
                const F shift = dirt_of<PLANES>(k, f, biases[s]) + told[s][f];
                const DirtRange range = dirt_range<PLANES>(k, at, k.others, s * n, f);
                const F top = sl::max(high, range.high + shift), bottom = sl::min(low, range.low + shift);
                high = s < 2 ? select(bad, high, top) : select(bad, top, high);
                low = s < 2 ? select(bad, low, bottom) : select(bad, bottom, low);
            }
            // Of nine noisy pixels the largest lies 1.49 standard deviations above their mean.
            const F lift = sqrt(white * whole) * 1.2f;
            const F top = sl::max(high - lift, sl::max(before, after));
            const F bottom = sl::min(low + lift, sl::min(before, after));
            seed = select(hot, (sl::max(here - top, splat(0.0f)) + sl::min(here - bottom, splat(0.0f))) * per, seed);
        }
        if (f == 0) {
            grey = mean;
            at.store(k.out, 0, seed);
            at.store(k.out, 1, support);
            at.store(k.out, 7, sl::abs(before - after) / plain);
            at.store(k.out, 8, mean * (1.0f / sum));
            F still[4];
            for (int s = 0; s < (k.beyond ? 4 : 2); ++s)
                still[s] = dirt_mean(at, k.steady, s) + dirt_of<PLANES>(k, 0, biases[s]);
            if (!k.beyond) still[2] = still[1], still[3] = still[0];
            at.store(k.out, 5, dirt_both(still[0] - still[2], still[0] - here) * per);
            // One of them may be damaged on the spot itself.
            const F own = dirt_both(here - still[0], here - still[1]);
            F most = own;
            if (k.beyond) {
                const F early = dirt_both(here - still[2], here - still[1]);
                const F late = dirt_both(here - still[0], here - still[3]);
                most = select(sl::abs(early) > sl::abs(most), early, most);
                most = select(sl::abs(late) > sl::abs(most), late, most);
            }
            at.store(k.out, 10, most * per);
            at.store(k.out, 6, dirt_both(still[1] - still[3], still[1] - here) * per);
        } else {
            const M more = sl::abs(support) > sl::abs(best_support);
            best_seed = select(more, seed, best_seed);
            best_support = select(more, support, best_support);
            best_rest = select(more, (grey - (here - raw) * k.weight[f - 1]) * (1.0f / (sum - k.weight[f - 1])), best_rest);
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
