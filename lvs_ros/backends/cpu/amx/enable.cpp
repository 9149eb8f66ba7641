// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// What this process may use of the processor.
#include <sys/syscall.h>
#include <unistd.h>

// Asks the system for AMX's tile registers, which a process may not use before. 1 = it may from now
// on.
extern "C" int lvs_amx_enable() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;    // from <asm/prctl.h>
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
