/* SPDX-License-Identifier: MIT */
#ifndef HV_ABI_EFI_H
#define HV_ABI_EFI_H
/*
 * Offsets in UEFI's 64-bit tables (UEFI 2.10, sections 4.3, 4.4, 4.6) and in EFI_TCG2_PROTOCOL (TCG EFI Protocol Specification,
 * family 2.0, revision 1.00, section 6).
 */

#define EFI_SYSTEM_BOOT_SERVICES 96
#define EFI_SYSTEM_TABLE_COUNT 104
#define EFI_SYSTEM_TABLES 112
#define EFI_CONFIG_BYTES 24u /* of a configuration table's entry: GUID, pointer */
#define EFI_CONFIG_POINTER 16

#define EFI_BOOT_ALLOCATE_PAGES 40
#define EFI_BOOT_GET_MEMORY_MAP 56
#define EFI_BOOT_EXIT 232
#define EFI_BOOT_LOCATE_PROTOCOL 320
#define EFI_SUCCESS 0ull
#define EFI_ALLOCATE_MAX 1ull
#define EFI_LOADER_DATA 2ull
#define EFI_ACPI_NVS 10ull

#define EFI_TCG2_GET_EVENT_LOG 8
#define EFI_TCG2_FORMAT_AGILE 2ull
#define EFI_FINAL_COUNT 8 /* of EFI_TCG2_FINAL_EVENTS_TABLE */
#define EFI_FINAL_EVENTS 16

/* 607f766c-7455-42be-930b-e4d76db2720f */
#define EFI_TCG2_PROTOCOL                                                                     \
	{                                                                                     \
		0x6c, 0x76, 0x7f, 0x60, 0x55, 0x74, 0xbe, 0x42, 0x93, 0x0b, 0xe4, 0xd7, 0x6d, \
			0xb2, 0x72, 0x0f                                                      \
	}
/* 1e2ed096-30e2-4254-bd89-863bbef82325 */
#define EFI_TCG2_FINAL_EVENTS                                                                 \
	{                                                                                     \
		0x96, 0xd0, 0x2e, 0x1e, 0xe2, 0x30, 0x54, 0x42, 0xbd, 0x89, 0x86, 0x3b, 0xbe, \
			0xf8, 0x23, 0x25                                                      \
	}

#endif
