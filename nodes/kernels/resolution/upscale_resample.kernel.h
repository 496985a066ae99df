// A picture at another ratio, along one axis: a windowed kernel, widened where the picture gets smaller, with the exact
// place of every output pixel; held to the range of the input pixels within one of it, so that nothing rings.
// Reference: Duchon 1979 (Lanczos windows).
#include "driver.h"

struct upscale_resample_args {
    sl::Grid grid;
    sl::In source;
    sl::In place;        // along the axis, one row: the input pixel nearest to an output pixel's middle, and how far that lies beyond its middle
    sl::Out out;
    sl::Table window;    // the kernel over distance, from 0 on
    int planes, down;    // down: along y
    int taps;           // input pixels to each side
    float narrow;        // output pixels for each input pixel, at most 1
};

template <bool EDGE>
SL_FN void upscale_resample(const upscale_resample_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const I column = at.xs(), row = splat(at.y), along = k.down ? row : column;
    const I nearest = to_int(gather(k.place, 0, along, splat(0)));
    const F off = gather(k.place, 1, along, splat(0));
    F total = splat(0.0f);
    for (int i = -k.taps; i <= k.taps; ++i) total = total + lookup(k.window, 0, sl::abs(off - float(i)) * k.narrow);
    for (int c = 0; c < k.planes; ++c) {
        F sum = splat(0.0f), low = splat(3e38f), high = splat(-3e38f);
        for (int i = -k.taps; i <= k.taps; ++i) {
            const F v = k.down ? gather(k.source, c, column, nearest + i) : gather(k.source, c, nearest + i, row);
            sum = mad(v, lookup(k.window, 0, sl::abs(off - float(i)) * k.narrow), sum);
            const M close = sl::abs(off - float(i)) * k.narrow < 1.0f;
            low = select(close, sl::min(v, low), low);
            high = select(close, sl::max(v, high), high);
        }
        at.store(k.out, c, clamp(sum / total, low, high));
    }
}
SL_PIXEL_KERNEL(upscale_resample)
