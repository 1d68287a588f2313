/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/vswitch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWITCH_BYTES (64ull << 20)
/* Frames that wait in a port, as bytes of the socket's buffer. */
#define PORT_BYTES (1 << 20)

static struct process process;
static char uplink[IFNAMSIZ];
static int tap = -1;
static uint32_t next_port = 1;
static bool ending;

void vswitch_init(const char *name)
{
	process_init(&process, PROGRAM_VSWITCH, NULL, 0);
	process.budget = SWITCH_BYTES;
	if (name != NULL) {
		(void)snprintf(uplink, sizeof(uplink), "%s", name);
	}
}

struct process *vswitch_process(void)
{
	return &process;
}

static bool interface_up(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good;

	if (fd < 0) {
		return false;
	}
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	good = ioctl(fd, SIOCGIFFLAGS, &request) == 0;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	good = good && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	(void)close(fd);
	return good;
}

static bool tap_open(char *why, size_t room)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd;

	if (uplink[0] == '\0' || tap >= 0) {
		return true;
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		(void)snprintf(why, room, "/dev/net/tun: %s: load the module tun", strerror(errno));
		return false;
	}
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", uplink);
	if (ioctl(fd, TUNSETIFF, &request) != 0) {
		(void)snprintf(why, room,
			       "uplink %s: %s: name a TAP interface that nothing else uses", uplink,
			       strerror(errno));
		(void)close(fd);
		return false;
	}
	if (!interface_up(uplink)) {
		say("uplink %s: cannot be set up: %s: do it by ip link set", uplink,
		    strerror(errno));
	}
	tap = fd;
	return true;
}

static bool launch(char *why, size_t room)
{
	struct pm_config_vswitch config = { .has_uplink = tap >= 0 };

	return process_launch(&process, PM_CONFIG_VSWITCH, &config, sizeof(config), &tap,
			      tap >= 0 ? 1 : 0, why, room);
}

static bool ports_in_use(void)
{
	for (struct vm *vm = vm_first(); vm != NULL; vm = vm->next) {
		for (uint32_t i = 0; i < DEFINITION_NICS_MAX; i++) {
			if (vm->port[i].used) {
				return true;
			}
		}
	}
	return false;
}

/* A machine asks for an uplink that the switch does not have yet. */
static bool uplink_set(const char *name, char *why, size_t room)
{
	if (name == NULL || name[0] == '\0' || strcmp(name, uplink) == 0) {
		return true;
	}
	if (uplink[0] != '\0' || ports_in_use()) {
		(void)snprintf(why, room,
			       "uplink %s: the switch runs %s%s: stop all machines with NICs, or "
			       "start vmmgr with --uplink %s",
			       name, uplink[0] != '\0' ? "with " : "without one", uplink, name);
		return false;
	}
	(void)snprintf(uplink, sizeof(uplink), "%s", name);
	if (!tap_open(why, room)) {
		uplink[0] = '\0';
		return false;
	}
	/* It comes back with the uplink: vswitch_gone. */
	process_kill(&process);
	return true;
}

bool vswitch_need(const char *name, char *why, size_t room)
{
	if (!uplink_set(name, why, room) || !tap_open(why, room)) {
		return false;
	}
	return process.state != PROCESS_NONE || launch(why, room);
}

static bool port_tell(enum pm_type type, struct vm *vm, uint32_t nic)
{
	struct vm_port *port = &vm->port[nic];
	struct pm_port message = { .port = port->number };
	uint32_t fds = type == PM_PORT_ADD ? 1 : 0;

	memcpy(message.mac, vm->definition.nic[nic].mac, sizeof(message.mac));
	return process_send(&process, type, &message, sizeof(message), &port->switch_end, fds);
}

bool vswitch_port_add(struct vm *vm, uint32_t nic, char *why, size_t room)
{
	struct vm_port *port = &vm->port[nic];
	int size = PORT_BYTES, pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
		(void)snprintf(why, room, "port of NIC %u: %s", nic, strerror(errno));
		return false;
	}
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	*port = (struct vm_port){
		.used = true,
		.number = next_port++,
		.switch_end = pair[0],
		.netvsp_end = pair[1],
	};
	if (process.state == PROCESS_READY && !port_tell(PM_PORT_ADD, vm, nic)) {
		(void)snprintf(why, room, "port of NIC %u: the switch does not listen", nic);
		vswitch_port_remove(vm, nic);
		return false;
	}
	return true;
}

void vswitch_port_remove(struct vm *vm, uint32_t nic)
{
	struct vm_port *port = &vm->port[nic];

	if (!port->used) {
		return;
	}
	if (process.state == PROCESS_READY) {
		/* A switch that does not listen sees the end of the port. */
		(void)port_tell(PM_PORT_REMOVE, vm, nic);
	}
	(void)close(port->switch_end);
	(void)close(port->netvsp_end);
	*port = (struct vm_port){ .switch_end = -1, .netvsp_end = -1 };
}

void vswitch_ready(void)
{
	for (struct vm *vm = vm_first(); vm != NULL; vm = vm->next) {
		for (uint32_t i = 0; i < DEFINITION_NICS_MAX; i++) {
			if (vm->port[i].used && !port_tell(PM_PORT_ADD, vm, i)) {
				say("vswitch: takes no ports: killed");
				process_kill(&process);
				return;
			}
		}
	}
}

static void start_again(struct timer *t)
{
	(void)t;
	vswitch_again();
}

void vswitch_again(void)
{
	char why[256];

	process.state = PROCESS_NONE;
	if (ending) {
		return;
	}
	if (!launch(why, sizeof(why))) {
		say("%s: the switch stays down until a machine with a NIC starts", why);
	}
}

/* A host without its switch still has its machines: there is no limit, only a pause. */
void vswitch_gone(const char *how)
{
	int pause = process_backoff(&process);

	say("vswitch: %s%s", how, ending ? "" : ": starts again");
	if (!ending) {
		process.state = PROCESS_WAITING;
		timer_set(&process.timer, pause < 0 ? 30000 : (uint32_t)pause, start_again);
	}
}

void vswitch_end(void)
{
	struct pm_plain stop = { 0 };

	ending = true;
	timer_cancel(&process.timer);
	if (!process_send(&process, PM_STOP, &stop, sizeof(stop), NULL, 0)) {
		process_kill(&process);
	}
}
