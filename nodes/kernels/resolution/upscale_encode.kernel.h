// Planes brought into the domain that they are enlarged in, and their weighted sum, which says where edges run; or back.
#include "degrain/domain.h"
#include "driver.h"

struct upscale_encode_args {
    sl::Grid grid;
    sl::In source;
    sl::Out out;
    sl::Out guide;  // not written where `back`
    int planes, domain, back;
    float toe, per_toe;
    float weights[3];
};

template <bool EDGE>
SL_FN void upscale_encode(const upscale_encode_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F sum = splat(0.0f);
    for (int c = 0; c < k.planes; ++c) {
        const F given = at.load(k.source, c);
        const F made = k.domain != LOG ? given : k.back ? log_decode(given, k.toe) : log_encode(given, k.per_toe);
        at.store(k.out, c, made);
        if (!k.back && c < 3) sum = mad(made, splat(k.weights[c]), sum);
    }
    if (!k.back) at.store(k.guide, 0, sum);
}
SL_PIXEL_KERNEL(upscale_encode)
