/* SPDX-License-Identifier: MIT */
#ifndef HV_CRYPTO_LIBC_TIME_H
#define HV_CRYPTO_LIBC_TIME_H
/* mbedtls includes it and, with hv/crypto/config.h, uses nothing of it. */
#endif
