/* SPDX-License-Identifier: MIT */
/* The lowest layer below tss2: commands go to a descriptor that was opened before, answers come from it. TCG TSS 2.0 TCTI. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_tcti.h>
#include <unistd.h>

#include "hv/host/attestd/tpm.h"

#define ANSWER_MAX 4096u
#define ANSWER_HEAD 10u
#define PATIENCE_MS 120000 /* a discrete TPM makes an RSA key in half a minute */

struct tcti {
	TSS2_TCTI_CONTEXT_COMMON_V1 common;
	int fd;
	bool asked;
	size_t n; /* bytes of an answer that nobody has taken yet */
	uint8_t answer[ANSWER_MAX];
};

static struct tcti *of(TSS2_TCTI_CONTEXT *context)
{
	return (struct tcti *)(void *)context;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
	struct tcti *t = of(context);

	if (t->asked) {
		return TSS2_TCTI_RC_BAD_SEQUENCE;
	}
	if (write(t->fd, command, size) != (ssize_t)size) {
		return TSS2_TCTI_RC_IO_ERROR;
	}
	t->asked = true;
	t->n = 0;
	return TSS2_RC_SUCCESS;
}

/* The device gives an answer at once and whole; a socket may give it in pieces. */
static TSS2_RC read_answer(struct tcti *t)
{
	size_t want = ANSWER_HEAD;

	while (t->n < want) {
		struct pollfd p = { .fd = t->fd, .events = POLLIN };
		ssize_t got;

		if (poll(&p, 1, PATIENCE_MS) != 1) {
			return TSS2_TCTI_RC_IO_ERROR;
		}
		got = read(t->fd, t->answer + t->n, sizeof(t->answer) - t->n);
		if (got <= 0) {
			return TSS2_TCTI_RC_IO_ERROR;
		}
		t->n += (size_t)got;
		if (t->n >= ANSWER_HEAD) {
			want = (size_t)t->answer[2] << 24 | (size_t)t->answer[3] << 16 |
			       (size_t)t->answer[4] << 8 | t->answer[5];
			if (want < ANSWER_HEAD || want > sizeof(t->answer)) {
				return TSS2_TCTI_RC_MALFORMED_RESPONSE;
			}
		}
	}
	return t->n == want ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_MALFORMED_RESPONSE;
}

/* timeout: ours is the only user of the descriptor, so it waits until there is an answer. */
static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *answer, int32_t timeout)
{
	struct tcti *t = of(context);
	TSS2_RC rc;

	(void)timeout;
	if (!t->asked) {
		return TSS2_TCTI_RC_BAD_SEQUENCE;
	}
	if (t->n == 0) {
		rc = read_answer(t);
		if (rc != TSS2_RC_SUCCESS) {
			t->asked = false;
			t->n = 0;
			return rc;
		}
	}
	if (answer != NULL && *size < t->n) {
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	}
	*size = t->n;
	if (answer != NULL) {
		memcpy(answer, t->answer, t->n);
		t->asked = false;
		t->n = 0;
	}
	return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
	(void)context;
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *context)
{
	(void)context;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handle, size_t *count)
{
	(void)context;
	(void)handle;
	(void)count;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

/* The hypervisor keeps localities 1 to 4 for itself. */
static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
	(void)context;
	return locality == 0 ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_BAD_VALUE;
}

struct tcti *tcti_open(int fd)
{
	struct tcti *t = calloc(1, sizeof(*t));

	if (t != NULL) {
		t->common = (TSS2_TCTI_CONTEXT_COMMON_V1){ .magic = 0x5244545049544354ull,
							   .version = 1,
							   .transmit = transmit,
							   .receive = receive,
							   .finalize = finalize,
							   .cancel = cancel,
							   .getPollHandles = handles,
							   .setLocality = set_locality };
		t->fd = fd;
	}
	return t;
}
