// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// The operators with products of bfloat16.
#include "bfloat16.h"

#define LVS_OPERATOR(name) lvs_amx_##name
typedef lvs::BFloat16 Arithmetic;
#include "../kernels/operators.h"
