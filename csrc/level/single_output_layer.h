// Logits of a linear layer, and the gradients of their cross-entropy, in single precision.
#pragma once

#include "output_layer.h"
#include "pack.h"
#include "scratch.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// Positions that are summed over before the sums of a weight's gradient go to memory: what is read of
// `rows` for them stays in the first cache.
constexpr int64_t position_run = W == 16 ? 128 : 256;

inline int64_t hidden_panels(int64_t stride, int64_t H) { return stride * vectors(H) * W; }
inline int64_t exponentials(int64_t V, int64_t stride) { return V * stride; }

// `columns` are panels of positions, of H rows; `rows` are panels of hidden units, of `stride` rows.
inline void pack_hidden(const Positions& p, int64_t begin, int64_t end) {
    const int64_t H = p.H, units = vectors(H);
    for (int64_t n = begin * position_group; n < end * position_group; n += W) {
        const Column column = column_of(n / W, p.stride / W, H);
        transpose(p.hidden + n * H, H, p.N - n, H, p.columns + column.offset, column.stride);
        for (int64_t j = n; j < n + W; ++j)
            for (int64_t v = 0; v < units; ++v) {
                const Column row = column_of(v, units, p.stride);
                store(p.rows + row.offset + j * row.stride,
                      j < p.N ? load_first(p.hidden + j * H + v * W, H - v * W) : Vec{});
            }
    }
}

// ------------------------------------------------------------------ logits

template <int V>
struct LogitTile {
    const Positions& p;
    const float* weight;  // of the first class
    Panel<V> panel;
    float* logits;  // of the first class and the panel's first position
    int64_t stride;

    template <int R>
    UNSPOOL_APART void run(int64_t first, int64_t) const {
        const float* rows[R];
        Vec sums[R][V]{};
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) rows[r] = weight + (first + r) * p.H;
        accumulate(sums, rows, panel, NothingAhead{}, p.H);
        for_each_sum(sums, [&](int r, int v, Vec sum) {
            store(logits + (first + r) * stride + v * W, sum);
        });
    }
};

// The logits of a block of classes, one panel of positions after the other.
struct LogitBlock {
    const Positions& p;
    int64_t block;
    float* scratch;

    template <int V>
    UNSPOOL_INLINE void run(int64_t vector) const {
        const int64_t first = block * class_block, position = vector * W;
        const int64_t count = p.V - first < class_block ? p.V - first : class_block;
        const bool keeps = p.exponentials != nullptr;
        float* const logits = keeps ? p.exponentials + first * p.stride + position : scratch;
        const int64_t stride = keeps ? p.stride : V * W;
        const Panel<V> panel{p.columns + position * p.H, p.H};
        for_each_tile<tile_rows(V)>(
            count, LogitTile<V>{p, p.weight + first * p.H, panel, logits, stride});
        for (int64_t v = 0; v < V; ++v) {
            float* const column = logits + v * W;
            summarise(p, block, first, count, column, stride, position + v * W,
                      [&](int64_t c, Vec e) {
                          if (keeps) store(column + c * stride, e);
                      });
        }
    }
};

inline void logits(const Positions& p, int64_t begin, int64_t end, float* scratch) {
    for (int64_t block = begin; block < end; ++block)
        for_each_panel(p.stride, class_block, LogitBlock{p, block, scratch});
}

// ------------------------------------------------------------------ gradients

// The gradient of the logits of a block: probabilities, less what the target had. Adds its sums over
// positions to d_bias.
inline void form_logit_gradient(const Positions& p, int64_t block, int64_t count, float* gradient,
                                float* d_bias) {
    const int64_t first = block * class_block;
    const float* const scale = p.sums + block * p.stride;
    const float share = share_of_all(p);
    for (int64_t c = 0; c < count; ++c) {
        const float* const exponentials = p.exponentials + (first + c) * p.stride;
        float* const row = gradient + c * p.stride;
        Vec sum{};
        for (int64_t n = 0; n < p.stride; n += W) {
            const Vec g = load(exponentials + n) * load(scale + n) - share;
            store(row + n, g);
            if (n + W <= p.N) sum += g;
        }
        if (!d_bias) continue;
        float total = sum_of(sum);
        for (int64_t n = p.N / W * W; n < p.N; ++n) total += row[n];
        d_bias[first + c] += total;
    }
    for (int64_t n = 0; n < p.N; ++n) {
        const int64_t target = p.targets[n] - first;
        if (target < 0 || target >= count) continue;
        gradient[target * p.stride + n] -= share_of_target(p);
        if (d_bias) d_bias[first + target] -= share_of_target(p);
    }
}

// d_weight += gradient · hidden for R classes and V vectors of hidden units.
template <int V>
struct WeightTile {
    const Positions& p;
    const float* gradient;  // of the first class and position
    Panel<V> panel;         // from that position on
    int64_t count;          // positions
    float* d_weight;        // of the first class and the panel's first unit
    int64_t units;          // valid of the panel's and those after
    bool add;

    template <int R>
    UNSPOOL_APART void run(int64_t first, int64_t) const {
        const float* rows[R];
        Vec sums[R][V]{};
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) rows[r] = gradient + (first + r) * p.stride;
        if (add)
            for_each_sum(sums, [&](int r, int v, Vec& sum) {
                sum = load_first(at(first + r, v), units - v * W);
            });
        accumulate(sums, rows, panel, NothingAhead{}, count);
        for_each_sum(sums, [&](int r, int v, Vec sum) {
            store_first(at(first + r, v), sum, units - v * W);
        });
    }
    UNSPOOL_INLINE float* at(int64_t row, int v) const { return d_weight + row * p.H + v * W; }
};

struct WeightPanel {
    const Positions& p;
    const float* gradient;
    int64_t count;   // classes
    float* d_weight; // of the first
    bool add;

    template <int V>
    UNSPOOL_INLINE void run(int64_t vector) const {
        const Panel<V> panel{p.rows + vector * p.stride * W, p.stride};
        for (int64_t n = 0; n < p.N; n += position_run) {
            const int64_t run = p.N - n < position_run ? p.N - n : position_run;
            for_each_tile<tile_rows(V)>(
                count, WeightTile<V>{p, gradient + n, panel.from(n), run, d_weight + vector * W,
                                     p.H - vector * W, add || n > 0});
        }
    }
};

// d_hidden += gradientᵀ · weight for R positions and V vectors of hidden units.
template <int V>
struct HiddenTile {
    const Positions& p;
    const float* gradient;  // of the first class
    Panel<V> panel;
    int64_t count;          // classes
    float* d_hidden;        // of the panel's first unit
    int64_t width;
    bool add;

    template <int R>
    UNSPOOL_APART void run(int64_t first, int64_t) const {
        Vec sums[R][V]{};
        if (add)
            for_each_sum(sums, [&](int r, int v, Vec& sum) { sum = load(at(first + r, v)); });
        accumulate_columns(sums, gradient + first, p.stride, panel, count);
        for_each_sum(sums, [&](int r, int v, Vec sum) { store(at(first + r, v), sum); });
    }
    UNSPOOL_INLINE float* at(int64_t row, int v) const { return d_hidden + row * width + v * W; }
};

struct HiddenPanel {
    const Positions& p;
    const float* gradient;
    const float* weight;  // of the first class
    int64_t count;        // classes
    float* scratch;       // for a panel of `count` rows
    float* d_hidden;
    bool add;

    template <int V>
    UNSPOOL_INLINE void run(int64_t vector) const {
        const int64_t unit = vector * W, width = vectors(p.H) * W;
        for (int64_t v = 0; v < V; ++v) {
            const Column column = column_in_panel(v, V, count);
            for (int64_t c = 0; c < count; ++c)
                store(scratch + column.offset + c * column.stride,
                      load_first(weight + c * p.H + unit + v * W, p.H - unit - v * W));
        }
        for_each_tile<tile_rows(V)>(
            p.N, HiddenTile<V>{p, gradient, {scratch, count}, count, d_hidden + unit, width, add});
    }
};

// The gradient of a block's logits, and a panel of its weights.
inline int64_t output_scratch(int64_t stride, int64_t) {
    return class_block * stride + class_block * 4 * W;
}

inline void output_gradients(const Positions& p, const ClassGradients& job, float* scratch) {
    float* const gradient = scratch;
    float* const panel = scratch + class_block * p.stride;
    for (int64_t block = job.begin; block < job.end; ++block) {
        const int64_t first = block * class_block;
        const int64_t count = p.V - first < class_block ? p.V - first : class_block;
        if (job.d_bias && !job.add) zero(job.d_bias + first, count);
        form_logit_gradient(p, block, count, gradient, job.d_bias);
        if (job.d_weight)
            for_each_panel(p.H, count,
                           WeightPanel{p, gradient, count, job.d_weight + first * p.H, job.add});
        if (job.d_hidden)
            for_each_panel(p.H, p.N,
                           HiddenPanel{p, gradient, p.weight + first * p.H, count, panel, job.d_hidden,
                                       block > job.begin});
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
