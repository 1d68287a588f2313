/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_CORE_VERIFY_H
#define TESTS_UNIT_CORE_VERIFY_H
#include <stdbool.h>
#include <stdint.h>

/* The signature is of this digest, by the report key of now. */
bool core_verifies(const uint8_t digest[48], const uint8_t signature[96]);

#endif
