/* SPDX-License-Identifier: BSD-3-Clause */
/* What main does while the relay runs: commands of a file, the prompt, signals, a tick a second. */
#ifndef PROMPT_H
#define PROMPT_H

#include "app.h"

/* Catch SIGINT, SIGTERM and SIGHUP; before EAL makes threads. A second SIGINT or SIGTERM ends the
 * process at once. 0 or negative errno. */
int prompt_catch_signals(struct app *app);

/* Run a file's commands, if one is given; stops at the first that fails. 0 or -EINVAL. */
int prompt_run_file(struct app *app, const char *path);

/* Until somebody asks for the end. */
void prompt_loop(struct app *app);

#endif
