// The memory that a thread works in.
#pragma once

#include <cstdint>

namespace unspool {
namespace UNSPOOL_LEVEL {

// Hands out parts of a thread's scratch memory, one after the other, each aligned to 64 bytes.
class Allocator {
  public:
    explicit Allocator(float* memory) : next_(memory) {}
    float* floats(int64_t count) {
        float* part = next_;
        next_ += (count + 15) / 16 * 16;
        return part;
    }
    template <class T>
    T* array(int64_t count) {
        constexpr int64_t floats_each = (sizeof(T) + sizeof(float) - 1) / sizeof(float);
        return reinterpret_cast<T*>(floats(count * floats_each));
    }
    int64_t used(const float* memory) const { return next_ - memory; }

  private:
    float* next_;
};

inline void zero(float* p, int64_t count) {
    for (int64_t j = 0; j < count; ++j) p[j] = 0;
}
// `from` may be null, for zeros; the `padded - count` numbers after the copy are zeros too.
inline void copy(const float* from, float* to, int64_t count, int64_t padded) {
    for (int64_t j = 0; j < count; ++j) to[j] = from ? from[j] : 0;
    zero(to + count, padded - count);
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
