/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_DEFINITION_H
#define HV_HOST_VMMGR_DEFINITION_H
/*
 * What a virtual machine is made of, in the words of its definition file (docs/man/redoubt-vm.5). No file is opened here:
 * that the kernel and the disks exist is seen when the machine starts.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEFINITION_BYTES_MAX 32768u
#define DEFINITION_NAME_MAX 31u
#define DEFINITION_PATH_MAX 511u
#define DEFINITION_DISKS_MAX 8u
#define DEFINITION_NICS_MAX 4u
#define DEFINITION_VPS_MAX 8u
#define DEFINITION_MEMORY_MIN_MIB 16u
#define DEFINITION_MEMORY_MAX_MIB 1048576u

struct definition_disk {
	char path[DEFINITION_PATH_MAX + 1];
	bool read_only;
};

struct definition_nic {
	uint8_t mac[6];  /* given, or made from the machine's name */
	char uplink[16]; /* TAP interface that the switch is to have; "": none asked for */
};

enum definition_attest { DEFINITION_ATTEST_AUTO, DEFINITION_ATTEST_YES, DEFINITION_ATTEST_NO };

struct definition {
	char name[DEFINITION_NAME_MAX + 1];
	uint32_t memory_mib; /* even: memory comes in pieces of 2 MiB */
	uint32_t vps;
	uint32_t weight;
	enum definition_attest
		attest; /* measured at launch; AUTO: where the machine can be attested */
	uint32_t svn;   /* the security version that its reports name */
	char kernel[DEFINITION_PATH_MAX + 1];
	char initrd[DEFINITION_PATH_MAX + 1]; /* "": none */
	char cmdline[1024];
	uint32_t disk_count, nic_count;
	struct definition_disk disk[DEFINITION_DISKS_MAX];
	struct definition_nic nic[DEFINITION_NICS_MAX];
};

struct definition_fault {
	uint32_t line;  /* 0: none in particular */
	char key[64];   /* "": none in particular */
	char text[128]; /* what is wrong */
	char remedy[160];
};

/* 1 to 31 of a-z A-Z 0-9 . _ - and not beginning with a dot or a hyphen: it becomes part of file names. */
bool definition_name_good(const char *name);

/*
 * Trust: text[0..size) is hostile, and so is its size. false: *fault says line, key, what and the remedy; *d is not to be used.
 */
bool definition_parse(const char *text, size_t size, struct definition *d,
		      struct definition_fault *fault);

/* ATTEST_DEVICE_*: what every machine has besides disks and NICs. */
uint32_t definition_devices(const struct definition *d);

/* 16 bytes that depend on nothing but the name and the two numbers: instance GUIDs and MAC addresses stay over restarts. */
void definition_derive(const char *name, uint32_t kind, uint32_t index, uint8_t out[16]);

#endif
