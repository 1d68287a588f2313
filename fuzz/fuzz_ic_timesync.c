// SPDX-License-Identifier: MIT
#define KIND IC_TIMESYNC
#include "fuzz/ic_session.h"
