// Planes brought into the domain that they are enlarged in, and their weighted sum, which says where edges run.
#include "degrain/domain.h"
#include "driver.h"

struct upscale_encode_args {
    sl::Grid grid;
    sl::In source;
    sl::Out out, guide;
    int planes, domain;  // at most 3 planes
    float per_toe;
    float weights[3];
};

template <bool EDGE>
SL_FN void upscale_encode(const upscale_encode_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F sum = splat(0.0f);
    for (int c = 0; c < k.planes; ++c) {
        const F given = at.load(k.source, c);
        const F made = k.domain == LOG ? log_encode(given, k.per_toe) : given;
        at.store(k.out, c, made);
        sum = mad(made, splat(k.weights[c]), sum);
    }
    at.store(k.guide, 0, sum);
}
SL_PIXEL_KERNEL(upscale_encode)
