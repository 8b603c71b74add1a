#include "parallel.h"

#include <atomic>
#include <initializer_list>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#define UNSPOOL_POSIX 1
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace unspool {
namespace {

// The entry points of GNU's OpenMP runtime, which those of LLVM and Intel have as well.
struct Runtime {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
    int (*thread_num)() = nullptr;
    int (*num_threads)() = nullptr;

    explicit operator bool() const { return parallel && thread_num && num_threads; }
};

Runtime runtime;
bool forked = false;

struct Region {
    int parts;
    void (*work)(void*, int);
    void* context;
};

// What each thread of a team does; the team may be smaller than was asked for.
void take_part(void* data) {
    const Region& region = *static_cast<Region*>(data);
    const int team = runtime.num_threads();
    for (int part = runtime.thread_num(); part < region.parts; part += team)
        region.work(region.context, part);
}

// Where the members of a team wait for each other, several times in a microsecond's work: the runtime's
// own barrier calls the kernel each time to wake those that sleep.
class Barrier {
  public:
    void wait(int members) {
        const unsigned turn = turn_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
            arrived_.store(0, std::memory_order_relaxed);
            turn_.store(turn + 1, std::memory_order_release);
            return;
        }
        for (int round = 0; turn_.load(std::memory_order_acquire) == turn; ++round)
            round < patience ? pause() : std::this_thread::yield();
    }

  private:
    // Rounds after which a member is taken to have lost its processor.
    static constexpr int patience = 2000;

    static void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }

    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<unsigned> turn_{0};
};

struct Team {
    void (*work)(void*, int, int);
    void* context;
    Barrier barrier;
};

thread_local Team* team_of_this_thread = nullptr;

void join_team(void* data) {
    Team& team = *static_cast<Team*>(data);
    const int members = runtime.num_threads();
    team_of_this_thread = &team;
    team.work(team.context, runtime.thread_num(), members);
    team_of_this_thread = nullptr;
}

#ifdef UNSPOOL_POSIX

template <class Function>
void find(void* library, const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(library, name));
}

Runtime runtime_of(void* library) {
    Runtime found;
    find(library, "GOMP_parallel", found.parallel);
    find(library, "omp_get_thread_num", found.thread_num);
    find(library, "omp_get_num_threads", found.num_threads);
    return found ? found : Runtime{};
}

// Torch's library itself is asked, which finds what it was linked with: other packages may have
// brought runtimes of their own.
Runtime runtime_of_torch() {
    for (const char* name : {"libtorch_cpu.so", "libtorch_cpu.dylib", "@rpath/libtorch_cpu.dylib"})
        if (void* library = dlopen(name, RTLD_LAZY | RTLD_NOLOAD)) {
            const Runtime found = runtime_of(library);
            dlclose(library);  // gives back this reference only; torch keeps it loaded
            if (found) return found;
        }
    return {};
}

#endif

}  // namespace

bool borrow_threads() {
#ifdef UNSPOOL_POSIX
    if (!runtime) {
        runtime = runtime_of_torch();
        if (runtime) pthread_atfork(nullptr, nullptr, [] { forked = true; });
    }
#endif
    return bool(runtime);
}

void parallel(int parts, void (*work)(void*, int), void* context) {
    if (parts <= 1 || !runtime || forked) {
        for (int part = 0; part < parts; ++part) work(context, part);
        return;
    }
    Region region{parts, work, context};
    runtime.parallel(&take_part, &region, unsigned(parts), 0);
}

void as_team(int most, void (*work)(void*, int, int), void* context) {
    if (most <= 1 || !runtime || forked) {
        work(context, 0, 1);
        return;
    }
    Team team{work, context, {}};
    runtime.parallel(&join_team, &team, unsigned(most), 0);
}

void wait_for_all() {
    if (Team* team = team_of_this_thread) team->barrier.wait(runtime.num_threads());
}

}  // namespace unspool
