// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * redoubt.ko: the root partition's door to the hypervisor. It finds Redoubt by CPUID and gives
 * /dev/redoubt, whose requests are hv/root/ioctl.h. Of what the hypervisor answers it reads the
 * pool's place at the start; all other parsing is the work of user space.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/processor.h>

#include "hv/root/hypercall.h"
#include "hv/root/ioctl.h"
#include "hv/root/pool.h"
#include "hv/root/redoubt.h"
#include "hv/root/synic.h"

static_assert(sizeof(struct rd_info) <= PAGE_SIZE && sizeof(struct rd_log) <= PAGE_SIZE);
static_assert(offsetof(struct rd_ioctl_info, out) == 8 && sizeof(struct rd_ioctl_info) % 8 == 0);
static_assert(offsetof(struct rd_ioctl_log, out) == 8 && sizeof(struct rd_ioctl_log) % 8 == 0);

static_assert(offsetof(struct rd_ioctl_partition_info, out) == 8 &&
	      sizeof(struct rd_partition_info) <= PAGE_SIZE);

static bool rd_children __ro_after_init; /* partitions can be created */

/* Make a call with input of the user, and copy the answer to the user. */
static int rd_call_user(struct rd_pages *pages, u16 code, const void *in, size_t in_size,
			void __user *out, size_t out_size)
{
	int error;

	if (mutex_lock_interruptible(&pages->lock))
		return -ERESTARTSYS;
	error = rd_hypercall(pages, code, in, in_size);
	if (!error && copy_to_user(out, pages->out, out_size))
		error = -EFAULT;
	mutex_unlock(&pages->lock);
	return error;
}

static long rd_ioctl_get_info(struct rd_pages *pages, struct rd_ioctl_info __user *request)
{
	struct rd_info_in in;

	if (copy_from_user(&in, &request->in, sizeof(in)))
		return -EFAULT;
	if (in.abi_version != RD_ABI_VERSION || in.reserved)
		return -EINVAL;
	return rd_call_user(pages, RD_HVCALL_GET_INFO, &in, sizeof(in), &request->out,
			    sizeof(request->out));
}

static long rd_ioctl_read_log(struct rd_pages *pages, struct rd_ioctl_log __user *request)
{
	struct rd_log_in in;

	if (copy_from_user(&in, &request->in, sizeof(in)))
		return -EFAULT;
	return rd_call_user(pages, RD_HVCALL_READ_LOG, &in, sizeof(in), &request->out,
			    sizeof(request->out));
}

static long rd_ioctl_partition_info(struct rd_pages *pages,
				    struct rd_ioctl_partition_info __user *request)
{
	struct rd_partition_info_in in;

	if (copy_from_user(&in, &request->in, sizeof(in)))
		return -EFAULT;
	return rd_call_user(pages, RD_HVCALL_PARTITION_INFO, &in, sizeof(in), &request->out,
			    sizeof(request->out));
}

static long rd_ioctl_measurement(struct rd_pages *pages,
				 struct rd_ioctl_measurement __user *request)
{
	struct hv_partition_id in;

	if (copy_from_user(&in, &request->in, sizeof(in)))
		return -EFAULT;
	return rd_call_user(pages, RD_HVCALL_GET_MEASUREMENT, &in, sizeof(in), &request->out,
			    sizeof(request->out));
}

static long rd_ioctl_report(struct rd_pages *pages, struct rd_ioctl_report __user *request)
{
	struct rd_get_report in;

	if (copy_from_user(&in, &request->in, sizeof(in)))
		return -EFAULT;
	return rd_call_user(pages, RD_HVCALL_GET_REPORT, &in, sizeof(in), &request->out,
			    sizeof(request->out));
}

static long rd_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct rd_pages *pages = file->private_data;
	void __user *request = (void __user *)argument;

	switch (command) {
	case RD_IOCTL_GET_INFO:
		return rd_ioctl_get_info(pages, request);
	case RD_IOCTL_READ_LOG:
		return rd_ioctl_read_log(pages, request);
	case RD_IOCTL_PARTITION_INFO:
		return rd_ioctl_partition_info(pages, request);
	case RD_IOCTL_GET_MEASUREMENT:
		return rd_ioctl_measurement(pages, request);
	case RD_IOCTL_GET_REPORT:
		return rd_ioctl_report(pages, request);
	case RD_IOCTL_GET_REPORT_KEY:
		return rd_call_user(pages, RD_HVCALL_GET_REPORT_KEY, "", 0, request,
				    sizeof(struct rd_ioctl_report_key));
	case RD_IOCTL_CREATE_PARTITION:
		return rd_children ? rd_partition_create(request) : -EOPNOTSUPP;
	default:
		return -ENOTTY;
	}
}

static int rd_open(struct inode *inode, struct file *file)
{
	struct rd_pages *pages;
	int error;

	/*
	 * The mode alone would let a container's root in, which CAP_SYS_ADMIN of the machine does
	 * not.
	 */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	pages = kzalloc(sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	error = rd_pages_alloc(pages);
	if (error) {
		kfree(pages);
		return error;
	}
	file->private_data = pages;
	return 0;
}

static int rd_release(struct inode *inode, struct file *file)
{
	struct rd_pages *pages = file->private_data;

	rd_pages_free(pages);
	kfree(pages);
	return 0;
}

static const struct file_operations rd_fops = {
	.owner = THIS_MODULE,
	.open = rd_open,
	.release = rd_release,
	.unlocked_ioctl = rd_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice rd_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "redoubt",
	.fops = &rd_fops,
	.mode = 0600,
};

static bool rd_present(void)
{
	u32 eax, ebx, ecx, edx;

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return false;
	cpuid(RD_CPUID_LEAF, &eax, &ebx, &ecx, &edx);
	return eax >= RD_CPUID_LEAF && ebx == RD_CPUID_EBX && ecx == RD_CPUID_ECX &&
	       edx == RD_CPUID_EDX;
}

/* The first hypercall: does the hypervisor speak the words that this module was built with? */
static int rd_greet(void)
{
	const struct rd_info_in in = { .abi_version = RD_ABI_VERSION };
	const struct rd_info *info;
	struct rd_pages pages;
	int error;

	error = rd_pages_alloc(&pages);
	if (error)
		return error;
	mutex_lock(&pages.lock);
	info = pages.out;
	error = rd_hypercall(&pages, RD_HVCALL_GET_INFO, &in, sizeof(in));
	if (error)
		pr_err("the hypervisor refused the first hypercall: error %d\n", error);
	else if (info->abi_version != RD_ABI_VERSION)
		error = -EPROTO;
	else
		pr_info("Redoubt %.*s\n", (int)sizeof(info->version), info->version);
	if (!error)
		rd_pool_init(info);
	if (error == -EPROTO)
		pr_err("the hypervisor has ABI %u, this module %u: use the module of its release\n",
		       info->abi_version, RD_ABI_VERSION);
	mutex_unlock(&pages.lock);
	rd_pages_free(&pages);
	return error;
}

static int __init rd_init(void)
{
	int error;

	if (!rd_present()) {
		pr_err("not booted through Redoubt: no signature at CPUID leaf %#x\n",
		       RD_CPUID_LEAF);
		return -ENODEV;
	}
	error = rd_greet();
	if (error)
		return error;
	error = rd_partition_init();
	if (error)
		goto pool;
	/* Information and the log are there even where child partitions cannot be. */
	error = rd_synic_init(RD_ROOT_SINT);
	if (error)
		pr_warn("no child partitions: the interrupt controller answers error %d\n", error);
	rd_children = !error;
	error = misc_register(&rd_device);
	if (error)
		goto synic;
	return 0;
synic:
	if (rd_children)
		rd_synic_exit();
	rd_partition_exit();
pool:
	rd_pool_exit();
	return error;
}

/* The kernel comes here only when no descriptor of any kind is left. */
static void __exit rd_exit(void)
{
	misc_deregister(&rd_device);
	rd_partition_exit();
	if (rd_children)
		rd_synic_exit();
	rd_pool_exit();
}

module_init(rd_init);
module_exit(rd_exit);

MODULE_DESCRIPTION("Redoubt hypervisor, root partition driver");
MODULE_AUTHOR("The Redoubt authors");
MODULE_LICENSE("Dual MIT/GPL");
