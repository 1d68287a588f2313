/* SPDX-License-Identifier: MIT */
/* What is measured before anything of it is used: docs/attestation.md, section 1. The digests go into the log later (hv/core/attest.c). */
#include "hv/boot/early.h"

#include "hv/core/sha384.h"

extern const uint8_t hv_image_start[], hv_file_end[], hv_image_end[];

/*
 * Runs first of all, before the relocations: code and constants are reached relative to the instruction. Of .bss, which is in use
 * already, the zeros count that the loader put there.
 */
void early_measure_image(struct handoff_measured *m)
{
	static const uint8_t zeros[512];
	uint64_t file = (uint64_t)(hv_file_end - hv_image_start);
	struct sha384 s;

	if (m->present) {
		return;
	}
	m->bytes = (uint64_t)(hv_image_end - hv_image_start);
	sha384_start(&s);
	sha384_add(&s, hv_image_start, file);
	for (uint64_t at = file; at < m->bytes; at += sizeof(zeros)) { /* both end at pages */
		sha384_add(&s, zeros, sizeof(zeros));
	}
	sha384_end(&s, m->digest);
	m->present = true;
}

static void measure(struct handoff_measured *m, const void *bytes, uint64_t n)
{
	sha384(bytes, n, m->digest);
	m->bytes = n;
	m->present = true;
}

/* The command line; where there is a configuration module, a line feed and its text besides. */
static void measure_options(struct boot_handoff *h, const struct view *v)
{
	const struct bootinfo_module *conf = bootinfo_find(&h->info, BOOTINFO_ROLE_CONFIG);
	size_t line = early_length(h->info.cmdline, BOOTINFO_STR_MAX);
	const void *piece[] = { h->info.cmdline, "\n",
				conf != NULL ? v->base + conf->start : NULL };
	size_t n[] = { line, conf != NULL, conf != NULL ? conf->size : 0 };
	struct handoff_measured *m = &h->measured[ATTEST_OPTIONS];
	struct sha384 s;

	sha384_start(&s);
	for (uint32_t i = 0; i < ARRAY_SIZE(piece); i++) {
		sha384_add(&s, piece[i], n[i]);
		if (range_within(m->bytes, n[i], sizeof(h->options_text))) {
			__builtin_memcpy(h->options_text + m->bytes, piece[i], n[i]);
		}
		m->bytes += n[i];
	}
	sha384_end(&s, m->digest);
	m->present = true;
}

/* Context: identity map, modules where the loader put them, options read. */
void early_measure(struct boot_handoff *h, const struct view *v)
{
	const char *line = handoff_root_cmdline(h);

	measure_options(h, v);
	for (uint32_t i = 0; i < h->info.module_count; i++) {
		const struct bootinfo_module *m = &h->info.module[i];

		if (m->role == BOOTINFO_ROLE_KERNEL || m->role == BOOTINFO_ROLE_INITRD) {
			measure(&h->measured[m->role == BOOTINFO_ROLE_KERNEL ? ATTEST_KERNEL
									     : ATTEST_INITRD],
				v->base + m->start, m->size);
		}
	}
	measure(&h->measured[ATTEST_CMDLINE], line, early_length(line, BOOTINFO_STR_MAX));
}
