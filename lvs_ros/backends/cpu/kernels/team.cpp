// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// The threads of an OpenMP team: which they are, and where they run.
#include <cstddef>
#ifdef _OPENMP
#include <omp.h>
#endif
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

[[maybe_unused]] static int number_in_team() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

// Tells the threads of the calling thread's team, as the system counts them, the caller first.
// ids: (threads), 0 where it is not known.
extern "C" void lvs_team_threads(int* ids, int threads) {
  for (int number = 0; number < threads; ++number) ids[number] = 0;
#pragma omp parallel num_threads(threads)
  ids[number_in_team()] = static_cast<int>(syscall(SYS_gettid));
}

// Binds each thread of the calling thread's team to a core of its own, the caller to the first.
// cores: (threads) as the system counts them. Where it refuses one, that thread stays free.
extern "C" void lvs_bind_team(const int* cores, int threads) {
#pragma omp parallel num_threads(threads)
  {
    const int core = cores[number_in_team()];
    if (cpu_set_t* set = CPU_ALLOC(core + 1)) {
      const std::size_t size = CPU_ALLOC_SIZE(core + 1);
      CPU_ZERO_S(size, set);
      CPU_SET_S(core, size, set);
      sched_setaffinity(0, size, set);    // 0: the calling thread
      CPU_FREE(set);
    }
  }
}
