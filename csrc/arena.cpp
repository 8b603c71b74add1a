#include "arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define UNSPOOL_GUARD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNSPOOL_GUARD 1
#endif
#endif

namespace unspool {
namespace {

constexpr size_t alignment = 64;
constexpr size_t smallest_block = size_t{1} << 20;
constexpr size_t most_kept = size_t{256} << 20;

size_t rounded_up(size_t count) { return (count + alignment - 1) / alignment * alignment; }

// Asked of the system, and not of the C library, whose heap would be left with a hole for each block
// that was too small.
std::byte* allocate(size_t size) {
#ifdef UNSPOOL_GUARD
    void* const memory = std::aligned_alloc(alignment, size);
    if (!memory) throw std::bad_alloc();
#else
    void* const memory =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
#endif
    return static_cast<std::byte*>(memory);
}

}  // namespace

Arena& Arena::of_this_thread() {
    thread_local Arena arena;
    return arena;
}

void Arena::Free::operator()(std::byte* memory) const {
#ifdef UNSPOOL_GUARD
    std::free(memory);
#else
    munmap(memory, size);
#endif
}

void* Arena::bytes(size_t count) {
    count = rounded_up(count > 0 ? count : 1);
    taken_ += count;
#ifdef UNSPOOL_GUARD
    const size_t block = count;  // one allocation each, so that the sanitizer sees their ends
#else
    const size_t block = std::max({count, smallest_block, next_block_});
    while (current_ < blocks_.size() && used_ + count > size_of(blocks_[current_])) {
        ++current_;
        used_ = 0;
    }
    if (current_ < blocks_.size()) {
        std::byte* const part = blocks_[current_].get() + used_;
        used_ += count;
        return part;
    }
#endif
    std::byte* const memory = allocate(block);
    blocks_.emplace_back(memory, Free{block});
    current_ = blocks_.size() - 1;
    used_ = count;
    next_block_ = 0;
    return memory;
}

void Arena::reset() noexcept {
    size_t all = 0;
    for (const Block& block : blocks_) all += size_of(block);
    if (blocks_.size() > 1 || all > most_kept) {
        blocks_.clear();
        // One block, so that the next call finds it whole.
        next_block_ = all > most_kept ? 0 : taken_;
    }
    taken_ = 0;
    current_ = 0;
    used_ = 0;
}

}  // namespace unspool
