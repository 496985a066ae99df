// Light to density, grain, and back: the density map of one film layer (safelight.colour.density: Curve, CurveTables).
#pragma once
#include "elementary.h"

namespace sl {

// p[i] for each lane; 0 <= i.
SL_FN F pick(const float* p, I i) {
#if SL_LANES == 1
    return p[i];
#elif defined(__AVX512F__) && SL_LANES == 16
    return _mm512_i32gather_ps((__m512i)i, p, 4);
#elif defined(__AVX2__) && SL_LANES == 8
    return _mm256_i32gather_ps(p, (__m256i)i, 4);
#else
    F v;
    for (int j = 0; j < LANES; ++j) v[j] = p[i[j]];
    return v;
#endif
}

// Where an octave table is read. Its samples stand at low 2^o (1 + m / 2^BITS), low a power of two: a number's own bits
// are the index and the fraction, and no logarithm is taken. Beyond the ends stands the end sample.
struct Place {
    I index;
    F part;
};

template <int BITS>
SL_FN Place place(float low, int n, F v) {
    const int shift = 23 - BITS;
    const I from = bits(max(v, splat(low))) - bits(splat(low));
    const int last = ((n - 1) << shift) - 1;
    const I at = select(from < last, from, splat(last));
    return {at >> shift, to_float(at & ((1 << shift) - 1)) * (1.0f / float(1 << shift))};
}

SL_FN F read(const float* p, const Place& at) {
    const F low = pick(p, at.index);
    return mad(at.part, pick(p + 1, at.index) - low, low);
}

// One layer of a film, read once from the arguments. K has the tables forward and sigma (of one shape; octave tables of
// light), inverse (octave table of net density: log2 of light) and, for each layer,
// e_toe, n_toe, toe_slope: below them net density is toe_slope times light, toe_back times net density is light;
// n_end, end_stops: above it the density is linear in log light, end_stops stops a unit; x_end is log2 of light there.
struct FilmLayer {
    const float *forward, *sigma, *inverse;
    int forward_n, inverse_n;
    float forward_low, inverse_low, e_toe, n_toe, toe_slope, toe_back, x_end, n_end, end_stops;
};

template <class K>
SL_FN FilmLayer film_layer(const K& k, int c) {
    return {k.forward.p + c * k.forward.n, k.sigma.p + c * k.sigma.n, k.inverse.p + c * k.inverse.n, k.forward.n,
            k.inverse.n, k.forward.low, k.inverse.low, k.e_toe[c], k.n_toe[c], k.toe_slope[c], k.toe_back[c], k.x_end[c],
            k.n_end[c], k.end_stops[c]};
}

// Grain g where a matte weighs it: not a number counts as 0, and what lies beyond 0 and 1 as these.
template <bool EDGE>
SL_FN F weighed(const In& matte, const At<EDGE>& at, F g) {
    return g * clamp(at.load(matte, 0), splat(0.0f), splat(1.0f));
}

// The light e with grain; g is noise of variance 1. A pixel that is not finite, or has no grain, keeps its bits.
SL_FN F grained(const FilmLayer& film, F e, F g) {
    const Place at = place<8>(film.forward_low, film.forward_n, e);
    const F net = select(e > film.e_toe, read(film.forward, at), e * film.toe_slope);
    const F step = read(film.sigma, at) * g;
    const F made = net + step;
    const F back = read(film.inverse, place<12>(film.inverse_low, film.inverse_n, made));
    const M beyond = made > film.n_end;
    // Where both densities lie on the shoulder line a step is a factor, however bright the light.
    const M factor = beyond & (net > film.n_end);
    const F line = mad(select(factor, step, made - film.n_end), splat(film.end_stops), select(factor, splat(0.0f), splat(film.x_end)));
    F light = exp2(select(beyond, line, back));
    light = min(select(factor, light * e, light), splat(3.4028234e38f));
    light = select(made > film.n_toe, light, made * film.toe_back);
    return select(is_finite(e) & (step != splat(0.0f)), light, e);
}

}  // namespace sl
