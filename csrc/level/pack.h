// Weights in the order in which the products read them.
#pragma once

#include "../kernels.h"
#include "product.h"
#if defined(UNSPOOL_BF16)
#include "half_product.h"
#endif

namespace unspool {
namespace UNSPOOL_LEVEL {

// Where a vector of columns stands among packed ones.
struct Column {
    int64_t offset;  // of its first row
    int64_t stride;  // from row to row
};

// In a panel of `width` vectors and `rows` rows.
inline Column column_in_panel(int64_t vector, int64_t width, int64_t rows) {
    const int64_t strip = strip_width(int(width)), first = vector / strip * strip;
    return {(first * rows + vector - first) * W, strip * W};
}

// In panels of four vectors, of which the last may be narrower.
inline Column column_of(int64_t vector, int64_t all, int64_t rows) {
    const int64_t panel = vector / 4 * 4;
    const int64_t width = all - panel < 4 ? all - panel : 4;
    const Column column = column_in_panel(vector - panel, width, rows);
    return {panel * rows * W + column.offset, column.stride};
}

// Transposes W rows of `length` numbers, `stride` apart: to[k · to_stride + j] = from[j · stride + k].
// Rows from `valid` on are zeros.
inline void transpose(const float* from, int64_t stride, int64_t valid, int64_t length, float* to,
                      int64_t to_stride) {
    for (int64_t k = 0; k < length; k += W) {
        Vec columns[W];
        load_columns(from + k, stride, valid, length - k, columns);
        for (int64_t i = 0; i < W && k + i < length; ++i) store(to + (k + i) * to_stride, columns[i]);
    }
}

// ------------------------------------------------------------------ for the gates

// The biases of a vector of units, one for each sum.
inline void pack_biases(Cell cell, const Weights& weights, int64_t H, int64_t u, float* bias) {
    for (int g = 0; g < gates_of(cell); ++g) {
        // A GRU's candidate resets the state's product, so its two biases stay apart.
        const bool apart = cell == Cell::gru && g == 2;
        for (int64_t j = 0; j < W; ++j) {
            const bool valid = u * W + j < H;
            const int64_t unit = g * H + u * W + j;
            const float b_ih = valid && weights.bias_ih ? weights.bias_ih[unit] : 0;
            const float b_hh = valid && weights.bias_hh ? weights.bias_hh[unit] : 0;
            bias[g * W + j] = apart ? b_ih : b_ih + b_hh;
            if (apart) bias[(g + 1) * W + j] = b_hh;
        }
    }
}

#if defined(UNSPOOL_BF16)

// For each vector of hidden units its gates, each a block of 16 columns with the weights of the
// input, padded, before those of the state.
inline int64_t gate_block(int64_t K, int64_t H) { return (depth32(K) + depth32(H)) * 16 * parts; }

inline int64_t gate_panels(Cell cell, int64_t K, int64_t H) {
    return gates_of(cell) * vectors(H) * gate_block(K, H) / 2;
}

inline void pack_gates(Cell cell, const Weights& weights, int64_t K, int64_t H, int64_t begin,
                       int64_t end, float* panels, float* bias) {
    Bfloat16* to = reinterpret_cast<Bfloat16*>(panels) + begin * gates_of(cell) * gate_block(K, H);
    for (int64_t u = begin; u < end; ++u) {
        for (int g = 0; g < gates_of(cell); ++g, to += gate_block(K, H)) {
            const int64_t unit = g * H + u * W;
            pack_columns(weights.weight_ih + unit * K, K, H - u * W, K, to);
            pack_columns(weights.weight_hh + unit * H, H, H - u * W, H, to + depth32(K) * 16 * parts);
        }
        pack_biases(cell, weights, H, u, bias + u * slots_of(cell) * W);
    }
}

#else

// One panel for each vector of hidden units, of K + H rows and as many vectors as gates; an RNN's, with
// one gate, are four vectors wide.
inline int64_t gate_panels(Cell cell, int64_t K, int64_t H) {
    return gates_of(cell) * vectors(H) * W * (K + H);
}

inline void pack_gates(Cell cell, const Weights& weights, int64_t K, int64_t H, int64_t begin,
                       int64_t end, float* panels, float* bias) {
    const int gates = gates_of(cell);
    for (int64_t u = begin; u < end; ++u) {
        const int64_t valid = H - u * W < W ? H - u * W : W;
        for (int g = 0; g < gates; ++g) {
            const int64_t rows = K + H;
            const Column column = gates == 1 ? column_of(u, vectors(H), rows)
                                             : column_in_panel(g, gates, rows);
            float* to = panels + (gates == 1 ? 0 : u * gates * rows * W) + column.offset;
            const int64_t unit = g * H + u * W;
            transpose(weights.weight_ih + unit * K, K, valid, K, to, column.stride);
            transpose(weights.weight_hh + unit * H, H, valid, H, to + K * column.stride,
                      column.stride);
        }
        pack_biases(cell, weights, H, u, bias + u * slots_of(cell) * W);
    }
}

#endif

// ------------------------------------------------------------------ for gradients of the gates

// The gate of torch.nn's order whose gradient stands in a product's i-th place.
inline int gate_in_place(Cell cell, Side side, int i) {
    if (cell != Cell::gru || side == Side::state) return i;  // r, z, n
    return (i + 2) % 3;                                      // n, r, z
}

// Where a product's places begin among the slots of the gates' gradients n, r, z, W_hn h.
constexpr int first_slot(Cell cell, Side side) {
    return cell == Cell::gru && side == Side::state ? 1 : 0;
}

#if defined(UNSPOOL_BF16)

// Blocks of 16 columns; a row is the weights in the place where its gate's gradient stands.
inline int64_t gradient_depth(Cell cell, int64_t H) {
    return depth32(gates_of(cell) * vectors(H) * W);
}

inline int64_t gradient_panels(Cell cell, int64_t columns, int64_t H) {
    return vectors(columns) * gradient_depth(cell, H) * 16 * parts / 2;
}

inline void pack_gradient(Cell cell, Side side, const float* weight, int64_t columns, int64_t H,
                          int64_t begin, int64_t end, float* panels) {
    const int gates = gates_of(cell);
    const int64_t depth = gradient_depth(cell, H);
    const bool last = end == vectors(H);
    for (int64_t v = 0; v < vectors(columns); ++v) {
        Bfloat16* const block = reinterpret_cast<Bfloat16*>(panels) + v * depth * 16 * parts;
        auto row = [&](int64_t u, int gate, int64_t j) {
            const float* from = weight + (gate * H + u * W + j) * columns + v * W;
            return u * W + j < H ? load_first(from, columns - v * W) : Vec{};
        };
        for (int64_t u = begin; u < end; ++u)
            for (int i = 0; i < gates; ++i) {
                const int gate = gate_in_place(cell, side, i);
                for (int64_t j = 0; j < W; j += 2)
                    store_pairs(block, (u * gates + i) * W + j,
                                {row(u, gate, j), row(u, gate, j + 1)});
            }
        if (!last) continue;
        for (int64_t k = end * gates * W; k < depth; k += 2)
            store_pairs(block, k, {Vec{}, Vec{}});
    }
}

#else

// Panels of four vectors of columns, each row of weights in the place where its gate's gradient
// stands: [vectors(H)][gates][W] rows.
inline int64_t gradient_panels(Cell cell, int64_t columns, int64_t H) {
    return vectors(columns) * W * gates_of(cell) * vectors(H) * W;
}

inline void pack_gradient(Cell cell, Side side, const float* weight, int64_t columns, int64_t H,
                          int64_t begin, int64_t end, float* panels) {
    const int gates = gates_of(cell);
    const int64_t all = vectors(columns), rows = gates * vectors(H) * W;
    for (int64_t u = begin; u < end; ++u)
        for (int i = 0; i < gates; ++i)
            for (int64_t j = 0; j < W; ++j) {
                const int64_t row = (u * gates + i) * W + j, unit = u * W + j;
                const float* from =
                    weight + (gate_in_place(cell, side, i) * H + unit) * columns;
                for (int64_t v = 0; v < all; ++v) {
                    const Column column = column_of(v, all, rows);
                    store(panels + column.offset + row * column.stride,
                          unit < H ? load_first(from + v * W, columns - v * W) : Vec{});
                }
            }
}

#endif

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
