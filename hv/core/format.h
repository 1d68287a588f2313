/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_FORMAT_H
#define HV_CORE_FORMAT_H
#include <stdarg.h>
#include <stddef.h>

#include "hv/core/types.h"

size_t format_va(char *out, size_t size, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);
size_t format(char *out, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
