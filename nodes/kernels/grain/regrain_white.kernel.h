// White Gaussian noise of film layers. The item (x, q) holds the rows 4 q … 4 q + 3 of column x: plane 4 c + i is row i.
#include "driver.h"
#include "grain/regrain_noise.h"

struct regrain_white_args {
    sl::Grid grid;
    sl::Out out;
    int layer[3];
    int layers, frame;
    unsigned seed;
};

template <bool EDGE>
SL_FN void regrain_white(const regrain_white_args& k, const sl::At<EDGE>& at) {
    for (int c = 0; c < k.layers; ++c) {
        sl::F noise[4];
        sl::white4(at.x, at.y, k.frame, k.layer[c], k.seed, noise);
        for (int i = 0; i < 4; ++i) at.store(k.out, 4 * c + i, noise[i]);
    }
}
SL_PIXEL_KERNEL(regrain_white)
