// What a cell does with the products: from sums to gates and a new state, and back from gradients
// of the state to gradients of the gates. Equations and names as in unspool/nn/reference.py; a
// gradient of a sum before its function is written d_i, d_f, …
#pragma once

#include "../kernels.h"
#include "vector.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// ------------------------------------------------------------------ LSTM

struct Lstm {
    static constexpr Cell cell = Cell::lstm;
    static constexpr int gates = 4;

    struct State {
        Vec h, c;
    };

    // sums: i, f, g, o, of which the last becomes its gate's value. `saved`, where it is asked for, gets
    // the values of all. Returns the new c.
    static UNSPOOL_INLINE Vec activate(Vec* sums, Vec c, float* saved) {
        const Vec i = sigmoid(sums[0]), f = sigmoid(sums[1]), g = tanh(sums[2]),
                  o = sigmoid(sums[3]);
        sums[3] = o;
        if (saved) {
            store(saved, i);
            store(saved + W, f);
            store(saved + 2 * W, g);
            store(saved + 3 * W, o);
        }
        return f * c + i * g;
    }
    // The new h, of what `activate` made.
    static UNSPOOL_INLINE Vec state(const Vec* sums, Vec c) { return sums[3] * tanh(c); }

    static UNSPOOL_INLINE State forward(Vec* sums, Vec c, float* saved) {
        c = activate(sums, c, saved);
        return {state(sums, c), c};
    }

    // Returns the gradient of c before the step; d_gates, which may be `saved`, gets those of i, f,
    // g, o.
    static UNSPOOL_INLINE Vec backward(const float* saved, Vec c, Vec c_before, Vec d_h, Vec d_c,
                                       float* d_gates) {
        const Vec i = load(saved), f = load(saved + W), g = load(saved + 2 * W),
                  o = load(saved + 3 * W);
        const Vec tanh_c = tanh(c);
        d_c += d_h * o * (1.0f - tanh_c * tanh_c);
        store(d_gates, d_c * g * i * (1.0f - i));
        store(d_gates + W, d_c * c_before * f * (1.0f - f));
        store(d_gates + 2 * W, d_c * i * (1.0f - g * g));
        store(d_gates + 3 * W, d_h * tanh_c * o * (1.0f - o));
        return d_c * f;
    }
};

// ------------------------------------------------------------------ GRU

struct Gru {
    static constexpr Cell cell = Cell::gru;
    static constexpr int gates = 3;

    // sums: r, z, W_in x + b_in, W_hn h + b_hn, of which the first two become their gates' values. `saved`,
    // where it is asked for, gets r, z and the last of them.
    static UNSPOOL_INLINE void activate(Vec* sums, float* saved) {
        sums[0] = sigmoid(sums[0]);
        sums[1] = sigmoid(sums[1]);
        if (!saved) return;
        store(saved, sums[0]);
        store(saved + W, sums[1]);
        store(saved + 3 * W, sums[3]);
    }
    // The new h, of what `activate` made. `saved` gets n.
    static UNSPOOL_INLINE Vec state(const Vec* sums, Vec h, float* saved) {
        const Vec n = as_rounded(tanh(sums[2] + sums[0] * sums[3]));  // whether it is saved or not
        if (saved) store(saved + 2 * W, n);
        return n + sums[1] * (h - n);
    }

    static UNSPOOL_INLINE Vec forward(Vec* sums, Vec h, float* saved) {
        activate(sums, saved);
        return state(sums, h, saved);
    }

    // Returns the part of the gradient of h before the step that goes past the products; d_gates,
    // which may be `saved`, gets those of n, r, z and W_hn h + b_hn.
    static UNSPOOL_INLINE Vec backward(const float* saved, Vec h_before, Vec d_h, float* d_gates) {
        const Vec r = load(saved), z = load(saved + W), n = load(saved + 2 * W),
                  state_product = load(saved + 3 * W);
        const Vec d_n = d_h * (1.0f - z) * (1.0f - n * n);
        store(d_gates, d_n);
        store(d_gates + W, d_n * state_product * r * (1.0f - r));
        store(d_gates + 2 * W, d_h * (h_before - n) * z * (1.0f - z));
        store(d_gates + 3 * W, d_n * r);
        return d_h * z;
    }
};

// ------------------------------------------------------------------ RNN

struct RnnTanh {
    static constexpr Cell cell = Cell::rnn_tanh;
    static UNSPOOL_INLINE Vec forward(Vec sum) { return tanh(sum); }
    static UNSPOOL_INLINE Vec backward(Vec h, Vec d_h) { return d_h * (1.0f - h * h); }
};

struct RnnRelu {
    static constexpr Cell cell = Cell::rnn_relu;
    static UNSPOOL_INLINE Vec forward(Vec sum) { return relu(sum); }
    static UNSPOOL_INLINE Vec backward(Vec h, Vec d_h) { return h <= Vec{} ? Vec{} : d_h; }
};

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
