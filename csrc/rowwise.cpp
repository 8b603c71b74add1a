#include "rowwise.h"

#include <algorithm>

#include "arena.h"
#include "parallel.h"

namespace unspool {
namespace {

// What is worth waking a thread for.
constexpr int64_t enough_units = 10'000;
constexpr int64_t enough_tangents = 20'000;
constexpr int64_t enough_numbers = 200'000;
constexpr int64_t enough_draws = 100'000;

// Calls work(begin, end) for parts of the rows.
template <class Work>
void deal_rows(int64_t rows, int64_t work_each, int64_t enough, int threads, const Work& work) {
    const int64_t worth = rows * work_each / enough;
    const int parts = int(std::max<int64_t>(1, std::min({worth, rows, int64_t(threads)})));
    parallel(parts, [&](int part) {
        const Range range = part_of(rows, part, parts);
        work(range.begin, range.end);
    });
}

int64_t tangents(const AdditiveScores& job) { return job.T * job.S * job.A; }

template <class Number, class Kernel>
void best_by(const Kernel& kernel, const BestOfRows<Number>& job, int threads) {
    deal_rows(job.rows, job.columns, enough_numbers, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            kernel(job.values + i * job.columns, job.columns, job.most,
                   job.best_values + i * job.most, job.best_columns + i * job.most);
    });
}

}  // namespace

void gates(const Kernels& kernels, const Gates& job, int threads) {
    deal_rows(job.n, job.H, enough_units, threads,
              [&](int64_t begin, int64_t end) { kernels.gates(job, begin, end); });
}

void gate_gradients(const Kernels& kernels, const GateGradients& job, int threads) {
    deal_rows(job.forward.n, job.forward.H, enough_units, threads,
              [&](int64_t begin, int64_t end) { kernels.gate_gradients(job, begin, end); });
}

void additive_scores(const Kernels& kernels, const AdditiveScores& job, int threads) {
    deal_rows(job.B, tangents(job), enough_tangents, threads,
              [&](int64_t begin, int64_t end) { kernels.additive_scores(job, begin, end); });
}

void additive_gradients(const Kernels& kernels, const AdditiveGradients& job, int threads) {
    deal_rows(job.forward.B, tangents(job.forward), enough_tangents, threads,
              [&](int64_t begin, int64_t end) { kernels.additive_gradients(job, begin, end); });
}

void best(const Kernels& kernels, const BestOfRows<float>& job, int threads) {
    best_by(kernels.best, job, threads);
}

void best(const Kernels& kernels, const BestOfRows<double>& job, int threads) {
    best_by(kernels.best_of_doubles, job, threads);
}

void draw_kept(const Kernels& kernels, uint64_t key, int64_t count, int32_t dropped, uint8_t* kept,
               int threads) {
    constexpr int64_t each = 4;  // numbers of a word
    deal_rows((count + each - 1) / each, each, enough_draws, threads, [&](int64_t begin, int64_t end) {
        kernels.draw_kept(key, begin * each, std::min(end * each, count), dropped, kept);
    });
}

void best_sums(const Kernels& kernels, const BestSums& job, int threads) {
    const Lease lease;
    const int64_t rows = job.groups * job.width, found = job.width * job.each;
    const BestOfRows<float> of_rows{rows,
                                    job.columns,
                                    job.each,
                                    job.values,
                                    lease.arena.floats(rows * job.each),
                                    lease.arena.array<int64_t>(rows * job.each)};
    double* const sums = lease.arena.array<double>(rows * job.each);
    best(kernels, of_rows, threads);
    deal_rows(job.groups, found * job.most, enough_numbers, threads, [&](int64_t begin, int64_t end) {
        for (int64_t group = begin; group < end; ++group) {
            const int64_t first_row = group * job.width, first = first_row * job.each;
            for (int64_t i = 0; i < found; ++i)
                sums[first + i] = job.offsets[first_row + i / job.each] +
                                  double(of_rows.best_values[first + i]);
            int64_t* const from = job.rows + group * job.most;
            kernels.best_of_doubles(sums + first, found, job.most, job.sums + group * job.most, from);
            for (int64_t k = 0; k < job.most; ++k) {
                job.best_columns[group * job.most + k] = of_rows.best_columns[first + from[k]];
                from[k] = first_row + from[k] / job.each;
            }
        }
    });
}

}  // namespace unspool
