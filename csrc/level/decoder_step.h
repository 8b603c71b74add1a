// What a step of a decoder consists of beside its recurrent layers: linear layers, attention, and the
// softmax over the vocabulary. Every row's sums are formed in one order, whatever rows are beside it
// and however many threads there are.
#pragma once

#include "additive_attention.h"
#include "forward.h"
#include "packed_product.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// ------------------------------------------------------------------ linear layers

constexpr int64_t panel_width = 4 * W;

template <int V>
struct LinearTile {
    const Linear& job;
    int64_t column;

    template <int R>
    UNSPOOL_APART void run(int64_t first, int64_t i) const {
        const float* rows[R];
        Vec sums[R][V];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) rows[r] = job.input.row(first + r);
        const Panel<V> panel{job.panels + column * job.inputs, job.inputs};
        const int64_t size = job.inputs * V * W;
        const float* next = column + V * W < job.outputs ? panel.data + size : job.panels;
        for_each_sum(sums, [&](int, int v, Vec& sum) {
            sum = job.bias ? load_first(job.bias + column + v * W, rest(v)) : Vec{};
        });
        accumulate(sums, rows, panel, Ahead::part(next, size, job.inputs, i), job.inputs);
        for_each_sum(sums, [&](int r, int v, Vec y) {
            if (job.added)
                y = tanh(y + load_first(job.added.row(first + r) + column + v * W, rest(v)));
            store_first(job.output.row(first + r) + column + v * W, y, rest(v));
        });
    }

    UNSPOOL_INLINE int64_t rest(int v) const { return job.outputs - column - v * W; }
};

struct LinearPanels {
    const Linear& job;
    int64_t begin;  // the first column
    int64_t first, rows;

    template <int V>
    UNSPOOL_INLINE void run(int64_t vector) const {
        Linear part = job;
        part.input.data = job.input.row(first);
        part.output.data = job.output.row(first);
        if (job.added) part.added.data = job.added.row(first);
        for_each_tile<tile_rows(V)>(rows, LinearTile<V>{part, begin + vector * W});
    }
};

// Rows from `first` on, and panels [begin, end) of the columns.
inline void linear(const Linear& job, int64_t first, int64_t rows, int64_t begin, int64_t end) {
    const int64_t from = begin * 4 * W, to = end * 4 * W < job.outputs ? end * 4 * W : job.outputs;
    if (from < to) for_each_panel(to - from, rows, LinearPanels{job, from, first, rows});
}
inline void linear(const Linear& job, int64_t rows, int64_t begin, int64_t end) {
    linear(job, 0, rows, begin, end);
}

// ------------------------------------------------------------------ attention

inline int64_t look_scratch(int64_t S) { return vectors(S) * W; }

inline float score(const Look& job, const float* query, const float* key) {
    if (job.attention == Attention::additive)
        return additive_score(query, key, job.energy, job.A);
    Vec sum{};
    for (int64_t a = 0; a < job.A; a += W)
        sum += load_first(query + a, job.A - a) * load_first(key + a, job.A - a);
    return sum_of(sum);
}

// The softmax of the scores of the steps that there are; all zeros where there is none.
inline void weigh(const Look& job, const uint8_t* padding, const float* scores, float* weights) {
    float highest = 0;
    bool any = false;
    for (int64_t s = 0; s < job.S; ++s) {
        if (padding[s]) continue;
        highest = any && scores[s] < highest ? highest : scores[s];
        any = true;
    }
    float total = 0;
    for (int64_t s = 0; s < job.S; s += W) {
        const int64_t rest = job.S - s;
        const Vec e = exp(load_first(scores + s, rest) - highest);
        store_first(weights + s, e, rest);
        for (int64_t j = s; j < job.S && j < s + W; ++j) {
            weights[j] = padding[j] ? 0.0f : weights[j];
            total += weights[j];
        }
    }
    for (int64_t s = 0; any && s < job.S; ++s) weights[s] /= total;
}

inline void look(const Look& job, int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
        const int64_t b = n / job.each;
        const uint8_t* padding = job.padding + b * job.S;
        for (int64_t s = 0; s < job.S; ++s)
            job.scratch[s] =
                padding[s] ? 0.0f
                           : score(job, job.query.row(n), job.keys + (b * job.S + s) * job.A);
        float* const weights = job.weights.row(n);
        weigh(job, padding, job.scratch, weights);
        const float* values = job.values + b * job.S * job.P;
        for (int64_t p = 0; p < job.P; p += W) {
            Vec sum{};
            for (int64_t s = 0; s < job.S; ++s)
                sum += broadcast(weights[s]) * load_first(values + s * job.P + p, job.P - p);
            store_first(job.context.row(n) + p, sum, job.P - p);
        }
    }
}

// ------------------------------------------------------------------ the vocabulary

// A block's weights, and its outputs for some rows, stay in the second-level cache.
constexpr int64_t block_panels = 8;
constexpr int64_t block_width = block_panels * panel_width;
constexpr int64_t block_rows = 48;

inline int64_t softmax_blocks(int64_t outputs) {
    return (product_blocks(outputs) + block_panels - 1) / block_panels;
}

inline void summarise_row(const float* outputs, int64_t count, float& highest, float& sum) {
    Vec most = broadcast(-__FLT_MAX__), total{};  // finite, were all outputs -inf
    int64_t j = 0;
    for (; j + W <= count; j += W) {
        const Vec z = load(outputs + j);
        most = most > z ? most : z;
    }
    highest = highest_of(most);
    for (; j < count; ++j) highest = outputs[j] < highest ? highest : outputs[j];
    for (j = 0; j + W <= count; j += W) total += exp(load(outputs + j) - highest);
    sum = sum_of(total);
    if (j == count) return;
    const Vec rest = exp(load_first(outputs + j, count - j) - highest);
    for (int64_t i = 0; i < count - j; ++i) sum += rest[i];
}

inline void log_softmax_sums(const LogSoftmax& job, int64_t begin, int64_t end) {
    const int64_t outputs = job.linear.outputs, blocks = softmax_blocks(outputs);
    for (int64_t block = begin; block < end; ++block)
        for (int64_t first = 0; first < job.rows; first += block_rows) {
            const int64_t rows = job.rows - first < block_rows ? job.rows - first : block_rows;
            linear(job.linear, first, rows, block * block_panels, (block + 1) * block_panels);
            const int64_t column = block * block_width;
            const int64_t count = outputs - column < block_width ? outputs - column : block_width;
            for (int64_t n = first; n < first + rows; ++n)
                summarise_row(job.linear.output.row(n) + column, count, job.highest[n * blocks + block],
                          job.sums[n * blocks + block]);
        }
}

inline void log_softmax(const LogSoftmax& job, int64_t begin, int64_t end) {
    const int64_t outputs = job.linear.outputs, blocks = softmax_blocks(outputs);
    const int64_t from = begin * block_width;
    const int64_t to = end * block_width < outputs ? end * block_width : outputs;
    for (int64_t n = 0; n < job.rows; ++n) {
        const float *highest = job.highest + n * blocks, *sums = job.sums + n * blocks;
        float most = highest[0], total = 0;
        for (int64_t block = 1; block < blocks; ++block)
            most = highest[block] < most ? most : highest[block];
        for (int64_t block = 0; block < blocks; ++block)
            total += sums[block] * __builtin_expf(highest[block] - most);
        const float logarithm = most + __builtin_logf(total);
        float* const row = job.linear.output.row(n);
        for (int64_t j = from; j < to; j += W)
            store_first(row + j, load_first(row + j, to - j) - logarithm, to - j);
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
