// Floats in pages as large as the system has them, aligned to 64 bytes at least: for weights that are
// read from end to end within a fraction of a millisecond, most of which the addresses of thousands of
// small pages would take. Not for arrays that are walked across: what lies a power of two apart in such
// a page falls into the same places of a cache.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace unspool {

class LargePages {
  public:
    // Throws std::bad_alloc.
    explicit LargePages(int64_t floats) {
        constexpr size_t page = size_t{2} << 20;
        const size_t bytes = (size_t(floats) * sizeof(float) + page - 1) / page * page;
        memory_.reset(static_cast<float*>(std::aligned_alloc(page, bytes)));
        if (!memory_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        madvise(memory_.get(), bytes, MADV_HUGEPAGE);  // a wish: without it nothing is lost but time
#endif
    }
    float* floats() const { return memory_.get(); }

  private:
    struct Free {
        void operator()(float* memory) const { std::free(memory); }
    };
    std::unique_ptr<float, Free> memory_;
};

}  // namespace unspool
