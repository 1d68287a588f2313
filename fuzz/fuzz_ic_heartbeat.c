// SPDX-License-Identifier: MIT
#define KIND IC_HEARTBEAT
#include "fuzz/ic_session.h"
