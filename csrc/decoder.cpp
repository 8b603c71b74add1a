#include "decoder.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "arena.h"
#include "parallel.h"
#include "rowwise.h"

namespace unspool {
namespace {

// ------------------------------------------------------------------ packed weights

// Where each layer's packed weights are.
struct Places {
    struct Recurrent {
        float *panels, *bias;
    };
    std::vector<Recurrent> layers;
    float *query = nullptr, *readout = nullptr, *output = nullptr;
    int64_t size = 0;

    Places(const Kernels& kernels, const Decoder& d, float* packed) {
        auto take = [&](int64_t count) {
            constexpr int64_t line = 16;  // floats
            float* const place = packed ? packed + size : nullptr;
            size += padded(count, line);
            return place;
        };
        for (int layer = 0; layer < d.L; ++layer) {
            float* const panels = take(kernels.gate_panels(d.cell, d.inputs(layer), d.H));
            layers.push_back({panels, take(4 * padded(d.H, kernels.width))});
        }
        const ProductKernels& dense = kernels.product;
        if (d.attention == Attention::additive) query = take(dense.panels(d.H, d.A));
        if (d.has_readout) readout = take(dense.panels(d.H, d.P));
        output = take(dense.panels(d.P, d.V));
    }
};

void pack(const Kernels& kernels, const Decoder& d, const DecoderWeights& weights,
          const Places& places, int threads) {
    const int64_t units = padded(d.H, kernels.width) / kernels.width;
    auto pack_dense = [&](const DenseWeights& dense, int64_t inputs, int64_t outputs, float* to,
                          int part) {
        const Range blocks = part_of(kernels.product.blocks(outputs), part, threads);
        if (to)
            kernels.product.pack({dense.weight, inputs}, true, inputs, outputs, blocks.begin,
                                 blocks.end, to);
    };
    parallel(threads, [&](int part) {
        const Range range = part_of(units, part, threads);
        for (int layer = 0; layer < d.L; ++layer)
            kernels.pack_gates(d.cell, weights.layers[layer], d.inputs(layer), d.H, range.begin,
                               range.end, places.layers[layer].panels, places.layers[layer].bias);
        pack_dense(weights.query, d.H, d.A, places.query, part);
        pack_dense(weights.readout, d.H, d.P, places.readout, part);
        pack_dense(weights.output, d.P, d.V, places.output, part);
    });
}

// ------------------------------------------------------------------ the step

// A step as all members of a team do it: each forms its part of a layer's outputs for all hypotheses,
// so that the weights are read once, and waits for the others before the next layer.
class Stepping {
  public:
    Stepping(const Kernels& kernels, const Decoder& decoder, const DecoderWeights& weights,
             const Places& places, const DecoderState& state, Arena& arena, int threads)
        : kernels_(kernels), d_(decoder), weights_(weights), places_(places) {
        const int64_t N = state.N;
        units_ = padded(d_.H, kernels.width) / kernels.width;
        index_ = arena.array<int32_t>(N);
        std::iota(index_, index_ + N, 0);
        lengths_ = arena.array<int32_t>(N);
        std::fill(lengths_, lengths_ + N, 1);
        int64_t widest = 0;
        for (int layer = 0; layer < d_.L; ++layer) widest = std::max(widest, d_.inputs(layer));
        input_ = {arena.floats(N * widest), widest};
        shared_ = arena.floats(kernels.shared_size(d_.cell, widest, d_.H, N));
        context_ = {arena.floats(d_.attends() ? N * d_.P : 0), d_.P};
        query_ = {arena.floats(d_.attention == Attention::additive ? N * d_.A : 0), d_.A};
        if (!d_.feeds) hidden_ = {arena.floats(N * d_.P), d_.P};
        const int64_t blocks = kernels.decoder.softmax_blocks(d_.V);
        softmax_.rows = N;
        softmax_.highest = arena.floats(N * blocks);
        softmax_.sums = arena.floats(N * blocks);
        const int64_t recurrent = kernels.forward_scratch(d_.cell, widest, d_.H, N, 1);
        const int64_t look = kernels.decoder.look_scratch(state.S);
        for (int member = 0; member < threads; ++member)
            scratch_.push_back(arena.floats(std::max(recurrent, look)));
        look_.attention = d_.attention;
        look_.S = state.S;
        look_.A = d_.A;
        look_.P = d_.P;
        look_.each = N / state.B;
        look_.energy = weights.energy;
        look_.keys = state.keys;
        look_.values = state.values;
        look_.padding = state.padding;
        look_.context = context_;
    }

    // A step from a state to what comes of it, both of the sizes that were given at first.
    void step(const DecoderState& state, const DecoderStep& after, int threads) {
        state_ = &state;
        after_ = &after;
        look_.weights = {after.weights, look_.S};
        if (d_.feeds) hidden_ = {after.seen, d_.P};
        as_team(threads, [&](int member, int members) { run(member, members); });
    }

  private:
    void run(int member, int members) const {
        const int looking = d_.feeds ? d_.L - 1 : 0;
        embed(member, members);
        for (int layer = 0; layer < d_.L; ++layer) {
            Matrix<const float> input{input_.data, input_.stride};
            if (layer > 0) {
                input = output_of(layer - 1);
                if (d_.attends() && !d_.feeds) {
                    join(layer - 1, member, members);
                    input = {input_.data, input_.stride};
                }
            }
            recur(layer, input, member, members);
            if (d_.attends() && layer == looking) attend(output_of(layer), member, members);
        }
        classify(member, members);
    }

    Matrix<const float> output_of(int layer) const { return {after_->h[layer], d_.H}; }

    static void copy(const float* from, int64_t count, float* to) {
        std::copy(from, from + count, to);
    }

    // The first layer's inputs: embedded tokens, beside what was seen at the step before.
    void embed(int member, int members) const {
        const Range rows = part_of(state_->N, member, members);
        for (int64_t n = rows.begin; n < rows.end; ++n) {
            copy(weights_.embedding + state_->tokens[n] * d_.E, d_.E, input_.row(n));
            if (d_.feeds) copy(state_->seen + n * d_.P, d_.P, input_.row(n) + d_.E);
        }
        wait_for_all();
    }

    // A layer's outputs beside the contexts.
    void join(int layer, int member, int members) const {
        const Range rows = part_of(state_->N, member, members);
        for (int64_t n = rows.begin; n < rows.end; ++n) {
            copy(output_of(layer).row(n), d_.H, input_.row(n));
            copy(context_.row(n), d_.P, input_.row(n) + d_.H);
        }
        wait_for_all();
    }

    void recur(int layer, const Matrix<const float>& input, int member, int members) const {
        const bool gated = d_.cell == Cell::lstm || d_.cell == Cell::gru;
        Forward job{};
        job.cell = d_.cell;
        job.K = d_.inputs(layer);
        job.H = d_.H;
        job.steps = 1;
        job.sequences = {state_->N, index_, lengths_};
        job.panels = places_.layers[layer].panels;
        job.bias = places_.layers[layer].bias;
        job.input = {input.data, input.stride, 0};
        job.h0 = state_->h[layer];
        job.output = {after_->h[layer], d_.H, 0};
        job.h_n = after_->h[layer];
        if (d_.cell == Cell::lstm) {
            job.c0 = state_->c[layer];
            job.c_n = after_->c[layer];
        }
        job.scratch = scratch_[member];
        if (gated && members > 1) {
            const Range units = part_of(units_, member, members);
            job.units = {units.begin, units.end, &wait_for_all, shared_, member, members};
        }
        if (gated || member == 0) kernels_.forward(job);
        wait_for_all();
    }

    void attend(const Matrix<const float>& output, int member, int members) const {
        Look look = look_;
        look.query = output;
        look.scratch = scratch_[member];
        if (d_.attention == Attention::additive) {
            project({d_.H, d_.A, places_.query, weights_.query.bias, output, {}, query_}, member,
                    members);
            look.query = {query_.data, query_.stride};
        }
        const Range rows = part_of(state_->N, member, members);
        kernels_.decoder.look(look, rows.begin, rows.end);
        wait_for_all();
    }

    void classify(int member, int members) const {
        Matrix<const float> hidden = output_of(d_.L - 1);
        if (d_.has_readout) {
            Matrix<const float> added;
            if (d_.attends()) added = {context_.data, context_.stride};
            project({d_.H, d_.P, places_.readout, weights_.readout.bias, hidden, added, hidden_},
                    member, members);
            hidden = {hidden_.data, hidden_.stride};
        }
        LogSoftmax softmax = softmax_;
        softmax.linear = {d_.P, d_.V, places_.output, weights_.output.bias, hidden, {},
                          {after_->log_probabilities, d_.V}};
        const Range blocks = part_of(kernels_.decoder.softmax_blocks(d_.V), member, members);
        kernels_.decoder.log_softmax_sums(softmax, blocks.begin, blocks.end);
        wait_for_all();
        kernels_.decoder.log_softmax(softmax, blocks.begin, blocks.end);
    }

    void project(const Linear& job, int member, int members) const {
        const Range blocks = part_of(kernels_.product.blocks(job.outputs), member, members);
        kernels_.decoder.linear(job, state_->N, blocks.begin, blocks.end);
        wait_for_all();
    }

    const Kernels& kernels_;
    const Decoder& d_;
    const DecoderWeights& weights_;
    const Places& places_;
    const DecoderState* state_ = nullptr;
    const DecoderStep* after_ = nullptr;
    int64_t units_;
    int32_t *index_, *lengths_;
    Matrix<float> input_, context_, query_, hidden_;
    float* shared_;
    std::vector<float*> scratch_;
    LogSoftmax softmax_{};
    Look look_{};
};

void check_tokens(const char* name, const int64_t* tokens, int64_t count, int64_t V) {
    for (int64_t n = 0; n < count; ++n)
        if (tokens[n] < 0 || tokens[n] >= V)
            throw std::out_of_range(std::string(name) + " has the value " +
                                    std::to_string(tokens[n]) + ", expected 0 to " +
                                    std::to_string(V - 1));
}

}  // namespace

PackedDecoder::PackedDecoder(const Kernels& kernels, const Decoder& decoder,
                             const DecoderWeights& weights, int threads)
    : kernels_(kernels),
      decoder_(decoder),
      weights_(weights),
      packed_(Places(kernels, decoder, nullptr).size) {
    pack(kernels_, decoder_, weights_, Places(kernels_, decoder_, packed_.floats()), threads);
}

int PackedDecoder::members_for(int64_t N, int threads) const {
    constexpr int64_t least_work = 100'000;  // multiplications that are worth waking a thread
    const int64_t size = Places(kernels_, decoder_, nullptr).size;
    return int(std::clamp<int64_t>(N * size / least_work, 1, threads));
}

void PackedDecoder::step(const DecoderState& state, const DecoderStep& after, int threads) const {
    check_tokens("tokens", state.tokens, state.N, decoder_.V);
    const Lease lease;
    const Places places(kernels_, decoder_, packed_.floats());
    const int members = members_for(state.N, threads);
    Stepping(kernels_, decoder_, weights_, places, state, lease.arena, members)
        .step(state, after, members);
}

namespace {

// What a step passes on to the next.
struct Passed {
    DecoderStep step{};

    Passed(const Decoder& d, int64_t N, Arena& arena) {
        for (int layer = 0; layer < d.L; ++layer) {
            step.h.push_back(arena.floats(N * d.H));
            if (d.cell == Cell::lstm) step.c.push_back(arena.floats(N * d.H));
        }
        if (d.feeds) step.seen = arena.floats(N * d.P);
    }

    void pass_to(DecoderState& state) const {
        state.h.assign(step.h.begin(), step.h.end());
        state.c.assign(step.c.begin(), step.c.end());
        state.seen = step.seen;
    }

    void copy_to(const Decoder& d, int64_t N, const DecoderStep& to) const {
        for (size_t layer = 0; layer < step.h.size(); ++layer)
            std::copy_n(step.h[layer], N * d.H, to.h[layer]);
        for (size_t layer = 0; layer < step.c.size(); ++layer)
            std::copy_n(step.c[layer], N * d.H, to.c[layer]);
        if (d.feeds) std::copy_n(step.seen, N * d.P, to.seen);
    }
};

}  // namespace

int64_t PackedDecoder::go_on(const DecoderState& first, const GreedyRun& run,
                             const DecoderStep& last, int threads) const {
    constexpr float impossible = -std::numeric_limits<float>::infinity();
    check_tokens("tokens", first.tokens, first.N, decoder_.V);
    if (run.most < 1)
        throw std::invalid_argument("most is " + std::to_string(run.most) + ", expected 1 or more");
    check_tokens("excluded", run.excluded.data(), int64_t(run.excluded.size()), decoder_.V);
    const Lease lease;
    const int64_t N = first.N, V = decoder_.V;
    const Places places(kernels_, decoder_, packed_.floats());
    const int members = members_for(N, threads);
    Stepping stepping(kernels_, decoder_, weights_, places, first, lease.arena, members);
    Passed passed[2] = {{decoder_, N, lease.arena}, {decoder_, N, lease.arena}};
    float* const log_probabilities = lease.arena.floats(N * V);
    DecoderState state = first;
    for (int64_t taken = 0;;) {
        Passed& next = passed[taken % 2];
        next.step.log_probabilities = log_probabilities;
        next.step.weights = run.weights ? run.weights + taken * N * first.S : nullptr;
        stepping.step(state, next.step, members);
        for (int64_t n = 0; n < N; ++n)
            for (const int64_t token : run.excluded) log_probabilities[n * V + token] = impossible;
        int64_t* const tokens = run.tokens + taken * N;
        float* const gains = run.gains + taken * N;
        best(kernels_, BestOfRows<float>{N, V, 1, log_probabilities, gains, tokens}, threads);
        ++taken;
        bool goes_on = taken < run.most;
        for (int64_t n = 0; n < N; ++n)  // also where there is no number
            goes_on = goes_on && tokens[n] != run.end && gains[n] > impossible;
        if (!goes_on) {
            next.copy_to(decoder_, N, last);
            return taken;
        }
        next.pass_to(state);
        state.tokens = tokens;
    }
}

}  // namespace unspool
