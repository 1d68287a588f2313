// SPDX-License-Identifier: MIT
/*
 * What a report cannot cost less than: each word is curve:x:y:r:s:hash in hexadecimal, and is verified by mbedtls alone.
 * Exit: 0 all fit, 1 one does not.
 */
#include <mbedtls/ecdsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int verify(char *word)
{
	char *part[6];
	mbedtls_ecp_group group;
	mbedtls_ecp_point q;
	mbedtls_mpi r, s, e;
	unsigned char hash[64];
	size_t n;

	for (unsigned int i = 0; i < 6; i++) {
		part[i] = strtok(i == 0 ? word : NULL, ":");
		if (part[i] == NULL) {
			return 1;
		}
	}
	n = strlen(part[5]) / 2;
	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	mbedtls_mpi_init(&e);
	return n > sizeof(hash) ||
	       mbedtls_ecp_group_load(&group, strcmp(part[0], "256") == 0
						      ? MBEDTLS_ECP_DP_SECP256R1
						      : MBEDTLS_ECP_DP_SECP384R1) != 0 ||
	       mbedtls_ecp_point_read_string(&q, 16, part[1], part[2]) != 0 ||
	       mbedtls_mpi_read_string(&r, 16, part[3]) != 0 ||
	       mbedtls_mpi_read_string(&s, 16, part[4]) != 0 ||
	       mbedtls_mpi_read_string(&e, 16, part[5]) != 0 ||
	       mbedtls_mpi_write_binary(&e, hash, n) != 0 ||
	       mbedtls_ecdsa_verify(&group, hash, n, &q, &r, &s) != 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		bad |= verify(argv[i]);
	}
	return bad;
}
