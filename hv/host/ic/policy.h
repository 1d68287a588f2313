/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_IC_POLICY_H
#define HV_HOST_IC_POLICY_H
#include "mitigations/sandbox/sandbox.h"

extern const struct sandbox_policy ic_policy;

#endif
