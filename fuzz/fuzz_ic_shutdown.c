// SPDX-License-Identifier: MIT
#define KIND IC_SHUTDOWN
#include "fuzz/ic_session.h"
