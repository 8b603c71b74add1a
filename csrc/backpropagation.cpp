// Back-propagation through a stack.
#include <algorithm>
#include <atomic>
#include <vector>

#include "arena.h"
#include "dealing.h"
#include "parallel.h"
#include "recurrent.h"
#include "workspace.h"

namespace unspool {
namespace {

// The valid steps of a layer and direction, in one list: where the gates' gradients, the inputs and
// the states before the step are. Its order, which is that of the sums over it, is the batch's own:
// results do not depend on the number of threads.
struct Steps {
    std::vector<const float*> d_gates, input, before;

    Steps(const Arguments& a, int64_t count, bool reverse, const Rows<const float>& d_gates_rows,
          const Rows<const float>& input_rows, const Rows<const float>& output_rows,
          const float* h0, const float* zeros) {
        d_gates.reserve(count);
        input.reserve(count);
        before.reserve(count);
        for (int64_t t = 0; t < a.stack.T; ++t)
            for (int64_t b = 0; b < a.stack.B; ++b) {
                const int64_t length = a.lengths ? a.lengths[b] : a.stack.T;
                if (t >= length) continue;
                const int64_t t_before = reverse ? t + 1 : t - 1;
                const bool first = t_before < 0 || t_before == length;
                d_gates.push_back(d_gates_rows.at(b, t));
                input.push_back(input_rows.at(b, t));
                before.push_back(!first ? output_rows.at(b, t_before)
                                 : h0   ? h0 + b * a.stack.H
                                        : zeros);
            }
    }
};

// Back-propagation through a stack, layer after layer, as all members of a team do it. In a layer
// the gradients of the gates come first, for which a member waits for others only where they divide
// the hidden units. The gradients of the weights are sums over all of them, in one order whoever is
// ready first; those of the input are taken in pieces by whoever has nothing else to do.
class Backpropagation {
  public:
    Backpropagation(const Kernels& kernels, const Arguments& a, const Gradients& g, Arena& arena)
        : kernels_(kernels),
          a_(a),
          g_(g),
          stack_(a.stack),
          units_(padded(stack_.H, kernels.width) / kernels.width),
          divides_(divides_units(kernels, stack_, a.threads, Pass::backward)),
          parts_(deal(a, a.threads)),
          whole_(deal(a, 1)),
          saved_(kernels, stack_, a.mask != nullptr, a.workspace),
          passing_(stack_, &arena),
          recurred_(stack_.L),
          taken_(stack_.L * parts_.size()) {
        make_room_for_panels(arena);
        make_room_for_gradients(arena);
        make_room_for_scratch(arena);
        list_steps(arena);
    }

    void run() {
        as_team(divides_ ? a_.threads : parts_.threads, [&](int member, int members) {
            for (int layer = stack_.L - 1; layer >= 0; --layer) {
                pack(layer, part_of(units_, member, members));
                wait_for_all();
                recur(layer, member, members);
                if (member < parts_.size())  // has one of its own, which is ready
                    while (recurred_[layer] < parts_.size() && take_piece(layer, member, member))
                        continue;
                wait_for_all();
                form_weight_gradients(layer, member, members);
                for (int part = 0; part < parts_.size(); ++part)
                    while (take_piece(layer, member, member + part)) continue;
                wait_for_all();
            }
        });
    }

  private:
    // ------------------------------------------------------------------ memory

    // Packed weights of each direction, which have their place layer after layer.
    struct Packed {
        float *state, *input;
    };

    void make_room_for_panels(Arena& arena) {
        for (int direction = 0; direction < stack_.D; ++direction) {
            int64_t size = 0;
            for (int layer = 0; layer < stack_.L; ++layer)
                if (wants_input_gradient(layer))
                    size = std::max(
                        size, kernels_.gradient_panels(stack_.cell, stack_.inputs(layer), stack_.H));
            packed_.push_back(
                {arena.floats(kernels_.gradient_panels(stack_.cell, stack_.H, stack_.H)),
                 arena.floats(size)});
        }
    }

    // Of the gates at the layer at hand, where what was saved may not make room for them.
    void make_room_for_gradients(Arena& arena) {
        if (g_.overwrites && saved_of(stack_.cell) > 0) return;
        const int64_t row = slots_of(stack_.cell) * units_ * kernels_.width;
        for (int direction = 0; direction < stack_.D; ++direction)
            apart_.push_back({arena.floats(stack_.B * stack_.T * row), row, stack_.B * row});
    }

    void make_room_for_scratch(Arena& arena) {
        const int64_t widest = std::max(stack_.inputs(0), stack_.inputs(1));
        const int64_t size = std::max(
            kernels_.backward_scratch(stack_.cell, stack_.H, divides_ ? stack_.B : parts_.largest()),
            kernels_.input_gradient_scratch(stack_.cell, widest, stack_.H));
        const int64_t sums = kernels_.weight_gradient_scratch(stack_.cell, widest,
                                                              units_ / parts_.threads + 1);
        for (int i = 0; i < std::max(divides_ ? a_.threads : 1, parts_.threads); ++i) {
            scratch_.push_back(arena.floats(size));
            sum_scratch_.push_back(arena.floats(sums));
        }
        if (divides_)
            shared_ = arena.floats(kernels_.shared_size(stack_.cell, widest, stack_.H, stack_.B));
    }

    void list_steps(Arena& arena) {
        float* const zeros = arena.floats(stack_.H);
        std::fill(zeros, zeros + stack_.H, 0.0f);
        for (int k = 0; k < stack_.L * stack_.D; ++k) {
            const int layer = k / stack_.D, direction = k % stack_.D;
            steps_.emplace_back(a_, parts_.steps, direction == 1, constant(d_gates_of(k)),
                                input_of(layer), shifted(output_of(layer), direction * stack_.H),
                                advanced(a_.h0, k * stack_.B * stack_.H), zeros);
        }
    }

    bool wants_input_gradient(int layer) const { return layer > 0 || bool(g_.d_input); }
    Rows<float> d_gates_of(int k) const {
        return apart_.empty() ? saved_.saved(k) : apart_[k % stack_.D];
    }
    Rows<const float> output_of(int layer) const {
        return constant(layer == stack_.L - 1 ? a_.output : saved_.output(layer));
    }
    Rows<const float> input_of(int layer) const {
        if (layer == 0) return a_.input;
        return a_.mask ? constant(saved_.dropped(layer - 1)) : output_of(layer - 1);
    }

    // ------------------------------------------------------------------ a layer

    void pack(int layer, const Range& units) const {
        for (int direction = 0; direction < stack_.D; ++direction) {
            const Weights& weights = a_.weights[layer * stack_.D + direction];
            kernels_.pack_gradient(stack_.cell, Side::state, weights.weight_hh, stack_.H, stack_.H,
                                   units.begin, units.end, packed_[direction].state);
            if (wants_input_gradient(layer))
                kernels_.pack_gradient(stack_.cell, Side::input, weights.weight_ih,
                                       stack_.inputs(layer), stack_.H, units.begin, units.end,
                                       packed_[direction].input);
        }
    }

    // Forms the gradients of the gates: of this member's sequences, or of its units.
    void recur(int layer, int member, int members) {
        for (int direction = 0; direction < stack_.D && divides_; ++direction) {
            recur(layer, direction, whole_.parts[0], scratch_[member],
                  division_of(units_, kernels_.in_tiles ? 1 : 4, member, members, shared_));
            wait_for_all();  // for `shared_`
        }
        for (int part = member; part < parts_.size(); part += members) {
            for (int direction = 0; direction < stack_.D && !divides_; ++direction)
                recur(layer, direction, parts_.parts[part], scratch_[member], {});
            ++recurred_[layer];
        }
    }

    void recur(int layer, int direction, const Sequences& sequences, float* scratch,
               const Division& division) const {
        const int k = layer * stack_.D + direction;
        const int64_t H = stack_.H, states = k * stack_.B * H;
        const bool last = layer == stack_.L - 1;
        Backward job{};
        job.cell = stack_.cell;
        job.H = H;
        job.reverse = direction == 1;
        job.units = division;
        job.sequences = sequences;
        job.panels = packed_[direction].state;
        job.d_output = shifted(last ? g_.d_output : constant(passing_.output(layer)), direction * H);
        job.d_h_n = advanced(g_.d_h_n, states);
        job.d_c_n = advanced(g_.d_c_n, states);
        job.output = shifted(output_of(layer), direction * H);
        job.h0 = advanced(a_.h0, states);
        job.c0 = advanced(a_.c0, states);
        job.saved = constant(saved_.saved(k));
        job.d_gates = d_gates_of(k);
        job.d_h0 = advanced(g_.d_h0, states);
        job.d_c0 = advanced(g_.d_c0, states);
        job.scratch = scratch;
        kernels_.backward(job);
    }

    void form_weight_gradients(int layer, int member, int members) const {
        for (int direction = 0; direction < stack_.D; ++direction) {
            const int k = layer * stack_.D + direction;
            const WeightGradients& d = g_.d_weights[k];
            if (!d.weight_ih && !d.weight_hh && !d.bias_ih && !d.bias_hh) continue;
            for (int part = member; part < parts_.threads; part += members) {
                const Range range = part_of(units_, part, parts_.threads);
                WeightGradient job{};
                job.cell = stack_.cell;
                job.H = stack_.H;
                job.begin = range.begin;
                job.end = range.end;
                job.count = parts_.steps;
                job.d_gates = steps_[k].d_gates.data();
                job.input = {stack_.inputs(layer), steps_[k].input.data(), d.weight_ih, d.bias_ih};
                job.state = {stack_.H, steps_[k].before.data(), d.weight_hh, d.bias_hh};
                job.scratch = sum_scratch_[member];
                kernels_.weight_gradient(job);
            }
        }
    }

    // ------------------------------------------------------------------ the input's gradient

    // Takes the next piece of a part of the batch, of the gates' gradients of which all are formed;
    // returns whether there was one.
    bool take_piece(int layer, int member, int part) {
        part %= parts_.size();
        if (!wants_input_gradient(layer)) return false;
        const Sequences& sequences = parts_.parts[part];
        const int64_t steps = steps_of_a_piece(sequences);
        const int64_t begin = steps * taken_[layer * parts_.size() + part]++;
        if (begin >= stack_.T) return false;
        for (int direction = 0; direction < stack_.D; ++direction) {
            InputGradient job{};
            job.cell = stack_.cell;
            job.K = stack_.inputs(layer);
            job.H = stack_.H;
            job.begin = begin;
            job.end = std::min(begin + steps, stack_.T);
            job.sequences = sequences;
            job.panels = packed_[direction].input;
            job.d_gates = constant(d_gates_of(layer * stack_.D + direction));
            job.d_input = layer == 0 ? g_.d_input : passing_.output(layer - 1);
            job.add = direction > 0;
            job.pad = layer == 0;
            if (layer > 0 && direction == stack_.D - 1) job.mask = mask_of(a_, layer - 1);
            job.scale = a_.scale;
            job.scratch = scratch_[member];
            kernels_.input_gradient(job);
        }
        return true;
    }

    // So many that the weights, which a piece reads, are few beside them.
    int64_t steps_of_a_piece(const Sequences& sequences) const {
        constexpr int64_t rows = 192;
        const int64_t steps = rows / std::max<int64_t>(sequences.count, 1);
        const int64_t share = (stack_.T + parts_.threads - 1) / parts_.threads;
        return std::max<int64_t>(1, std::min(steps, share));
    }

    const Kernels& kernels_;
    const Arguments& a_;
    const Gradients& g_;
    const Stack& stack_;
    const int64_t units_;
    const bool divides_;
    const Dealt parts_, whole_;
    const Workspace saved_;
    const Passing passing_;  // the gradients between the layers
    std::vector<Packed> packed_;
    std::vector<Rows<float>> apart_;  // the gates' gradients, of each direction
    std::vector<float*> scratch_, sum_scratch_;  // of each member
    float* shared_ = nullptr;
    std::vector<Steps> steps_;  // of each layer and direction
    std::vector<std::atomic<int>> recurred_;  // parts of each layer that have all gates' gradients
    std::vector<std::atomic<int64_t>> taken_;  // pieces of each layer and part
};

}  // namespace

void backward(const Kernels& kernels, const Arguments& a, const Gradients& g) {
    const Lease lease;
    Backpropagation(kernels, a, g, lease.arena).run();
}

}  // namespace unspool
