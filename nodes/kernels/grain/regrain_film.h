// Light to density, grain, and back: the density map of one film layer (safelight.colour.density: Curve, CurveTables).
#pragma once
#include "elementary.h"

namespace sl {

// p[i] and p[i + 1] for each lane; 0 <= i. Neighbours are fetched as one number of 64 bits: half as many loads.
SL_FN void pick(const float* p, I i, F& first, F& second) {
#if SL_LANES == 1
    first = p[i], second = p[i + 1];
#elif defined(__AVX512F__) && SL_LANES == 16
    const __m512i at = (__m512i)i;
    const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), p, 4);
    const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), p, 4);
    const __m512i even = (__m512i)(iota() * 2);
    first = (F)_mm512_permutex2var_epi32(low, even, high);
    second = (F)_mm512_permutex2var_epi32(low, (__m512i)(iota() * 2 + 1), high);
#elif defined(__AVX2__) && SL_LANES == 8
    const __m256i at = (__m256i)i;
    const __m256 low = (__m256)_mm256_i32gather_epi64((const long long*)p, _mm256_castsi256_si128(at), 4);
    const __m256 high = (__m256)_mm256_i32gather_epi64((const long long*)p, _mm256_extracti128_si256(at, 1), 4);
    first = (F)_mm256_permute4x64_pd((__m256d)_mm256_shuffle_ps(low, high, 0x88), 0xd8);
    second = (F)_mm256_permute4x64_pd((__m256d)_mm256_shuffle_ps(low, high, 0xdd), 0xd8);
#else
    for (int j = 0; j < LANES; ++j) first[j] = p[i[j]], second[j] = p[i[j] + 1];
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
    F low, next;
    pick(p, at.index, low, next);
    return mad(at.part, next - low, low);
}

// One layer of a film, read once from the arguments. K has the tables forward, sigma and quadratic (of one shape; octave
// tables of light), inverse (octave table of net density: log2 of light) and, for each layer,
// e_toe, n_toe, toe_slope: below them net density is toe_slope times light, toe_back times net density is light;
// n_end, end_stops: above it the density is linear in log light, end_stops stops a unit; x_end is log2 of light there.
// skewed: the grain is sigma g + quadratic (g² - 1), else sigma g.
struct FilmLayer {
    const float *forward, *sigma, *quadratic, *inverse;
    int forward_n, inverse_n, skewed;
    float forward_low, inverse_low, e_toe, n_toe, toe_slope, toe_back, x_end, n_end, end_stops;
};

// The characteristic curve alone.
template <class K>
SL_FN FilmLayer film_curve(const K& k, int c) {
    return {k.forward.p + c * k.forward.n, nullptr, nullptr, k.inverse.p + c * k.inverse.n, k.forward.n, k.inverse.n, 0,
            k.forward.low, k.inverse.low, k.e_toe[c], k.n_toe[c], k.toe_slope[c], k.toe_back[c], k.x_end[c], k.n_end[c],
            k.end_stops[c]};
}

// The curve and its grain.
template <class K>
SL_FN FilmLayer film_layer(const K& k, int c) {
    FilmLayer film = film_curve(k, c);
    film.sigma = k.sigma.p + c * k.sigma.n;
    film.quadratic = k.quadratic.p + c * k.quadratic.n;
    film.skewed = k.skewed;
    return film;
}

// A matte's weight: not a number counts as 0, and what lies beyond 0 and 1 as these.
template <bool EDGE>
SL_FN F weight(const In& matte, const At<EDGE>& at) {
    return clamp(at.load(matte, 0), splat(0.0f), splat(1.0f));
}

SL_FN Place light_place(const FilmLayer& film, F e) { return place<8>(film.forward_low, film.forward_n, e); }

// Net density of the light e, which stands at `at`.
SL_FN F net_density(const FilmLayer& film, const Place& at, F e) {
    return select(e > film.e_toe, read(film.forward, at), e * film.toe_slope);
}

// The light whose net density is `step` above that of e. A pixel that is not finite, or has no step, keeps its bits.
SL_FN F moved(const FilmLayer& film, F e, F net, F step) {
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

// The light e with grain; g is noise of variance 1, w its weight.
SL_FN F grained(const FilmLayer& film, F e, F g, F w) {
    const Place at = light_place(film, e);
    F step = read(film.sigma, at);
    if (film.skewed)
        step = mad(read(film.quadratic, at), mad(g, g, splat(-1.0f)), step * g) * w;
    else
        step = step * (g * w);
    return moved(film, e, net_density(film, at, e), step);
}

}  // namespace sl
