// Work on several threads: those of the OpenMP runtime that torch uses, borrowed at run time. A pool
// of our own beside torch's, whose threads wait actively, would often be slower than one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace unspool {

// [0, count) cut into parts of nearly equal size.
struct Range {
    int64_t begin, end;
};
inline Range part_of(int64_t count, int part, int parts) {
    return {count * part / parts, count * (part + 1) / parts};
}

// Looks for torch's OpenMP runtime among the libraries of this process; torch must be imported.
// Without it `parallel` works on the calling thread alone. Returns whether it was found.
bool borrow_threads();

// Calls work(context, part) for every part in [0, parts), on at most that many threads. A process
// that was forked uses the calling thread alone, for the runtime does not survive a fork.
void parallel(int parts, void (*work)(void* context, int part), void* context);

// Calls work(context, member, members) once for each member of a team of at most `most` threads, which
// may wait for each other by `wait_for_all`.
void as_team(int most, void (*work)(void* context, int member, int members), void* context);
void wait_for_all();

template <class Work>
void as_team(int most, Work&& work) {
    using Function = std::remove_reference_t<Work>;
    as_team(
        most,
        [](void* context, int member, int members) {
            (*static_cast<Function*>(context))(member, members);
        },
        const_cast<void*>(static_cast<const void*>(&work)));
}

template <class Work>
void parallel(int parts, Work&& work) {
    using Function = std::remove_reference_t<Work>;
    parallel(
        parts, [](void* context, int part) { (*static_cast<Function*>(context))(part); },
        const_cast<void*>(static_cast<const void*>(&work)));
}

// Calls work(thread, i) for every i in [0, count); each of the threads takes the next one when it is done
// with its last, as not all of them may have a whole core to themselves.
template <class Work>
void take_turns(int64_t count, int threads, const Work& work) {
    std::atomic<int64_t> next{0};
    parallel(int(count < threads ? count : threads), [&](int thread) {
        for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(thread, i);
    });
}

}  // namespace unspool
