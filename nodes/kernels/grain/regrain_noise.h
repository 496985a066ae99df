// White Gaussian noise from counters, and the symmetric filter that colours it. A value depends on (x, y, frame, layer)
// and the seed alone: tiles, threads and lane counts cannot show.
// References: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (Philox-4x32-10);
// Box and Muller 1958; sine and cosine polynomials: Moshier, Cephes (sinf, cosf).
#pragma once
#include "elementary.h"

namespace sl {

// Product of 32-bit numbers, both halves.
SL_FN void mul_wide(unsigned m, U v, U& high, U& low) {
#if SL_CUDA
    high = __umulhi(m, v);
    low = m * v;
#elif SL_LANES == 1
    const unsigned long long p = (unsigned long long)m * v;
    high = (unsigned)(p >> 32);
    low = (unsigned)p;
#elif defined(__AVX512F__) && SL_LANES == 16
    const __m512i a = _mm512_set1_epi32(int(m)), b = (__m512i)v;
    const __m512i even = _mm512_mul_epu32(a, b), odd = _mm512_mul_epu32(a, _mm512_srli_epi64(b, 32));
    high = (U)_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
    low = (U)_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
#elif defined(__AVX2__) && SL_LANES == 8
    const __m256i a = _mm256_set1_epi32(int(m)), b = (__m256i)v;
    const __m256i even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(a, _mm256_srli_epi64(b, 32));
    high = (U)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    low = (U)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
#else
    for (int i = 0; i < LANES; ++i) {
        const unsigned long long p = (unsigned long long)m * v[i];
        high[i] = (unsigned)(p >> 32);
        low[i] = (unsigned)p;
    }
#endif
}

// Philox-4x32-10: four words for each counter (c0 differs from lane to lane).
SL_FN void philox(U c0, unsigned c1, unsigned c2, unsigned c3, unsigned key0, unsigned key1, U out[4]) {
    const U zero = (U)splat(0);
    U a = c0, b = zero + c1, c = zero + c2, d = zero + c3;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        U high0, low0, high1, low1;
        mul_wide(0xd2511f53u, a, high0, low0);
        mul_wide(0xcd9e8d57u, c, high1, low1);
        a = high1 ^ b ^ key0;
        c = high0 ^ d ^ key1;
        b = low1;
        d = low0;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

// Two independent standard normals from two words. The largest value there can be is 6.76.
SL_FN void box_muller(U w0, U w1, F& first, F& second) {
    // (w0 + 1/2) / 2^32, rounded once: the low half plus 1/2 and the high half times 2^16 are exact.
    const F u = mad(to_float((I)(w0 >> 16)), splat(65536.0f), to_float((I)(w0 & 0xffffu)) + 0.5f) * 2.3283064365386963e-10f;
    const F radius = sqrt(max(log2(u) * (-2.0f * LN2), splat(0.0f)));
    // w1 is a fraction of a turn: the nearest quarter, and an angle of at most an eighth from it.
    const U quarter = (w1 + 0x20000000u) >> 30;
    const F t = to_float((I)(w1 - (quarter << 30))) * 1.4629180792671596e-9f;  // pi / 2 / 2^30
    const F z = t * t;
    F s = mad(mad(splat(-1.9515295891e-4f), z, splat(8.3321608736e-3f)), z, splat(-1.6666654611e-1f));
    s = mad(s * z, t, t);
    F c = mad(mad(splat(2.443315711809948e-5f), z, splat(-1.388731625493765e-3f)), z, splat(4.166664568298827e-2f));
    c = mad(c * z, z, mad(z, splat(-0.5f), splat(1.0f)));
    const I q = (I)quarter;
    const M odd = (q & 1) != 0;
    const F cosine = select(odd, s, c), sine = select(odd, c, s);
    first = radius * from_bits(bits(cosine) ^ (((q + 1) & 2) << 30));
    second = radius * from_bits(bits(sine) ^ ((q & 2) << 30));
}

// White noise of pixels x + lane in the rows 4 quad … 4 quad + 3. The second key word is this use's own.
SL_FN void white4(int x, int quad, int frame, int layer, unsigned seed, F out[4]) {
    U w[4];
    philox((U)(splat(x) + iota()), unsigned(quad), unsigned(frame), unsigned(layer), seed, 0x67726169u, w);
    box_muller(w[0], w[1], out[0], out[1]);
    box_muller(w[2], w[3], out[2], out[3]);
}

// White noise of one layer that shares grain with others: the sum of weights[j] times the noise of film layer j. The
// squares of the weights sum to 1, so the variance stays 1. A weight of 1 beside zeros gives that layer's very bits.
SL_FN void mixed4(const float* weights, int x, int quad, int frame, unsigned seed, F out[4]) {
    for (int i = 0; i < 4; ++i) out[i] = splat(0.0f);  // where no layer has a share
    bool first = true;
    for (int j = 0; j < 3; ++j) {
        if (weights[j] == 0) continue;
        F noise[4];
        white4(x, quad, frame, j, seed, noise);
        for (int i = 0; i < 4; ++i) out[i] = first ? noise[i] * weights[j] : mad(noise[i], splat(weights[j]), out[i]);
        first = false;
    }
}

// The film layer whose noise is all of a plane's, or -1 where layers share. Asked once for many pixels: white4 in the open
// is faster than in mixed4's loop.
SL_FN int sole_layer(const float* weights) {
    int found = -1;
    for (int j = 0; j < 3; ++j)
        if (weights[j] == 1) found = j;
    for (int j = 0; j < 3; ++j)
        if (j != found && weights[j] != 0) return -1;
    return found;
}

// Symmetric filter, in one order wherever it runs: taps[0] for the centre, taps[j] for the pair at distance j.
template <class Load>
SL_FN F symmetric(const float* taps, int half, const Load& load) {
    F sum = load(0) * taps[0];
    for (int j = 1; j <= half; ++j) sum = mad(splat(taps[j]), load(-j) + load(j), sum);
    return sum;
}

}  // namespace sl
