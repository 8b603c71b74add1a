#include "cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "arena.h"
#include "parallel.h"

namespace unspool {
namespace {

// A chunk's logits are 16 MiB at most, if that is not too few positions for a product; its hidden
// values stay in a core's cache.
constexpr int64_t chunk_logits = 1 << 22;
constexpr int64_t chunk_hidden = 1 << 17;
constexpr int64_t fewest_positions = 32, most_positions = 512;
// Blocks of classes are dealt to so many parts, each of which sums over its own: fixed, so that
// results do not depend on the number of threads.
constexpr int64_t most_parts = 16;

int64_t ceiling(int64_t count, int64_t unit) { return (count + unit - 1) / unit; }

// Positions of a chunk; all chunks have about as many.
int64_t chunk_size(const CrossEntropy& task) {
    const int64_t most = std::clamp(std::min(chunk_logits / task.V, chunk_hidden / task.H),
                                    fewest_positions, most_positions);
    return ceiling(task.N, ceiling(task.N, most));
}

// Room for as many positions: an odd number of groups of 32, since rows a power of two apart would
// all compete for the same lines of a cache.
int64_t stride_of(int64_t positions) { return (ceiling(positions, 32) | 1) * 32; }

void check_targets(const CrossEntropy& task) {
    for (int64_t n = 0; n < task.N; ++n)
        if (task.targets[n] < 0 || task.targets[n] >= task.V)
            throw std::out_of_range("target " + std::to_string(task.targets[n]) +
                                    " is out of bounds: there are " + std::to_string(task.V) +
                                    " classes");
}

// [0, count) cut into parts of nearly equal size.
template <class Work>
void divide(int64_t count, int threads, const Work& work) {
    const int parts = int(std::min<int64_t>(count, threads));
    parallel(parts, [&](int part) {
        const Range range = part_of(count, part, parts);
        work(part, range.begin, range.end);
    });
}

// The memory of a chunk, used by one after the other.
class Chunks {
  public:
    Chunks(const Kernels& kernels, const CrossEntropy& task, Arena& arena)
        : kernels_(kernels.output), task_(task), blocks_(ceiling(task.V, kernels_.class_block)) {
        const int64_t stride = stride_of(chunk_size(task));
        const int64_t panels = kernels_.hidden_panels(stride, task.H);
        positions_.H = task.H;
        positions_.V = task.V;
        positions_.weight = task.weight;
        positions_.bias = task.bias;
        positions_.smoothing = task.smoothing;
        positions_.scale = task.scale;
        positions_.columns = arena.floats(panels);
        positions_.rows = arena.floats(panels);
        positions_.highest = arena.floats(blocks_ * stride);
        positions_.sums = arena.floats(blocks_ * stride);
        positions_.totals = arena.floats(blocks_ * stride);
        positions_.target = arena.floats(stride);
        positions_.maximum = arena.floats(stride);
        positions_.denominator = arena.floats(stride);
        positions_.total = arena.floats(stride);
        if (task.d_hidden || task.d_weight || task.d_bias)
            positions_.exponentials = arena.floats(kernels_.exponentials(task.V, stride));
        for (int i = 0; i < task.threads; ++i)
            scratch_.push_back(arena.floats(kernels_.scratch(stride, task.H)));
        width_ = ceiling(task.H, kernels.width) * kernels.width;
        parts_ = std::min(blocks_, most_parts);
        for (int64_t i = 0; i < parts_ && task.d_hidden; ++i)
            d_hidden_.push_back(arena.floats(stride * width_));
    }

    // Positions [begin, end).
    double judge(int64_t begin, int64_t end) {
        Positions& p = positions_;
        p.N = end - begin;
        p.stride = stride_of(p.N);
        p.hidden = task_.hidden + begin * task_.H;
        p.targets = task_.targets + begin;
        const int64_t groups = p.stride / 32;
        divide(groups, task_.threads,
               [&](int, int64_t first, int64_t last) { kernels_.pack_hidden(p, first, last); });
        take_turns(blocks_, task_.threads, [&](int thread, int64_t block) {
            kernels_.logits(p, block, block + 1, scratch_[thread]);
        });
        divide(groups, task_.threads,
               [&](int, int64_t first, int64_t last) { kernels_.normalise(p, first, last); });
        if (p.exponentials) add_gradients(begin);
        return nats();
    }

  private:
    double nats() const {
        const double share = positions_.smoothing / double(task_.V);
        double sum = 0;
        for (int64_t n = 0; n < positions_.N; ++n) {
            sum += std::log(double(positions_.denominator[n])) + positions_.maximum[n] -
                   (1.0 - positions_.smoothing) * positions_.target[n];
            if (share > 0) sum -= share * positions_.total[n];
        }
        return sum;
    }

    void add_gradients(int64_t begin) {
        take_turns(parts_, task_.threads, [&](int thread, int64_t part) {
            ClassGradients job{};
            job.begin = blocks_ * part / parts_;
            job.end = blocks_ * (part + 1) / parts_;
            job.d_hidden = task_.d_hidden ? d_hidden_[part] : nullptr;
            job.d_weight = task_.d_weight;
            job.d_bias = task_.d_bias;
            job.add = begin > 0;
            kernels_.gradients(positions_, job, scratch_[thread]);
        });
        if (!task_.d_hidden) return;
        divide(positions_.N, task_.threads, [&](int, int64_t first, int64_t last) {
            kernels_.sum_parts(positions_, d_hidden_.data(), parts_, first, last,
                               task_.d_hidden + begin * task_.H);
        });
    }

    const OutputKernels& kernels_;
    const CrossEntropy& task_;
    int64_t blocks_, parts_, width_;
    Positions positions_{};
    std::vector<float*> scratch_;   // each thread's
    std::vector<float*> d_hidden_;  // each part's
};

}  // namespace

double cross_entropy(const Kernels& kernels, const CrossEntropy& task) {
    check_targets(task);
    const Lease lease;
    Chunks chunks(kernels, task, lease.arena);
    const int64_t size = chunk_size(task);
    double sum = 0;
    for (int64_t begin = 0; begin < task.N; begin += size)
        sum += chunks.judge(begin, std::min(begin + size, task.N));
    return sum;
}

}  // namespace unspool
