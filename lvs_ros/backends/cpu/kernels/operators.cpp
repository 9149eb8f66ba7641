// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// The operators in float32; weights: (panels, kernel, kernel, channels_in, panel).
#include "rows.h"

#define LVS_OPERATOR(name) lvs_##name
typedef lvs::Float32 Arithmetic;
#include "operators.h"

// Output channels that are worked on at once: the weights come in panels of so many.
extern "C" int lvs_panel() { return lvs::kPanel; }
