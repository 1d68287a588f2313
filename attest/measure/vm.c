/* SPDX-License-Identifier: MIT */
/* The launch measurement of a machine that does not run: memory as the worker fills it, registers as it sets them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mbedtls/sha512.h>

#include "attest/core/launch.h"
#include "attest/core/token.h"
#include "attest/measure/measure.h"
#include "hv/host/vmmgr/definition.h"
#include "hv/host/vmworker/loader.h"

#define PAGE 4096u
#define PATH_BYTES 1024u
#define ACCESS 7u /* child partitions: read, write, execute */

/* A VP after INIT (APM volume 2, table 14-1) as the hypervisor sets it; all other registers are 0. */
static const struct attest_register init[] = {
	{ HV_REG_RIP, 0, 0xfff0, 0 },
	{ HV_REG_RFLAGS, 0, 2, 0 },
	{ HV_REG_CR0, 0, 0x60000010, 0 },
	{ HV_REG_ES, 0, 0, 0x0093000000000000 | 0xffff },
	{ HV_REG_CS, 0, 0xffff0000, 0x009bf00000000000 | 0xffff },
	{ HV_REG_SS, 0, 0, 0x0093000000000000 | 0xffff },
	{ HV_REG_DS, 0, 0, 0x0093000000000000 | 0xffff },
	{ HV_REG_FS, 0, 0, 0x0093000000000000 | 0xffff },
	{ HV_REG_GS, 0, 0, 0x0093000000000000 | 0xffff },
	{ HV_REG_LDTR, 0, 0, 0x0082000000000000 | 0xffff },
	{ HV_REG_TR, 0, 0, 0x008b000000000000 | 0xffff },
	{ HV_REG_IDTR, 0, 0, 0xffff000000000000 },
	{ HV_REG_GDTR, 0, 0, 0xffff000000000000 },
};

static bool sha384(const void *bytes, size_t n, uint8_t out[ATTEST_DIGEST])
{
	uint8_t digest[64];
	bool ok = mbedtls_sha512_ret(bytes, n, digest, 1) == 0;

	memcpy(out, digest, ATTEST_DIGEST);
	return ok;
}

static bool extend(uint8_t ld[ATTEST_DIGEST], const struct attest_record *r)
{
	return sha384(r, sizeof(*r), ld);
}

static bool pages(const struct gmem *m, const struct loader_start *start, struct measured_vm *out)
{
	for (uint32_t i = 0; i < start->range_count; i++) {
		const struct loader_range *range = &start->range[i];

		for (uint64_t at = 0; at < range->bytes; at += PAGE) {
			uint8_t contents[ATTEST_DIGEST], page[PAGE];
			struct attest_record r;

			if (!gmem_copy_in(m, range->gpa + at, page, PAGE) ||
			    !sha384(page, PAGE, contents)) {
				return false;
			}
			r = attest_record_make(ATTEST_RECORD_PAGE, out->digest, contents);
			r.gpa = range->gpa + at;
			r.access = ACCESS;
			if (!extend(out->digest, &r)) {
				return false;
			}
			out->pages++;
		}
	}
	return true;
}

static void set(struct attest_register *list, uint32_t name, uint64_t low, uint64_t high)
{
	for (uint32_t i = 0; i < ATTEST_REGISTER_COUNT; i++) {
		if (list[i].name == name) {
			list[i].low = low;
			list[i].high = high;
		}
	}
}

static bool vp(const struct loader_start *start, uint32_t index, struct measured_vm *out)
{
	static const uint32_t names[ATTEST_REGISTER_COUNT] = ATTEST_REGISTERS;
	struct attest_register list[ATTEST_REGISTER_COUNT] = { 0 };
	struct hv_register_assoc first[LOADER_REGS];
	uint32_t n = index == 0 ? loader_registers(start, first) : 0;
	uint8_t contents[ATTEST_DIGEST];
	struct attest_record r;

	for (uint32_t i = 0; i < ATTEST_REGISTER_COUNT; i++) {
		list[i].name = names[i];
	}
	for (uint32_t i = 0; i < sizeof(init) / sizeof(init[0]); i++) {
		set(list, init[i].name, init[i].low, init[i].high);
	}
	for (uint32_t i = 0; i < n; i++) {
		set(list, first[i].name, first[i].value.low, first[i].value.high);
	}
	if (!sha384(list, sizeof(list), contents)) {
		return false;
	}
	r = attest_record_make(ATTEST_RECORD_VP, out->digest, contents);
	r.vp = index;
	return extend(out->digest, &r);
}

static bool policy(const struct definition *d, struct measured_vm *out)
{
	uint8_t bytes[32], contents[ATTEST_DIGEST];
	struct attest_record r;

	out->policy = (struct attest_policy){ .version = 1,
					      .svn = d->svn,
					      .vps = (uint16_t)d->vps,
					      .memory_bytes = (uint64_t)d->memory_mib << 20,
					      .disks = (uint16_t)d->disk_count,
					      .networks = (uint16_t)d->nic_count,
					      .devices = definition_devices(d) };
	attest_policy_write(&out->policy, bytes);
	if (!sha384(bytes, sizeof(bytes), contents)) {
		return false;
	}
	r = attest_record_make(ATTEST_RECORD_POLICY, out->digest, contents);
	return extend(out->digest, &r);
}

static bool read_definition(const char *path, struct definition *d, char *text,
			    unsigned int text_bytes)
{
	static char bytes[DEFINITION_BYTES_MAX + 1];
	struct definition_fault fault;
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL) {
		(void)snprintf(text, text_bytes, "%s: %s", path, strerror(errno));
		return false;
	}
	n = fread(bytes, 1, sizeof(bytes), f);
	(void)fclose(f);
	if (!definition_parse(bytes, n, d, &fault)) {
		(void)snprintf(text, text_bytes, "%s:%u: %s: %s: %s", path, fault.line, fault.key,
			       fault.text, fault.remedy);
		return false;
	}
	return true;
}

static int open_below(const char *root, const char *path, char *text, unsigned int text_bytes)
{
	char whole[PATH_BYTES];
	int fd = -1;

	if (snprintf(whole, sizeof(whole), "%s%s", root, path) >= (int)sizeof(whole)) {
		(void)snprintf(text, text_bytes, "%s: the path is too long", path);
		return -1;
	}
	fd = open(whole, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		(void)snprintf(text, text_bytes,
			       "%s: %s (--root DIR names the folder of the machine's files)", whole,
			       strerror(errno));
	}
	return fd;
}

static bool load(const struct definition *d, const char *root, const struct gmem *m,
		 struct loader_start *start, char *text, unsigned int text_bytes)
{
	struct loader_input in = { .initrd = -1, .cmdline = d->cmdline, .vp_count = d->vps };
	bool ok = false;

	in.kernel = open_below(root, d->kernel, text, text_bytes);
	if (in.kernel >= 0 && d->initrd[0] != '\0') {
		in.initrd = open_below(root, d->initrd, text, text_bytes);
	}
	if (in.kernel >= 0 && (in.initrd >= 0 || d->initrd[0] == '\0')) {
		ok = loader_load(m, &in, start, text, text_bytes);
	}
	if (in.kernel >= 0) {
		(void)close(in.kernel);
	}
	if (in.initrd >= 0) {
		(void)close(in.initrd);
	}
	return ok;
}

bool measure_vm(const char *path, const char *root, struct measured_vm *out, char *text,
		unsigned int text_bytes)
{
	static struct definition d;
	static struct loader_start start;
	struct gmem m;
	bool ok;

	memset(out, 0, sizeof(*out));
	if (!read_definition(path, &d, text, text_bytes)) {
		return false;
	}
	(void)snprintf(out->name, sizeof(out->name), "%s", d.name);
	m.size = (uint64_t)d.memory_mib << 20;
	m.base = mmap(NULL, m.size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m.base == MAP_FAILED) {
		(void)snprintf(text, text_bytes, "no address space for %u MiB", d.memory_mib);
		return false;
	}
	ok = load(&d, root, &m, &start, text, text_bytes);
	if (ok) {
		ok = d.attest == DEFINITION_ATTEST_NO || pages(&m, &start, out);
		for (uint32_t i = 0; ok && i < d.vps; i++) {
			ok = vp(&start, i, out);
		}
		ok = ok && policy(&d, out);
		if (!ok) {
			(void)snprintf(text, text_bytes, "%s: SHA-384 failed", path);
		}
	}
	(void)munmap(m.base, m.size);
	return ok;
}
