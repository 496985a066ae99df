// White Gaussian noise of film layers. The item (x, q) holds the rows 4 q … 4 q + 3 of column x: plane 4 c + i is row i.
#include "driver.h"
#include "grain/regrain_noise.h"

struct regrain_white_args {
    sl::Grid grid;
    sl::Out out;
    float mix[9];  // for each plane, its share of the noise of each of the three film layers
    int layers, frame;
    unsigned seed;
};

template <bool EDGE>
SL_FN void regrain_white(const regrain_white_args& k, const sl::At<EDGE>& at) {
    for (int c = 0; c < k.layers; ++c) {
        sl::F noise[4];
        sl::mixed4(k.mix + 3 * c, at.x, at.y, k.frame, k.seed, noise);
        for (int i = 0; i < 4; ++i) at.store(k.out, 4 * c + i, noise[i]);
    }
}
SL_PIXEL_KERNEL(regrain_white)
