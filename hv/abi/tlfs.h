/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ABI_TLFS_H
#define HV_ABI_TLFS_H
/*
 * Numbers and layouts of the Hyper-V Top-Level Functional Specification that the hypervisor, redoubt.ko and the
 * processes of the root share. Every structure is one hypercall's input or output, or a page's content. Little-endian,
 * natural alignment, no hidden padding; reserved fields must be zero.
 */
#include "hv/abi/redoubt.h"

#define HV_SELF 0xffffffffffffffffull /* partition: the caller's own */
#define HV_ANY_VP 0xffffffffu

/* --- status codes (TLFS appendix B) that this hypervisor answers --- */
#define HV_STATUS_SUCCESS 0
#define HV_STATUS_INVALID_HYPERCALL_CODE 2
#define HV_STATUS_INVALID_HYPERCALL_INPUT 3
#define HV_STATUS_INVALID_ALIGNMENT 4
#define HV_STATUS_INVALID_PARAMETER 5
#define HV_STATUS_ACCESS_DENIED 6
#define HV_STATUS_INVALID_PARTITION_STATE 7
#define HV_STATUS_OPERATION_DENIED 8
#define HV_STATUS_INSUFFICIENT_MEMORY 11
#define HV_STATUS_INVALID_PARTITION_ID 13
#define HV_STATUS_INVALID_VP_INDEX 14
#define HV_STATUS_NOT_FOUND 16
#define HV_STATUS_INVALID_PORT_ID 17
#define HV_STATUS_INVALID_CONNECTION_ID 18
#define HV_STATUS_INSUFFICIENT_BUFFERS 19
#define HV_STATUS_INVALID_VP_STATE 21
#define HV_STATUS_INVALID_SYNIC_STATE 24
#define HV_STATUS_OBJECT_IN_USE 25
#define HV_STATUS_NO_RESOURCES 29

/* --- partitions --- */
struct hv_create_partition { /* 0x0040; out: u64 partition id */
	rd_u64 flags;        /* 0 */
	rd_u64 proximity;
	rd_u32 compatibility_version;
	rd_u32 pad;
	rd_u64 disabled_features[2];
	rd_u64 disabled_xsave;
	rd_u64 isolation; /* 0: none */
};

struct hv_partition_id { /* 0x0041 initialise, 0x0042 finalise, 0x0043 delete */
	rd_u64 partition;
};

#define HV_PROPERTY_REFERENCE_TIME 0x00030005u /* get: 100 ns units since creation */
#define HV_PROPERTY_STATE \
	0x80000000u /* Redoubt's own. get: enum rd_partition_state | pages << 32 */
#define HV_PROPERTY_WEIGHT \
	0x80000001u /* Redoubt's own. get, set: scheduler weight of each VP, 1..1000, default 100 */

enum rd_partition_state {
	RD_PARTITION_CREATED = 1,
	RD_PARTITION_ACTIVE = 2,
	RD_PARTITION_DYING = 3
};

struct hv_get_property { /* 0x0044; out: u64 value */
	rd_u64 partition;
	rd_u32 code;
	rd_u32 reserved;
};

struct hv_set_property { /* 0x0045 */
	rd_u64 partition;
	rd_u32 code;
	rd_u32 reserved;
	rd_u64 value;
};

/* --- memory --- */
#define HV_MAP_READ 1u
#define HV_MAP_WRITE 2u
#define HV_MAP_EXECUTE 12u /* kernel and user: one bit in a nested page table of AMD */
#define HV_MAP_LARGE 0x80000000u

struct hv_map_gpa_pages { /* 0x004b, rep: u64 source page number[]; with LARGE each names 2 MiB */
	rd_u64 partition;
	rd_u64 base; /* target guest page number */
	rd_u32 flags;
	rd_u32 pad;
};

struct hv_unmap_gpa_pages { /* 0x004c, rep without list: rep count = pages */
	rd_u64 partition;
	rd_u64 base;
	rd_u32 flags; /* HV_MAP_LARGE or 0 */
	rd_u32 pad;
};

/* --- virtual processors --- */
#define HV_VP_MAX 8 /* of a child partition */

struct hv_create_vp { /* 0x004e */
	rd_u64 partition;
	rd_u32 vp;
	rd_u8 pad[3];
	rd_u8 subnode_type;
	rd_u64 subnode;
	rd_u64 proximity;
	rd_u64 flags;
};

struct hv_vp_registers { /* 0x0050 get, 0x0051 set: header of the rep list */
	rd_u64 partition;
	rd_u32 vp;
	rd_u8 vtl;
	rd_u8 pad[3];
};

struct hv_register_value {
	rd_u64 low, high;
};

struct hv_register_assoc { /* an element of 0x0051 */
	rd_u32 name;
	rd_u32 pad[3];
	struct hv_register_value value;
};

/* A segment in struct hv_register_value: low = base; high = limit 31:0, selector 47:32, attributes 63:48. */
#define HV_REG_EXPLICIT_SUSPEND 0x00000000u
#define HV_REG_INTERCEPT_SUSPEND 0x00000001u
#define HV_REG_RAX 0x00020000u /* RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
#define HV_REG_R15 0x0002000fu
#define HV_REG_RIP 0x00020010u
#define HV_REG_RFLAGS 0x00020011u
#define HV_REG_CR0 0x00040000u
#define HV_REG_CR2 0x00040001u
#define HV_REG_CR3 0x00040002u
#define HV_REG_CR4 0x00040003u
#define HV_REG_CR8 0x00040004u
#define HV_REG_ES 0x00060000u /* ES CS SS DS FS GS LDTR TR */
#define HV_REG_CS 0x00060001u
#define HV_REG_SS 0x00060002u
#define HV_REG_DS 0x00060003u
#define HV_REG_FS 0x00060004u
#define HV_REG_GS 0x00060005u
#define HV_REG_LDTR 0x00060006u
#define HV_REG_TR 0x00060007u
#define HV_REG_IDTR 0x00070000u /* low = base, high = limit 15:0 << 48 */
#define HV_REG_GDTR 0x00070001u
#define HV_REG_EFER 0x00080001u
#define HV_REG_APIC_BASE 0x00080003u
#define HV_REG_PAT 0x00080004u
#define HV_REG_GUEST_OS_ID 0x00090002u
#define HV_REG_VP_INDEX 0x00090003u
#define HV_REG_VP_RUNTIME 0x00090010u /* 100 ns units */

/* --- intercepts --- */
#define HV_INTERCEPT_IO_PORT_RANGE 0x11u
#define HV_INTERCEPT_TRACE 0x8000u /* Redoubt's own type */
#define HV_INTERCEPT_READ_WRITE 3u
#define HV_INTERCEPT_EXECUTE 4u
#define HV_INTERCEPT_POSTED_WRITE 0x100u  /* Redoubt's own, with 3 */
#define HV_INTERCEPT_CONSTANT_READ 0x200u /* Redoubt's own, with 3; first == last */
/*
 * 0x004d: ports first..last go to the parent; others read as ones and ignore writes. A range that is installed again takes the
 * new access; where ranges overlap, the last one that was made and that has all of an access counts.
 *
 * POSTED_WRITE: the VP does not stop for a write; it is entered in the partition's struct hv_posted. CONSTANT_READ: the VP does not
 * stop for a read of one byte either, which is `value` of the parameter.
 *
 * TRACE (access EXECUTE begins, 0 ends; parameter 0), for a recording: the VP stops after each hypercall and each write of a
 * synthetic register (0x40000xxx but EOI, ICR, TPR, EOM and timer counts), but not where it got an exception, with a struct
 * hv_traced_intercept. The parent only lets it go on.
 */
struct hv_install_intercept {
	rd_u64 partition;
	rd_u32 access;
	rd_u32 type;
	rd_u64 parameter; /* first 15:0, last 31:16, value 39:32 */
};

#define HV_STATE_PAGE_INTERCEPT 1u
/*
 * 0x00e1: the page into which a VP's intercepts are written. The page is the root's own memory (requested pfn, as in the
 * TLFS); notify_flag is Redoubt's: this flag of SINT RD_ROOT_SINT is set in a root VP for each intercept.
 */
struct hv_map_state_page {
	rd_u64 partition;
	rd_u32 vp;
	rd_u16 type;
	rd_u8 vtl, flags;
	rd_u64 pfn;
	rd_u32 notify_flag;
	rd_u32 reserved;
};

/*
 * Posted writes of all VPs of a partition, in their order: a ring in VP 0's page. The indices are free-running. Whoever handles
 * an intercept takes all entries first: they are older. The page's flag is set when the ring is half full, and 1 ms after
 * a write that still waits then. Where the ring is full, a write is an intercept.
 */
#define HV_POSTED_OFFSET 2048
#define HV_POSTED_ENTRIES 128
struct hv_posted_write {
	rd_u16 port;
	rd_u8 size; /* 1, 2 or 4 */
	rd_u8 reserved;
	rd_u32 value;
};

struct hv_posted {
	rd_u32 producer; /* the hypervisor's: it writes and never reads it */
	rd_u32 consumer; /* the parent's */
	rd_u64 reserved;
	struct hv_posted_write entry[HV_POSTED_ENTRIES];
};

#define HV_MESSAGE_NONE 0u
#define HV_MESSAGE_UNMAPPED_GPA 0x80000000u
#define HV_MESSAGE_TIMER 0x80000010u
#define HV_MESSAGE_UNRECOVERABLE 0x80000021u /* triple fault, or a state that the CPU refuses */
#define HV_MESSAGE_HYPERCALL 0x80000050u
#define HV_MESSAGE_IO_PORT 0x80010000u
#define HV_MESSAGE_MSR 0x80010001u
#define HV_MESSAGE_HALT 0x80010007u

#define HV_MESSAGE_PAYLOAD 240
struct hv_message { /* a slot of the SIM page, and what a port delivers */
	rd_u32 type;
	rd_u8 payload_size;
	rd_u8 flags; /* 1: another message waits */
	rd_u16 reserved;
	rd_u64 sender; /* port id, 23:0 */
	rd_u8 payload[HV_MESSAGE_PAYLOAD];
};

struct hv_intercept_header {
	rd_u32 vp;
	rd_u8 length : 4; /* of the instruction */
	rd_u8 cr8 : 4;
	rd_u8 access; /* 0 read, 1 write, 2 execute */
	rd_u16 state;
	rd_u64 cs_base, cs_rest;
	rd_u64 rip, rflags;
};

struct hv_io_port_intercept { /* payload of HV_MESSAGE_IO_PORT */
	struct hv_intercept_header header;
	rd_u16 port;
	rd_u8 access_info; /* size 2:0, string bit 3, rep bit 4 */
	rd_u8 byte_count;
	rd_u32 reserved;
	rd_u64 rax;
	rd_u8 bytes[16];
};

#define HV_TRACED_INPUT 168
struct hv_traced_intercept { /* payload of HV_MESSAGE_HYPERCALL (rax: the result), HV_MESSAGE_MSR */
	struct hv_intercept_header header; /* length 0 */
	rd_u64 rax, rcx, rdx, r8;
	rd_u8 input[HV_TRACED_INPUT]; /* of a hypercall, as it was copied in; then zeros */
};

struct hv_memory_intercept { /* payload of HV_MESSAGE_UNMAPPED_GPA */
	struct hv_intercept_header header;
	rd_u32 cache_type;
	rd_u8 byte_count, access_info, tpr, reserved;
	rd_u64 gva, gpa;
	rd_u8 bytes[16];
};

struct hv_assert_interrupt { /* 0x0094: fixed, edge; physical destination */
	rd_u64 partition;
	rd_u64 control; /* 0 */
	rd_u64 destination;
	rd_u32 vector;
	rd_u8 vtl, pad[3];
};

/* --- synthetic interrupt controller --- */
#define HV_SINT_COUNT 16
#define HV_SINT_MASKED (1ull << 16)
#define HV_SINT_AUTO_EOI (1ull << 17)
#define HV_SINT_POLLING (1ull << 18)
#define HV_STIMER_COUNT 4
#define HV_EVENT_FLAGS 2048 /* per SINT */
#define HV_VMBUS_SINT 2

#define RD_ROOT_SINT 4 /* of the root's VPs: every notification of the hypervisor to redoubt.ko */

#define HV_PORT_MESSAGE 1u
#define HV_PORT_EVENT 2u

/*
 * 0x0095. Ports belong to the root, a child connects to them. An event port sets flag `base_flag` of the SINT in the target
 * VP (HV_ANY_VP: where it is served soonest). A message port keeps up to RD_PORT_MESSAGES messages and sets that flag when
 * the first arrives; RedoubtReceiveMessage takes them (docs/adr: no slot is shared by two guests).
 */
#define RD_PORT_MESSAGES 15
struct hv_create_port {
	rd_u64 port_partition; /* HV_SELF or 1 */
	rd_u32 port;           /* chosen by the caller, 1..RD_PORT_MAX-1 */
	rd_u8 port_vtl, min_connection_vtl;
	rd_u16 pad;
	rd_u64 connection_partition; /* who may connect */
	rd_u32 type, pad2;
	rd_u32 sint, vp;
	rd_u16 base_flag, flag_count; /* count 1 */
	rd_u32 pad3;
	rd_u64 proximity;
};
#define RD_PORT_MAX 1024

struct hv_delete_port {   /* 0x0058 */
	rd_u64 partition; /* HV_SELF or 1 */
	rd_u32 port, pad;
};

struct hv_connect_port { /* 0x0096 */
	rd_u64 connection_partition;
	rd_u32 connection; /* 24 bits, what the guest names */
	rd_u8 connection_vtl, pad[3];
	rd_u64 port_partition;
	rd_u32 port, pad2;
	rd_u32 type, pad3;
	rd_u8 info[24]; /* 0 */
	rd_u64 proximity;
};

struct hv_disconnect_port { /* 0x005b */
	rd_u64 partition;
	rd_u32 connection, pad;
};

struct hv_post_message { /* 0x005c, made by a guest */
	rd_u32 connection, reserved;
	rd_u32 type, size;
	rd_u8 payload[HV_MESSAGE_PAYLOAD];
};

struct hv_signal_event { /* 0x005d, fast */
	rd_u32 connection;
	rd_u16 flag, reserved;
};

struct hv_signal_event_direct { /* 0x00c0; out: u64, 1 where the flag was clear */
	rd_u64 partition;
	rd_u32 vp;
	rd_u8 vtl, sint;
	rd_u16 flag;
};

struct hv_post_message_direct { /* 0x00c1 */
	rd_u64 partition;
	rd_u32 vp;
	rd_u8 vtl, pad[3];
	rd_u32 sint;
	rd_u8 message[256]; /* struct hv_message */
	rd_u32 pad2;
};

struct rd_receive_message { /* 0x8e02; out: struct hv_message; HV_STATUS_NOT_FOUND: none waits */
	rd_u32 port, reserved;
};

#define RD_VP_INFO 8
struct rd_partition_info_in { /* 0x8e03; out: struct rd_partition_info; the partition with this id or the next larger one */
	rd_u64 partition;
};

struct rd_partition_info {
	rd_u64 partition; /* HV_STATUS_NOT_FOUND where there is none */
	rd_u32 state, vp_count;
	rd_u64 pages; /* of 4 KiB, owned */
	rd_u64 exits, hypercalls, intercepts;
	rd_u64 denied_msr, denied_port, denied_memory, denied_insn;
	struct {
		rd_u64 runtime_ns;
		rd_u32 cpu, suspended;
	} vp[RD_VP_INFO];
};

/* --- attestation (docs/attestation.md) --- */

struct rd_measure_pages { /* 0x8e10; list: guest page numbers, measured in this order */
	rd_u64 partition;
};

struct rd_seal_launch { /* 0x8e11: the policy; VPs and memory are the hypervisor's own words */
	rd_u64 partition;
	rd_u32 flags, svn; /* ATTEST_POLICY_DEBUG */
	rd_u16 disks, networks;
	rd_u32 devices, reserved[2];
};

struct rd_measurement { /* 0x8e12 */
	rd_u32 sealed, reserved;
	rd_u64 pages; /* measured */
	rd_u8 digest[48];
	rd_u8 policy[32]; /* struct attest_policy; zeros before the seal */
	rd_u8 instance[16];
};

#define RD_NONCE_MIN 16
#define RD_NONCE_MAX 64
#define RD_REPORT_DATA 64
#define RD_REPORT_TOKEN 768

struct rd_get_report { /* 0x8e13: the root asks for a child's token */
	rd_u64 partition;
	rd_u32 nonce_size, reserved;
	rd_u8 nonce[RD_NONCE_MAX];
};

struct rd_get_own_report { /* 0x8e14: a child asks for its own */
	rd_u32 nonce_size, reserved;
	rd_u8 nonce[RD_NONCE_MAX];
	rd_u8 report_data[RD_REPORT_DATA];
};

struct rd_report { /* NO_RESOURCES: too many asked for; NOT_FOUND: no report key; INVALID_PARTITION_STATE: not sealed */
	rd_u32 size, reserved;
	rd_u8 token[RD_REPORT_TOKEN]; /* COSE_Sign1 */
};

struct rd_report_key { /* 0x8e15 */
	rd_u32 state;  /* enum attest_state: whether this boot can be attested, or why not */
	rd_u32 size;   /* of cose; 0: there is no key */
	rd_u8 cose[112];
	rd_u8 bootseed[32];
};

#ifndef __KERNEL__
_Static_assert(sizeof(struct hv_create_partition) == 56, "TLFS");
_Static_assert(sizeof(struct hv_map_gpa_pages) == 24, "TLFS");
_Static_assert(sizeof(struct hv_create_vp) == 40, "TLFS");
_Static_assert(sizeof(struct hv_vp_registers) == 16, "TLFS");
_Static_assert(sizeof(struct hv_register_assoc) == 32, "TLFS");
_Static_assert(sizeof(struct hv_install_intercept) == 24, "TLFS");
_Static_assert(sizeof(struct hv_posted) == 1040, "in half a page");
_Static_assert(sizeof(struct hv_message) == 256, "TLFS 11.8");
_Static_assert(sizeof(struct hv_intercept_header) == 40, "TLFS");
_Static_assert(sizeof(struct hv_traced_intercept) == HV_MESSAGE_PAYLOAD, "fills a message");
_Static_assert(sizeof(struct hv_assert_interrupt) == 32, "TLFS");
_Static_assert(sizeof(struct hv_create_port) == 56, "TLFS");
_Static_assert(sizeof(struct hv_connect_port) == 72, "TLFS");
_Static_assert(sizeof(struct hv_post_message) == 256, "TLFS");
_Static_assert(sizeof(struct hv_signal_event_direct) == 16, "TLFS");
_Static_assert(sizeof(struct hv_post_message_direct) == 280, "TLFS");
#endif

#endif
