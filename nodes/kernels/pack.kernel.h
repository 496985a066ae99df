// Planes of floats to a file's interleaved samples. Halfs keep every NaN's payload and go to infinity beyond 65520;
// whole numbers are clamped to 0 .. most, rounded to nearest (halves up), and 0 for what is not a number.
// One item is a run of `run` pixels of one row.
#include "samples.h"

struct pack_args {
    sl::Grid grid;
    sl::In source;
    sl::Raw out;
    int kind;    // sl::Sample
    int planes;  // samples to a pixel
    int run;     // run * planes <= sl::RUN
    int shift;   // whole numbers are moved up so far, their high bits repeated below
    float most;  // the code that means 1
};

namespace sl {

SL_FN I pack_sample(const pack_args& k, int kind, I v) {
    if (kind == SAMPLE_HALF) return float_to_half(v);
    if (kind == SAMPLE_FLOAT) return v;
    // max() returns its second operand for a NaN.
    const F held = min(max(from_bits(v), splat(0.0f)), splat(1.0f));
    const I code = to_int(held * k.most + 0.5f);
    return k.shift ? (code << k.shift) | (code >> (16 - 2 * k.shift)) : code;
}

template <int KIND>
SL_FN void pack_run(const pack_args& k, const int* from, unsigned char* to, long long first, int count) {
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
#if SL_LANES == 1
        const I v = from[i];
#else
        const I v = *reinterpret_cast<const B32*>(from + i);
#endif
        store_samples(to, KIND, first + i, pack_sample(k, KIND, v));
    }
    for (; i < count; ++i) store_sample(to, KIND, first + i, lane(pack_sample(k, KIND, splat(from[i])), 0));
}

template <int PLANES>
SL_FN void join_planes(const In& in, int planes, int* to, long long at, int n) {
    const int step = PLANES ? PLANES : planes;
    for (int c = 0; c < step; ++c) {
        const int* from = reinterpret_cast<const int*>(in.p + c * in.plane + at);
        for (int i = 0; i < n; ++i) to[i * step + c] = from[i];
    }
}

}  // namespace sl

SL_FN void pack(const pack_args& k, int item, int y) {
    using namespace sl;
    int samples[RUN];
    const int x = item * k.run, n = imin(k.run, k.source.w - x), count = n * k.planes;
    const long long at = y * k.source.row + x;
    if (k.planes == 1) join_planes<1>(k.source, 1, samples, at, n);
    else if (k.planes == 3) join_planes<3>(k.source, 3, samples, at, n);
    else if (k.planes == 4) join_planes<4>(k.source, 4, samples, at, n);
    else join_planes<0>(k.source, k.planes, samples, at, n);
    unsigned char* to = k.out.p + y * k.out.row;
    const long long first = (long long)x * k.planes;
    if (k.kind == SAMPLE_U8) pack_run<SAMPLE_U8>(k, samples, to, first, count);
    else if (k.kind == SAMPLE_U16) pack_run<SAMPLE_U16>(k, samples, to, first, count);
    else if (k.kind == SAMPLE_HALF) pack_run<SAMPLE_HALF>(k, samples, to, first, count);
    else pack_run<SAMPLE_FLOAT>(k, samples, to, first, count);
}
SL_ITEM_KERNEL(pack)
