/* bcryptprimitives.dll: ProcessPrng, which Rust-built wheels import and Wine has only since 9.0.
   Emulated with the same random source that RtlGenRandom (SystemFunction036) gives. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return SystemFunction036(buffer, (ULONG)length);
}
