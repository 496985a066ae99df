// A plate as Repair works on it: every colour plane in stops above a toe, 0 where any of them is not finite, and a
// weighted sum of them, NaN there.
#include "degrain/domain.h"
#include "driver.h"

struct repair_encode_args {
    sl::Grid grid;
    sl::In plate;
    sl::Out out, grey;
    int planes;  // at most 4
    float per_toe;
    float weights[4];
};

template <bool EDGE>
SL_FN void repair_encode(const repair_encode_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    M good = is_finite(at.load(k.plate, 0));
    for (int c = 1; c < k.planes; ++c) good = good & is_finite(at.load(k.plate, c));
    F sum = splat(0.0f);
    for (int c = 0; c < k.planes; ++c) {
        const F stops = select(good, log_encode(select(good, at.load(k.plate, c), splat(0.0f)), k.per_toe), splat(0.0f));
        at.store(k.out, c, stops);
        sum = mad(stops, splat(k.weights[c]), sum);
    }
    at.store(k.grey, 0, select(good, sum, from_bits(splat(0x7fc00000))));
}
SL_PIXEL_KERNEL(repair_encode)
