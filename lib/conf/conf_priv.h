/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONF_PRIV_H
#define CONF_PRIV_H

#include <libconfig.h>

#include "plm_conf.h"

/** A key's way from the root, "ports[0].addresses[1].address", NUL included. */
#define CONF_KEY_SIZE 256

/** "3 to 9", "one of a, b" and the like: what `def` allows, for errors and the reference. */
void conf_allowed(const struct plm_conf_def *def, struct plm_text *text);

/** Turn one scalar setting into the field. 0 or -EINVAL; `why` gets what is wrong. */
int conf_value(const struct plm_conf_def *def, const config_setting_t *setting, void *field,
		struct plm_text *why);

/** The same for a default as the table writes it. */
int conf_fallback(const struct plm_conf_def *def, void *field);

/**
 * Look for integers that libconfig 1.5 would cut to 32 bits without a word, in a file and in what
 * it includes, and for includes that cannot be read. 0, -EINVAL with file and line in `why`.
 */
int conf_scan(const char *path, const char *dir, unsigned int depth, struct plm_text *why);

#endif
