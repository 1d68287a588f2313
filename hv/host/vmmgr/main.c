/* SPDX-License-Identifier: MIT */
/* vmmgr: the one manager of virtual machines of a host. See docs/man/vmmgr.8. */
#include <errno.h>
#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hv/host/lib/usage.h"
#include "hv/host/vmmgr/agent.h"
#include "hv/host/vmmgr/cgroup.h"
#include "hv/host/vmmgr/keep.h"
#include "hv/host/vmmgr/server.h"
#include "hv/host/vmmgr/spawn.h"
#include "hv/host/vmmgr/vswitch.h"

#ifndef REDOUBT_VERSION
#define REDOUBT_VERSION "unknown"
#endif

#define PROGRAMS_FOLDER "/usr/lib/redoubt"
#define STATE_FOLDER "/var/lib/redoubt/vms"
#define LEAVE_POLL_MS 50
#define LEAVE_ROUNDS 400

static const char usage_text[] =
	"usage: vmmgr [--programs DIR] [--socket PATH] [--log-dir DIR] [--state-dir DIR]\n"
	"             [--attestd PATH] [--uplink TAP] [--test-without PROGRAM:RULE]\n"
	"       vmmgr --help | --version\n"
	"\n"
	"Manages virtual machines: starts their processes in sandboxes, restarts those that\n"
	"die, and serves hvctl.\n"
	"\n"
	"  --programs DIR   where vmworker, storvsp, netvsp, ic, hvsock, console and\n"
	"                   vswitch are (" PROGRAMS_FOLDER ")\n"
	"  --socket PATH    where hvctl finds it (" SERVER_SOCKET ")\n"
	"  --log-dir DIR    for NAME.console files (/run/redoubt)\n"
	"  --state-dir DIR  keeps the definitions of machines (" STATE_FOLDER ")\n"
	"  --attestd PATH   socket of attestd, for guests that want a report of themselves\n"
	"                   (/run/redoubt/attestd.sock)\n"
	"  --uplink TAP     TAP interface that the switch of the virtual machines has\n"
	"  --test-without PROGRAM:RULE  for tests: a sandbox without one of its rules\n"
	"\n"
	"Exit status: 0 good, 1 error, 2 wrong usage.\n";

struct arguments {
	const char *programs, *socket, *log_folder, *state_folder, *uplink;
};

static struct source signals = { .fd = -1 };
static struct timer leaving;
static unsigned int rounds;

/* 0 go on, 1 done (help), 2 wrong. */
static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = { { "programs", required_argument, NULL, 'p' },
						 { "socket", required_argument, NULL, 's' },
						 { "log-dir", required_argument, NULL, 'l' },
						 { "state-dir", required_argument, NULL, 'd' },
						 { "attestd", required_argument, NULL, 'a' },
						 { "uplink", required_argument, NULL, 'u' },
						 { "test-without", required_argument, NULL, 't' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { 0 } };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			a->programs = optarg;
			break;
		case 's':
			a->socket = optarg;
			break;
		case 'l':
			a->log_folder = optarg;
			break;
		case 'd':
			a->state_folder = optarg;
			break;
		case 'a':
			agent_socket(optarg);
			break;
		case 'u':
			a->uplink = optarg;
			break;
		case 't':
			if (!process_test_without(optarg)) {
				return usage_fault("vmmgr", "not PROGRAM:RULE:", optarg);
			}
			break;
		case 'h':
			return fputs(usage_text, stdout) >= 0 ? 1 : 2;
		case 'v':
			return printf("vmmgr %s\n", REDOUBT_VERSION) >= 0 ? 1 : 2;
		default:
			return usage_option("vmmgr", option, argv);
		}
	}
	if (optind != argc) {
		return usage_fault("vmmgr", "unexpected word", argv[optind]);
	}
	if (a->uplink != NULL && (!definition_name_good(a->uplink) || strlen(a->uplink) > 15)) {
		return usage_fault("vmmgr", "not the name of an interface:", a->uplink);
	}
	return 0;
}

static void leave_when_quiet(struct timer *t)
{
	const struct process *vswitch = vswitch_process();

	rounds++;
	if (!vm_end_all() && rounds < LEAVE_ROUNDS) {
		timer_set(t, LEAVE_POLL_MS, leave_when_quiet);
		return;
	}
	vswitch_end();
	if (vswitch->state != PROCESS_NONE && rounds < LEAVE_ROUNDS) {
		timer_set(t, LEAVE_POLL_MS, leave_when_quiet);
		return;
	}
	loop_stop();
}

static void signal_ready(struct source *s, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
		say("SIG%s: all machines are stopped", sigabbrev_np((int)info.ssi_signo));
		rounds = 0;
		timer_set(&leaving, 0, leave_when_quiet);
	}
}

/* Signals come through a descriptor. A client or process that is gone is an error of a write, not a signal. */
static bool take_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
		return false;
	}
	signals.ready = signal_ready;
	return source_add(&signals, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), EPOLLIN);
}

/* What is needed of root; the rest goes for good, also for what may be executed. */
static bool keep_capabilities(void)
{
	static const unsigned int kept[] = {
		CAP_SYS_ADMIN,    /* redoubt.ko, namespaces, mounts */
		CAP_SETUID,       /* spawn.c: an identity for each process */
		CAP_SETGID,       /* likewise */
		CAP_SETPCAP,      /* spawn.c: empties the bounding set */
		CAP_SYS_CHROOT,   /* spawn.c, where there is no pivot_root */
		CAP_KILL,         /* processes of other identities */
		CAP_SYS_PTRACE,   /* ps.c: their /proc */
		CAP_NET_ADMIN,    /* vswitch.c: TAP, buffers */
		CAP_DAC_OVERRIDE, /* disks of other owners */
	};
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
	uint64_t set = 0;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		set |= 1ull << kept[i];
	}
	for (unsigned long cap = 0; cap < 64; cap++) {
		if ((set >> cap & 1) == 0 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
			return false;
		}
	}
	data[0].permitted = data[0].effective = (uint32_t)set;
	data[1].permitted = data[1].effective = (uint32_t)(set >> 32);
	return syscall(__NR_capset, &header, data) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static bool folders(const char *log_folder)
{
	const char *const all[] = { "/run/redoubt", SPAWN_ROOT, log_folder };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (mkdir(all[i], 0755) != 0 && errno != EEXIST) {
			say("%s: %s", all[i], strerror(errno));
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct arguments a = { PROGRAMS_FOLDER, SERVER_SOCKET, "/run/redoubt", STATE_FOLDER, NULL };
	struct rlimit files = { 4096, 4096 };
	const char *missing;
	int code = parse(argc, argv, &a);

	if (code != 0) {
		return code == 1 && fflush(stdout) == 0 ? 0 : 2;
	}
	if (geteuid() != 0) {
		say("run as root");
		return 1;
	}
	/* Descriptors of every machine pass through here; another process of root must not read them out of us. */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)umask(022);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (!keep_capabilities()) {
		say("capabilities: %s: run as root with all of them", strerror(errno));
		return 1;
	}
	if (!process_programs(a.programs) || !folders(a.log_folder) || !loop_init() ||
	    !take_signals()) {
		return 1;
	}
	vm_files_folder(a.log_folder);
	vswitch_init(a.uplink);
	missing = cgroup_init();
	if (missing != NULL) {
		say("no limits by control groups: %s", missing);
	}
	if (!keep_open(a.state_folder) || !server_init(a.socket)) {
		return 1;
	}
	say("ready");
	loop_run();
	(void)unlink(a.socket);
	return 0;
}
