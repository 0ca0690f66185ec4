/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Settings: a table says what a libconfig file may hold, where each value goes in a struct, what
 * it may be and what it is when absent. The same table makes the reference in docs/. Unknown keys,
 * wrong types and values out of range are errors that name file, line, key and what is allowed.
 */
#ifndef PLM_CONF_H
#define PLM_CONF_H

#include "plm_base.h"

enum plm_conf_type {
	PLM_CONF_BOOL,   /**< bool */
	PLM_CONF_UINT,   /**< unsigned integer of 1, 2, 4 or 8 bytes; `words` name special values */
	PLM_CONF_WORD,   /**< one of `words`, stored as its value, 1, 2, 4 or 8 bytes */
	PLM_CONF_STRING, /**< char[size], `min` to size - 1 characters */
	PLM_CONF_PARSED, /**< a string that `parse` turns into a field of `size` bytes */
	PLM_CONF_GROUP,  /**< a struct of `size` bytes with a table of its own */
};

struct plm_conf_word {
	const char *word; /**< NULL ends the list */
	uint64_t value;
};

/** One setting. A table ends with a NULL key. */
struct plm_conf_def {
	const char *key;
	enum plm_conf_type type;
	size_t offset; /**< of the field; of the array where `list_max` */
	size_t size;   /**< of the field, or of one element */
	uint64_t min;
	uint64_t max;
	const struct plm_conf_word *words;
	/** 0, or -EINVAL with what is allowed in `why`. */
	int (*parse)(const char *text, void *field, struct plm_text *why);
	const char *form; /**< what `parse` reads, for the reference: "ADDRESS/PREFIX" */
	const struct plm_conf_def *group;
	unsigned int list_min;
	unsigned int list_max; /**< not 0: an array of up to this many, their count at `nb_offset` */
	size_t nb_offset;      /**< of an unsigned int */
	const char *fallback;  /**< the value when absent, as it would be written, "" for lists and
	                        *   groups; NULL: required */
	const char *help;      /**< with the unit, if there is one */
};

/** A file that was read; it remembers where each setting stood. Owner: the caller. */
struct plm_conf;

/**
 * Read a file and what it includes (`@include "NAME"`, relative to the file's own directory) into
 * `out`, checked by `defs`.
 * @param out
 *   Zeroed by the caller. Half filled on error.
 * @param why
 *   One line: "FILE:LINE: KEY: what is wrong, what is allowed".
 * @return 0, -EINVAL (syntax, key or value), -ENOMEM, or the error of opening the file.
 */
int plm_conf_read(struct plm_conf **conf, const char *path, const struct plm_conf_def *defs,
		void *out, struct plm_text *why);

void plm_conf_free(struct plm_conf *conf);

/** Fill `out` with the defaults of a table without required settings. 0 or -EINVAL. */
int plm_conf_defaults(const struct plm_conf_def *defs, void *out);

/**
 * Begin an error message of the caller's own checks: "FILE:LINE: KEY: ".
 * @param key  as in the messages of plm_conf_read(): "ports[0].queues"
 */
void plm_conf_where(const struct plm_conf *conf, const char *key, struct plm_text *why);

/** The reference of a table in Markdown. */
void plm_conf_reference(const struct plm_conf_def *defs, struct plm_text *text);

#endif
