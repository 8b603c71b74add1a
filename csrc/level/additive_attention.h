// How near queries and keys are by v · tanh(q + k), and back again (Bahdanau et al. 2015). The hyperbolic
// tangents are formed in registers and kept nowhere: to form them twice is quicker than to store them.
#pragma once

#include "../kernels.h"
#include "scratch.h"
#include "vector.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// v · tanh(q + k) over A numbers.
inline float additive_score(const float* query, const float* key, const float* energy, int64_t A) {
    Vec sum{};
    int64_t a = 0;
    for (; a + W <= A; a += W) sum += load(energy + a) * tanh(load(query + a) + load(key + a));
    if (a < A)
        sum += load_first(energy + a, A - a) *
               tanh(load_first(query + a, A - a) + load_first(key + a, A - a));
    return sum_of(sum);
}

inline void additive_scores(const AdditiveScores& job, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
        for (int64_t t = 0; t < job.T; ++t)
            for (int64_t s = 0; s < job.S; ++s)
                job.scores[(b * job.T + t) * job.S + s] =
                    additive_score(job.queries + (b * job.T + t) * job.A,
                                   job.keys + (b * job.S + s) * job.A, job.energy, job.A);
}

inline void additive_gradients(const AdditiveGradients& job, int64_t begin, int64_t end) {
    const int64_t S = job.forward.S, T = job.forward.T, A = job.forward.A;
    for (int64_t b = begin; b < end; ++b) {
        const float* const d_scores = job.d_scores + b * T * S;
        zero(job.d_keys + b * S * A, S * A);
        for (int64_t a = 0; a < A; a += W) {
            const int64_t rest = A - a;
            const Vec energy = load_first(job.forward.energy + a, rest);
            Vec d_energy{};
            for (int64_t t = 0; t < T; ++t) {
                const Vec query = load_first(job.forward.queries + (b * T + t) * A + a, rest);
                Vec d_query{};
                for (int64_t s = 0; s < S; ++s) {
                    const int64_t at = (b * S + s) * A + a;
                    const Vec bent = tanh(query + load_first(job.forward.keys + at, rest));
                    const Vec d = broadcast(d_scores[t * S + s]);
                    const Vec slope = d * energy * (1.0f - bent * bent);
                    d_energy += d * bent;
                    d_query += slope;
                    store_first(job.d_keys + at, load_first(job.d_keys + at, rest) + slope, rest);
                }
                store_first(job.d_queries + (b * T + t) * A + a, d_query, rest);
            }
            store_first(job.d_energy + b * A + a, d_energy, rest);
        }
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
