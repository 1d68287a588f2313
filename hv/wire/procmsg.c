/* SPDX-License-Identifier: MIT */
#include "hv/wire/procmsg.h"

#include "hv/abi/tlfs.h"

#define PAGE 4096u

/* Fixed layouts: the two ends are separate programs. */
_Static_assert(sizeof(struct pm_device) == 40, "layout");
_Static_assert(sizeof(struct pm_config_worker) ==
		       48 + 1024 + PM_DEVICES_MAX * 40 + 8 + PM_SERVICES_MAX * 24,
	       "layout");
_Static_assert(sizeof(struct pm_disk) == 48, "layout");
_Static_assert(sizeof(struct pm_config_storvsp) == 24 + PM_DISKS_MAX * 48, "layout");
_Static_assert(sizeof(struct pm_config_netvsp) == 32, "layout");
_Static_assert(sizeof(struct pm_port) == 20, "layout");
_Static_assert(sizeof(struct pm_gpadl) == 32, "layout");
_Static_assert(4 + 1 + PM_DEVICES_MAX <= PM_FDS_MAX, "descriptors of PM_CONFIG_WORKER");
_Static_assert(3 + PM_DISKS_MAX <= PM_FDS_MAX, "descriptors of PM_CONFIG_STORVSP");

static bool ends(const char *text, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		if (text[i] == 0) {
			return true;
		}
	}
	return false;
}

static bool memory_valid(uint64_t bytes)
{
	return bytes != 0 && bytes % PAGE == 0 && bytes <= PM_MEMORY_MAX;
}

/* The size that a type must have; PM_GPADL: at least. 0: no such type. */
static uint32_t size_of(uint32_t type)
{
	switch (type) {
	case PM_CONFIG_WORKER:
		return sizeof(struct pm_config_worker);
	case PM_CONFIG_STORVSP:
		return sizeof(struct pm_config_storvsp);
	case PM_CONFIG_NETVSP:
		return sizeof(struct pm_config_netvsp);
	case PM_CONFIG_IC:
		return sizeof(struct pm_config_ic);
	case PM_CONFIG_HVSOCK:
		return sizeof(struct pm_config_hvsock);
	case PM_REPORT:
		return sizeof(struct pm_report);
	case PM_REPORT_WANTED:
		return sizeof(struct pm_report_wanted);
	case PM_CONFIG_CONSOLE:
		return sizeof(struct pm_config_console);
	case PM_CONFIG_VSWITCH:
		return sizeof(struct pm_config_vswitch);
	case PM_DEVICE_AGAIN:
		return sizeof(struct pm_device_again);
	case PM_PORT_ADD:
	case PM_PORT_REMOVE:
		return sizeof(struct pm_port);
	case PM_IC_SHUTDOWN:
		return sizeof(struct pm_ic_shutdown);
	case PM_LINK:
		return sizeof(struct pm_link);
	case PM_RECORD:
		return sizeof(struct pm_record);
	case PM_STOP:
	case PM_READY:
	case PM_RESET:
	case PM_RESET_DONE:
		return sizeof(struct pm_plain);
	case PM_STATUS_WORKER:
		return sizeof(struct pm_status_worker);
	case PM_STATUS_IC:
		return sizeof(struct pm_status_ic);
	case PM_STATUS_NET:
		return sizeof(struct pm_status_net);
	case PM_STATUS_DISK:
		return sizeof(struct pm_status_disk);
	case PM_STATUS_CONSOLE:
		return sizeof(struct pm_status_console);
	case PM_GPADL:
		return sizeof(struct pm_gpadl);
	case PM_OPEN:
		return sizeof(struct pm_open);
	case PM_CLOSE:
	case PM_CLOSED:
	case PM_OPENED:
	case PM_HANGUP:
		return sizeof(struct pm_channel);
	case PM_GPADL_FREE:
	case PM_GPADL_FREED:
		return sizeof(struct pm_gpadl_free);
	default:
		return 0;
	}
}

/* Answers the fault, or NULL. *fds: descriptors that must be beside it. */
static const char *check_worker(const struct pm_config_worker *m, uint32_t *fds)
{
	if (!memory_valid(m->memory_bytes)) {
		return "memory size";
	}
	if (m->vp_count == 0 || m->vp_count > HV_VP_MAX) {
		return "number of processors";
	}
	if (m->has_initrd > 1 || m->measure > 1) {
		return "flag";
	}
	if (m->device_count > PM_DEVICES_MAX || m->socket_count > PM_DEVICES_MAX) {
		return "count";
	}
	if (!ends(m->cmdline, sizeof(m->cmdline))) {
		return "text without end";
	}
	for (uint32_t i = 0; i < m->device_count; i++) {
		if (m->device[i].socket >= m->socket_count) {
			return "number of a socket";
		}
	}
	if (m->service_count > PM_SERVICES_MAX) {
		return "count";
	}
	for (uint32_t i = 0; i < m->service_count; i++) {
		if (m->service[i].socket >= m->socket_count) {
			return "number of a socket";
		}
		if (m->service[i].reserved != 0) {
			return "reserved field";
		}
	}
	if (m->reserved != 0) {
		return "reserved field";
	}
	*fds = 4 + m->has_initrd + m->socket_count;
	return NULL;
}

static const char *check_storvsp(const struct pm_config_storvsp *m, uint32_t *fds)
{
	if (!memory_valid(m->memory_bytes)) {
		return "memory size";
	}
	if (m->restarted > 1) {
		return "flag";
	}
	if (m->disk_count > PM_DISKS_MAX) {
		return "count";
	}
	for (uint32_t i = 0; i < m->disk_count; i++) {
		const struct pm_disk *d = &m->disk[i];

		if (d->bytes % 512 != 0 || d->bytes >> 63 != 0) {
			return "disk size";
		}
		if (d->read_only > 1) {
			return "flag";
		}
		if (d->reserved != 0) {
			return "reserved field";
		}
		if (!ends(d->serial, sizeof(d->serial))) {
			return "text without end";
		}
	}
	*fds = 3 + m->disk_count;
	return NULL;
}

static const char *check_netvsp(const struct pm_config_netvsp *m)
{
	if (!memory_valid(m->memory_bytes)) {
		return "memory size";
	}
	if (m->restarted > 1) {
		return "flag";
	}
	return m->reserved != 0 ? "reserved field" : NULL;
}

static const char *check_ic(const struct pm_config_ic *m)
{
	if (!memory_valid(m->memory_bytes)) {
		return "memory size";
	}
	if (m->restarted > 1) {
		return "flag";
	}
	return m->reserved != 0 ? "reserved field" : NULL;
}

static const char *check_hvsock(const struct pm_config_hvsock *m)
{
	if (!memory_valid(m->memory_bytes)) {
		return "memory size";
	}
	if (m->restarted > 1) {
		return "flag";
	}
	return m->reserved != 0 ? "reserved field" : NULL;
}

static const char *check_report(const struct pm_report *m, uint32_t *fds)
{
	*fds = m->error == PM_REPORT_GOOD;
	return m->error > PM_REPORT_BUSY ? "error" : NULL;
}

static const char *check_report_wanted(const struct pm_report_wanted *m)
{
	if (m->nonce_size < PM_NONCE_MIN || m->nonce_size > PM_NONCE_MAX) {
		return "size of a nonce";
	}
	for (uint32_t i = m->nonce_size; i < PM_NONCE_MAX; i++) {
		if (m->nonce[i] != 0) {
			return "reserved field";
		}
	}
	return NULL;
}

/* A flag and a reserved field, as many messages have them. */
static const char *check_flag(uint32_t flag, uint32_t reserved)
{
	if (flag > 1) {
		return "flag";
	}
	return reserved != 0 ? "reserved field" : NULL;
}

static const char *check_device_again(const struct pm_device_again *m)
{
	if (m->socket >= PM_DEVICES_MAX) {
		return "number of a socket";
	}
	return m->reserved != 0 ? "reserved field" : NULL;
}

static const char *check_status_worker(const struct pm_status_worker *m)
{
	if (m->guest < PM_GUEST_RUNNING || m->guest > PM_GUEST_HALTED) {
		return "state of the guest";
	}
	if (m->reserved != 0) {
		return "reserved field";
	}
	return ends(m->text, sizeof(m->text)) ? NULL : "text without end";
}

static const char *check_gpadl(const struct pm_gpadl *m)
{
	if (m->pages == 0) {
		return "count";
	}
	/* What is longer than a message may be was refused: it has at most PM_GPADL_PAGES_MAX pages. */
	if (m->header.size != sizeof(*m) + (uint64_t)m->pages * 8) {
		return "size";
	}
	if (m->offset >= PAGE || m->length == 0 ||
	    ((uint64_t)m->offset + m->length + PAGE - 1) / PAGE != m->pages) {
		return "range";
	}
	return m->reserved != 0 ? "reserved field" : NULL;
}

static const char *check_channel(const struct pm_channel *m)
{
	if (m->header.type != PM_OPENED && m->status != 0) {
		return "status";
	}
	return m->reserved != 0 ? "reserved field" : NULL;
}

/* The content of a message whose size is right. */
static const char *check_content(const struct pm_header *h, uint32_t *fds)
{
	const void *m = h;

	switch (h->type) {
	case PM_CONFIG_WORKER:
		return check_worker(m, fds);
	case PM_CONFIG_STORVSP:
		return check_storvsp(m, fds);
	case PM_CONFIG_NETVSP:
		*fds = 4;
		return check_netvsp(m);
	case PM_CONFIG_IC:
		*fds = 2;
		return check_ic(m);
	case PM_CONFIG_HVSOCK:
		*fds = 2;
		return check_hvsock(m);
	case PM_REPORT:
		return check_report(m, fds);
	case PM_REPORT_WANTED:
		return check_report_wanted(m);
	case PM_CONFIG_CONSOLE: {
		const struct pm_config_console *c = m;

		*fds = 3;
		return check_flag(c->restarted, c->reserved);
	}
	case PM_CONFIG_VSWITCH: {
		const struct pm_config_vswitch *c = m;

		*fds = c->has_uplink;
		return check_flag(c->has_uplink, c->reserved);
	}
	case PM_DEVICE_AGAIN:
		*fds = 1;
		return check_device_again(m);
	case PM_PORT_ADD:
		*fds = 1;
		return ((const struct pm_port *)m)->reserved != 0 ? "reserved field" : NULL;
	case PM_PORT_REMOVE:
		return ((const struct pm_port *)m)->reserved != 0 ? "reserved field" : NULL;
	case PM_IC_SHUTDOWN: {
		const struct pm_ic_shutdown *c = m;

		return check_flag(c->reboot, c->reserved);
	}
	case PM_LINK: {
		const struct pm_link *c = m;

		return check_flag(c->up, c->reserved);
	}
	case PM_RECORD:
		*fds = 1;
		return ((const struct pm_record *)m)->reserved != 0 ? "reserved field" : NULL;
	case PM_STATUS_WORKER:
		return check_status_worker(m);
	case PM_STATUS_IC:
		return check_flag(((const struct pm_status_ic *)m)->shutdown_ready, 0);
	case PM_GPADL:
		return check_gpadl(m);
	case PM_OPEN:
		*fds = 1;
		return NULL;
	case PM_CLOSE:
	case PM_CLOSED:
	case PM_OPENED:
	case PM_HANGUP:
		return check_channel(m);
	default: /* nothing in it that could be wrong */
		return NULL;
	}
}

enum pm_type procmsg_check(const void *message, uint32_t size, uint32_t fds, const char **why)
{
	const struct pm_header *h = message;
	uint32_t want, want_fds = 0;

	if (size < sizeof(*h) || size > PM_BYTES_MAX || h->size != size) {
		*why = "size";
		return PM_NONE;
	}
	want = size_of(h->type);
	if (want == 0) {
		*why = "unknown type";
		return PM_NONE;
	}
	if (h->type == PM_GPADL ? size < want : size != want) {
		*why = "size";
		return PM_NONE;
	}
	*why = check_content(h, &want_fds);
	if (*why == NULL && fds != want_fds) {
		*why = "number of descriptors";
	}
	return *why == NULL ? (enum pm_type)h->type : PM_NONE;
}
