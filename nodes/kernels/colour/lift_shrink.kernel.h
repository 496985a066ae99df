// Half the size: means of 2 x 2; at an odd border of the border's pixels, or straight on beyond it.
#include "driver.h"
#include "halves.h"

struct lift_shrink_args {
    sl::Grid grid;
    sl::In image;
    sl::Out out;
    int straight, planes;
};

template <bool EDGE>
SL_FN void lift_shrink(const lift_shrink_args& k, const sl::At<EDGE>& at) {
    for (int c = 0; c < k.planes; ++c)
        at.store(k.out, c, k.straight ? sl::half_mean_straight(k.image, c, at.x, at.y) : sl::half_mean(k.image, c, at.x, at.y));
}
SL_PIXEL_KERNEL(lift_shrink)
