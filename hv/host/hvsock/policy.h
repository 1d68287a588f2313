/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_HVSOCK_POLICY_H
#define HV_HOST_HVSOCK_POLICY_H
#include "mitigations/sandbox/sandbox.h"

extern const struct sandbox_policy hvsock_policy;

#endif
