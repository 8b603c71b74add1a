// Memory that a call needs only while it runs, kept for the calls after it: fresh memory would cost
// a page fault every four kilobytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace unspool {

class Arena {
  public:
    // The arena of the calling thread.
    static Arena& of_this_thread();

    // Hands out uninitialised memory, aligned to 64 bytes, until the next reset.
    float* floats(int64_t count) { return static_cast<float*>(bytes(count * sizeof(float))); }
    template <class T>
    T* array(int64_t count) {
        return static_cast<T*>(bytes(count * sizeof(T)));
    }
    // Takes everything back; gives memory to the system where a call had needed very much.
    void reset() noexcept;

  private:
    struct Free {
        size_t size;
        void operator()(std::byte* memory) const;
    };
    using Block = std::unique_ptr<std::byte, Free>;
    static size_t size_of(const Block& block) { return block.get_deleter().size; }
    void* bytes(size_t count);

    std::vector<Block> blocks_;  // filled one after the other
    size_t current_ = 0;
    size_t used_ = 0;  // of the current block
    size_t taken_ = 0;  // since the last reset
    size_t next_block_ = 0;  // size that the next block shall have at least
};

// Takes the arena's memory back at the end of a call, however it ends.
struct Lease {
    Arena& arena = Arena::of_this_thread();
    ~Lease() { arena.reset(); }
};

}  // namespace unspool
