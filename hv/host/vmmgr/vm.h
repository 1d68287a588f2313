/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_VM_H
#define HV_HOST_VMMGR_VM_H
/* A virtual machine: its definition, what it holds while it runs, and its life. */
#include "hv/host/vmmgr/definition.h"
#include "hv/host/vmmgr/partition.h"
#include "hv/host/vmmgr/process.h"

enum vm_state {
	VM_OFF,      /* never started, or ended well */
	VM_STARTING, /* device processes, then the worker */
	VM_RUNNING,
	VM_STOPPING, /* the guest was asked to shut down */
	VM_ENDING,   /* its processes are leaving */
	VM_HALTED,   /* as RUNNING, but no VP will ever go on */
	VM_PAUSE,    /* between a reset and the next start */
	VM_FAILED,   /* as OFF, but not well: reason */
};

enum vm_after { AFTER_OFF, AFTER_FAILED, AFTER_RESET };

/* worker, storvsp, ic, hvsock, console, NICs */
#define VM_PROCESSES (5 + DEFINITION_NICS_MAX)
/* Reports that a guest may want of itself: at once, and then one in so many milliseconds. */
#define VM_REPORTS_BURST 4u
#define VM_REPORT_MS 2000u
#define VM_DEVICES_FIRST 1

struct vm_port {
	bool used;
	uint32_t number;
	int switch_end, netvsp_end;
};

struct vm_files {
	int kernel, initrd, log;
	int pty_master, pty_slave;
	int console_process, console_worker; /* ends of the console stream */
	int disk[DEFINITION_DISKS_MAX];
	uint64_t disk_bytes[DEFINITION_DISKS_MAX];
};

struct vm_status { /* what the processes last said */
	struct pm_status_worker worker;
	struct pm_status_ic ic;
	struct pm_status_disk disk;
	struct pm_status_console console;
	struct pm_status_net net[DEFINITION_NICS_MAX];
};

struct vm {
	struct vm *next;
	struct definition definition;
	enum vm_state state;
	enum vm_after after;
	char reason[320]; /* of the last end */
	bool forced;      /* the last stop was */
	uint64_t started_ms, ended_ms;
	uint32_t resets; /* in a row */
	uint32_t reset_pause_ms;
	struct timer timer;
	uint32_t quiet_waits; /* for the disks, after a storvsp */
	struct partition partition;
	struct vm_files files;
	struct vm_port port[DEFINITION_NICS_MAX];
	struct process process[VM_PROCESSES]; /* [0] is the worker */
	uint32_t process_count;
	struct vm_status status;
	bool measured;         /* what is loaded is; the guest may ask for a report of itself */
	uint64_t reports_till; /* those that it had count until then */
	int recorder;          /* end of the socket for records of the traffic, or -1: off */
};

/* vm.c: requests. Each answers false with a line for people in *why. */
struct vm *vm_first(void);
struct vm *vm_find(const char *name);
bool vm_create(const struct definition *d, bool again, char *why, size_t room);
bool vm_delete(struct vm *vm, char *why, size_t room);
bool vm_start(struct vm *vm, char *why, size_t room);
/* Asks the guest; after timeout_s without an end, by force. 0: by force at once. */
bool vm_stop(struct vm *vm, uint32_t timeout_s, char *why, size_t room);
bool vm_kill(struct vm *vm, char *why, size_t room);
/* The manager leaves. true: nothing runs any more. */
bool vm_end_all(void);
const char *vm_state_name(enum vm_state s);

/* vm.c: news of a process */
void vm_process_ready(struct process *p);
void vm_process_message(struct process *p, const struct ipc_message *m);
void vm_process_gone(struct process *p, const char *how);
void vm_process_again(struct process *p);

/* vm_files.c: what a running machine holds open. */
bool vm_files_open(struct vm *vm, char *why, size_t room);
void vm_files_close(struct vm *vm);
/*
 * A disk, opened anew for one storvsp process: what it has under way holds this open file. -1 with errno.
 */
int vm_files_disk(const struct vm *vm, uint32_t disk);
/*
 * No storvsp has the disks that can be written, nor has the kernel I/O under way for one: it ends that later than the process.
 */
bool vm_files_disks_quiet(const struct vm *vm);
void vm_files_none(struct vm *vm);
void vm_files_folder(const char *folder);
const char *vm_files_log_path(const struct vm *vm, char *to, size_t room);

/* vm_config.c: configuration messages. */
bool vm_launch_device(struct vm *vm, struct process *p, bool again, char *why, size_t room);
bool vm_launch_worker(struct vm *vm, char *why, size_t room);
/* Which processes the definition needs. */
void vm_processes(struct vm *vm);

/* record.c: the guest's traffic, for hvctl record. Off unless asked for, and until the machine ends or the listener goes. */
/* *listener: the other end. On a machine that is off: from its start on. */
bool vm_record(struct vm *vm, int *listener, char *why, size_t room);
/* A process was launched. */
void vm_record_hand(struct vm *vm, struct process *p);
bool vm_recorded(const struct vm *vm);
void vm_record_end(struct vm *vm);

/* server.c: someone may wait for this. */
void server_vm_changed(struct vm *vm);

#endif
