/* SPDX-License-Identifier: MIT */
/*
 * ACPI: MADT, FADT, MCFG and the DSDT's \_S5_ (ACPI 6.5; MCFG: PCI Firmware Specification 3.3,
 * 4.1.2).
 */
#include "hv/wire/acpi_int.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define MADT "ACPI MADT"
#define FADT "ACPI FADT"
#define MCFG "ACPI MCFG"

#define FADT_FLAG_TMR_32 (1u << 8)
#define FADT_FLAG_RESET (1u << 10)
#define GAS_IO 1u

static void add_cpu(struct acpi_info *out, uint32_t apic_id, uint32_t flags)
{
	/*
	 * Bit 0 enabled, bit 1 can be brought online later; firmware lists empty sockets with
	 * neither.
	 */
	if ((flags & 3) == 0) {
		return;
	}
	/* One CPU may have an entry of either type. */
	for (uint32_t i = 0; i < out->cpu_count && i < ACPI_CPU_MAX; i++) {
		if (out->cpu[i].apic_id == apic_id) {
			out->cpu[i].enabled = out->cpu[i].enabled || (flags & 1) != 0;
			return;
		}
	}
	if (out->cpu_count < ACPI_CPU_MAX) {
		out->cpu[out->cpu_count].apic_id = apic_id;
		out->cpu[out->cpu_count].enabled = (flags & 1) != 0;
	}
	out->cpu_count++;
}

static void add_ioapic(struct acpi_info *out, const uint8_t *e, struct wire_fault *why)
{
	struct acpi_ioapic *io;

	if (out->ioapic_count >= ACPI_IOAPIC_MAX) {
		wire_fail(why, MADT, "more than 8 I/O APICs", "Redoubt uses the first 8 only",
			  e[2]);
		return;
	}
	io = &out->ioapic[out->ioapic_count++];
	io->id = e[2];
	io->addr = le32(e + 4);
	io->gsi_base = le32(e + 8);
}

static uint32_t madt_min(uint8_t type)
{
	switch (type) {
	case 0:
		return 8;
	case 1:
	case 5:
		return 12;
	case 9:
		return 16;
	default:
		return 2;
	}
}

/*
 * Purpose: CPUs and I/O APICs. Refuses bad lengths and tables without an enabled CPU. Section
 * 5.2.12.
 */
bool acpi_read_madt(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why)
{
	uint32_t off = 44;
	bool enabled = false;

	if (t->len < 44) {
		return wire_fail(why, MADT, "length below 44", ACPI_REMEDY, t->len);
	}
	out->lapic_addr = le32(t->p + 36);
	while (off < t->len) {
		const uint8_t *e = t->p + off;
		uint32_t left = t->len - off;

		if (left < 2 || e[1] > left || e[1] < madt_min(e[0])) {
			return wire_fail(why, MADT, "entry too short or past the table's end",
					 ACPI_REMEDY, off);
		}
		switch (e[0]) {
		case 0:
			if (e[3] != 0xff) {
				add_cpu(out, e[3], le32(e + 4));
			}
			break;
		case 1:
			add_ioapic(out, e, why);
			break;
		case 5:
			out->lapic_addr = le64(e + 4);
			break;
		case 9:
			if (le32(e + 4) != UINT32_MAX) {
				add_cpu(out, le32(e + 4), le32(e + 8));
			}
			break;
		default:
			break;
		}
		off += e[1];
	}
	for (uint32_t i = 0; i < out->cpu_count && i < ACPI_CPU_MAX; i++) {
		enabled = enabled || out->cpu[i].enabled;
	}
	if (!enabled) {
		return wire_fail(why, MADT, "no enabled CPU", ACPI_REMEDY, out->cpu_count);
	}
	return true;
}

/*
 * A register block's port: the extended field counts where it is there and names a port, as the
 * specification and Linux have it. False: the number is not a port, or its `len` bytes pass 0xffff.
 */
static bool port(const struct acpi_table *t, uint32_t off, uint32_t xoff, uint32_t len,
		 uint16_t *out)
{
	uint64_t addr = le32(t->p + off);

	if (range_within(xoff, 12, t->len) && t->p[xoff] == GAS_IO && le64(t->p + xoff + 4) != 0) {
		addr = le64(t->p + xoff + 4);
	}
	if (!range_within(addr, len, 0x10000)) {
		return false;
	}
	*out = (uint16_t)addr;
	return true;
}

static bool pm_ports(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why)
{
	uint8_t evt = t->p[88], cnt = t->p[89];

	if (!port(t, 56, 148, evt, &out->pm1a_evt) || !port(t, 60, 160, evt, &out->pm1b_evt)) {
		return wire_fail(why, FADT, "PM1 event block is not a port range", ACPI_REMEDY,
				 evt);
	}
	if (!port(t, 64, 172, cnt, &out->pm1a_cnt) || !port(t, 68, 184, cnt, &out->pm1b_cnt)) {
		return wire_fail(why, FADT, "PM1 control block is not a port range", ACPI_REMEDY,
				 cnt);
	}
	if (!port(t, 76, 208, 4, &out->pm_timer)) {
		return wire_fail(why, FADT, "PM timer is not a port range", ACPI_REMEDY,
				 le32(t->p + 76));
	}
	/* The sleep guard watches these: a length of 0 would leave it blind. */
	if ((out->pm1a_cnt | out->pm1b_cnt) != 0 && cnt < 2) {
		return wire_fail(why, FADT, "PM1 control length below 2", ACPI_REMEDY, cnt);
	}
	if ((out->pm1a_evt | out->pm1b_evt) != 0 && evt < 4) {
		return wire_fail(why, FADT, "PM1 event length below 4", ACPI_REMEDY, evt);
	}
	out->pm1_evt_len = evt;
	out->pm1_cnt_len = cnt;
	/* An operating system that believes the other field would go past the sleep guard. */
	if ((le32(t->p + 64) != 0 && le32(t->p + 64) != out->pm1a_cnt) ||
	    (le32(t->p + 68) != 0 && le32(t->p + 68) != out->pm1b_cnt)) {
		wire_fail(why, FADT, "PM1 control block has two different addresses", ACPI_REMEDY,
			  out->pm1a_cnt);
	}
	return true;
}

/* Purpose: ports, reset register, the DSDT's address. Refuses what is no port. Section 5.2.9. */
bool acpi_read_fadt(const struct acpi_table *t, struct acpi_info *out, uint64_t *dsdt,
		    struct wire_fault *why)
{
	uint32_t flags;

	if (t->len < 116) {
		return wire_fail(why, FADT, "length below 116", ACPI_REMEDY, t->len);
	}
	flags = le32(t->p + 112);
	*dsdt = le32(t->p + 40);
	if (t->len >= 148 && le64(t->p + 140) != 0) {
		*dsdt = le64(t->p + 140);
	}
	if (le32(t->p + 48) > UINT16_MAX) {
		return wire_fail(why, FADT, "SMI command is not a port", ACPI_REMEDY,
				 le32(t->p + 48));
	}
	out->smi_cmd = (uint16_t)le32(t->p + 48);
	out->acpi_enable = t->p[52];
	if (!pm_ports(t, out, why)) {
		return false;
	}
	out->pm_timer_32bit = (flags & FADT_FLAG_TMR_32) != 0;
	if (t->len >= 129 && (flags & FADT_FLAG_RESET) != 0 && t->p[116] == GAS_IO &&
	    le64(t->p + 120) <= UINT16_MAX) {
		out->reset_port = (uint16_t)le64(t->p + 120);
		out->reset_is_io = out->reset_port != 0;
		out->reset_value = out->reset_is_io ? t->p[128] : 0;
	}
	return true;
}

/*
 * One byte constant of AML at *at (section 20.2.3), which moves behind it. Sleep types have 3 bits.
 */
static bool aml_sleep_type(const struct acpi_table *t, uint32_t *at, uint8_t *out)
{
	uint32_t left = t->len - *at;

	if (left >= 1 && t->p[*at] <= 1) {
		*out = t->p[*at]; /* ZeroOp is 0, OneOp is 1 */
		*at += 1;
		return true;
	}
	if (left >= 2 && t->p[*at] == 0x0a && t->p[*at + 1] <= 7) {
		*out = t->p[*at + 1];
		*at += 2;
		return true;
	}
	return false;
}

/* A package of at least two small constants behind the name at [at - 4, at). */
static bool s5_package(const struct acpi_table *t, uint32_t at, uint8_t *a, uint8_t *b)
{
	uint32_t follow;

	/* PackageOp, first byte of PkgLength (its top bits: how many more), NumElements. */
	if (t->len - at < 3 || t->p[at] != 0x12) {
		return false;
	}
	follow = t->p[at + 1] >> 6;
	if (!range_within(at + 2, follow + 1, t->len) || t->p[at + 2 + follow] < 2) {
		return false;
	}
	at += 3 + follow;
	return aml_sleep_type(t, &at, a) && aml_sleep_type(t, &at, b);
}

/* Purpose: \_S5_ without an AML interpreter. False where no such name is found. Section 7.4.2.6. */
bool acpi_read_s5(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why)
{
	for (uint32_t i = ACPI_HDR + 1; range_within(i, 4, t->len); i++) {
		const uint8_t *p = t->p + i;
		uint8_t a, b;

		if (p[0] != '_' || p[1] != 'S' || p[2] != '5' || p[3] != '_') {
			continue;
		}
		/* NameOp, perhaps with the root prefix between it and the name. */
		if (p[-1] != 0x08 && (i < ACPI_HDR + 2 || p[-1] != '\\' || p[-2] != 0x08)) {
			continue;
		}
		if (s5_package(t, i + 4, &a, &b)) {
			out->s5_found = true;
			out->s5_typ_a = a;
			out->s5_typ_b = b;
			return true;
		}
	}
	return wire_fail(why, "ACPI DSDT", "no usable \\_S5_ object",
			 "the hypervisor cannot switch this machine off by itself", t->len);
}

/*
 * Purpose: PCI Express configuration windows.
 * Refuses odd lengths, windows that wrap or are not aligned to 1 MiB, reversed bus ranges.
 */
bool acpi_read_mcfg(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why)
{
	struct acpi_ecam *e = out->ecam;
	uint32_t n = 0;

	/* A table has at least 36 bytes: below 44 it is no whole number either. */
	if ((t->len - 44) % 16 != 0) {
		return wire_fail(why, MCFG, "length below 44 or not a whole number of entries",
				 ACPI_REMEDY, t->len);
	}
	for (const uint8_t *p = t->p + 44; p < t->p + t->len; p += 16) {
		uint64_t base = le64(p);
		uint64_t size = ((uint64_t)p[11] + 1) << 20;

		if (n == ACPI_ECAM_MAX) {
			wire_fail(why, MCFG, "more than 4 windows", "Redoubt uses the first 4 only",
				  n);
			break;
		}
		if (base == 0 || (base & 0xfffff) != 0 || !range_within(base, size, UINT64_MAX) ||
		    p[11] < p[10]) {
			memset(out->ecam, 0, sizeof(out->ecam));
			return wire_fail(why, MCFG, "window is misplaced or its buses are reversed",
					 ACPI_REMEDY, base);
		}
		e[n].base = base;
		e[n].segment = le16(p + 8);
		e[n].bus_start = p[10];
		e[n].bus_end = p[11];
		n++;
	}
	out->ecam_count = n;
	return true;
}

/* Purpose: how the TPM is reached. Refuses a table without a start method. */
bool acpi_read_tpm2(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why)
{
	if (t->len < 52) {
		return wire_fail(why, "ACPI TPM2", "length below 52", ACPI_REMEDY, t->len);
	}
	out->tpm2_method = le32(t->p + 48);
	out->tpm2_log = t->len >= ACPI_TPM2_END;
	return true;
}

void acpi_tpm2_set_log(uint8_t *table, uint64_t base, uint32_t size)
{
	for (uint32_t i = ACPI_TPM2_LENGTH; i < ACPI_TPM2_END; i++) {
		uint8_t v = i < ACPI_TPM2_ADDRESS ? (uint8_t)(size >> 8 * (i - ACPI_TPM2_LENGTH))
						  : (uint8_t)(base >> 8 * (i - ACPI_TPM2_ADDRESS));

		table[9] = (uint8_t)(table[9] + table[i] - v);
		table[i] = v;
	}
}
