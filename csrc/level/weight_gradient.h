// The gradient of weights: sums of outer products over all steps of all sequences.
#pragma once

#include "backward.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// Rows that are summed over before the sums go to memory: their packed parts fit the caches.
constexpr int64_t depth = 128;
// Floats from one vector's packed rows to the next one's: a cache line more than they need, as a row is
// written to all vectors in turn, and places a power of two apart contend for the same part of a cache.
constexpr int64_t packed_gate = depth * W + 16;
// Gate gradients are packed by vectors; a tile takes half of one.
constexpr int half = W < 8 ? W : W / 2 < 8 ? W / 2 : 8;
constexpr int columns_wide = most_sums / half < 4 ? most_sums / half : 4;

inline int64_t weight_gradient_scratch(Cell cell, int64_t, int64_t vectors_of_units) {
    Allocator memory(nullptr);
    memory.floats(depth * columns_wide * W);
    memory.floats(vectors_of_units * slots_of(cell) * packed_gate);
    return memory.used(nullptr);
}

struct OuterProducts {
    const float* gates;   // [count][W], packed
    const float* inputs;  // [count][V][W], packed
    int64_t count;
    float* to;  // (·, K)
    int64_t K;
    int64_t rows;     // valid of the W
    int64_t columns;  // valid of the V · W

    template <int V>
    UNSPOOL_INLINE void run() const {
        for (int first = 0; first < W; first += half) tile<V>(first);
    }

    template <int V>
    UNSPOOL_INLINE void tile(int first) const {
        Vec acc[half][V];
#pragma GCC unroll 8
        for (int r = 0; r < half; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[r][v] = Vec{};
        for (int r = 0; r < half; ++r)
            for (int v = 0; v < V; ++v) __builtin_prefetch(to + (first + r) * K + v * W, 1, 2);
        accumulate_columns(acc, gates + first, W, Panel<V>{inputs, count}, count);
#pragma GCC unroll 8
        for (int r = 0; r < half; ++r) {
            if (first + r >= rows) continue;
            float* row = to + (first + r) * K;
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                store_first(row + v * W, load_first(row + v * W, columns - v * W) + acc[r][v],
                            columns - v * W);
        }
    }
};

// Copies the gates' gradients of the units at hand so that each vector has its rows together.
inline void pack_gates_of(const WeightGradient& job, int64_t first, int64_t count, float* packed) {
    constexpr int64_t soon = 8;  // rows, each a run too short for the processor to look ahead
    const int64_t begin = job.begin * slots_of(job.cell), end = job.end * slots_of(job.cell);
    for (int64_t n = 0; n < count; ++n) {
        const float* row = job.d_gates[first + n];
        const float* next = job.d_gates[first + (n + soon < count ? n + soon : count - 1)];
        float* to = packed + n * W;
        for (int64_t v = begin; v < end; ++v, to += packed_gate) {
            __builtin_prefetch(next + v * W);
            store(to, load(row + v * W));
        }
    }
}

// Copies V vectors of the inputs side by side.
inline void pack_inputs(const float* const* input, int64_t count, int64_t column, int64_t V,
                        int64_t K, float* packed) {
    for (int64_t n = 0; n < count; ++n)
        for (int64_t i = 0; i < V; ++i, packed += W)
            store(packed, load_first(input[n] + column + i * W, K - column - i * W));
}

// The sum of `count` packed vectors: four sums, lest each addition wait for the one before.
UNSPOOL_INLINE Vec sum_of_rows(const float* packed, int64_t count) {
    Vec a{}, b{}, c{}, d{};
    int64_t n = 0;
    for (; n + 4 <= count; n += 4, packed += 4 * W) {
        a += load(packed);
        b += load(packed + W);
        c += load(packed + 2 * W);
        d += load(packed + 3 * W);
    }
    for (; n < count; ++n, packed += W) a += load(packed);
    return (a + b) + (c + d);
}

// The sums of one product over some rows, added to those over the rows before.
struct WeightSums {
    const WeightGradient& job;
    Side side;
    const WeightProduct& product;

    // Calls visit(packed gradients, first row of the weights, valid rows) for each gate and vector
    // of units.
    template <class Visit>
    UNSPOOL_INLINE void for_each_gate(const float* packed, const Visit& visit) const {
        const int slots = slots_of(job.cell), first = first_slot(job.cell, side);
        for (int64_t u = job.begin; u < job.end; ++u) {
            const int64_t rest = job.H - u * W;
            for (int place = 0; place < gates_of(job.cell); ++place)
                visit(packed + ((u - job.begin) * slots + first + place) * packed_gate,
                      gate_in_place(job.cell, side, place) * job.H + u * W, rest < W ? rest : W);
        }
    }

    void clear() const {
        for_each_gate(nullptr, [&](const float*, int64_t row, int64_t rows) {
            if (product.d_weight) zero(product.d_weight + row * product.K, rows * product.K);
            if (product.d_bias) zero(product.d_bias + row, rows);
        });
    }

    void add(int64_t first, int64_t count, const float* gates, float* inputs) const {
        if (product.d_bias)
            for_each_gate(gates, [&](const float* packed, int64_t row, int64_t rows) {
                store_first(product.d_bias + row,
                            load_first(product.d_bias + row, rows) + sum_of_rows(packed, count), rows);
            });
        if (!product.d_weight) return;
        const int64_t K = product.K;
        for (int64_t v = 0, V; v < vectors(K); v += V) {
            const int64_t rest = vectors(K) - v, column = v * W;
            // Rather two times two vectors than three and one, which has too few sums to fill the time
            // that each takes.
            V = rest == columns_wide + 1 ? (rest + 1) / 2 : rest < columns_wide ? rest : columns_wide;
            pack_inputs(product.input + first, count, column, V, K, inputs);
            for_each_gate(gates, [&](const float* packed, int64_t row, int64_t rows) {
                const OuterProducts outer{
                    packed, inputs, count, product.d_weight + row * K + column, K, rows, K - column};
                if (V == 4) outer.run<4>();
                if (V == 3) outer.run<3>();
                if (V == 2) outer.run<2>();
                if (V == 1) outer.run<1>();
            });
        }
    }
};

inline void weight_gradient(const WeightGradient& job) {
    Allocator memory(job.scratch);
    float* const inputs = memory.floats(depth * columns_wide * W);
    float* const gates = memory.floats((job.end - job.begin) * slots_of(job.cell) * packed_gate);
    const WeightSums input{job, Side::input, job.input}, state{job, Side::state, job.state};
    input.clear();
    state.clear();
    for (int64_t first = 0; first < job.count; first += depth) {
        const int64_t count = job.count - first < depth ? job.count - first : depth;
        pack_gates_of(job, first, count, gates);
        input.add(first, count, gates, inputs);
        state.add(first, count, gates, inputs);
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
