/* SPDX-License-Identifier: MIT */
#include "hv/host/hvctl/manager.h"
#include "hv/host/lib/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As vmmgr has it: a longer file is no definition. */
#define DEFINITION_BYTES_MAX 32768
#define TIMEOUT_MAX 3600

enum word { WORD_NONE, WORD_MAY, WORD_MUST }; /* after the verb */

struct verb {
	const char *name;
	enum word word;
	bool timeout, replace, json;
	const char *usage;
	const char *help;
};

static const struct verb verbs[] = {
	{ "create", WORD_MUST, false, true, true, "FILE [--replace] [--json]",
	  "Reads the definition in FILE (redoubt-vm(5); - is standard input) and hands it to the\n"
	  "manager. --replace: a machine of this name that is off gets the new definition." },
	{ "delete", WORD_MUST, false, false, true, "NAME [--json]",
	  "Forgets the definition of a machine that is off. Its disks stay." },
	{ "start", WORD_MUST, false, false, true, "NAME [--json]",
	  "Starts a machine and waits until its guest runs." },
	{ "stop", WORD_MUST, true, false, true, "NAME [--timeout SECONDS] [--json]",
	  "Asks the guest to shut down and waits until the machine is off. After SECONDS (60; 0:\n"
	  "at once) it is stopped by force." },
	{ "kill", WORD_MUST, false, false, true, "NAME [--json]",
	  "Ends a machine at once, as a power cut does." },
	{ "list", WORD_NONE, false, false, true, "[--json]",
	  "All machines: state, memory, virtual processors, how the last run ended." },
	{ "show", WORD_MUST, false, false, true, "NAME [--json]", "Everything about one machine." },
	{ "console", WORD_MUST, false, false, false, "NAME",
	  "The serial console of a machine: first the end of its log. Ctrl-] detaches." },
	{ "ps", WORD_MAY, false, false, true, "[NAME] [--json]",
	  "The processes of a machine, or of all and the switch, with what the kernel says of\n"
	  "their sandboxes." },
};

struct arguments {
	const char *word, *socket;
	int timeout; /* -1: not given */
	bool replace, json, help;
};

static const struct verb *find_verb(const char *word)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(word, verbs[i].name) == 0) {
			return &verbs[i];
		}
	}
	return NULL;
}

bool machine_verb(const char *word)
{
	return find_verb(word) != NULL;
}

static int usage_error(const struct verb *v, const char *fault, const char *word)
{
	char program[40];

	(void)snprintf(program, sizeof(program), "hvctl %s", v->name);
	return usage_fault(program, fault, word);
}

static bool parse_timeout(const char *text, int *to)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < 0 || value > TIMEOUT_MAX) {
		return false;
	}
	*to = (int)value;
	return true;
}

static int take_option(const struct verb *v, int option, char **argv, struct arguments *a)
{
	switch (option) {
	case 'h':
		a->help = true;
		return EXIT_OK;
	case 's':
		a->socket = optarg;
		return EXIT_OK;
	case 'j':
		a->json = true;
		return v->json ? EXIT_OK : usage_error(v, "unknown option", "--json");
	case 'r':
		a->replace = true;
		return v->replace ? EXIT_OK : usage_error(v, "unknown option", "--replace");
	case 't':
		if (!v->timeout) {
			return usage_error(v, "unknown option", "--timeout");
		}
		return parse_timeout(optarg, &a->timeout)
			       ? EXIT_OK
			       : usage_error(v, "not a number of seconds from 0 to 3600:", optarg);
	case ':':
		return usage_error(v, "missing value after", argv[optind - 1]);
	default:
		return usage_error(v, "unknown option", argv[optind - 1]);
	}
}

static int parse(const struct verb *v, int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { "replace", no_argument, NULL, 'r' },
						 { "timeout", required_argument, NULL, 't' },
						 { "socket", required_argument, NULL, 's' },
						 { 0 } };
	int option;

	opterr = 0;
	/* Options may stand before and after the name. */
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		int code = take_option(v, option, argv, a);

		if (code != EXIT_OK) {
			return code;
		}
	}
	if (a->help) {
		return EXIT_OK;
	}
	if (optind < argc && v->word != WORD_NONE) {
		a->word = argv[optind++];
	}
	if (optind < argc) {
		return usage_error(v, "unexpected word", argv[optind]);
	}
	if (a->word == NULL && v->word == WORD_MUST) {
		return usage_error(
			v, strcmp(v->name, "create") == 0 ? "FILE is missing" : "NAME is missing",
			"");
	}
	return EXIT_OK;
}

/* ---- requests ---- */

/* The whole file, with its size; NULL after telling the user. */
static char *read_definition(const char *path, size_t *size)
{
	bool input = strcmp(path, "-") == 0;
	int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	char *text = malloc(DEFINITION_BYTES_MAX + 1);
	ssize_t count = -1;

	*size = 0;
	while (fd >= 0 && text != NULL && *size <= DEFINITION_BYTES_MAX) {
		count = read(fd, text + *size, DEFINITION_BYTES_MAX + 1 - *size);
		if (count <= 0) {
			break;
		}
		*size += (size_t)count;
	}
	if (fd < 0 || count < 0) {
		(void)fprintf(stderr, "hvctl: %s: %s: name the definition of a machine\n", path,
			      strerror(errno));
	} else if (*size > DEFINITION_BYTES_MAX) {
		(void)fprintf(stderr, "hvctl: %s: longer than %d bytes: not a definition\n", path,
			      DEFINITION_BYTES_MAX);
		count = -1;
	}
	if (fd >= 0 && !input) {
		(void)close(fd);
	}
	if (count < 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* NULL after telling the user. */
static json_t *create_request(const struct arguments *a, json_t *request)
{
	size_t size;
	const char *path = a->word != NULL ? a->word : "";
	char *text = read_definition(path, &size);
	json_t *definition;

	if (text == NULL) {
		json_decref(request);
		return NULL;
	}
	definition = json_stringn(text, size);
	free(text);
	if (definition == NULL) {
		(void)fprintf(stderr, "hvctl: %s: not UTF-8: write it with a text editor\n",
			      a->word);
		json_decref(request);
		return NULL;
	}
	json_object_set_new(request, "file", json_string(a->word));
	json_object_set_new(request, "definition", definition);
	if (a->replace) {
		json_object_set_new(request, "again", json_true());
	}
	return request;
}

static json_t *make_request(const struct verb *v, const struct arguments *a)
{
	json_t *request = json_object();

	json_object_set_new(request, "verb", json_string(v->name));
	if (strcmp(v->name, "create") == 0) {
		return create_request(a, request);
	}
	if (a->word != NULL) {
		json_object_set_new(request, "name", json_string(a->word));
	}
	if (a->timeout >= 0) {
		json_object_set_new(request, "timeout", json_integer(a->timeout));
	}
	return request;
}

/* ---- answers ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static void print_done(const json_t *answer)
{
	char name[TEXT_SIZE(64)], state[TEXT_SIZE(64)], reason[TEXT_SIZE(400)];

	text_escape(name, sizeof(name), text_of(answer, "name"), 64);
	text_escape(state, sizeof(state), text_of(answer, "state"), 64);
	text_escape(reason, sizeof(reason), text_of(answer, "reason"), 400);
	if (name[0] != '\0') {
		printf("%s: %s%s%s\n", name, state, reason[0] != '\0' ? ": " : "", reason);
	}
}

static int print_answer(const struct verb *v, const struct arguments *a, struct manager_answer *m)
{
	if (a->json) {
		json_t *object = m->object;

		m->object = NULL;
		return json_print(object, JSON_INDENT(2)) && m->ok ? EXIT_OK : EXIT_ERROR;
	}
	if (!m->ok) {
		char error[TEXT_SIZE(1200)];

		text_escape(error, sizeof(error), text_of(m->object, "error"), 1200);
		(void)fprintf(stderr, "hvctl: %s\n", error);
		return EXIT_ERROR;
	}
	if (strcmp(v->name, "list") == 0) {
		machine_print_list(m->object);
	} else if (strcmp(v->name, "show") == 0) {
		machine_print_show(m->object);
	} else if (strcmp(v->name, "ps") == 0) {
		machine_print_ps(m->object);
	} else if (strcmp(v->name, "console") == 0) {
		return console_run(m->fd[0], m->fd[1], a->word);
	} else {
		print_done(m->object);
	}
	return EXIT_OK;
}

int machine_run(int argc, char **argv)
{
	struct arguments a = { .socket = MANAGER_SOCKET, .timeout = -1 };
	const struct verb *v = find_verb(argv[0]);
	struct manager_answer answer;
	json_t *request;
	int code = parse(v, argc, argv, &a);

	if (code != EXIT_OK) {
		return code;
	}
	if (a.help) {
		return printf("usage: hvctl %s %s\n\n%s\n", v->name, v->usage, v->help) >= 0
			       ? EXIT_OK
			       : EXIT_ERROR;
	}
	request = make_request(v, &a);
	if (request == NULL || !manager_ask(a.socket, request, &answer)) {
		return EXIT_ERROR;
	}
	code = print_answer(v, &a, &answer);
	manager_drop(&answer);
	return code;
}
