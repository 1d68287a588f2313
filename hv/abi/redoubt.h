/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ABI_REDOUBT_H
#define HV_ABI_REDOUBT_H
/*
 * Words that the hypervisor, redoubt.ko and hvctl share: Redoubt's own hypercalls (TLFS leaves codes with bit 15 set
 * to extensions) and their layouts. Only the root partition may make them.
 * Calling convention: TLFS 3, slow form: RCX control, RDX input GPA, R8 output GPA, VMMCALL; status in RAX 15:0.
 */
#ifdef __KERNEL__
#include <linux/types.h>
typedef __u8 rd_u8;
typedef __u16 rd_u16;
typedef __u32 rd_u32;
typedef __u64 rd_u64;
#else
#include <stdint.h>
typedef uint8_t rd_u8;
typedef uint16_t rd_u16;
typedef uint32_t rd_u32;
typedef uint64_t rd_u64;
#endif

/* The numbers of the calls stand in hv/abi/hypercalls.def; these two are repeated for users outside the hypervisor. */
#define RD_HVCALL_GET_INFO 0x8e00 /* in: struct rd_info_in; out: struct rd_info */
#define RD_HVCALL_READ_LOG 0x8e01 /* in: struct rd_log_in; out: struct rd_log */

#define RD_ABI_VERSION 1

/* CPUID 0x40000000 answers "Microsoft Hv"; leaf 0x40000001 "Hv#1"; this leaf names the product: EAX = max,
 * EBX, ECX, EDX = "RedoubtRedou". It lies outside the Hyper-V range. */
#define RD_CPUID_LEAF 0x40000100
#define RD_CPUID_EBX 0x6f646552 /* "Redo" */
#define RD_CPUID_ECX 0x52746275 /* "ubtR" */
#define RD_CPUID_EDX 0x756f6465 /* "edou" */

/* struct rd_info.protections and .available: a bit each. */
#define RD_PROT_NPT (1ull << 0)   /* nested paging keeps hypervisor frames from the root */
#define RD_PROT_IOMMU (1ull << 1) /* the IOMMU keeps hypervisor frames from devices */
#define RD_PROT_NX (1ull << 2)
#define RD_PROT_SMEP (1ull << 3)
#define RD_PROT_SMAP (1ull << 4)
#define RD_PROT_UMIP (1ull << 5)
#define RD_PROT_WX (1ull << 6) /* no page of the hypervisor is writable and executable */
#define RD_PROT_KASLR (1ull << 7)
#define RD_PROT_CANARY (1ull << 8)
#define RD_PROT_RO_AFTER_INIT (1ull << 9)
#define RD_PROT_MSR_LIST (1ull << 10)
#define RD_PROT_PORT_LIST (1ull << 11)
#define RD_PROT_HW_RNG (1ull << 12) /* canaries and bases come from RDRAND/RDSEED */
#define RD_PROT_SLEEP \
	(1ull << 13) /* S3/S4, which would restart below the hypervisor, are refused */

/* struct rd_info.hw: what the CPU offers and the hypervisor uses. */
#define RD_HW_NRIPS (1ull << 0)
#define RD_HW_DECODE_ASSISTS (1ull << 1)
#define RD_HW_FLUSH_BY_ASID (1ull << 2)
#define RD_HW_X2APIC (1ull << 3)
#define RD_HW_TSC_DEADLINE (1ull << 4)
#define RD_HW_PAGE1GB (1ull << 5)
#define RD_HW_INVARIANT_TSC (1ull << 6)
#define RD_HW_VMCB_CLEAN (1ull << 7)

enum rd_owner {
	RD_OWNER_ROOT = 0,
	RD_OWNER_HYPERVISOR = 1,
	RD_OWNER_POOL = 2,
	RD_OWNER_FIRMWARE = 3
};

struct rd_mem_range {
	rd_u64 base;
	rd_u64 size;
	rd_u32 owner; /* enum rd_owner */
	rd_u32 type;  /* e820 type it had at boot */
};

#define RD_INFO_RANGES 128

struct rd_info_in {
	rd_u32 abi_version; /* RD_ABI_VERSION */
	rd_u32 reserved;    /* 0 */
};

struct rd_info {
	rd_u32 abi_version;
	rd_u32 size; /* of this structure */
	char version[32];
	char build[32];   /* "debug" or "release", compiler */
	rd_u32 cpu_count; /* physical CPUs that the hypervisor runs */
	rd_u32 root_vp_count;
	rd_u64 protections; /* RD_PROT_* that are on */
	rd_u64 available;   /* RD_PROT_* that could be on: off here means the machine lacks it */
	rd_u64 hw;
	rd_u64 hv_bytes; /* the hypervisor's own memory, all of it */
	rd_u64 heap_bytes, heap_free_bytes;
	rd_u64 pool_bytes, pool_free_bytes;
	rd_u64 tsc_hz, apic_timer_hz;
	rd_u64 uptime_ns;
	rd_u32 iommu_count;
	rd_u32 iommu_faults;    /* DMA faults seen so far */
	char vendor[16];        /* "svm" */
	char boot_protocol[16]; /* "multiboot1", "multiboot2", "multiboot2-efi" */
	rd_u64 denied_msr, denied_port, denied_memory,
		denied_insn; /* what the root tried and was refused */
	rd_u64 log_dropped;
	rd_u32 range_count;
	rd_u32 attest; /* enum attest_state of attest/core/format.h: 0, this boot can be attested */
	struct rd_mem_range range[RD_INFO_RANGES];
};

#define RD_LOG_TEXT_MAX 120

struct rd_log_record {
	rd_u64 sequence;
	rd_u64 time_ns; /* since the hypervisor started */
	rd_u32 cpu;
	rd_u8 level;  /* 0 error, 1 warning, 2 info, 3 debug */
	rd_u8 length; /* of text, without NUL */
	rd_u16 reserved;
	char text[RD_LOG_TEXT_MAX]; /* NUL-terminated */
};

struct rd_log_in {
	rd_u64 sequence; /* first one wanted; older ones that are gone are skipped */
};

#define RD_LOG_RECORDS 28 /* in one answer */

struct rd_log {
	rd_u64 next; /* ask for this one next */
	rd_u32 count;
	rd_u32 reserved;
	struct rd_log_record record[RD_LOG_RECORDS];
};

#ifndef __KERNEL__
_Static_assert(sizeof(struct rd_info) <= 4096, "one page");
_Static_assert(sizeof(struct rd_log) <= 4096, "one page");
_Static_assert(sizeof(struct rd_log_record) == 144, "layout");
#endif

#endif
