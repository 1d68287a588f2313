// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The root's side of the synthetic interrupt controller (TLFS 11). Nothing else in a stock root
 * uses it: there is no VMBus device for hv_vmbus to find. The kernel has wired its vector
 * (sysvec_hyperv_callback) as for any Hyper-V guest, and ends the interrupt after the handler.
 *
 * The kernel's names of the TLFS and those of hv/abi/tlfs.h are the same: a file includes either.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpuhotplug.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include <asm/hypervisor.h>
#include <asm/irq_vectors.h>
#include <asm/mshyperv.h>
#include <asm/msr.h>

#include "hv/root/notify.h"
#include "hv/root/synic.h"

#define RD_SINT_BYTES 256 /* flags of one SINT in the page */
#define RD_ENABLE 1ull    /* in SCONTROL and SIEFP */
#define RD_SINT_MASKED (1ull << 16)

static DEFINE_PER_CPU(void *, rd_flags_page);
static int rd_synic_state;
static u32 rd_sint;

static void rd_synic_scan(void)
{
	void *page = this_cpu_read(rd_flags_page);

	if (page)
		rd_notify_scan(page + rd_sint * RD_SINT_BYTES);
}

/* Runs on the CPU that goes, or after a start that failed half way. */
static int rd_synic_offline(unsigned int cpu)
{
	void *page = this_cpu_read(rd_flags_page);

	wrmsrl_safe(HV_X64_MSR_SCONTROL, 0);
	wrmsrl_safe(HV_X64_MSR_SINT0 + rd_sint, RD_SINT_MASKED | HYPERVISOR_CALLBACK_VECTOR);
	wrmsrl_safe(HV_X64_MSR_SIEFP, 0);
	/* What came before the switch is not lost. */
	rd_synic_scan();
	this_cpu_write(rd_flags_page, NULL);
	free_page((unsigned long)page);
	return 0;
}

/* Runs on the CPU that comes, which has its interrupts on. */
static int rd_synic_online(unsigned int cpu)
{
	void *page = (void *)get_zeroed_page(GFP_KERNEL);
	int error;

	if (!page)
		return -ENOMEM;
	this_cpu_write(rd_flags_page, page);
	error = wrmsrl_safe(HV_X64_MSR_SIEFP, virt_to_phys(page) | RD_ENABLE);
	if (!error)
		error = wrmsrl_safe(HV_X64_MSR_SINT0 + rd_sint, HYPERVISOR_CALLBACK_VECTOR);
	if (!error)
		error = wrmsrl_safe(HV_X64_MSR_SCONTROL, RD_ENABLE);
	if (error)
		rd_synic_offline(cpu);
	return error;
}

int rd_synic_init(u32 sint)
{
	int state;

	if (!hypervisor_is_type(X86_HYPER_MS_HYPERV))
		return -EOPNOTSUPP;
	/* Without the hint the kernel expects the interrupt to end by itself. */
	if (!(ms_hyperv.hints & HV_DEPRECATING_AEOI_RECOMMENDED))
		return -EOPNOTSUPP;
	rd_sint = sint;
	hv_setup_vmbus_handler(rd_synic_scan);
	state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "redoubt:online", rd_synic_online,
				  rd_synic_offline);
	if (state < 0) {
		synchronize_rcu();
		hv_remove_vmbus_handler();
		synchronize_rcu();
		return state;
	}
	rd_synic_state = state;
	return 0;
}

void rd_synic_exit(void)
{
	cpuhp_remove_state(rd_synic_state);
	/* An interrupt that was pending when its CPU was masked has come and gone after this; */
	synchronize_rcu();
	hv_remove_vmbus_handler();
	/* and no CPU is in the handler, or about to call it, after this. */
	synchronize_rcu();
}
