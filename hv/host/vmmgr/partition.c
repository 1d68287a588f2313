/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/partition.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "attest/core/format.h"
#include "hv/root/ioctl.h"

static const char *open_remedy(int error)
{
	return error == EACCES || error == EPERM
		       ? "run vmmgr as root"
		       : "load redoubt.ko; is this machine booted through Redoubt?";
}

static const char *create_remedy(int error)
{
	switch (error) {
	case ENOMEM:
		return "the pool has too little free memory (hvctl info): boot with a larger pool=, "
		       "or stop another machine";
	case ENOTTY:
	case EINVAL:
		return "redoubt.ko is of another release than vmmgr: load the matching one";
	case EOPNOTSUPP:
		return "the hypervisor has no child partitions: boot the matching release";
	default:
		return "see hvctl dmesg and the kernel log";
	}
}

bool partition_create(struct partition *p, uint64_t memory_bytes, uint32_t vps, uint32_t weight,
		      char *why, size_t room)
{
	struct rd_create_partition request = {
		.memory_bytes = memory_bytes,
		.vp_count = vps,
		.weight = weight,
	};
	int device = open(RD_DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0) {
		(void)snprintf(why, room, "%s: %s: %s", RD_DEVICE, strerror(errno),
			       open_remedy(errno));
		return false;
	}
	p->fd = ioctl(device, RD_IOCTL_CREATE_PARTITION, &request);
	if (p->fd < 0) {
		(void)snprintf(why, room, "create a partition of %" PRIu64 " MiB: %s: %s",
			       memory_bytes >> 20, strerror(errno), create_remedy(errno));
		(void)close(device);
		return false;
	}
	(void)close(device);
	p->number = request.partition;
	p->memory = ioctl(p->fd, RD_IOCTL_MEMORY);
	if (p->memory < 0) {
		(void)snprintf(why, room, "memory of the partition: %s: %s", strerror(errno),
			       create_remedy(errno));
		partition_drop(p);
		return false;
	}
	return true;
}

bool partition_attestable(void)
{
	struct rd_ioctl_report_key key;
	int device = open(RD_DEVICE, O_RDWR | O_CLOEXEC);
	bool yes;

	if (device < 0) {
		return false;
	}
	yes = ioctl(device, RD_IOCTL_GET_REPORT_KEY, &key) == 0 && key.out.state == ATTEST_OK;
	(void)close(device);
	return yes;
}

void partition_stop(const struct partition *p)
{
	if (p->fd >= 0) {
		(void)ioctl(p->fd, RD_IOCTL_STOP);
	}
}

void partition_drop(struct partition *p)
{
	if (p->memory >= 0) {
		(void)close(p->memory);
	}
	if (p->fd >= 0) {
		(void)close(p->fd);
	}
	p->memory = -1;
	p->fd = -1;
}
