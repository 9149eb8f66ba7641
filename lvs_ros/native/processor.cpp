// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// What this process may use of the processor.
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

// Asks the system for the tiles of AMX, which a process may not use before. 1 = it may from now on.
extern "C" int lvs_enable_tiles() {
#if defined(__AMX_BF16__) && defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;    // from <asm/prctl.h>
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return 0;
#endif
}
