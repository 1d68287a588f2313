/* SPDX-License-Identifier: MIT */
#include "hv/host/lib/attest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hv/root/ioctl.h"

int attest_open(void)
{
	int device = open(RD_DEVICE, O_RDWR | O_CLOEXEC);

	return device < 0 ? -errno : device;
}

int attest_key(int device, struct rd_report_key *key)
{
	struct rd_ioctl_report_key request;

	if (ioctl(device, RD_IOCTL_GET_REPORT_KEY, &request) != 0) {
		return -errno;
	}
	*key = request.out;
	return key->size <= sizeof(key->cose) ? 0 : -EPROTO;
}

int attest_token(int device, uint64_t partition, const uint8_t *nonce, size_t n,
		 struct rd_report *token)
{
	struct rd_ioctl_report request = { .in = { .partition = partition,
						   .nonce_size = (uint32_t)n } };

	if (n < RD_NONCE_MIN || n > RD_NONCE_MAX) {
		return -EINVAL;
	}
	memcpy(request.in.nonce, nonce, n);
	if (ioctl(device, RD_IOCTL_GET_REPORT, &request) != 0) {
		return -errno;
	}
	if (request.out.size == 0 || request.out.size > sizeof(request.out.token)) {
		return -EPROTO;
	}
	*token = request.out;
	return 0;
}

const char *attest_error(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM:
		return "not allowed: run it as root";
	case ENOENT:
		return "no such machine, or the hypervisor has no report key: see hvctl list and hvctl dmesg";
	case ENXIO:
	case ENODEV:
		return "no device: load redoubt.ko; is this machine booted through Redoubt?";
	case EBUSY:
		return "the machine is not launched yet: ask again when it runs";
	case EINVAL:
		return "a nonce has 16 to 64 bytes";
	case EOPNOTSUPP:
	case ENOTTY:
	case EPROTO:
		return "hypervisor, redoubt.ko and programs are of different releases: install one release";
	default:
		return strerror(-error);
	}
}
