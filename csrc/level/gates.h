// What a step of a cell makes of its sums, and back again, apart from any product: for steps whose
// inputs hang on what came of the step before.
#pragma once

#include "cells.h"
#include "product.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// What is kept of a row for the way back.
inline int64_t gates_saved(Cell cell, int64_t H) { return vectors(H) * W * saved_of(cell); }

inline void gates(const Gates& job, int64_t begin, int64_t end) {
    const int64_t H = job.H, all = gates_of(job.cell) * H, saved = gates_saved(job.cell, H);
    for (int64_t n = begin; n < end; ++n) {
        const float *input = job.input + n * all, *recurrent = job.recurrent + n * all;
        for (int64_t u = 0; u < H; u += W) {
            const int64_t rest = H - u, at = n * H + u;
            auto part = [&](const float* from, int gate) {
                return load_first(from + gate * H + u, rest);
            };
            float* const kept = job.saved + n * saved + u * 4;
            if (job.cell == Cell::lstm) {
                Vec sums[4];
                for (int gate = 0; gate < 4; ++gate) sums[gate] = part(input, gate) + part(recurrent, gate);
                const Lstm::State state = Lstm::forward(sums, load_first(job.c + at, rest), kept);
                store_first(job.h_after + at, state.h, rest);
                store_first(job.c_after + at, state.c, rest);
                store(job.saved + n * saved + 4 * vectors(H) * W + u, state.c);
            } else {
                Vec sums[4] = {part(input, 0) + part(recurrent, 0),
                                     part(input, 1) + part(recurrent, 1), part(input, 2),
                                     part(recurrent, 2)};
                store_first(job.h_after + at, Gru::forward(sums, load_first(job.h + at, rest), kept),
                            rest);
            }
        }
    }
}

inline void gate_gradients(const GateGradients& job, int64_t begin, int64_t end) {
    const Gates& forward = job.forward;
    const int64_t H = forward.H, all = gates_of(forward.cell) * H;
    const int64_t saved = gates_saved(forward.cell, H);
    float d_gates[4 * W];
    for (int64_t n = begin; n < end; ++n) {
        float *d_input = job.d_input + n * all, *d_recurrent = job.d_recurrent + n * all;
        for (int64_t u = 0; u < H; u += W) {
            const int64_t rest = H - u, at = n * H + u;
            auto give = [&](float* to, int gate, int place) {
                store_first(to + gate * H + u, load(d_gates + place * W), rest);
            };
            const float* const row = forward.saved + n * saved;
            const float* const kept = row + u * 4;
            const Vec d_h = load_first(job.d_h_after + at, rest);
            if (forward.cell == Cell::lstm) {
                const Vec d_c = load_first(job.d_c_after + at, rest);
                const Vec c = load(row + 4 * vectors(H) * W + u);
                const Vec before = load_first(forward.c + at, rest);
                store_first(job.d_c + at, Lstm::backward(kept, c, before, d_h, d_c, d_gates), rest);
                for (int gate = 0; gate < 4; ++gate) give(d_input, gate, gate);
            } else {  // gradients of n, r, z and of W_hn h + b_hn
                store_first(job.d_h + at,
                            Gru::backward(kept, load_first(forward.h + at, rest), d_h, d_gates),
                            rest);
                for (int gate = 0; gate < 3; ++gate) give(d_input, gate, (gate + 1) % 3);
                for (int gate = 0; gate < 3; ++gate) give(d_recurrent, gate, gate + 1);
            }
        }
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
