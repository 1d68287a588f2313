// SPDX-License-Identifier: MIT
#include "tests/unit/core/core_verify.h"

#include "hv/core/report_key.h"
#include "tests/unit/core/core_test.h"

#include <mbedtls/ecdsa.h>

bool core_verifies(const uint8_t digest[48], const uint8_t signature[96])
{
	mbedtls_ecp_group g;
	mbedtls_ecp_point q;
	mbedtls_mpi r, s;
	uint8_t cose[REPORT_COSE_SIZE];
	bool ok;

	assert_int_equal(report_key_cose(cose, sizeof(cose)), sizeof(cose));
	mbedtls_ecp_group_init(&g);
	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	mbedtls_ecp_set_max_ops(0);
	assert_int_equal(mbedtls_ecp_group_load(&g, MBEDTLS_ECP_DP_SECP384R1), 0);
	assert_int_equal(mbedtls_mpi_read_binary(&q.X, cose + 8, 48), 0);
	assert_int_equal(mbedtls_mpi_read_binary(&q.Y, cose + 59, 48), 0);
	assert_int_equal(mbedtls_mpi_lset(&q.Z, 1), 0);
	assert_int_equal(mbedtls_mpi_read_binary(&r, signature, 48), 0);
	assert_int_equal(mbedtls_mpi_read_binary(&s, signature + 48, 48), 0);
	ok = mbedtls_ecdsa_verify(&g, digest, 48, &q, &r, &s) == 0;
	mbedtls_mpi_free(&s);
	mbedtls_mpi_free(&r);
	mbedtls_ecp_point_free(&q);
	mbedtls_ecp_group_free(&g);
	return ok;
}
