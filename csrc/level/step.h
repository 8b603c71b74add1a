// A single step of few sequences, from weights as torch.nn holds them: to pack them for a step would
// cost more than the step. Sums are formed in the order of forward.h, so that both give the same
// bits.
#pragma once

#include "forward.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// sum[j] += Σ_k weights[j][k] · x[k] for W rows of K numbers, of which `valid` are there.
inline Vec add_products(Vec sum, const float* weights, int64_t valid, int64_t K, const float* x) {
    for (int64_t k = 0; k < K; k += W) {
        Vec columns[W];
        load_columns(weights + k, K, valid, K - k, columns);
        const int64_t count = K - k < W ? K - k : W;
        for (int64_t i = 0; i < count; ++i) sum += broadcast(x[k + i]) * columns[i];
    }
    return sum;
}

// The sums of the gates for a vector of units of one sequence.
struct GateSums {
    const Forward& job;
    const float *x, *h;  // h is null for zeros
    int64_t u;

    Vec biases(const float* bias, int gate) const {
        return bias ? load_first(bias + gate * job.H + u, job.H - u) : Vec{};
    }
    Vec add_input(Vec sum, int gate) const {
        const float* weights = job.weights->weight_ih + (gate * job.H + u) * job.K;
        return add_products(sum, weights, job.H - u, job.K, x);
    }
    Vec add_state(Vec sum, int gate) const {
        const float* weights = job.weights->weight_hh + (gate * job.H + u) * job.H;
        return h ? add_products(sum, weights, job.H - u, job.H, h) : sum;
    }
    Vec of_input(int gate) const { return add_input(biases(job.weights->bias_ih, gate), gate); }
    Vec of_state(int gate) const { return add_state(biases(job.weights->bias_hh, gate), gate); }
    Vec of_both(int gate) const {
        const Vec bias = biases(job.weights->bias_ih, gate) + biases(job.weights->bias_hh, gate);
        return add_state(add_input(bias, gate), gate);
    }
};

inline void step(const Forward& job) {
    const int64_t H = job.H;
    for (int64_t i = 0; i < job.sequences.count; ++i) {
        const int64_t b = job.sequences.index[i];
        const float* before = job.h0 ? job.h0 + b * H : nullptr;
        for (int64_t u = 0; u < H; u += W) {
            const GateSums gate{job, job.input.at(b, 0), before, u};
            const int64_t rest = H - u;
            Vec h{};
            if (job.cell == Cell::lstm) {
                Vec sums[4] = {gate.of_both(0), gate.of_both(1), gate.of_both(2),
                                     gate.of_both(3)};
                const Vec c = job.c0 ? load_first(job.c0 + b * H + u, rest) : Vec{};
                const Lstm::State state = Lstm::forward(sums, c, nullptr);
                store_first(job.c_n + b * H + u, state.c, rest);
                h = state.h;
            } else if (job.cell == Cell::gru) {
                Vec sums[4] = {gate.of_both(0), gate.of_both(1), gate.of_input(2),
                                     gate.of_state(2)};
                h = Gru::forward(sums, before ? load_first(before + u, rest) : Vec{}, nullptr);
            } else {
                const Vec sum = gate.of_both(0);
                h = job.cell == Cell::rnn_tanh ? RnnTanh::forward(sum) : RnnRelu::forward(sum);
            }
            store_first(job.output.at(b, 0) + u, h, rest);
            store_first(job.h_n + b * H + u, h, rest);
        }
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
