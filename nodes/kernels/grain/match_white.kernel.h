// White Gaussian noise of GrainMatch, its channels correlated. The item (x, q) holds the rows 4 q … 4 q + 3 of column x:
// plane 4 c + i is row i of channel c. Its key is not Regrain's: grain that was laid in before with the same seed is
// independent of it.
#include "driver.h"
#include "grain/regrain_noise.h"

struct match_white_args {
    sl::Grid grid;
    sl::Out out;
    float mix[9];  // for each channel, its share of three independent noises; the squares of a row sum to 1
    int layers, frame;
    unsigned seed;
};

template <bool EDGE>
SL_FN void match_white(const match_white_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F noise[3][4];
    for (int j = 0; j < k.layers; ++j) {
        U w[4];
        philox((U)at.xs(), unsigned(at.y), unsigned(k.frame), unsigned(j), k.seed, 0x6d617463u, w);
        box_muller(w[0], w[1], noise[j][0], noise[j][1]);
        box_muller(w[2], w[3], noise[j][2], noise[j][3]);
    }
    for (int c = 0; c < k.layers; ++c)
        for (int i = 0; i < 4; ++i) {
            F sum = noise[0][i] * k.mix[3 * c];
            for (int j = 1; j < k.layers; ++j) sum = mad(noise[j][i], splat(k.mix[3 * c + j]), sum);
            at.store(k.out, 4 * c + i, sum);
        }
}
SL_PIXEL_KERNEL(match_white)
