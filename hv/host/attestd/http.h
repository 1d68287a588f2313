/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_ATTESTD_HTTP_H
#define HV_HOST_ATTESTD_HTTP_H
/*
 * Requests of clients: HTTP/1.1 (RFC 9112), as little of it as a client needs, one request in a connection. Anything else is
 * refused with a status. docs/attestation.md section 8 has the verbs.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 2048u /* request line and headers */
#define HTTP_BODY_MAX 8192u
#define HTTP_REQUEST_MAX (HTTP_HEAD_MAX + HTTP_BODY_MAX)
#define REQUEST_NONCE_MIN 16u
#define REQUEST_NONCE_MAX 64u
#define REQUEST_BLOB_MAX 1024u

enum request_verb { REQUEST_REPORT, REQUEST_EK, REQUEST_ACTIVATE };

struct request {
	enum request_verb verb;
	uint8_t nonce[REQUEST_NONCE_MAX]; /* REQUEST_REPORT */
	size_t nonce_n;
	bool has_partition; /* false: a report of the host alone */
	uint64_t partition;
	uint8_t credential[REQUEST_BLOB_MAX]; /* REQUEST_ACTIVATE: TPM2B_ID_OBJECT */
	size_t credential_n;
	uint8_t secret[REQUEST_BLOB_MAX]; /* REQUEST_ACTIVATE: TPM2B_ENCRYPTED_SECRET */
	size_t secret_n;
};

enum http_step { HTTP_MORE, HTTP_DONE, HTTP_REFUSED };

/*
 * Trust: bytes[0..n) is hostile; n <= HTTP_REQUEST_MAX. HTTP_MORE: not all of it has come. HTTP_REFUSED: *status is the answer's,
 * *why a static text for a person.
 */
enum http_step http_parse(const char *bytes, size_t n, struct request *r, int *status,
			  const char **why);

#endif
