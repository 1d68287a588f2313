/* SPDX-License-Identifier: MIT */
/*
 * On UEFI, while boot services still run: the TPM's event log, which only they hand out, then the memory map and their end
 * (UEFI 2.10, 7.2 and 7.4.6; TCG EFI Protocol Specification family 2.0, revision 1.00, 6). Everything later is as with any other
 * loader. Structures of the firmware are read by offset; firmware functions are called by efi_call only (start.S).
 */
#include "hv/boot/early.h"

#include "hv/abi/efi.h"
#include "hv/wire/tcglog.h"

#define BELOW_4G 0xffffffffull
#define TABLES_MAX 256u
#define MAP_PAGES 16ull /* of the memory map; a firmware with more than 1300 entries is refused */
#define LOG_ROOM (64ull << 10) /* for the events after GetEventLog and the hypervisor's own */
#define EXIT_TRIES 8

uint64_t efi_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
void boot_efi(uint32_t magic, uint64_t info, uint64_t load_base);

static const uint8_t tcg2_protocol[16] = EFI_TCG2_PROTOCOL;
static const uint8_t final_events[16] = EFI_TCG2_FINAL_EVENTS;

struct efi {
	uint64_t system, boot, image;
	const uint8_t *final;    /* EFI_TCG2_FINAL_EVENTS_TABLE, NULL for none */
	uint64_t final_before;   /* its events that GetEventLog's copy has already */
	uint64_t map, map_bytes; /* memory map: where, how large */
	uint64_t map_key, entry;
};

static uint64_t at64(uint64_t table, uint64_t offset)
{
	return le64((const uint8_t *)(table + offset));
}

static uint64_t boot(const struct efi *e, uint64_t service, uint64_t a, uint64_t b, uint64_t c,
		     uint64_t d, uint64_t last)
{
	return efi_call(at64(e->boot, service), a, b, c, d, last);
}

static uint64_t allocate(const struct efi *e, uint64_t type, uint64_t pages)
{
	uint64_t at = BELOW_4G, where = (uint64_t)&at;

	return boot(e, EFI_BOOT_ALLOCATE_PAGES, EFI_ALLOCATE_MAX, type, pages, where, 0) ==
			       EFI_SUCCESS
		       ? at
		       : 0;
}

static const uint8_t *config_table(const struct efi *e, const uint8_t *guid)
{
	uint64_t count = at64(e->system, EFI_SYSTEM_TABLE_COUNT);
	uint64_t t = at64(e->system, EFI_SYSTEM_TABLES);

	for (uint64_t i = 0; i < count && i < TABLES_MAX; i++, t += EFI_CONFIG_BYTES) {
		if (__builtin_memcmp((const void *)t, guid, 16) == 0) {
			return (const uint8_t *)at64(t, EFI_CONFIG_POINTER);
		}
	}
	return NULL;
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
	if (boot(e, EFI_BOOT_LOCATE_PROTOCOL, (uint64_t)tcg2_protocol, 0, (uint64_t)&tcg, 0, 0) !=
	    EFI_SUCCESS) {
		return;
	}
	h->tcg.why = HANDOFF_TCG_NO_LOG;
	if (efi_call(at64(tcg, EFI_TCG2_GET_EVENT_LOG), tcg, EFI_TCG2_FORMAT_AGILE, (uint64_t)&log,
		     (uint64_t)&last, (uint64_t)&truncated) != EFI_SUCCESS ||
	    log == 0) {
		return;
	}
	e->final = config_table(e, final_events);
	size = tcglog_size(&h->tcg.log, (const uint8_t *)log, TCGLOG_MAX,
			   last > log ? last - log : 0);
	if (size == 0 || truncated != 0 || e->final == NULL) {
		return;
	}
	e->final_before = le64(e->final + EFI_FINAL_COUNT);
	h->tcg.room = (uint32_t)align_up(size + LOG_ROOM, PAGE_SIZE);
	h->tcg.base = allocate(e, EFI_ACPI_NVS, h->tcg.room >> PAGE_SHIFT);
	if (h->tcg.base == 0) {
		return;
	}
	__builtin_memset((void *)h->tcg.base, 0, h->tcg.room);
	__builtin_memcpy((void *)h->tcg.base, (const void *)log, size);
	h->tcg.size = (uint32_t)size;
	h->tcg.why = HANDOFF_TCG_OK;
}

/* ExitBootServices wants the key of the newest map; an event of the firmware may make it old. */
static bool end_boot_services(struct efi *e)
{
	uint32_t version = 0;

	e->map = allocate(e, EFI_LOADER_DATA, MAP_PAGES);
	for (int i = 0; e->map != 0 && i < EXIT_TRIES; i++) {
		e->map_bytes = MAP_PAGES << PAGE_SHIFT;
		if (boot(e, EFI_BOOT_GET_MEMORY_MAP, (uint64_t)&e->map_bytes, e->map,
			 (uint64_t)&e->map_key, (uint64_t)&e->entry,
			 (uint64_t)&version) == EFI_SUCCESS &&
		    boot(e, EFI_BOOT_EXIT, e->image, e->map_key, 0, 0, 0) == EFI_SUCCESS) {
			return true;
		}
	}
	return false;
}

/* What was measured since get_log: the end of boot services, which is nowhere else. */
static void add_final_events(struct efi *e, struct boot_handoff *h)
{
	const uint8_t *events = e->final + EFI_FINAL_EVENTS;
	size_t from, bytes;

	if (!tcglog_final(&h->tcg.log, events, TCGLOG_MAX, e->final_before,
			  le64(e->final + EFI_FINAL_COUNT), &from, &bytes) ||
	    bytes > LOG_ROOM / 2) {
		h->tcg.why = HANDOFF_TCG_NO_LOG;
		return;
	}
	__builtin_memcpy((void *)(h->tcg.base + h->tcg.size), events + from, bytes);
	h->tcg.size += (uint32_t)bytes;
}

/* From start.S, on the firmware's stack and page tables. Trust: everything behind info. */
void boot_efi(uint32_t magic, uint64_t info, uint64_t load_base)
{
	struct boot_handoff *h = &boot_handoff;
	struct view v = { NULL, 1ull << 32 };
	struct wire_fault why;
	struct efi e = { 0 };

	early_measure_image(&h->measured[ATTEST_HYPERVISOR]);
	early_relocate(load_base, load_base);
	if (!bootinfo_parse(&v, magic, info, &h->info, &why)) {
		early_fail(why.what, why.field, why.value, why.remedy);
	}
	e.system = h->info.efi_system_table;
	e.image = h->info.efi_image;
	if (!h->info.efi_boot_services || e.system == 0 || e.image == 0) {
		early_fail("Multiboot 2 information", "no EFI system table or image handle",
			   e.system, "use GRUB 2.02 or later");
	}
	e.boot = at64(e.system, EFI_SYSTEM_BOOT_SERVICES);
	get_log(&e, h);
	if (!end_boot_services(&e)) {
		early_fail("UEFI", "boot services do not end", e.map_bytes, "update the firmware");
	}
	h->efi_ended = true;
	if (!bootinfo_efi_memory(&h->info, (const uint8_t *)e.map, e.map_bytes, e.entry, &why)) {
		early_fail(why.what, why.field, why.value, why.remedy);
	}
	if (h->tcg.why == HANDOFF_TCG_OK) {
		add_final_events(&e, h);
	}
}
