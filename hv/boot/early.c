/* SPDX-License-Identifier: MIT */
/* The first C code: find out about the machine, place everything, build the hypervisor's address space, and leave for it. */
#include "hv/boot/early.h"

#include "hv/arch/x86/vendor.h"
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/format.h"
#include "hv/core/main.h"

#define HV_BYTES_MIN (4ull << 20)
#define VA_SPAN (1ull << 30) /* all of the hypervisor lies within one such span */

struct boot_handoff boot_handoff;

extern uint8_t hv_image_start[], hv_text_start[], hv_text_end[], hv_rodata_end[], hv_roai_start[],
	hv_roai_end[], hv_data_start[], hv_data_end[], hv_image_end[];

struct rela {
	uint64_t offset, info;
	int64_t addend;
};
extern const struct rela hv_rela_start[], hv_rela_end[];

#define R_RELATIVE 8

void boot_early(uint32_t magic, uint64_t info, uint64_t load_base);
NORETURN void boot_switch(uint64_t cr3, uint64_t stack, uint64_t entry);

static void line(const char *level, const char *what, const char *field, uint64_t value,
		 const char *remedy, const char *end)
{
	char text[400];
	size_t n = format(text, sizeof(text), "redoubt: %s: %s: %s (0x%lx): %s%s\r\n", level, what,
			  field, value, remedy, end);

	arch_console_write(text, n);
	arch_debugcon_write(text, n);
}

void early_fail(const char *what, const char *field, uint64_t value, const char *remedy)
{
	line("error", what, field, value, remedy, "; halted");
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}

void early_warn(const char *what, const char *field, uint64_t value, const char *remedy)
{
	line("warning", what, field, value, remedy, "");
}

static void fail_fault(const struct wire_fault *f)
{
	early_fail(f->what, f->field, f->value, f->remedy);
}

/* Makes the image at `at` believe that it runs at `base`. Idempotent: addends stand beside, not in place. */
void early_relocate(uint64_t at, uint64_t base)
{
	for (const struct rela *r = hv_rela_start; r < hv_rela_end; r++) {
		if ((uint32_t)r->info == R_RELATIVE) {
			*(uint64_t *)(at + r->offset) = base + (uint64_t)r->addend;
		}
	}
}

size_t early_length(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n] != '\0') {
		n++;
	}
	return n;
}

/* Names the word (command line) or the line (configuration) that options_parse_* refused. */
NORETURN static void fail_option(const char *text, size_t len, bool config,
				 const struct wire_fault *f)
{
	char word[64], field[160];
	size_t n = 0, at = config ? 0 : (size_t)f->value;

	for (uint64_t newlines = 1; config && newlines < f->value && at < len; at++) {
		newlines += text[at] == '\n';
	}
	while (n + 1 < sizeof(word) && at + n < len && text[at + n] > (config ? 0x1f : 0x20) &&
	       text[at + n] < 0x7f) {
		word[n] = text[at + n];
		n++;
	}
	word[n] = '\0';
	format(field, sizeof(field), "%s: \"%s\" at %s", f->field, word, config ? "line" : "byte");
	early_fail(f->what, field, f->value, f->remedy);
}

static void read_options(struct boot_handoff *h, const struct view *v)
{
	size_t len = early_length(h->info.cmdline, BOOTINFO_STR_MAX);
	const struct bootinfo_module *conf;
	struct wire_fault why;
	const char *text;

	if (!options_parse_cmdline(h->info.cmdline, len, &h->options, &why)) {
		fail_option(h->info.cmdline, len, false, &why);
	}
	conf = bootinfo_find(&h->info, BOOTINFO_ROLE_CONFIG);
	if (conf == NULL) {
		return;
	}
	text = (const char *)view_at(v, conf->start, conf->size);
	if (text != NULL && !options_parse_config(text, (size_t)conf->size, &h->options, &why)) {
		fail_option(text, (size_t)conf->size, true, &why);
	}
}

static void read_acpi(struct boot_handoff *h, const struct view *v)
{
	struct wire_fault why = { 0 };

	if (!acpi_parse(v, h->info.rsdp, &h->acpi, &why)) {
		fail_fault(&why);
	}
	if (why.what != NULL) {
		early_warn(why.what, why.field, why.value, why.remedy);
	}
}

static void read_kernel(struct boot_handoff *h, const struct view *v)
{
	const struct bootinfo_module *k = bootinfo_find(&h->info, BOOTINFO_ROLE_KERNEL);
	struct wire_fault why;

	if (k == NULL) {
		early_fail(
			"module kernel", "missing", h->info.module_count,
			"give the root's bzImage as a module (GRUB: module2 /boot/vmlinuz kernel ...)");
	}
	if (!bzimage_parse(v->base + k->start, k->size, &h->kernel, &why)) {
		fail_fault(&why);
	}
	if (bootinfo_find(&h->info, BOOTINFO_ROLE_INITRD) == NULL) {
		early_warn("module initrd", "missing", 0,
			   "a Debian root needs one (GRUB: module2 /boot/initrd.img initrd)");
	}
}

static uint32_t this_apic_id(void)
{
	uint32_t r[4];

	x86_cpuid(1, 0, r);
	return r[1] >> 24;
}

/* Every enabled CPU, this one first: VP 0 of the root must be the boot CPU of its MADT. */
static void choose_cpus(struct boot_handoff *h)
{
	uint32_t self = this_apic_id();

	h->apic_id[0] = self;
	h->cpu_count = 1;
	if (h->acpi.cpu_count > CPU_MAX) {
		early_fail(
			"CPUs", "more than 64", h->acpi.cpu_count,
			"Redoubt supports 64: switch some off in the firmware's set-up (QEMU: -smp)");
	}
	for (uint32_t i = 0; i < h->acpi.cpu_count && i < ACPI_CPU_MAX; i++) {
		uint32_t id = h->acpi.cpu[i].apic_id;

		if (h->acpi.cpu[i].enabled && id != self && h->cpu_count < CPU_MAX &&
		    (h->options.root_cpus == 0 || h->cpu_count < h->options.root_cpus)) {
			h->apic_id[h->cpu_count++] = id;
		}
	}
	if (h->options.root_cpus > h->cpu_count) {
		early_warn("option cpus", "more than the machine has", h->options.root_cpus,
			   "using all of them");
	}
}

static uint64_t ram_bytes(const struct boot_handoff *h)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < h->info.mem_count; i++) {
		sum += h->info.mem[i].type == BOOTINFO_MEM_USABLE ? h->info.mem[i].size : 0;
	}
	return sum;
}

/* Fixed needs, plus stacks and state for each CPU, plus nested page tables in 2 MiB leaves where 1 GiB ones are missing. */
static uint64_t hv_bytes(const struct boot_handoff *h)
{
	uint64_t need =
		HV_BYTES_MIN + (uint64_t)h->cpu_count * (128ull << 10) + ram_bytes(h) / 65536;

	return align_up(need, PAGE_SIZE_2M);
}

/* A random 1 GiB-aligned span in the upper half, and random places in it. */
static void choose_addresses(struct boot_handoff *h)
{
	uint64_t span = 0xffff800000000000ull + (random_u64() % (1u << 16)) * VA_SPAN;

	h->image_va = span + (random_u64() % 64) * PAGE_SIZE_2M + (random_u64() % 256) * PAGE_SIZE;
	h->heap_va = span + 0x10000000 + (random_u64() % 4096) * PAGE_SIZE;
	h->stack_va = span + 0x20000000 + (random_u64() % 4096) * PAGE_SIZE;
	h->mmio_va = span + 0x28000000 + (random_u64() % 4096) * PAGE_SIZE;
	h->window_va = span + 0x30000000 + (random_u64() % 64) * PAGE_SIZE_2M;
	h->hw_random = random_is_hardware();
}

static void map(uint64_t va, uint64_t pa, uint64_t bytes, unsigned flags)
{
	if (!paging_map(va, pa, bytes, flags)) {
		early_fail("memory", "hypervisor region too small", boot_handoff.region_size,
			   "this is a defect: report it");
	}
}

/* Image with one permission per section, heap without the image (no page has two names with different rights). */
static void build_address_space(struct boot_handoff *h, uint64_t image_bytes)
{
	uint64_t va = h->image_va, pa = h->region_base;
	uint64_t text = (uint64_t)(hv_text_start - hv_image_start);
	uint64_t text_end = (uint64_t)(hv_text_end - hv_image_start);
	uint64_t rodata_end = (uint64_t)(hv_rodata_end - hv_image_start);

	h->pml4 = pa + image_bytes;
	h->region_next = h->pml4 + PAGE_SIZE;
	__builtin_memset((void *)h->pml4, 0, PAGE_SIZE);
	map(va, pa, text, 0); /* boot code and trampoline: readable, never executed here */
	map(va + text, pa + text, text_end - text, PAGING_X);
	map(va + text_end, pa + text_end, rodata_end - text_end, 0);
	map(va + rodata_end, pa + rodata_end, image_bytes - rodata_end, PAGING_W);
	map(h->heap_va + image_bytes, pa + image_bytes, h->region_size - image_bytes, PAGING_W);
}

static uint64_t first_stack(struct boot_handoff *h)
{
	uint64_t pa = h->region_next;

	h->region_next += X86_STACK_SIZE;
	map(h->stack_va + PAGE_SIZE, pa, X86_STACK_SIZE, PAGING_W);
	return h->stack_va + PAGE_SIZE + X86_STACK_SIZE;
}

/* The copy to the final place must be the last write to .data and .bss. */
NORETURN static void leave(struct boot_handoff *h, uint64_t image_bytes)
{
	uint64_t stack = first_stack(h);
	uint64_t entry = h->image_va + (uint64_t)hv_main - (uint64_t)hv_image_start;
	uint64_t *pml4 = (uint64_t *)h->pml4;

	/* The identity map stays in the lower half until the other CPUs are up; its tables lie in the old image. */
	pml4[0] = *(uint64_t *)x86_cr3();
	__builtin_memcpy((void *)h->region_base, hv_image_start, image_bytes);
	early_relocate(h->region_base, h->image_va);
	boot_switch(h->pml4, stack, entry);
}

/* From start.S. Trust: everything behind info. */
void boot_early(uint32_t magic, uint64_t info, uint64_t load_base)
{
	struct boot_handoff *h = &boot_handoff;
	struct view v = { NULL, 1ull << 32 };
	uint64_t image_bytes = (uint64_t)(hv_image_end - hv_image_start);
	uint64_t kernel_at, params_at;
	struct layout_limits limits;
	struct wire_fault why;
	const char *missing, *remedy;

	early_measure_image(&h->measured[ATTEST_HYPERVISOR]);
	early_relocate(load_base, load_base);
	options_defaults(&h->options);
	h->load_base = load_base;
	h->load_size = image_bytes;
	if (!h->efi_ended && !bootinfo_parse(&v, magic, info, &h->info, &why)) {
		fail_fault(&why);
	}
	read_options(h, &v);
	missing = vendor_check(&remedy);
	if (missing != NULL) {
		early_fail("CPU", missing, 0, remedy);
	}
	read_acpi(h, &v);
	read_kernel(h, &v);
	if (h->tcg.why == HANDOFF_TCG_OK) {
		early_measure(h, &v);
	}
	choose_cpus(h);
	limits = (struct layout_limits){ image_bytes, hv_bytes(h), random_u64() };
	if (!layout_place(h, &limits, &kernel_at, &params_at, &why)) {
		fail_fault(&why);
	}
	if (!h->smm_page) {
		early_warn("memory map", "the default SMM base is not free", SMM_DEFAULT_BASE,
			   "a CPU whose firmware left SMM there can be attacked by the root");
	}
	rootload(h, &v, kernel_at, params_at);
	choose_addresses(h);
	build_address_space(h, image_bytes);
	leave(h, image_bytes);
}
