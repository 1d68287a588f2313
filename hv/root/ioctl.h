/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_IOCTL_H
#define HV_ROOT_IOCTL_H
/*
 * What /dev/redoubt understands. A request holds the input of the hypercall, then its output; `in`
 * is read, `out` is written. Layouts are the same for 32-bit and 64-bit callers. Reserved fields
 * must be 0.
 */
#include "hv/abi/redoubt.h"
#include "hv/abi/tlfs.h"

#ifdef __KERNEL__
#include <linux/ioctl.h>
#else
#include <sys/ioctl.h>
#endif

#define RD_DEVICE "/dev/redoubt"

struct rd_ioctl_info {
	struct rd_info_in in;
	struct rd_info out;
};

struct rd_ioctl_log {
	struct rd_log_in in;
	struct rd_log out;
};

#define RD_IOCTL_GET_INFO _IOWR('R', 0x80, struct rd_ioctl_info)
#define RD_IOCTL_READ_LOG _IOWR('R', 0x81, struct rd_ioctl_log)

/*
 * Child partitions. Every object is a descriptor, and the descriptor is the caller's only identity: none of the requests
 * below takes a partition's number, but those that only look. A partition goes, with its VPs, channels and message port, when its own descriptor is
 * closed (in the last process); its memory returns to the pool when the mappings are gone too.
 *
 *   /dev/redoubt     RD_IOCTL_CREATE_PARTITION   -> partition
 *   partition        RD_IOCTL_MEMORY             -> memory     mmap: the guest's memory, offset = rd_memory_offset(gpa)
 *                    RD_IOCTL_CREATE_VP          -> vp         mmap: one page, struct hv_message of the intercept; poll: IN.
 *                                                              VP 0: read: struct hv_posted_write of all VPs; poll: PRI
 *                    RD_IOCTL_CREATE_CHANNEL     -> channel    read/poll: the guest signalled; write: signal the guest
 *                    RD_IOCTL_CREATE_MESSAGE     -> message    read/poll: struct hv_message from the guest
 *                    RD_IOCTL_POST               posts a message to the guest
 *                    RD_IOCTL_INTERCEPT_PORTS    which ports become intercepts
 *                    RD_IOCTL_MEASURE, SEAL      what was loaded, before it runs
 *   vp               RD_IOCTL_GET_REGS, SET_REGS, RUN
 */
struct rd_create_partition {
	rd_u64 memory_bytes; /* a multiple of 2 MiB, 16 MiB at least */
	rd_u32 vp_count;     /* 1..HV_VP_MAX */
	rd_u32 weight;       /* of each VP in the scheduler, 1..1000; 0: default */
	rd_u64 partition;    /* out: the hypervisor's number, for messages and hvctl only */
};

/* Guest memory starts at 0; what does not fit below 3 GiB continues at 4 GiB. */
#define RD_LOW_LIMIT 0xc0000000ull
#define RD_HIGH_BASE 0x100000000ull

struct rd_create_vp {
	rd_u32 vp; /* 0..vp_count-1, each once; VP 0 starts at RUN, the others by the guest's SIPI */
	rd_u32 reserved;
};

struct rd_create_channel {
	rd_u32 connection; /* what the guest signals, 24 bits */
	rd_u32 vp;         /* whom a write signals */
	rd_u32 sint;
	rd_u32 flag; /* 0..2047 */
};

struct rd_set_target { /* a channel's write goes to this VP from now on */
	rd_u32 vp, reserved;
};

struct rd_create_message {
	rd_u32 connection[4]; /* connection ids that lead here; 0: unused */
};

struct rd_post { /* EAGAIN: its queue is full, try again later */
	rd_u32 vp, sint;
	struct hv_message message;
};

/* Of a range that has been named before, `how` and `value` change. */
#define RD_PORTS_POSTED_WRITE \
	1u /* writes do not stop the VP: they are read from VP 0's descriptor */
#define RD_PORTS_CONSTANT_READ 2u /* reads of one byte do not: they are `value`; first == last */
/* No port: each hypercall and each synthetic register that is written becomes an intercept when it is done. value: 1 on, 0 off. */
#define RD_PORTS_TRACE 4u
struct rd_intercept_ports {
	rd_u16 first, last;
	rd_u8 how, value;
	rd_u16 reserved;
};

#define RD_REGS_MAX 64
struct rd_regs { /* the VP must be suspended: EBUSY */
	rd_u32 count, reserved;
	rd_u64 assoc; /* address of struct hv_register_assoc[count]; GET fills the values */
};

/*
 * Goes on after an intercept, or starts VP 0. length: bytes to move RIP by; with RD_RUN_RAX, RAX is set first.
 */
#define RD_RUN_RAX 1u
struct rd_run {
	rd_u32 flags, length;
	rd_u64 rax;
};

struct rd_ioctl_partition_info {
	struct rd_partition_info_in in;
	struct rd_partition_info out;
};

/*
 * Attestation (docs/attestation.md). Whole pages of the guest's memory enter its measurement, in this order; the seal ends
 * that, and so does the first RUN of VP 0 (EBUSY after it).
 */
struct rd_measure {
	rd_u64 gpa, bytes; /* multiples of 4 KiB */
};

struct rd_seal {
	rd_u32 flags, svn; /* as in struct rd_seal_launch */
	rd_u16 disks, networks;
	rd_u32 devices;
};

struct rd_ioctl_measurement {
	struct hv_partition_id in;
	struct rd_measurement out;
};

struct rd_ioctl_report { /* EBUSY: not sealed; ENOENT: no such partition, or no report key */
	struct rd_get_report in;
	struct rd_report out;
};

struct rd_ioctl_report_key {
	struct rd_report_key out;
};

#define RD_IOCTL_GET_MEASUREMENT _IOWR('R', 0x83, struct rd_ioctl_measurement)
#define RD_IOCTL_GET_REPORT _IOWR('R', 0x84, struct rd_ioctl_report)
#define RD_IOCTL_GET_REPORT_KEY _IOR('R', 0x85, struct rd_ioctl_report_key)
#define RD_IOCTL_MEASURE _IOW('R', 0x9c, struct rd_measure) /* partition */
#define RD_IOCTL_SEAL _IOW('R', 0x9d, struct rd_seal)       /* partition */
#define RD_IOCTL_PARTITION_INFO _IOWR('R', 0x82, struct rd_ioctl_partition_info)
#define RD_IOCTL_CREATE_PARTITION _IOWR('R', 0x90, struct rd_create_partition)
#define RD_IOCTL_MEMORY _IO('R', 0x91)
#define RD_IOCTL_CREATE_VP _IOW('R', 0x92, struct rd_create_vp)
#define RD_IOCTL_CREATE_CHANNEL _IOW('R', 0x93, struct rd_create_channel)
#define RD_IOCTL_CREATE_MESSAGE _IOW('R', 0x94, struct rd_create_message)
#define RD_IOCTL_POST _IOW('R', 0x95, struct rd_post)
#define RD_IOCTL_INTERCEPT_PORTS _IOW('R', 0x96, struct rd_intercept_ports)
#define RD_IOCTL_SET_TARGET _IOW('R', 0x97, struct rd_set_target)
#define RD_IOCTL_GET_REGS _IOWR('R', 0x98, struct rd_regs)
#define RD_IOCTL_SET_REGS _IOW('R', 0x99, struct rd_regs)
#define RD_IOCTL_RUN _IOW('R', 0x9a, struct rd_run)
#define RD_IOCTL_STOP \
	_IO('R', 0x9b) /* partition: no VP runs when it returns; there is no way back */

/* Where a guest-physical address lies in a memory descriptor; no such memory: UINT64_MAX. */
static inline rd_u64 rd_memory_offset(rd_u64 gpa, rd_u64 memory_bytes)
{
	rd_u64 low = memory_bytes < RD_LOW_LIMIT ? memory_bytes : RD_LOW_LIMIT;

	if (gpa < low) {
		return gpa;
	}
	if (gpa >= RD_HIGH_BASE && gpa - RD_HIGH_BASE < memory_bytes - low) {
		return low + (gpa - RD_HIGH_BASE);
	}
	return ~0ull;
}

#endif
