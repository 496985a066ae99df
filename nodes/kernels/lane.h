// The lane type: one pixel function, written once, is a CUDA thread's work with F = float and the work of 4, 8 or 16
// neighbouring pixels on a CPU with F = a vector of floats.
//
// Rules that keep every width and every tile bit-identical:
//  * a pixel's value depends on its own lane only: no arithmetic across lanes, except hsum() of whole numbers;
//  * mad(a, b, c) where a fused multiply-add is meant; the compiler contracts nothing by itself;
//  * branches on pixel values are select(); branches on parameters are ordinary ifs.
// x86-64-v3, v4 and the scalar build agree bit for bit; v2 has no fused multiply-add and agrees to rounding.
#pragma once

#if defined(__CUDACC__)
#define SL_CUDA 1
#define SL_FN static __device__ __forceinline__
#define SL_MEMBER __device__ __forceinline__
#define SL_RARE static __device__
#define SL_UNROLL _Pragma("unroll")
#undef SL_LANES
#define SL_LANES 1
#else
#define SL_CUDA 0
#define SL_FN static inline __attribute__((always_inline))
#define SL_MEMBER inline __attribute__((always_inline))
#define SL_UNROLL _Pragma("GCC unroll 8")
#define SL_RARE static inline __attribute__((noinline, cold))  // what borders alone need, kept out of the way
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif
#endif

namespace sl {

static constexpr int LANES = SL_LANES;

#if SL_LANES == 1
typedef float F;
typedef int I;
typedef unsigned U;
typedef bool M;
SL_FN F splat(float v) { return v; }
SL_FN I splat(int v) { return v; }
SL_FN I iota() { return 0; }
SL_FN float lane(F v, int) { return v; }
SL_FN int lane(I v, int) { return v; }
SL_FN F load_lanes(const float* p) { return *p; }
SL_FN void store_lanes(float* p, F v) { *p = v; }
SL_FN I to_int(F v) { return int(v); }  // towards zero
SL_FN F to_float(I v) { return float(v); }
SL_FN M mask_not(M m) { return !m; }
SL_FN bool any(M m) { return m; }
#if SL_CUDA
SL_FN I bits(F v) { return __float_as_int(v); }
SL_FN F from_bits(I v) { return __int_as_float(v); }
SL_FN F mad(F a, F b, F c) { return fmaf(a, b, c); }
SL_FN F sqrt(F v) { return sqrtf(v); }
SL_FN F floor(F v) { return floorf(v); }
#else
SL_FN I bits(F v) { return __builtin_bit_cast(int, v); }
SL_FN F from_bits(I v) { return __builtin_bit_cast(float, v); }
SL_FN F mad(F a, F b, F c) { return __builtin_fmaf(a, b, c); }
SL_FN F sqrt(F v) { return __builtin_sqrtf(v); }
SL_FN F floor(F v) { return __builtin_floorf(v); }
#endif
SL_FN F select(M m, F a, F b) { return m ? a : b; }
SL_FN I select(M m, I a, I b) { return m ? a : b; }

#else  // a vector of SL_LANES floats
typedef float F __attribute__((vector_size(4 * SL_LANES)));
typedef int I __attribute__((vector_size(4 * SL_LANES)));
typedef unsigned U __attribute__((vector_size(4 * SL_LANES)));
typedef I M;  // all ones or all zeros in each lane
typedef float Floose __attribute__((vector_size(4 * SL_LANES), aligned(4), may_alias));
SL_FN F splat(float v) { return v - F{}; }
SL_FN I splat(int v) { return v - I{}; }
SL_FN I iota() {
    I v;
    for (int i = 0; i < LANES; ++i) v[i] = i;
    return v;
}
SL_FN float lane(F v, int i) { return v[i]; }
SL_FN int lane(I v, int i) { return v[i]; }
SL_FN F load_lanes(const float* p) { return *reinterpret_cast<const Floose*>(p); }
SL_FN void store_lanes(float* p, F v) { *reinterpret_cast<Floose*>(p) = v; }
SL_FN I to_int(F v) { return __builtin_convertvector(v, I); }  // towards zero
SL_FN F to_float(I v) { return __builtin_convertvector(v, F); }
SL_FN M mask_not(M m) { return ~m; }
SL_FN bool any(M m) {
#if defined(__AVX512F__) && SL_LANES == 16
    return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;
#elif defined(__AVX2__) && SL_LANES == 8
    return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#endif
    int set = 0;
    for (int i = 0; i < LANES; ++i) set |= m[i];
    return set != 0;
}
SL_FN I bits(F v) { return (I)v; }
SL_FN F from_bits(I v) { return (F)v; }
#if defined(__AVX512F__) && SL_LANES == 16
SL_FN F mad(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
SL_FN F sqrt(F v) { return _mm512_sqrt_ps(v); }
SL_FN F floor(F v) { return _mm512_roundscale_ps(v, 1); }
#elif defined(__FMA__) && SL_LANES == 8
SL_FN F mad(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
SL_FN F sqrt(F v) { return _mm256_sqrt_ps(v); }
SL_FN F floor(F v) { return _mm256_floor_ps(v); }
#else
SL_FN F mad(F a, F b, F c) {
#if defined(__FP_FAST_FMAF)
    F r;
    for (int i = 0; i < LANES; ++i) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return r;
#else
    return a * b + c;
#endif
}
SL_FN F sqrt(F v) {
    F r;
    for (int i = 0; i < LANES; ++i) r[i] = __builtin_sqrtf(v[i]);
    return r;
}
SL_FN F floor(F v) {
    F r;
    for (int i = 0; i < LANES; ++i) r[i] = __builtin_floorf(v[i]);
    return r;
}
#endif
SL_FN F select(M m, F a, F b) { return m ? a : b; }
SL_FN I select(M m, I a, I b) { return m ? a : b; }
#endif

// A second operand that is not a number is returned by neither: min(NaN, b) = b.
#if SL_LANES == 16 && defined(__AVX512F__)
SL_FN F min(F a, F b) { return _mm512_min_ps(a, b); }
SL_FN F max(F a, F b) { return _mm512_max_ps(a, b); }
#elif SL_LANES == 8 && defined(__AVX__)
SL_FN F min(F a, F b) { return _mm256_min_ps(a, b); }
SL_FN F max(F a, F b) { return _mm256_max_ps(a, b); }
#else
SL_FN F min(F a, F b) { return select(a < b, a, b); }
SL_FN F max(F a, F b) { return select(a > b, a, b); }
#endif
SL_FN F clamp(F v, F low, F high) { return min(max(v, low), high); }
SL_FN F abs(F v) { return from_bits(bits(v) & 0x7fffffff); }
SL_FN M is_finite(F v) { return (bits(v) & 0x7f800000) != 0x7f800000; }

SL_FN int imin(int a, int b) { return a < b ? a : b; }
SL_FN int imax(int a, int b) { return a > b ? a : b; }
SL_FN int iclamp(int v, int low, int high) { return imin(imax(v, low), high); }

// 2 * LANES consecutive floats as those at even places and those at odd ones, and back.
SL_FN void split_pairs(F a, F b, F& even, F& odd) {
#if SL_LANES == 1
    even = a;
    odd = b;
#elif defined(__clang__)
    for (int i = 0; i < LANES; ++i) {
        even[i] = 2 * i < LANES ? a[2 * i % LANES] : b[2 * i % LANES];
        odd[i] = 2 * i < LANES ? a[2 * i % LANES + 1] : b[2 * i % LANES + 1];
    }
#else
    even = __builtin_shuffle(a, b, iota() * 2);
    odd = __builtin_shuffle(a, b, iota() * 2 + 1);
#endif
}

SL_FN void load_pairs(const float* p, F& even, F& odd) { split_pairs(load_lanes(p), load_lanes(p + LANES), even, odd); }

SL_FN void join_pairs(F even, F odd, F& first, F& second) {
#if SL_LANES == 1
    first = even;
    second = odd;
#elif defined(__clang__)
    for (int i = 0; i < LANES; ++i) {
        first[i] = i % 2 ? odd[i / 2] : even[i / 2];
        second[i] = i % 2 ? odd[(LANES + i) / 2] : even[(LANES + i) / 2];
    }
#else
    const I from = (iota() >> 1) + (iota() & 1) * LANES;
    first = __builtin_shuffle(even, odd, from);
    second = __builtin_shuffle(even, odd, from + LANES / 2);
#endif
}

// Sum over lanes. Exact, hence the same for every width, only while all partial sums are whole numbers under 2^24.
SL_FN float hsum(F v) {
#if SL_LANES == 16 && defined(__AVX512F__)
    return _mm512_reduce_add_ps(v);
#endif
    float sum = 0;
    for (int i = 0; i < LANES; ++i) sum += lane(v, i);
    return sum;
}

// ---- What a kernel is given -------------------------------------------------------------------------------------
// Pixel (x0, y0) of plane c lies at p + c * plane; strides count floats; consecutive x are consecutive floats.

struct Grid {
    int x0, y0, x1, y1;  // pixels (or items) to make
    int lo, hi;          // columns lo <= x < hi may be loaded, shifted by the kernel's reach, without a clamp
    int threads;
    int reserved;
};

struct In {
    const float* p;
    long long plane, row;
    int x0, y0, w, h, planes, reserved;
};

typedef In InOwn;  // planes in coordinates of their own, such as halves: the kernel minds their borders itself

struct Out {
    float* p;
    long long plane, row;
    int x0, y0, w, h, planes, reserved;
};

struct Table {  // samples of a function at low + i / scale, i = 0 .. n - 1; `planes` of them, n apart
    const float* p;
    int n, planes;
    float low, scale;
};

struct Raw {  // samples of a file's own type, interleaved; row y begins at p + y * row (bytes)
    unsigned char* p;
    long long row;
};

// Where a pixel function stands: `n` pixels from (x, y) on. EDGE says that loads must be clamped to the picture.
template <bool EDGE>
struct At {
    int x, y, n;

    SL_MEMBER I xs() const { return splat(x) + iota(); }

    // The pixel (dx, dy) away; beyond the picture its border pixel.
    SL_MEMBER F load(const In& in, int c, int dx = 0, int dy = 0) const {
        const float* row = in.p + c * in.plane + iclamp(y + dy - in.y0, 0, in.h - 1) * in.row;
        const int first = x + dx - in.x0;
        if (!EDGE) return load_lanes(row + first);
#if SL_LANES == 1
        return row[iclamp(first, 0, in.w - 1)];
#else
        F v;
        for (int i = 0; i < LANES; ++i) v[i] = row[iclamp(first + i, 0, in.w - 1)];
        return v;
#endif
    }

    SL_MEMBER void store(const Out& out, int c, F v) const {
        float* p = out.p + c * out.plane + (long long)(y - out.y0) * out.row + (x - out.x0);
#if SL_LANES == 1
        *p = v;
#else
        if (n == LANES) {
            store_lanes(p, v);
        } else {
            for (int i = 0; i < n; ++i) p[i] = v[i];
        }
#endif
    }
};

// Pixels at coordinates of their own, each lane's clamped to the picture.
SL_FN F gather(const In& in, int c, I x, I y) {
    const float* p = in.p + c * in.plane;
#if SL_LANES == 1
    return p[iclamp(y - in.y0, 0, in.h - 1) * in.row + iclamp(x - in.x0, 0, in.w - 1)];
#else
    F v;
    for (int i = 0; i < LANES; ++i)
        v[i] = p[iclamp(y[i] - in.y0, 0, in.h - 1) * in.row + iclamp(x[i] - in.x0, 0, in.w - 1)];
    return v;
#endif
}

#if SL_LANES > 1
// p[i], each lane's.
SL_FN F at_each(const float* p, I i) {
#if defined(__AVX512F__) && SL_LANES == 16
    return _mm512_i32gather_ps((__m512i)i, p, 4);
#elif defined(__AVX2__) && SL_LANES == 8
    return _mm256_i32gather_ps(p, (__m256i)i, 4);
#else
    F v;
    for (int j = 0; j < LANES; ++j) v[j] = p[i[j]];
    return v;
#endif
}
#endif

// Entry i of a table's plane c, each lane's. 32 entries lie in two registers of AVX-512.
SL_FN F entry(const Table& t, int c, I i) {
    const float* p = t.p + c * t.n;
#if SL_LANES == 1
    return p[i];
#else
#if defined(__AVX512F__) && SL_LANES == 16
    if (__builtin_expect(t.n == 32, 1)) return _mm512_permutex2var_ps(load_lanes(p), (__m512i)i, load_lanes(p + 16));
#endif
    return at_each(p, i);
#endif
}

// Linear interpolation in a table; beyond its ends the end value.
SL_FN F lookup(const Table& t, int c, F v) {
    const F at = clamp((v - t.low) * t.scale, splat(0.0f), splat(float(t.n - 1)));
    const I i = to_int(min(at, splat(float(t.n - 2))));
    const F f = at - to_float(i);
    const float* p = t.p + c * t.n;
#if SL_LANES == 1
    return mad(f, p[i + 1] - p[i], p[i]);
#else
    const F a = at_each(p, i), b = at_each(p + 1, i);
    return mad(f, b - a, a);
#endif
}

}  // namespace sl
