// Linear blend of two pictures under a matte: out = a + (b - a) * amount * matte.
// A matte value of exactly 0 keeps a's bits, and exactly 1 under amount 1 gives b's: neither is computed.
// References: Porter and Duff 1984, "over" with an external matte.
#include "driver.h"

struct mix_args {
    sl::Grid grid;
    sl::In a, b, matte;  // matte: one plane
    sl::Out out;
    float amount;
    int use_matte;
    int planes;
};

template <bool EDGE>
SL_FN void mix(const mix_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const F m = k.use_matte ? at.load(k.matte, 0) * k.amount : splat(k.amount);
    for (int c = 0; c < k.planes; ++c) {
        const F a = at.load(k.a, c), b = at.load(k.b, c);
        const F blend = mad(b - a, m, a);
        at.store(k.out, c, select(m == splat(0.0f), a, select(m == splat(1.0f), b, blend)));
    }
}
SL_PIXEL_KERNEL(mix)
