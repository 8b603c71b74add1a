// The gradient of weights by products of bfloat16 numbers; what weight_gradient.h does without them.
#pragma once

#include "backward.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// Rows that are summed over before the sums go to memory.
constexpr int64_t depth = parts > 1 ? 256 : 512;

struct WeightScratch {
    Bfloat16* gates;   // [vector][16][depth / 32][parts][32]: each gradient's rows together
    Bfloat16* inputs;  // [block of 16 columns][depth / 32][parts][16 pairs][16][2]
    float* sums;       // [64][columns]
    float* biases;     // [vector][16]

    WeightScratch(Allocator& memory, Cell cell, int64_t K, int64_t vectors_of_units) {
        const int64_t slots = vectors_of_units * slots_of(cell);
        gates = memory.array<Bfloat16>(slots * 16 * depth * parts);
        inputs = memory.array<Bfloat16>(vectors(K) * 16 * depth * parts);
        sums = memory.floats(64 * vectors(K) * 16);
        biases = memory.floats(slots * 16);
    }
};

inline int64_t weight_gradient_scratch(Cell cell, int64_t K, int64_t vectors_of_units) {
    Allocator memory(nullptr);
    WeightScratch(memory, cell, K, vectors_of_units);
    return memory.used(nullptr);
}

// Rows [first, first + count) of the gradients of the units at hand, transposed; rows that are
// missing from a multiple of 32 are zeros. Their sums go to `biases`.
inline void pack_gates_of(const WeightGradient& job, int64_t first, int64_t count,
                          const WeightScratch& to) {
    const int64_t begin = job.begin * slots_of(job.cell), end = job.end * slots_of(job.cell);
    zero(to.biases, (end - begin) * 16);
    for (int64_t n = 0; n < count; n += 32)
        for (int64_t v = begin; v < end; ++v) {
            __m512i m[parts][16];
            Vec sum = load(to.biases + (v - begin) * 16);
            for (int64_t i = 0; i < 16; ++i) {
                const int64_t row = n + 2 * i;
                const Vec even = row < count ? load(job.d_gates[first + row] + v * W) : Vec{};
                const Vec odd = row + 1 < count ? load(job.d_gates[first + row + 1] + v * W) : Vec{};
                sum += even + odd;
                const Pairs pairs(even, odd);
                for (int p = 0; p < parts; ++p) m[p][i] = pairs.part[p];
            }
            store(to.biases + (v - begin) * 16, sum);
            for (int p = 0; p < parts; ++p) {
                transpose16(m[p]);
                for (int64_t g = 0; g < 16; ++g)
                    _mm512_storeu_si512(
                        to.gates + (((v - begin) * 16 + g) * depth + n) * parts + p * 32, m[p][g]);
            }
        }
}

inline void pack_inputs(const float* const* input, int64_t count, int64_t K, Bfloat16* packed) {
    const Vec none{};
    for (int64_t n = 0; n < depth32(count); n += 2)
        for (int64_t v = 0; v < vectors(K); ++v) {
            auto row = [&](int64_t i) {
                return i < count ? load_first(input[i] + v * W, K - v * W) : none;
            };
            store_pairs(packed + v * 16 * depth * parts, n, {row(n), row(n + 1)});
        }
}

// Adds the sums of one product over some rows to its gradients.
inline void add_sums(const WeightGradient& job, Side side, const WeightProduct& product,
                     int64_t first, int64_t count, const WeightScratch& scratch) {
    const int slots = slots_of(job.cell), first_place = first_slot(job.cell, side);
    const int64_t K = product.K, width = vectors(K) * 16;
    if (product.d_weight) pack_inputs(product.input + first, count, K, scratch.inputs);
    for (int64_t u = job.begin; u < job.end; ++u) {
        const int64_t first_slot = (u - job.begin) * slots + first_place;
        if (product.d_weight)
            multiply({scratch.gates + first_slot * 16 * depth * parts, depth * parts,
                      gates_of(job.cell) * 16, depth32(count), scratch.inputs, 16 * depth * parts,
                      scratch.sums, width},
                     vectors(K));
        for (int place = 0; place < gates_of(job.cell); ++place) {
            const int64_t row = gate_in_place(job.cell, side, place) * job.H + u * W;
            const int64_t rest = job.H - u * W, rows = rest < W ? rest : W;
            if (product.d_bias)
                store_first(product.d_bias + row,
                            load_first(product.d_bias + row, rows) +
                                load(scratch.biases + (first_slot + place) * 16),
                            rows);
            if (!product.d_weight) continue;
            const float* const sums = scratch.sums + place * 16 * width;
            for (int64_t r = 0; r < rows; ++r)
                for (int64_t k = 0; k < K; k += W) {
                    float* to = product.d_weight + (row + r) * K + k;
                    store_first(to, load_first(to, K - k) + load(sums + r * width + k), K - k);
                }
        }
    }
}

inline void clear(const WeightGradient& job, const WeightProduct& product) {
    for (int gate = 0; gate < gates_of(job.cell); ++gate)
        for (int64_t u = job.begin; u < job.end; ++u) {
            const int64_t row = gate * job.H + u * W, rest = job.H - u * W;
            const int64_t rows = rest < W ? rest : W;
            if (product.d_weight) zero(product.d_weight + row * product.K, rows * product.K);
            if (product.d_bias) zero(product.d_bias + row, rows);
        }
}

inline void weight_gradient(const WeightGradient& job) {
    Allocator memory(job.scratch);
    const int64_t widest = job.input.K > job.state.K ? job.input.K : job.state.K;
    const WeightScratch scratch(memory, job.cell, widest, job.end - job.begin);
    const Tiles tiles;
    clear(job, job.input);
    clear(job, job.state);
    for (int64_t first = 0; first < job.count; first += depth) {
        const int64_t count = job.count - first < depth ? job.count - first : depth;
        pack_gates_of(job, first, count, scratch);
        add_sums(job, Side::input, job.input, first, count, scratch);
        add_sums(job, Side::state, job.state, first, count, scratch);
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
