// A file's interleaved samples to planes of floats: halfs with every NaN's payload, whole numbers as code / most.
// One item is a run of `run` pixels of one row.
#include "samples.h"

struct unpack_args {
    sl::Grid grid;
    sl::Raw source;
    sl::Out out;
    int kind;    // sl::Sample
    int planes;  // samples to a pixel
    int run;     // run * planes <= sl::RUN
    int shift;   // unused low bits of a whole number
    float most;  // the code that means 1
};

namespace sl {

SL_FN I unpack_sample(const unpack_args& k, int kind, I v) {
    if (kind == SAMPLE_HALF) return half_to_float(v);
    if (kind == SAMPLE_FLOAT) return v;
    return bits(to_float(v >> k.shift) / splat(k.most));
}

template <int KIND>
SL_FN void unpack_run(const unpack_args& k, const unsigned char* from, long long first, int count, int* to) {
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
        const I v = unpack_sample(k, KIND, load_samples(from, KIND, first + i));
#if SL_LANES == 1
        to[i] = v;
#else
        *reinterpret_cast<B32*>(to + i) = v;
#endif
    }
    for (; i < count; ++i) {
        const I v = unpack_sample(k, KIND, splat(load_sample(from, KIND, first + i)));
        to[i] = lane(v, 0);
    }
}

template <int PLANES>
SL_FN void sort_planes(const Out& out, int planes, const int* from, long long at, int n) {
    const int step = PLANES ? PLANES : planes;
    for (int c = 0; c < step; ++c) {
        int* to = reinterpret_cast<int*>(out.p + c * out.plane + at);
        for (int i = 0; i < n; ++i) to[i] = from[i * step + c];
    }
}

}  // namespace sl

SL_FN void unpack(const unpack_args& k, int item, int y) {
    using namespace sl;
    int samples[RUN];
    const int x = item * k.run, n = imin(k.run, k.out.w - x), count = n * k.planes;
    const unsigned char* from = k.source.p + y * k.source.row;
    const long long first = (long long)x * k.planes;
    if (k.kind == SAMPLE_U8) unpack_run<SAMPLE_U8>(k, from, first, count, samples);
    else if (k.kind == SAMPLE_U16) unpack_run<SAMPLE_U16>(k, from, first, count, samples);
    else if (k.kind == SAMPLE_HALF) unpack_run<SAMPLE_HALF>(k, from, first, count, samples);
    else unpack_run<SAMPLE_FLOAT>(k, from, first, count, samples);
    const long long at = y * k.out.row + x;
    if (k.planes == 1) sort_planes<1>(k.out, 1, samples, at, n);
    else if (k.planes == 3) sort_planes<3>(k.out, 3, samples, at, n);
    else if (k.planes == 4) sort_planes<4>(k.out, 4, samples, at, n);
    else sort_planes<0>(k.out, k.planes, samples, at, n);
}
SL_ITEM_KERNEL(unpack)
