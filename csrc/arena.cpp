#include "arena.h"

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

}  // namespace

Arena& Arena::of_this_thread() {
    thread_local Arena arena;
    return arena;
}

void Arena::Free::operator()(std::byte* memory) const { std::free(memory); }

void* Arena::bytes(size_t count) {
    count = rounded_up(count > 0 ? count : 1);
    taken_ += count;
#ifdef UNSPOOL_GUARD
    const size_t block = count;  // one allocation each, so that the sanitizer sees their ends
#else
    const size_t block = std::max({count, smallest_block, next_block_});
    while (current_ < blocks_.size() && used_ + count > blocks_[current_].size) {
        ++current_;
        used_ = 0;
    }
    if (current_ < blocks_.size()) {
        std::byte* const part = blocks_[current_].memory.get() + used_;
        used_ += count;
        return part;
    }
#endif
    auto* const memory = static_cast<std::byte*>(std::aligned_alloc(alignment, block));
    if (!memory) throw std::bad_alloc();
    blocks_.push_back({std::unique_ptr<std::byte, Free>(memory), block});
    current_ = blocks_.size() - 1;
    used_ = count;
    next_block_ = 0;
    return memory;
}

void Arena::reset() noexcept {
    size_t all = 0;
    for (const Block& block : blocks_) all += block.size;
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
