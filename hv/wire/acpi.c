/* SPDX-License-Identifier: MIT */
/* ACPI: from the RSDP to the tables (ACPI 6.5, sections 5.2.5 to 5.2.8). */
#include "hv/wire/acpi.h"
#include "hv/wire/acpi_int.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define TABLE_MAX (16u << 20)
#define ROOT_ENTRIES_MAX 256u

#define RSDP_V1 20u
#define RSDP_V2 36u
#define RSDP_LEN_MAX 4096u

/* Where each table is, 0 for none. */
struct addresses {
	uint64_t madt, fadt, mcfg, ivrs, dmar, tpm2, tcpa;
};

struct root {
	struct acpi_table table;
	const char *what;
	uint32_t width; /* of an entry: 4 or 8 */
};

static bool sum_is_zero(const uint8_t *p, uint32_t len)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++) {
		sum = (uint8_t)(sum + p[i]);
	}
	return sum == 0;
}

/* A whole table with that signature at addr. */
static bool table_at(const struct view *v, uint64_t addr, const char *signature, const char *what,
		     struct acpi_table *t, struct wire_fault *why)
{
	const uint8_t *p = view_at(v, addr, ACPI_HDR);

	if (addr == 0 || p == NULL) {
		return wire_fail(why, what, "missing, or not below 4 GiB", ACPI_REMEDY, addr);
	}
	if (memcmp(p, signature, 4) != 0) {
		return wire_fail(why, what, "wrong signature", ACPI_REMEDY, le32(p));
	}
	t->len = le32(p + 4);
	if (t->len < ACPI_HDR || t->len > TABLE_MAX) {
		return wire_fail(why, what, "length below 36 or above 16 MiB", ACPI_REMEDY, t->len);
	}
	t->p = view_at(v, addr, t->len);
	if (t->p == NULL) {
		return wire_fail(why, what, "reaches past 4 GiB", ACPI_REMEDY, t->len);
	}
	if (!sum_is_zero(t->p, t->len)) {
		return wire_fail(why, what, "wrong checksum", ACPI_REMEDY, addr);
	}
	return true;
}

static bool is_rsdp(const uint8_t *p)
{
	return p != NULL && memcmp(p, "RSD PTR ", 8) == 0 && sum_is_zero(p, RSDP_V1);
}

/* Section 5.2.5.1: on 16-byte boundaries in [from, to). 0 where there is none. */
static uint64_t search(const struct view *v, uint64_t from, uint64_t to)
{
	for (uint64_t a = from; a < to; a += 16) {
		if (is_rsdp(view_at(v, a, RSDP_V1))) {
			return a;
		}
	}
	return 0;
}

static uint64_t find_rsdp(const struct view *v)
{
	const uint8_t *ebda_segment = view_at(v, 0x40e, 2);
	uint64_t found = 0;

	if (ebda_segment != NULL && le16(ebda_segment) >= 0x40) {
		uint64_t ebda = (uint64_t)le16(ebda_segment) << 4;

		found = search(v, ebda, ebda + 1024);
	}
	return found != 0 ? found : search(v, 0xe0000, 0x100000);
}

static bool open_root(const struct view *v, uint64_t rsdp, struct root *root,
		      struct wire_fault *why)
{
	const uint8_t *p = view_at(v, rsdp, RSDP_V1);
	uint64_t xsdt = 0;
	uint32_t len;

	if (!is_rsdp(p)) {
		return wire_fail(why, "ACPI RSDP", "not found, or wrong signature or checksum",
				 "switch ACPI on in the firmware's setup, or update the firmware",
				 rsdp);
	}
	if (p[15] >= 2) {
		p = view_at(v, rsdp, RSDP_V2);
		len = p != NULL ? le32(p + 20) : 0;
		if (len < RSDP_V2 || len > RSDP_LEN_MAX || view_at(v, rsdp, len) == NULL) {
			return wire_fail(why, "ACPI RSDP",
					 "length below 36, above 4096 or past 4 GiB", ACPI_REMEDY,
					 len);
		}
		if (!sum_is_zero(p, len)) {
			return wire_fail(why, "ACPI RSDP", "wrong extended checksum", ACPI_REMEDY,
					 len);
		}
		xsdt = le64(p + 24);
	}
	root->width = xsdt != 0 ? 8 : 4;
	root->what = xsdt != 0 ? "ACPI XSDT" : "ACPI RSDT";
	if (xsdt != 0) {
		return table_at(v, xsdt, "XSDT", root->what, &root->table, why);
	}
	return table_at(v, le32(p + 16), "RSDT", root->what, &root->table, why);
}

/*
 * Keeps the first of each kind; a second IOMMU table could not be hidden, so it is worth a warning.
 */
static void note(uint64_t *slot, uint64_t addr, const char *what, struct wire_fault *warning)
{
	if (*slot == 0) {
		*slot = addr;
	} else if (what != NULL && *slot != addr && warning->what == NULL) {
		wire_fail(warning, what, "present twice", ACPI_REMEDY, addr);
	}
}

static bool list_tables(const struct view *v, const struct root *root, struct addresses *found,
			struct wire_fault *warning, struct wire_fault *why)
{
	uint32_t bytes = root->table.len - ACPI_HDR;
	uint32_t count = bytes / root->width;

	if (bytes % root->width != 0 || count > ROOT_ENTRIES_MAX) {
		return wire_fail(why, root->what, "length is odd, or has more than 256 entries",
				 ACPI_REMEDY, root->table.len);
	}
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *e = root->table.p + ACPI_HDR + (size_t)i * root->width;
		uint64_t addr = root->width == 8 ? le64(e) : le32(e);
		const uint8_t *p = view_at(v, addr, ACPI_HDR);

		if (addr == 0) {
			continue;
		}
		if (p == NULL) {
			if (warning->what == NULL) {
				wire_fail(warning, root->what, "a table does not lie below 4 GiB",
					  "Redoubt ignores it; update the firmware", addr);
			}
			continue;
		}
		if (memcmp(p, "APIC", 4) == 0) {
			note(&found->madt, addr, NULL, warning);
		} else if (memcmp(p, "FACP", 4) == 0) {
			note(&found->fadt, addr, NULL, warning);
		} else if (memcmp(p, "MCFG", 4) == 0) {
			note(&found->mcfg, addr, NULL, warning);
		} else if (memcmp(p, "IVRS", 4) == 0) {
			note(&found->ivrs, addr, "ACPI IVRS", warning);
		} else if (memcmp(p, "DMAR", 4) == 0) {
			note(&found->dmar, addr, "ACPI DMAR", warning);
		} else if (memcmp(p, "TPM2", 4) == 0) {
			note(&found->tpm2, addr, "ACPI TPM2", warning);
		} else if (memcmp(p, "TCPA", 4) == 0) {
			note(&found->tcpa, addr, NULL, warning);
		}
	}
	return true;
}

/* Keeps the first warning. */
static void keep(struct wire_fault *warning, const struct wire_fault *new)
{
	if (warning->what == NULL) {
		*warning = *new;
	}
}

/* The tables that may be missing or broken. IVRS comes first: its warning matters most. */
static void read_optional(const struct view *v, const struct addresses *found, uint64_t dsdt,
			  struct acpi_info *out, struct wire_fault *warning)
{
	struct acpi_table t;
	struct wire_fault f;

	wire_ok(&f);
	if (found->ivrs != 0) {
		if (table_at(v, found->ivrs, "IVRS", "ACPI IVRS", &t, &f)) {
			(void)acpi_read_ivrs(&t, out, &f);
		}
		keep(warning, &f);
		wire_ok(&f);
	}
	if (found->mcfg != 0) {
		if (table_at(v, found->mcfg, "MCFG", "ACPI MCFG", &t, &f)) {
			(void)acpi_read_mcfg(&t, out, &f);
		}
		keep(warning, &f);
		wire_ok(&f);
	}
	if (found->tpm2 != 0) {
		if (table_at(v, found->tpm2, "TPM2", "ACPI TPM2", &t, &f) &&
		    acpi_read_tpm2(&t, out, &f)) {
			out->tpm2_addr = found->tpm2;
		}
		keep(warning, &f);
		wire_ok(&f);
	}
	if (table_at(v, dsdt, "DSDT", "ACPI DSDT", &t, &f)) {
		(void)acpi_read_s5(&t, out, &f);
	}
	keep(warning, &f);
}

/*
 * Purpose: what the hypervisor needs of ACPI, as owned values.
 * Trust: rsdp and everything behind v are hostile. Refuses: see the header. Of two tables of a kind
 * the first counts. ACPI 6.5 sections 5.2.5 to 5.2.12, 5.2.9 (FADT).
 */
bool acpi_parse(const struct view *v, uint64_t rsdp, struct acpi_info *out, struct wire_fault *why)
{
	struct addresses found = { 0 };
	struct wire_fault warning;
	struct acpi_table t;
	struct root root;
	uint64_t dsdt = 0;

	wire_ok(why);
	wire_ok(&warning);
	memset(out, 0, sizeof(*out));
	out->rsdp = rsdp != 0 ? rsdp : find_rsdp(v);
	if (!open_root(v, out->rsdp, &root, why) || !list_tables(v, &root, &found, &warning, why)) {
		return false;
	}
	out->ivrs_addr = found.ivrs;
	out->dmar_addr = found.dmar;
	out->tpm12 = found.tcpa != 0;
	if (!table_at(v, found.madt, "APIC", "ACPI MADT", &t, why) ||
	    !acpi_read_madt(&t, out, why)) {
		return false;
	}
	keep(&warning, why);
	wire_ok(why);
	if (!table_at(v, found.fadt, "FACP", "ACPI FADT", &t, why) ||
	    !acpi_read_fadt(&t, out, &dsdt, why)) {
		return false;
	}
	keep(&warning, why);
	read_optional(v, &found, dsdt, out, &warning);
	*why = warning;
	return true;
}
