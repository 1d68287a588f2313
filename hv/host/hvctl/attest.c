/* SPDX-License-Identifier: MIT */
/* hvctl attest: reports of this host and its machines, and its part of the enrolment. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/host/hvctl/agent.h"
#include "hv/host/lib/usage.h"

#define NONCE_MIN 16u
#define NONCE_MAX 64u
#define CREDENTIAL_MAX 2048u
#define CREDENTIAL_HEAD 8u /* of tpm2_makecredential's files: 0xbadcc0de, 1 */

static const char help_text[] =
	"usage: hvctl attest NAME --nonce HEX [--out FILE] [--json]\n"
	"       hvctl attest --host --nonce HEX [--out FILE] [--json]\n"
	"       hvctl attest --identity FOLDER\n"
	"       hvctl attest --activate CHALLENGE [--out FILE]\n"
	"\n"
	"Fetches a signed report of a running machine and this host, or of this host alone, for\n"
	"redoubt-verify(1). HEX: 16 to 64 bytes from whoever will verify it (redoubt-verify nonce).\n"
	"\n"
	"  --out FILE           a new file; else standard output, when that is no terminal\n"
	"  --identity FOLDER    writes ek.tpm2b, ak.tpm2b and, where the TPM has it, ek.der\n"
	"  --activate CHALLENGE answers a challenge of redoubt-verify enroll: what the TPM found in it\n"
	"  --agent PATH         attestd's socket (" AGENT_SOCKET ")\n"
	"  --socket PATH        vmmgr's (" MANAGER_SOCKET ")\n"
	"\n"
	"Exit status: 0 good, 1 error, 2 wrong usage.\n";

struct words {
	const char *name, *nonce, *out, *identity, *activate, *agent, *socket;
	bool host, json, help;
};

static bool good_nonce(const char *text)
{
	size_t n = strlen(text);

	return n % 2 == 0 && n >= 2ul * NONCE_MIN && n <= 2ul * NONCE_MAX &&
	       strspn(text, "0123456789abcdefABCDEF") == n;
}

static int judge(const struct words *w)
{
	unsigned int reports = (w->host ? 1u : 0u) + (w->name != NULL ? 1u : 0u);
	unsigned int others = (w->identity != NULL ? 1u : 0u) + (w->activate != NULL ? 1u : 0u);

	if (w->help) {
		return EXIT_OK;
	}
	if (reports + others != 1) {
		return usage_fault("hvctl attest",
				   "wants one of NAME, --host, --identity, --activate", "");
	}
	if (others != 0) {
		return w->nonce == NULL ? EXIT_OK
					: usage_fault("hvctl attest", "--nonce is for reports", "");
	}
	if (w->nonce == NULL) {
		return usage_fault("hvctl attest",
				   "--nonce is missing: without it a report may be an old one", "");
	}
	return good_nonce(w->nonce)
		       ? EXIT_OK
		       : usage_fault("hvctl attest",
				     "--nonce: not 16 to 64 bytes in hexadecimal:", w->nonce);
}

static int parse(int argc, char **argv, struct words *w)
{
	static const struct option options[] = { { "host", no_argument, NULL, 'h' },
						 { "nonce", required_argument, NULL, 'n' },
						 { "out", required_argument, NULL, 'o' },
						 { "json", no_argument, NULL, 'j' },
						 { "identity", required_argument, NULL, 'i' },
						 { "activate", required_argument, NULL, 'a' },
						 { "agent", required_argument, NULL, 'g' },
						 { "socket", required_argument, NULL, 's' },
						 { "help", no_argument, NULL, 'H' },
						 { 0 } };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "-:", options, NULL)) != -1) {
		if (option == 1) { /* a word that is no option */
			if (w->name != NULL) {
				return usage_fault("hvctl attest", "unexpected word", optarg);
			}
			w->name = optarg;
		} else if (option == 'n') {
			w->nonce = optarg;
		} else if (option == 'o') {
			w->out = optarg;
		} else if (option == 'i') {
			w->identity = optarg;
		} else if (option == 'a') {
			w->activate = optarg;
		} else if (option == 'g') {
			w->agent = optarg;
		} else if (option == 's') {
			w->socket = optarg;
		} else if (option == 'h') {
			w->host = true;
		} else if (option == 'j') {
			w->json = true;
		} else if (option == 'H') {
			w->help = true;
		} else {
			return usage_option("hvctl attest", option, argv);
		}
	}
	return judge(w);
}

static int file_error(const char *path)
{
	(void)fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
	return EXIT_ERROR;
}

static int write_file(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good = fd >= 0 && write(fd, bytes, n) == (ssize_t)n;

	if (fd >= 0 && close(fd) != 0) {
		good = false;
	}
	return good ? EXIT_OK : file_error(path);
}

static int write_out(const struct words *w, const void *bytes, size_t n)
{
	if (w->out != NULL && strcmp(w->out, "-") != 0) {
		return write_file(w->out, bytes, n);
	}
	if (isatty(STDOUT_FILENO)) {
		return usage_fault("hvctl attest", "it is no text for a terminal: give --out FILE",
				   "");
	}
	return fwrite(bytes, 1, n, stdout) == n ? EXIT_OK : file_error("standard output");
}

/* The hypervisor's number of a machine. */
static bool number_of(const struct words *w, json_int_t *number)
{
	struct manager_answer answer;
	const char *text;
	bool good = false;

	if (!manager_ask(w->socket != NULL ? w->socket : MANAGER_SOCKET,
			 json_pack("{s:s, s:s}", "verb", "show", "name", w->name), &answer)) {
		return false;
	}
	if (answer.ok) {
		const json_t *machine = json_object_get(answer.object, "machine");

		if (machine == NULL) {
			machine = answer.object;
		}
		*number = json_integer_value(json_object_get(machine, "partition"));
		good = *number > 0;
	}
	if (!good) {
		text = json_string_value(json_object_get(answer.object, "error"));
		(void)fprintf(stderr, "hvctl: %s: %s\n", w->name,
			      text != NULL ? text : "it does not run: hvctl start starts it");
	}
	manager_drop(&answer);
	return good;
}

static json_t *hex_of(const uint8_t *bytes, size_t n)
{
	char *text = malloc(2 * n + 1);
	json_t *value;

	if (text == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	}
	text[2 * n] = '\0';
	value = json_string(text);
	free(text);
	return value;
}

static int report(const struct words *w)
{
	json_t *request = json_pack("{s:s}", "nonce", w->nonce), *shown;
	struct agent_answer answer;
	json_int_t number = 0;
	int code;

	if (!w->host) {
		if (!number_of(w, &number)) {
			json_decref(request);
			return EXIT_ERROR;
		}
		(void)json_object_set_new(request, "partition", json_integer(number));
	}
	if (!agent_ask(w->agent, "/v1/report", request, &answer)) {
		return EXIT_ERROR;
	}
	if (!w->json) {
		code = write_out(w, answer.body, answer.n);
	} else {
		code = w->out != NULL ? write_file(w->out, answer.body, answer.n) : EXIT_OK;
		shown = json_pack("{s:b, s:s, s:I}", "ok", code == EXIT_OK, "nonce", w->nonce,
				  "bytes", (json_int_t)answer.n);
		if (w->out != NULL) {
			(void)json_object_set_new(shown, "file", json_string(w->out));
		} else {
			(void)json_object_set_new(shown, "report", hex_of(answer.body, answer.n));
		}
		code = json_print(shown, JSON_COMPACT) ? code : EXIT_ERROR;
	}
	agent_drop(&answer);
	return code;
}

static size_t from_hex(const char *text, uint8_t *out, size_t most)
{
	size_t n = text != NULL ? strlen(text) / 2 : 0;

	for (size_t i = 0; i < n && i < most; i++) {
		char two[3] = { text[2 * i], text[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n <= most ? n : 0;
}

/* A value of attestd's answer into FOLDER/name; absent is no error where it may be. */
static int keep_value(const json_t *from, const char *key, const char *folder, const char *name,
		      bool may)
{
	const char *text = json_string_value(json_object_get(from, key));
	uint8_t bytes[4096];
	size_t n = from_hex(text, bytes, sizeof(bytes));
	char path[4096];

	if (n == 0) {
		return may && text == NULL
			       ? EXIT_OK
			       : usage_fault("hvctl attest",
					     "attestd's answer has no good value of", key);
	}
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return file_error(folder);
	}
	return write_file(path, bytes, n);
}

static int identity(const struct words *w)
{
	struct agent_answer answer;
	json_t *object;
	int code;

	if (!agent_ask(w->agent, "/v1/ek", NULL, &answer)) {
		return EXIT_ERROR;
	}
	object = json_loadb((const char *)answer.body, answer.n, JSON_REJECT_DUPLICATES, NULL);
	agent_drop(&answer);
	code = keep_value(object, "ek", w->identity, "ek.tpm2b", false);
	if (code == EXIT_OK) {
		code = keep_value(object, "ak", w->identity, "ak.tpm2b", false);
	}
	if (code == EXIT_OK) {
		code = keep_value(object, "ek_certificate", w->identity, "ek.der", true);
	}
	json_decref(object);
	return code;
}

/* {credential, secret} of a file of tpm2_makecredential or redoubt-verify enroll. NULL after telling the user. */
static json_t *read_challenge(const char *path)
{
	uint8_t bytes[CREDENTIAL_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
	size_t n = got > 0 ? (size_t)got : 0, first;

	if (got < 0) {
		(void)file_error(path);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	if (got < 0) {
		return NULL;
	}
	first = n >= CREDENTIAL_HEAD + 2
			? 2 + ((size_t)bytes[CREDENTIAL_HEAD] << 8 | bytes[CREDENTIAL_HEAD + 1])
			: n;
	if (n == sizeof(bytes) || n < CREDENTIAL_HEAD + 4 ||
	    memcmp(bytes, "\xba\xdc\xc0\xde\0\0\0\1", CREDENTIAL_HEAD) != 0 ||
	    first >= n - CREDENTIAL_HEAD) {
		(void)usage_fault("hvctl attest",
				  "not a challenge of redoubt-verify enroll:", path);
		return NULL;
	}
	return json_pack("{s:o, s:o}", "credential", hex_of(bytes + CREDENTIAL_HEAD, first),
			 "secret",
			 hex_of(bytes + CREDENTIAL_HEAD + first, n - CREDENTIAL_HEAD - first));
}

static int activate(const struct words *w)
{
	json_t *request = read_challenge(w->activate), *object;
	struct agent_answer answer;
	uint8_t secret[64];
	int code;
	size_t n;

	if (request == NULL || !agent_ask(w->agent, "/v1/activate", request, &answer)) {
		return EXIT_ERROR;
	}
	object = json_loadb((const char *)answer.body, answer.n, JSON_REJECT_DUPLICATES, NULL);
	agent_drop(&answer);
	n = from_hex(json_string_value(json_object_get(object, "secret")), secret, sizeof(secret));
	json_decref(object);
	code = n != 0 ? write_out(w, secret, n)
		      : usage_fault("hvctl attest", "attestd's answer has no good value of",
				    "secret");
	explicit_bzero(secret, sizeof(secret));
	return code;
}

int attest_run(int argc, char **argv)
{
	struct words w = { .agent = AGENT_SOCKET };
	int code = parse(argc, argv, &w);

	if (code != EXIT_OK) {
		return code;
	}
	if (w.help) {
		return fputs(help_text, stdout) >= 0 ? EXIT_OK : EXIT_ERROR;
	}
	if (w.identity != NULL) {
		return identity(&w);
	}
	return w.activate != NULL ? activate(&w) : report(&w);
}
