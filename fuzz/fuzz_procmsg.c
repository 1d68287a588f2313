// SPDX-License-Identifier: MIT
/*
 * Input: byte 0: descriptors; byte 1: 1 the header's size becomes the real one, 2 64 KiB of zeros follow; then the message. What is accepted is used as a
 * receiver uses it: every array to its count, every text to its end.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/procmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_worker(const struct pm_config_worker *m, uint32_t fds)
{
	CHECK_FUZZ(m->header.size == sizeof(*m) && strlen(m->cmdline) < sizeof(m->cmdline));
	CHECK_FUZZ(m->device_count <= PM_DEVICES_MAX && m->has_initrd <= 1);
	CHECK_FUZZ(m->vp_count - 1 < 8 && m->memory_bytes != 0 && m->memory_bytes % 4096 == 0);
	CHECK_FUZZ(m->socket_count <= PM_DEVICES_MAX &&
		   fds == 4 + m->has_initrd + m->socket_count && fds <= PM_FDS_MAX);
	for (uint32_t i = 0; i < m->device_count; i++) {
		CHECK_FUZZ(m->device[i].socket < m->socket_count);
	}
	CHECK_FUZZ(m->service_count <= PM_SERVICES_MAX && m->reserved == 0);
	for (uint32_t i = 0; i < m->service_count; i++) {
		CHECK_FUZZ(m->service[i].socket < m->socket_count && m->service[i].reserved == 0);
	}
}

static void use_storvsp(const struct pm_config_storvsp *m, uint32_t fds)
{
	CHECK_FUZZ(m->header.size == sizeof(*m) && m->disk_count <= PM_DISKS_MAX);
	CHECK_FUZZ(fds == 3 + m->disk_count);
	for (uint32_t i = 0; i < m->disk_count; i++) {
		CHECK_FUZZ(strlen(m->disk[i].serial) < sizeof(m->disk[i].serial));
		CHECK_FUZZ(m->disk[i].bytes % 512 == 0 && (int64_t)m->disk[i].bytes >= 0);
	}
}

static void use_gpadl(const struct pm_gpadl *m)
{
	uint64_t end = (uint64_t)m->offset + m->length, sum = 0;

	CHECK_FUZZ(m->pages != 0 && m->pages <= PM_GPADL_PAGES_MAX && m->length != 0);
	CHECK_FUZZ(m->header.size == sizeof(*m) + (uint64_t)m->pages * 8 && m->offset < 4096);
	CHECK_FUZZ(end <= m->pages * 4096ull && end > (m->pages - 1) * 4096ull);
	for (uint32_t i = 0; i < m->pages; i++) {
		sum += m->pfn[i];
	}
	*(volatile uint64_t *)&sum = sum;
}

static void use_wanted(const struct pm_report_wanted *m)
{
	CHECK_FUZZ(m->nonce_size >= PM_NONCE_MIN && m->nonce_size <= PM_NONCE_MAX);
	for (uint32_t i = m->nonce_size; i < PM_NONCE_MAX; i++) {
		CHECK_FUZZ(m->nonce[i] == 0);
	}
}

static void use(enum pm_type type, const void *m, uint32_t fds)
{
	switch (type) {
	case PM_CONFIG_WORKER:
		use_worker(m, fds);
		break;
	case PM_CONFIG_STORVSP:
		use_storvsp(m, fds);
		break;
	case PM_CONFIG_NETVSP:
		CHECK_FUZZ(fds == 4 && ((const struct pm_config_netvsp *)m)->reserved == 0);
		break;
	case PM_CONFIG_IC:
		CHECK_FUZZ(fds == 2 && ((const struct pm_config_ic *)m)->reserved == 0);
		break;
	case PM_CONFIG_HVSOCK:
		CHECK_FUZZ(fds == 2 && ((const struct pm_config_hvsock *)m)->reserved == 0);
		break;
	case PM_REPORT:
		CHECK_FUZZ(fds == (((const struct pm_report *)m)->error == PM_REPORT_GOOD));
		CHECK_FUZZ(((const struct pm_report *)m)->error <= PM_REPORT_BUSY);
		break;
	case PM_REPORT_WANTED:
		use_wanted(m);
		CHECK_FUZZ(fds == 0);
		break;
	case PM_CONFIG_CONSOLE:
		CHECK_FUZZ(fds == 3);
		break;
	case PM_CONFIG_VSWITCH:
		CHECK_FUZZ(fds == ((const struct pm_config_vswitch *)m)->has_uplink && fds <= 1);
		break;
	case PM_DEVICE_AGAIN:
		CHECK_FUZZ(((const struct pm_device_again *)m)->socket < PM_DEVICES_MAX);
		CHECK_FUZZ(fds == 1);
		break;
	case PM_PORT_ADD:
	case PM_OPEN:
	case PM_RECORD:
		CHECK_FUZZ(fds == 1);
		break;
	case PM_STATUS_WORKER: {
		const struct pm_status_worker *w = m;

		CHECK_FUZZ(strlen(w->text) < sizeof(w->text) && fds == 0);
		CHECK_FUZZ(w->guest - 1 < PM_GUEST_HALTED);
		break;
	}
	case PM_GPADL:
		use_gpadl(m);
		CHECK_FUZZ(fds == 0);
		break;
	default:
		CHECK_FUZZ(fds == 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 };
	uint32_t fds = (uint32_t)script_take(&s, 1);
	unsigned how = (unsigned)script_take(&s, 1);
	bool fit = (how & 1) != 0;
	uint32_t given = (uint32_t)(size - s.at), n = given + ((how & 0xfe) == 2 ? 65536 : 0);
	uint64_t *base =
		calloc(1, n + sizeof(*base)); /* exact at its end, and aligned, with no byte, too */
	uint8_t *m;
	const char *why = "unset";
	enum pm_type type;

	if (base == NULL) {
		abort();
	}
	m = (uint8_t *)(base + 1);
	memcpy(m, data + s.at, given);
	if (fit && n >= sizeof(struct pm_header)) {
		memcpy(m + 4, &n, 4);
	}
	type = procmsg_check(m, n, fds, &why);
	if (type == PM_NONE) {
		CHECK_FUZZ(why != NULL && strlen(why) > 2 && strcmp(why, "unset") != 0);
	} else {
		CHECK_FUZZ(why == NULL && ((const struct pm_header *)m)->size == n);
		use(type, m, fds);
	}
	free(base);
	return 0;
}
