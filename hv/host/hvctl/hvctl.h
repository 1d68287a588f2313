/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_HVCTL_HVCTL_H
#define HV_HOST_HVCTL_HVCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/abi/redoubt.h"

enum exit_code { EXIT_OK = 0, EXIT_ERROR = 1, EXIT_USAGE = 2 };

#define LEVEL_COUNT 4

/* main.c */
extern const char *const level_names[LEVEL_COUNT];

/* device.c: each answers false after it has told the user what is wrong and what to do. */
bool device_open(int *fd);
bool device_get_info(int fd, struct rd_info *info);
bool device_read_log(int fd, uint64_t sequence, struct rd_log *log);

/*
 * check.c: answers of the hypervisor are checked before anything else reads them; NULL or what is
 * wrong.
 */
const char *check_info(struct rd_info *info);
const char *check_log(struct rd_log *log, uint64_t asked);

/* text.c */
#define TEXT_SIZE(length) (4 * (length) + 1)
void text_escape(char *out, size_t out_size, const char *text, size_t length);
void text_size(char *out, size_t out_size, uint64_t bytes);
json_t *json_u64(uint64_t value);
bool json_print(json_t *value, size_t flags);

/* info.c, dmesg.c */
int info_show(int fd, bool json);
int dmesg_show(int fd, bool json, bool follow, unsigned int max_level);

#endif
