// Lines followed from their best places both ways along the paths that `scratch_passes` scored, the best first, each cut
// to the runs that no better one lies beside.
// An item is all of them: each keeps the next ones away. Scores are sums in double precision.
#include "driver.h"

struct scratch_trace_args {
    sl::Grid grid;       // one item
    sl::In strips;       // evidence: a plane for each strip, a row for each slant, from -most to most
    sl::InOwn down, up;  // scores of paths, with `edge` columns more before the first
    sl::Raw seeds;       // int: strip * columns + column, the best first; `count` of them
    sl::Raw free;        // a byte for each pixel of a strip, a row for each: 1; 0 beside what was found
    sl::Raw path;        // int, two rows of as many as strips: room to work in
    sl::Raw runs;        // int, a row for each run: first strip, strips, then columns, then slants from 0
    sl::Raw found;       // int: how many runs
    int count;
    int edge, apart;     // columns; pixels beside a line
    int limit, idle;     // runs after which no more are sought, and paths in a row that lead to none
    float drift, bend;   // prices of a strip, of a change of slant
    float lean[16];      // of each slant
    float least;         // score of a run
};

namespace sl {

SL_FN float scratch_at(const In& in, int edge, int j, int s, int x) { return in.p[j * in.plane + s * in.row + edge + x]; }

SL_FN int scratch_size(int v) { return v < 0 ? -v : v; }

// Of the slants beside one, that whose path scores most; the least steep, then the first, of equals. -1 where none
// gains. Down the picture all of them lie in one column, up in that which leads here.
SL_FN int scratch_step(const scratch_trace_args& k, const In& in, bool up, int j, int s, int x) {
    const int slants = k.strips.h, most = slants / 2;
    int best = -1;
    double score = 0;
    for (int t = imax(s - 1, 0); t <= imin(s + 1, slants - 1); ++t) {
        const int column = up ? x - (t - most) : x;
        if (column < 0 || column >= k.strips.w) continue;
        const double one = double(scratch_at(in, k.edge, j, t, column)) - double(k.bend) * scratch_size(t - s);
        const bool flatter = best >= 0 && scratch_size(t - most) < scratch_size(best - most);
        if (one > 0 && (one > score || (one == score && flatter))) best = t, score = one;
    }
    return best;
}

}  // namespace sl

SL_FN void scratch_trace(const scratch_trace_args& k, int, int) {
    using namespace sl;
    const int strips = k.strips.planes, slants = k.strips.h, wide = k.strips.w, most = slants / 2;
    const int* seeds = (const int*)k.seeds.p;
    int *columns = (int*)k.path.p, *leans = (int*)(k.path.p + k.path.row);
    int found = 0, idle = 0;
    for (int n = 0; n < k.count && found < k.limit && idle < k.idle; ++n) {
        const int j = seeds[n] / wide, x = seeds[n] % wide;
        if (!k.free.p[j * k.free.row + x]) continue;
        int slant = 0;
        float score = -3.0e38f;
        for (int s = 0; s < slants; ++s) {
            const float own = k.strips.p[j * k.strips.plane + s * k.strips.row + x];
            const float gain = own - k.drift - k.lean[s];
            const float total = scratch_at(k.down, k.edge, j, s, x) + scratch_at(k.up, k.edge, j, s, x) - gain;
            if (total > score) slant = s, score = total;
        }
        columns[j] = x;
        leans[j] = slant;
        int first = j, last = j, at = x;
        for (int s = slant; first > 0; --first) {
            s = scratch_step(k, k.down, true, first - 1, s, at);
            if (s < 0) break;
            at -= s - most;
            columns[first - 1] = at;
            leans[first - 1] = s;
        }
        at = x;
        for (int s = slant; last < strips - 1; ++last) {
            at += s - most;
            if (at < 0 || at >= wide) break;
            s = scratch_step(k, k.up, false, last + 1, s, at);
            if (s < 0) break;
            columns[last + 1] = at;
            leans[last + 1] = s;
        }
        const int before = found;
        for (int a = first; a <= last;) {
            if (!k.free.p[a * k.free.row + columns[a]]) {
                ++a;
                continue;
            }
            int b = a, bends = 0;
            double sum = 0;
            for (; b <= last && k.free.p[b * k.free.row + columns[b]]; ++b) {
                const float own = k.strips.p[b * k.strips.plane + leans[b] * k.strips.row + columns[b]];
                sum += double(own) - double(k.drift) - double(k.lean[leans[b]]);
                if (b > a) bends += scratch_size(leans[b] - leans[b - 1]);
            }
            if (sum - bends * double(k.bend) >= double(k.least)) {
                int* run = (int*)(k.runs.p + found * k.runs.row);
                run[0] = a;
                run[1] = b - a;
                for (int i = a; i < b; ++i) {
                    run[2 + i - a] = columns[i];
                    run[2 + strips + i - a] = leans[i] - most;
                }
                ++found;
            }
            a = b;
        }
        idle = found > before ? 0 : idle + 1;
        for (int i = first; i <= last; ++i)
            for (int c = imax(0, columns[i] - k.apart); c <= imin(wide - 1, columns[i] + k.apart); ++c)
                k.free.p[i * k.free.row + c] = 0;
    }
    *(int*)k.found.p = found;
}
SL_ITEM_KERNEL(scratch_trace)
