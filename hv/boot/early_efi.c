/* SPDX-License-Identifier: MIT */
/*
 * On UEFI, while boot services still run: the TPM's event log, which only they hand out, then the memory map and their end
 * (UEFI 2.10, 7.2 and 7.4.6; TCG EFI Protocol Specification family 2.0, revision 1.00, 6). Everything later is as with any other
 * loader. Structures of the firmware are read by offset; firmware functions are called by efi_call only (start.S).
 */
#include "hv/boot/early.h"

#include "hv/arch/x86/x86.h"
#include "hv/wire/tcglog.h"

#define EFI_OK 0ull
#define EFI_ALLOCATE_MAX 1ull
#define EFI_LOADER_DATA 2ull
#define EFI_ACPI_NVS 10ull
#define BELOW_4G 0xffffffffull

#define SYSTEM_BOOT_SERVICES 96
#define SYSTEM_TABLE_COUNT 104
#define SYSTEM_TABLES 112
#define BOOT_ALLOCATE_PAGES 40
#define BOOT_GET_MEMORY_MAP 56
#define BOOT_EXIT 232
#define BOOT_LOCATE_PROTOCOL 320
#define TCG2_GET_EVENT_LOG 8
#define TCG2_FORMAT_AGILE 2ull

#define TABLE_BYTES 24u /* EFI_CONFIGURATION_TABLE: GUID, pointer */
#define TABLES_MAX 256u
#define MAP_PAGES 16ull /* of the memory map; a firmware with more than 1300 entries is refused */
#define LOG_ROOM (64ull << 10) /* for the events after GetEventLog and the hypervisor's own */
#define EXIT_TRIES 8

uint64_t efi_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
void boot_efi(uint32_t magic, uint64_t info, uint64_t load_base);

static const uint8_t tcg2_protocol[16] = { 0x6c, 0x76, 0x7f, 0x60, 0x55, 0x74, 0xbe, 0x42,
					   0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f };
static const uint8_t final_events[16] = { 0x96, 0xd0, 0x2e, 0x1e, 0xe2, 0x30, 0x54, 0x42,
					  0xbd, 0x89, 0x86, 0x3b, 0xbe, 0xf8, 0x23, 0x25 };

struct efi {
	uint64_t system, boot, image;
	struct tcglog log;       /* alg_count 0: no log */
	const uint8_t *final;    /* EFI_TCG2_FINAL_EVENTS_TABLE, NULL for none */
	uint64_t final_before;   /* its events that GetEventLog's copy has already */
	uint64_t map, map_bytes; /* memory map: where, how large */
	uint64_t map_key, entry;
};

static uint64_t at64(uint64_t table, uint64_t offset)
{
	return le64((const uint8_t *)(table + offset));
}

static uint64_t allocate(const struct efi *e, uint64_t type, uint64_t pages)
{
	uint64_t at = BELOW_4G;

	if (efi_call(at64(e->boot, BOOT_ALLOCATE_PAGES), EFI_ALLOCATE_MAX, type, pages,
		     (uint64_t)&at, 0) != EFI_OK) {
		return 0;
	}
	return at;
}

static const uint8_t *config_table(const struct efi *e, const uint8_t *guid)
{
	uint64_t count = at64(e->system, SYSTEM_TABLE_COUNT);
	uint64_t t = at64(e->system, SYSTEM_TABLES);

	for (uint64_t i = 0; i < count && i < TABLES_MAX; i++, t += TABLE_BYTES) {
		if (__builtin_memcmp((const void *)t, guid, 16) == 0) {
			return (const uint8_t *)at64(t, 16);
		}
	}
	return NULL;
}

/* Bytes of the log from its first event to the end of its last one; 0: not a log of the crypto-agile form. */
static uint64_t log_bytes(struct efi *e, uint64_t log, uint64_t last)
{
	uint64_t size;

	if (!tcglog_open((const uint8_t *)log, TCGLOG_MAX, &e->log)) {
		return 0;
	}
	size = e->log.header;
	if (last > log && last - log < TCGLOG_MAX) {
		size = last - log;
		size += tcglog_event_size(&e->log, (const uint8_t *)last, TCGLOG_MAX - size);
	}
	return size;
}

/*
 * GetEventLog once, as late as possible: what is measured after it is in the table of final events, also what a loader
 * before us caused to be there by an earlier call and is in our copy already.
 */
static void get_log(struct efi *e, struct boot_handoff *h)
{
	uint64_t tcg = 0, log = 0, last = 0, size;
	uint8_t truncated = 0;

	h->tcg.why = HANDOFF_TCG_NO_PROTOCOL;
	if (efi_call(at64(e->boot, BOOT_LOCATE_PROTOCOL), (uint64_t)tcg2_protocol, 0,
		     (uint64_t)&tcg, 0, 0) != EFI_OK ||
	    tcg == 0) {
		return;
	}
	h->tcg.why = HANDOFF_TCG_NO_LOG;
	if (efi_call(at64(tcg, TCG2_GET_EVENT_LOG), tcg, TCG2_FORMAT_AGILE, (uint64_t)&log,
		     (uint64_t)&last, (uint64_t)&truncated) != EFI_OK ||
	    log == 0) {
		return;
	}
	e->final = config_table(e, final_events);
	e->final_before = e->final != NULL ? le64(e->final + 8) : 0;
	size = log_bytes(e, log, last);
	if (size == 0 || truncated != 0) {
		h->tcg.why = truncated != 0 ? HANDOFF_TCG_TRUNCATED : HANDOFF_TCG_NO_LOG;
		return;
	}
	h->tcg.room = (uint32_t)align_up(size + LOG_ROOM, PAGE_SIZE);
	h->tcg.base = allocate(e, EFI_ACPI_NVS, h->tcg.room >> PAGE_SHIFT);
	if (h->tcg.base == 0) {
		h->tcg.room = 0;
		return;
	}
	__builtin_memset((void *)h->tcg.base, 0, h->tcg.room);
	__builtin_memcpy((void *)h->tcg.base, (const void *)log, size);
	h->tcg.size = (uint32_t)size;
	h->tcg.log = e->log;
	h->tcg.why = HANDOFF_TCG_OK;
}

/* ExitBootServices wants the key of the newest map; an event of the firmware may make it old. */
static bool end_boot_services(struct efi *e)
{
	uint32_t version = 0;

	e->map = allocate(e, EFI_LOADER_DATA, MAP_PAGES);
	for (int i = 0; e->map != 0 && i < EXIT_TRIES; i++) {
		e->map_bytes = MAP_PAGES << PAGE_SHIFT;
		if (efi_call(at64(e->boot, BOOT_GET_MEMORY_MAP), (uint64_t)&e->map_bytes, e->map,
			     (uint64_t)&e->map_key, (uint64_t)&e->entry,
			     (uint64_t)&version) != EFI_OK) {
			return false;
		}
		if (efi_call(at64(e->boot, BOOT_EXIT), e->image, e->map_key, 0, 0, 0) == EFI_OK) {
			return true;
		}
	}
	return false;
}

/* What was measured since get_log, the end of boot services among it. */
static void add_final_events(struct efi *e, struct boot_handoff *h)
{
	uint64_t count, skip;
	size_t old, all;

	if (h->tcg.why != HANDOFF_TCG_OK) {
		return;
	}
	if (e->final ==
	    NULL) { /* then the end of boot services, which firmware measures, is nowhere */
		h->tcg.why = HANDOFF_TCG_FINAL;
		return;
	}
	count = le64(e->final + 8);
	skip = e->final_before;
	old = tcglog_events_size(&e->log, e->final + 16, TCGLOG_MAX, skip);
	all = tcglog_events_size(&e->log, e->final + 16, TCGLOG_MAX, count);
	if (count < skip || all == SIZE_MAX || old > all || all - old > LOG_ROOM / 2) {
		h->tcg.why = HANDOFF_TCG_FINAL;
		return;
	}
	__builtin_memcpy((void *)(h->tcg.base + h->tcg.size), e->final + 16 + old, all - old);
	h->tcg.size += (uint32_t)(all - old);
	h->tcg.final_count = (uint32_t)(count - skip);
}

/* From start.S, on the firmware's stack and page tables. Trust: everything behind info. */
void boot_efi(uint32_t magic, uint64_t info, uint64_t load_base)
{
	struct boot_handoff *h = &boot_handoff;
	struct view v = { NULL, 1ull << 32 };
	struct wire_fault why;
	struct efi e = { 0 };

	early_measure_image(&h->measured[ATTEST_HYPERVISOR]);
	early_relocate(load_base);
	if (!bootinfo_parse(&v, magic, info, &h->info, &why)) {
		early_fail(why.what, why.field, why.value, why.remedy);
	}
	e.system = h->info.efi_system_table;
	e.image = h->info.efi_image;
	if (!h->info.efi_boot_services || e.system == 0 || e.image == 0) {
		early_fail("Multiboot 2 information", "no EFI system table or image handle",
			   e.system, "use GRUB 2.02 or later");
	}
	e.boot = at64(e.system, SYSTEM_BOOT_SERVICES);
	get_log(&e, h);
	if (!end_boot_services(&e)) {
		early_fail("UEFI", "boot services do not end", e.map_bytes, "update the firmware");
	}
	h->efi_ended = true;
	if (!bootinfo_efi_memory(&h->info, (const uint8_t *)e.map, e.map_bytes, e.entry, &why)) {
		early_fail(why.what, why.field, why.value, why.remedy);
	}
	add_final_events(&e, h);
}
