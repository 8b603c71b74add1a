// What the forward pass over a stack saves for the backward pass, and where the layers' outputs lie.
#pragma once

#include <algorithm>

#include "arena.h"
#include "recurrent.h"

namespace unspool {

template <class T>
T* advanced(T* p, int64_t count) {
    return p ? p + count : nullptr;
}
template <class T>
Rows<T> shifted(Rows<T> rows, int64_t count) {
    rows.data = advanced(rows.data, count);
    return rows;
}
template <class T>
Rows<const T> constant(const Rows<T>& rows) {
    return {rows.data, rows.sequence_stride, rows.step_stride};
}

// The workspace: for each layer and direction what the cell saves; for each layer but the last its
// outputs, and these after dropout where there is dropout.
class Workspace {
  public:
    Workspace(const Kernels& kernels, const Stack& stack, bool has_mask, float* memory)
        : layers_(stack.L),
          directions_(stack.D),
          sequences_(stack.B),
          rows_(stack.B * stack.T),
          saved_(saved_of(stack.cell) * padded(stack.H, kernels.width)),
          width_(stack.D * stack.H),
          has_mask_(has_mask),
          memory_(memory) {}

    int64_t size() const { return saved_size() + (has_mask_ ? 2 : 1) * outputs_size(); }

    Rows<float> saved(int k) const {
        return saved_ > 0 ? rows(k * rows_ * saved_, saved_) : Rows<float>{};
    }
    Rows<float> output(int layer) const {
        return rows(saved_size() + layer * rows_ * width_, width_);
    }
    Rows<float> dropped(int layer) const { return shifted(output(layer), outputs_size()); }

  private:
    int64_t saved_size() const { return layers_ * directions_ * rows_ * saved_; }
    int64_t outputs_size() const { return (layers_ - 1) * rows_ * width_; }
    Rows<float> rows(int64_t offset, int64_t width) const {  // [T][B][width]
        return {advanced(memory_, offset), width, sequences_ * width};
    }

    int64_t layers_, directions_, sequences_, rows_, saved_, width_;
    bool has_mask_;
    float* memory_;
};

// The outputs between the layers where nothing is saved: two arrays by turns are enough.
class Passing {
  public:
    Passing(const Stack& stack, Arena* arena) : width_(stack.D * stack.H), B_(stack.B) {
        for (int i = 0; arena && i < std::min(stack.L - 1, 2); ++i)
            arrays_[i] = arena->floats(stack.B * stack.T * width_);
    }
    Rows<float> output(int layer) const { return {arrays_[layer % 2], width_, B_ * width_}; }

  private:
    int64_t width_, B_;
    float* arrays_[2] = {};
};

inline Rows<const uint8_t> mask_of(const Arguments& a, int layer) {
    if (!a.mask || layer == a.stack.L - 1) return {};
    const int64_t width = a.stack.D * a.stack.H;
    return {a.mask + layer * a.stack.B * a.stack.T * width, a.stack.T * width, width};
}

}  // namespace unspool
