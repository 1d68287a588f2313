/* SPDX-License-Identifier: MIT */
#include "hv/host/hvctl/hvctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/root/ioctl.h"

static const char *open_remedy(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return "load redoubt.ko; is this machine booted through Redoubt?";
	case EACCES:
	case EPERM:
		return "run as root (CAP_SYS_ADMIN)";
	default:
		return "see the kernel log";
	}
}

static const char *ioctl_remedy(int error)
{
	switch (error) {
	case ENOTTY:
	case EINVAL:
		return "redoubt.ko is of another release than hvctl: load the matching one";
	case EOPNOTSUPP:
		return "the hypervisor is of another release than hvctl: install its hvctl";
	default:
		return "see the kernel log";
	}
}

bool device_open(int *fd)
{
	*fd = open(RD_DEVICE, O_RDWR | O_CLOEXEC);
	if (*fd < 0) {
		int error = errno;

		(void)fprintf(stderr, "hvctl: " RD_DEVICE ": %s: %s\n", strerror(error),
			      open_remedy(error));
		return false;
	}
	return true;
}

static bool device_request(int fd, unsigned long request, void *argument, const char *what)
{
	int result;

	do {
		result = ioctl(fd, request, argument);
	} while (result != 0 && errno == EINTR);
	if (result != 0) {
		int error = errno;

		(void)fprintf(stderr, "hvctl: " RD_DEVICE ": %s: %s: %s\n", what, strerror(error),
			      ioctl_remedy(error));
		return false;
	}
	return true;
}

static bool answer_good(const char *fault)
{
	if (fault != NULL) {
		(void)fprintf(
			stderr,
			"hvctl: the hypervisor answered with %s: install its release of hvctl\n",
			fault);
	}
	return fault == NULL;
}

bool device_get_info(int fd, struct rd_info *info)
{
	struct rd_ioctl_info request = { .in = { .abi_version = RD_ABI_VERSION } };

	if (!device_request(fd, RD_IOCTL_GET_INFO, &request, "information") ||
	    !answer_good(check_info(&request.out))) {
		return false;
	}
	*info = request.out;
	return true;
}

bool device_read_log(int fd, uint64_t sequence, struct rd_log *log)
{
	struct rd_ioctl_log request = { .in = { .sequence = sequence } };

	if (!device_request(fd, RD_IOCTL_READ_LOG, &request, "log") ||
	    !answer_good(check_log(&request.out, sequence))) {
		return false;
	}
	*log = request.out;
	return true;
}
