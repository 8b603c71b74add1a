#include "cpu.h"

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define UNSPOOL_X86 1
#include <cpuid.h>
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace unspool {
namespace {

#ifdef UNSPOOL_X86

struct Registers {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Zeros where the processor does not know the leaf.
Registers cpuid(unsigned leaf, unsigned subleaf) {
    Registers r;
    if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) return Registers{};
    return r;
}

bool has(unsigned word, int bit) { return (word >> bit & 1u) != 0; }

// The register state that the operating system saves at a context switch (XCR0). Written in
// assembly, as the intrinsic asks for a compiler flag.
unsigned saved_state() {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

// Linux lets a process use AMX's tiles once it has asked for them.
bool may_use_tiles() {
#if defined(__linux__) && defined(__x86_64__)
    constexpr long request_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
    return false;
#endif
}

InstructionSets detect() {
    InstructionSets found;
    const Registers leaf1 = cpuid(1, 0);
    constexpr int fma = 12, osxsave = 27;
    if (!has(leaf1.ecx, osxsave)) return found;

    constexpr unsigned sse_avx = 0x06, opmask_zmm = 0xe0;
    const unsigned saved = saved_state();
    if ((saved & sse_avx) != sse_avx) return found;

    const Registers leaf7 = cpuid(7, 0);
    constexpr int avx2 = 5;
    found.avx2 = has(leaf1.ecx, fma) && has(leaf7.ebx, avx2);

    constexpr int f = 16, dq = 17, bw = 30, vl = 31;
    found.avx512 = found.avx2 && (saved & opmask_zmm) == opmask_zmm && has(leaf7.ebx, f) &&
                   has(leaf7.ebx, dq) && has(leaf7.ebx, bw) && has(leaf7.ebx, vl);

    constexpr int bf16 = 5;
    const bool has_subleaf1 = leaf7.eax >= 1;
    found.avx512_bf16 = found.avx512 && has_subleaf1 && has(cpuid(7, 1).eax, bf16);

    constexpr int amx_bf16 = 22, amx_tile = 24;
    constexpr unsigned tile_state = 0x60000;
    found.amx_bf16 = found.avx512_bf16 && (saved & tile_state) == tile_state &&
                     has(leaf7.edx, amx_bf16) && has(leaf7.edx, amx_tile) && may_use_tiles();

    // Without tiles it depends on the rate of the dot products: AMD's Zen 4 starts as many of them
    // in a cycle as multiplications of single numbers, for twice the work; Intel's Sapphire Rapids
    // a quarter as many, for half of it.
    constexpr unsigned amd = 0x68747541;  // the first letters of AuthenticAMD
    found.fast_bf16 = found.amx_bf16 || (found.avx512_bf16 && cpuid(0, 0).ebx == amd);
    return found;
}

#else

InstructionSets detect() {
    InstructionSets found;
#if defined(__aarch64__)
    found.neon = true;  // every 64-bit Arm processor has it
#endif
    return found;
}

#endif

}  // namespace

const InstructionSets& instruction_sets() {
    static const InstructionSets found = detect();
    return found;
}

}  // namespace unspool
