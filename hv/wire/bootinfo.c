/* SPDX-License-Identifier: MIT */
/*
 * Multiboot information: what both protocols share (modules, their roles, strings, the
 * framebuffer).
 */
#include "hv/wire/bootinfo.h"
#include "hv/wire/bootinfo_int.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define MODULE "boot module"

bool bootinfo_string(const struct view *v, uint64_t addr, uint64_t avail, char *dst)
{
	uint64_t max = avail < BOOTINFO_STR_MAX ? avail : BOOTINFO_STR_MAX;

	for (uint64_t i = 0; i < max; i++) {
		const uint8_t *p = view_at(v, addr, i + 1);

		if (p == NULL) {
			break;
		}
		dst[i] = (char)p[i];
		if (p[i] == 0) {
			return true;
		}
	}
	dst[0] = 0;
	return false;
}

void bootinfo_loader_name(const struct view *v, uint64_t addr, uint64_t avail, struct bootinfo *bi)
{
	uint64_t max = sizeof(bi->loader) - 1;

	if (avail < max) {
		max = avail;
	}
	memset(bi->loader, 0, sizeof(bi->loader));
	for (uint64_t i = 0; i < max; i++) {
		const uint8_t *p = view_at(v, addr, i + 1);

		if (p == NULL || p[i] == 0) {
			return;
		}
		bi->loader[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Offset of the first non-blank at or after `at`. s is NUL-terminated. */
static size_t skip_blanks(const char *s, size_t at)
{
	while (is_blank(s[at])) {
		at++;
	}
	return at;
}

static size_t skip_word(const char *s, size_t at)
{
	while (s[at] != 0 && !is_blank(s[at])) {
		at++;
	}
	return at;
}

static enum bootinfo_role role_word(const char *word, size_t len)
{
	if (len == 6 && memcmp(word, "kernel", 6) == 0) {
		return BOOTINFO_ROLE_KERNEL;
	}
	if (len == 6 && memcmp(word, "initrd", 6) == 0) {
		return BOOTINFO_ROLE_INITRD;
	}
	if (len == 6 && memcmp(word, "config", 6) == 0) {
		return BOOTINFO_ROLE_CONFIG;
	}
	return BOOTINFO_ROLE_UNKNOWN;
}

/* A path, not an option such as root=/dev/sda1. */
static bool is_path(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (word[i] == '=') {
			return false;
		}
		if (word[i] == '/') {
			return true;
		}
	}
	return false;
}

/* Takes file name and role word off the front of m->args. */
static void module_string(struct bootinfo_module *m)
{
	size_t w1 = skip_blanks(m->args, 0);
	size_t e1 = skip_word(m->args, w1);
	size_t w2 = skip_blanks(m->args, e1);
	size_t e2 = skip_word(m->args, w2);
	enum bootinfo_role second = role_word(m->args + w2, e2 - w2);
	size_t rest = w1, end;

	if (second != BOOTINFO_ROLE_UNKNOWN) {
		m->role = second;
		rest = skip_blanks(m->args, e2);
	} else if (is_path(m->args + w1, e1 - w1)) {
		rest = w2;
	} else {
		m->role = role_word(m->args + w1, e1 - w1);
		if (m->role != BOOTINFO_ROLE_UNKNOWN) {
			rest = w2;
		}
	}
	end = rest;
	while (m->args[end] != 0) {
		end++;
	}
	memmove(m->args, m->args + rest, end - rest + 1);
}

bool bootinfo_module_add(const struct view *v, struct bootinfo *bi, uint64_t start, uint64_t end,
			 uint64_t str_addr, uint64_t str_avail, struct wire_fault *why)
{
	struct bootinfo_module *m;

	if (bi->module_count >= BOOTINFO_MODULE_MAX) {
		return wire_fail(why, MODULE, "more than 8 modules",
				 "remove modules from the boot entry", bi->module_count);
	}
	if (end <= start) {
		return wire_fail(why, MODULE, "empty, or its end lies before its start",
				 "check that the module's file is not empty", start);
	}
	if (!range_within(start, end - start, v->size)) {
		return wire_fail(why, MODULE, "does not lie below 4 GiB", BOOTINFO_REMEDY_LOADER,
				 start);
	}
	for (uint32_t i = 0; i < bi->module_count; i++) {
		if (range_overlaps(start, end - start, bi->module[i].start, bi->module[i].size)) {
			return wire_fail(why, MODULE, "overlaps another module",
					 BOOTINFO_REMEDY_LOADER, start);
		}
	}
	m = &bi->module[bi->module_count];
	m->start = start;
	m->size = end - start;
	m->role = BOOTINFO_ROLE_UNKNOWN;
	m->args[0] = 0;
	if (str_addr != 0) {
		if (!bootinfo_string(v, str_addr, str_avail, m->args)) {
			return wire_fail(why, MODULE, "arguments have no end within 2048 bytes",
					 "shorten the module's arguments", str_addr);
		}
		module_string(m);
	}
	bi->module_count++;
	return true;
}

static bool starts_with(const struct view *v, const struct bootinfo_module *m, uint64_t offset,
			const char *text, uint64_t len)
{
	/* The module lies in the view, or bootinfo_module_add had refused it. */
	return range_within(offset, len, m->size) &&
	       memcmp(v->base + m->start + offset, text, (size_t)len) == 0;
}

/* Roles by content for the modules that had no role word, then one module per role. */
static bool settle_roles(const struct view *v, struct bootinfo *bi, struct wire_fault *why)
{
	for (uint32_t i = 0; i < bi->module_count; i++) {
		struct bootinfo_module *m = &bi->module[i];

		if (m->role == BOOTINFO_ROLE_UNKNOWN && starts_with(v, m, 0x202, "HdrS", 4)) {
			m->role = BOOTINFO_ROLE_KERNEL;
		} else if (m->role == BOOTINFO_ROLE_UNKNOWN &&
			   starts_with(v, m, 0, "#redoubt", 8)) {
			m->role = BOOTINFO_ROLE_CONFIG;
		}
	}
	for (uint32_t i = 0; i < bi->module_count; i++) {
		if (bi->module[i].role == BOOTINFO_ROLE_UNKNOWN &&
		    bootinfo_find(bi, BOOTINFO_ROLE_INITRD) == NULL) {
			bi->module[i].role = BOOTINFO_ROLE_INITRD;
		}
	}
	for (uint32_t i = 0; i < bi->module_count; i++) {
		const struct bootinfo_module *m = &bi->module[i];

		if (m->role == BOOTINFO_ROLE_UNKNOWN || bootinfo_find(bi, m->role) == m) {
			continue;
		}
		if (m->role == BOOTINFO_ROLE_KERNEL) {
			return wire_fail(why, MODULE, "two kernels",
					 "leave one kernel in the boot entry", i);
		}
		return wire_fail(why, MODULE,
				 "two modules with the role initrd, or two with config",
				 "leave one of each in the boot entry", i);
	}
	return true;
}

void bootinfo_fb_set(struct bootinfo *bi, const uint8_t *common, const uint8_t *rgb)
{
	struct bootinfo_fb *fb = &bi->fb;
	bool sane;

	fb->present = false;
	fb->addr = le64(common);
	fb->pitch = le32(common + 8);
	fb->width = le32(common + 12);
	fb->height = le32(common + 16);
	fb->bpp = common[20];
	fb->red_pos = rgb[0];
	fb->red_size = rgb[1];
	fb->green_pos = rgb[2];
	fb->green_size = rgb[3];
	fb->blue_pos = rgb[4];
	fb->blue_size = rgb[5];
	/* Products of two 32-bit numbers fit 64 bits; type 1 is direct RGB. */
	sane = common[21] == 1 && fb->addr != 0 && fb->width != 0 && fb->height != 0 &&
	       (fb->bpp == 15 || fb->bpp == 16 || fb->bpp == 24 || fb->bpp == 32) &&
	       (uint64_t)fb->width * ((fb->bpp + 7u) / 8) <= fb->pitch &&
	       range_within(fb->addr, (uint64_t)fb->pitch * fb->height, UINT64_MAX) &&
	       range_within(fb->red_pos, fb->red_size, fb->bpp) &&
	       range_within(fb->green_pos, fb->green_size, fb->bpp) &&
	       range_within(fb->blue_pos, fb->blue_size, fb->bpp);
	if (sane) {
		fb->present = true;
	} else {
		memset(fb, 0, sizeof(*fb));
	}
}

/*
 * Purpose: the boot loader's information as owned values (see the header for roles and the map).
 * Trust: magic, addr and everything behind v are hostile.
 * Refuses: see the header; also empty or overlapping modules, a role given twice, and maps without
 * usable memory. Multiboot 0.6.96 section 3.3, Multiboot2 2.0 section 3.6.
 */
bool bootinfo_parse(const struct view *v, uint32_t magic, uint64_t addr, struct bootinfo *out,
		    struct wire_fault *why)
{
	wire_ok(why);
	memset(out, 0, sizeof(*out));
	if (magic == BOOTINFO_MAGIC_MB1) {
		out->protocol = 1;
		if (!bootinfo_mb1(v, addr, out, why)) {
			return false;
		}
	} else if (magic == BOOTINFO_MAGIC_MB2) {
		out->protocol = 2;
		if (!bootinfo_mb2(v, addr, out, why)) {
			return false;
		}
	} else {
		return wire_fail(
			why, "boot protocol", "magic is neither Multiboot 1 nor Multiboot 2",
			"start Redoubt with a Multiboot loader, e.g. GRUB's multiboot2 command",
			magic);
	}
	if (!out->efi_boot_services && !bootinfo_mem_usable(out, why)) {
		return false;
	}
	return settle_roles(v, out, why);
}

/* Purpose: the module for a role. Trust: bi comes from bootinfo_parse. */
const struct bootinfo_module *bootinfo_find(const struct bootinfo *bi, enum bootinfo_role role)
{
	for (uint32_t i = 0; i < bi->module_count && i < BOOTINFO_MODULE_MAX; i++) {
		if (bi->module[i].role == role) {
			return &bi->module[i];
		}
	}
	return NULL;
}
