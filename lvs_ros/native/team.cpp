// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Where the threads of an OpenMP team run.
#include <cstddef>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif

// Binds each thread of the calling thread's team to a core of its own, the caller to the first.
// cores: (threads) as the system counts them. Where it refuses one, that thread stays free.
extern "C" void lvs_bind_team(const int* cores, int threads) {
#ifdef __linux__
#pragma omp parallel num_threads(threads)
  {
#ifdef _OPENMP
    const int core = cores[omp_get_thread_num()];
#else
    const int core = cores[0];
#endif
    if (cpu_set_t* set = CPU_ALLOC(core + 1)) {
      const std::size_t size = CPU_ALLOC_SIZE(core + 1);
      CPU_ZERO_S(size, set);
      CPU_SET_S(core, size, set);
      sched_setaffinity(0, size, set);    // 0: the calling thread
      CPU_FREE(set);
    }
  }
#else
  (void)cores;
  (void)threads;
#endif
}
