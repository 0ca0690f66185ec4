/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference in docs/: one table per group, from the same definitions that check a file. */
#include "conf_priv.h"

static void
cell(const char *s, struct plm_text *text)
{
	for (; *s != '\0'; s++)
		plm_text_add(text, *s == '|' ? "\\%c" : "%c", *s);
}

static void
value_cell(const struct plm_conf_def *def, struct plm_text *text)
{
	char buf[256];
	struct plm_text allowed;

	plm_text_init(&allowed, buf, sizeof(buf));
	if (def->list_max != 0)
		plm_text_add(&allowed, "list of %u to %u: ", def->list_min, def->list_max);
	conf_allowed(def, &allowed);
	cell(buf, text);
}

static void
fallback_cell(const struct plm_conf_def *def, struct plm_text *text)
{
	bool bare = def->type == PLM_CONF_BOOL;

	if (def->type == PLM_CONF_UINT && def->fallback != NULL)
		bare = def->fallback[0] >= '0' && def->fallback[0] <= '9';
	if (def->fallback == NULL)
		plm_text_add(text, "required");
	else if (def->list_max != 0)
		plm_text_add(text, "none");
	else if (def->type == PLM_CONF_GROUP)
		plm_text_add(text, "below");
	else
		plm_text_add(text, bare ? "`%s`" : "`\"%s\"`", def->fallback);
}

static void
table(const struct plm_conf_def *defs, const char *prefix, struct plm_text *text)
{
	char key[CONF_KEY_SIZE];

	plm_text_add(text, "| setting | value | default | meaning |\n|---|---|---|---|\n");
	for (const struct plm_conf_def *d = defs; d->key != NULL; d++) {
		plm_text_add(text, "| `%s%s` | ", prefix, d->key);
		value_cell(d, text);
		plm_text_add(text, " | ");
		fallback_cell(d, text);
		plm_text_add(text, " | ");
		cell(d->help, text);
		plm_text_add(text, " |\n");
	}
	for (const struct plm_conf_def *d = defs; d->key != NULL; d++) {
		struct plm_text full;

		if (d->type != PLM_CONF_GROUP)
			continue;
		plm_text_init(&full, key, sizeof(key));
		plm_text_add(&full, "%s%s%s", prefix, d->key, d->list_max != 0 ? "[]." : ".");
		plm_text_add(text, "\n## %s%s\n\n", prefix, d->key);
		table(d->group, key, text);
	}
}

void
plm_conf_reference(const struct plm_conf_def *defs, struct plm_text *text)
{
	table(defs, "", text);
}
