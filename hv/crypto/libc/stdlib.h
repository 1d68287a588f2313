/* SPDX-License-Identifier: MIT */
#ifndef HV_CRYPTO_LIBC_STDLIB_H
#define HV_CRYPTO_LIBC_STDLIB_H
/* mbedtls includes it and, with hv/crypto/config.h, uses nothing of it. */
#include <stddef.h>
#endif
