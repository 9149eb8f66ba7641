// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Ends the process where images arrive and none is finished any more (lvs_ros/node/watchdog.py). A
// thread of its own, which needs nothing of Python: it works while a call holds the interpreter.
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>

namespace {

constexpr int64_t kMillisecond = 1000000, kTick = 100 * kMillisecond;    // ns

std::atomic<int64_t> limit_ns{0};      // 0 = stopped
std::atomic<bool> image_waits{false};
std::atomic<int64_t> rounds{0};        // that the thread with the frames has come round
std::atomic<int64_t> hold_ns{0};       // when the time was last held
std::atomic<int> dump_signal{0};
char reason[512];                      // written only while it is stopped

int64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 * kMillisecond + time.tv_nsec;
}

// Whether a debugger is attached, which may have stopped single threads.
bool is_traced() {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return false;
  int tracer = 0;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::sscanf(line, "TracerPid: %d", &tracer) == 1) break;
  }
  std::fclose(file);
  return tracer != 0;
}

void say(const char* text) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, std::strlen(text));
}

[[noreturn]] void end() {
  say(reason);
  const int number = dump_signal;
  if (number != 0) pthread_kill(pthread_self(), number);    // Python's stacks go to stderr
  _exit(1);
}

void watch() {
  int64_t last_ns = now_ns(), waited_ns = 0, seen = rounds;
  for (;;) {
    const timespec tick{0, kTick};
    nanosleep(&tick, nullptr);
    // A process that was stopped finds that much time has passed in one tick: it does not count.
    const int64_t time_ns = now_ns(), passed_ns = time_ns - last_ns;
    last_ns = time_ns;
    const int64_t limit = limit_ns;
    if (limit == 0 || !image_waits || seen != rounds) {
      seen = rounds;
      waited_ns = 0;
      continue;
    }
    waited_ns += passed_ns < 3 * kTick ? passed_ns : kTick;
    const bool is_held = time_ns - hold_ns < limit / 2;
    if (waited_ns > limit / 2 && (is_held || is_traced())) waited_ns = limit / 2;
    if (waited_ns >= limit) end();
  }
}

}  // namespace

extern "C" {

// Begins to watch.
//
// text: what is written to stderr before the end; number: of the signal to which Python answers
// with its stacks, 0 = none.
void lvs_watchdog_watch(int limit_ms, const char* text, int number) {
  static bool is_running = false;
  limit_ns = 0;
  std::snprintf(reason, sizeof reason, "%s", text);
  dump_signal = number;
  image_waits = false;
  hold_ns = 0;
  ++rounds;
  limit_ns = limit_ms * kMillisecond;
  if (!is_running) {
    is_running = true;
    sigset_t all, before;    // signals are for the threads that were there before
    sigfillset(&all);
    if (number != 0) sigdelset(&all, number);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread(watch).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
}

void lvs_watchdog_stop() { limit_ns = 0; }

// An image has arrived; of the type that ROS calls when there is a new message.
void lvs_watchdog_arrived(const void*, size_t) { image_waits = true; }

// The thread with the frames has come round: it has finished one, or had nothing to do.
void lvs_watchdog_progressed() {
  image_waits = false;
  ++rounds;
}

// The time does not go on, for as long as this is called again within half of the limit.
void lvs_watchdog_hold() { hold_ns = now_ns(); }

}  // extern "C"
