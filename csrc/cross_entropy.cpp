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

// Room is for an odd number of groups of positions, since rows a power of two apart would all compete
// for the same lines of a cache.
constexpr int64_t group = 32;
int64_t stride_of(int64_t positions) { return (ceiling(positions, group) | 1) * group; }

// The positions cut into chunks of about as many, and as much as can be of an odd number of groups each:
// what a chunk has room for is computed.
class Cut {
  public:
    explicit Cut(const CrossEntropy& task) : positions_(task.N) {
        const int64_t most = std::clamp(std::min(chunk_logits / task.V, chunk_hidden / task.H),
                                        fewest_positions, most_positions);
        chunks_ = int(ceiling(task.N, most));
        pairs_ = ceiling(ceiling(task.N, group) - chunks_, 2);
    }
    int chunks() const { return chunks_; }
    Range chunk(int i) const { return {begin_of(i), std::min(begin_of(i + 1), positions_)}; }
    int64_t widest() const { return (1 + 2 * ceiling(pairs_, chunks_)) * group; }

  private:
    int64_t begin_of(int i) const {
        return (i + 2 * part_of(pairs_, i, chunks_).begin) * group;
    }

    int64_t positions_, pairs_;  // pairs of groups, beside one of each chunk
    int chunks_;
};

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
    Chunks(const Kernels& kernels, const CrossEntropy& task, int64_t stride, Arena& arena)
        : kernels_(kernels.output), task_(task), blocks_(ceiling(task.V, kernels_.class_block)) {
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

    double judge(const Range& chunk) {
        Positions& p = positions_;
        p.N = chunk.end - chunk.begin;
        p.stride = stride_of(p.N);
        p.hidden = task_.hidden + chunk.begin * task_.H;
        p.targets = task_.targets + chunk.begin;
        const int64_t groups = p.stride / group;
        divide(groups, task_.threads,
               [&](int, int64_t first, int64_t last) { kernels_.pack_hidden(p, first, last); });
        take_turns(blocks_, task_.threads, [&](int thread, int64_t block) {
            kernels_.logits(p, block, block + 1, scratch_[thread]);
        });
        divide(groups, task_.threads,
               [&](int, int64_t first, int64_t last) { kernels_.normalise(p, first, last); });
        if (p.exponentials) add_gradients(chunk.begin);
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
    const Cut cut(task);
    Chunks chunks(kernels, task, cut.widest(), lease.arena);
    double sum = 0;
    for (int i = 0; i < cut.chunks(); ++i) sum += chunks.judge(cut.chunk(i));
    return sum;
}

}  // namespace unspool
