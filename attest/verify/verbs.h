/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_VERBS_H
#define ATTEST_VERIFY_VERBS_H
/* The verbs of redoubt-verify: each takes the words after its name and returns the program's exit code. */

int verb_report(int argc, char **argv);
int verb_quote(int argc, char **argv);
int verb_log(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_make_policy(int argc, char **argv);
int verb_enroll(int argc, char **argv);
int verb_nonce(int argc, char **argv);

#endif
