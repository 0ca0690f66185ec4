/* SPDX-License-Identifier: BSD-3-Clause */
/* One value: from libconfig or from the table's default into a field, with its range checked. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "conf_priv.h"

static void
store(const struct plm_conf_def *def, void *field, uint64_t value)
{
	uint8_t v8 = (uint8_t)value;
	uint16_t v16 = (uint16_t)value;
	uint32_t v32 = (uint32_t)value;

	switch (def->size) {
	case sizeof(v8):
		memcpy(field, &v8, sizeof(v8));
		break;
	case sizeof(v16):
		memcpy(field, &v16, sizeof(v16));
		break;
	case sizeof(v32):
		memcpy(field, &v32, sizeof(v32));
		break;
	default:
		memcpy(field, &value, sizeof(value));
		break;
	}
}

static void
allowed_words(const struct plm_conf_def *def, struct plm_text *text)
{
	for (const struct plm_conf_word *w = def->words; w != NULL && w->word != NULL; w++)
		plm_text_add(text, "%s\"%s\"", w == def->words ? "" : ", ", w->word);
}

void
conf_allowed(const struct plm_conf_def *def, struct plm_text *text)
{
	switch (def->type) {
	case PLM_CONF_BOOL:
		plm_text_add(text, "true or false");
		break;
	case PLM_CONF_UINT:
		plm_text_add(text, "%" PRIu64 " to %" PRIu64, def->min, def->max);
		if (def->words != NULL) {
			plm_text_add(text, ", or ");
			allowed_words(def, text);
		}
		break;
	case PLM_CONF_WORD:
		plm_text_add(text, "one of ");
		allowed_words(def, text);
		break;
	case PLM_CONF_STRING:
		plm_text_add(text, "a string of %" PRIu64 " to %zu characters", def->min,
				def->size - 1);
		break;
	case PLM_CONF_PARSED:
		plm_text_add(text, "%s", def->form);
		break;
	case PLM_CONF_GROUP:
		plm_text_add(text, "a group { ... }");
		break;
	}
}

static bool
word_value(const struct plm_conf_def *def, const char *text, uint64_t *value)
{
	for (const struct plm_conf_word *w = def->words; w != NULL && w->word != NULL; w++) {
		if (strcmp(w->word, text) == 0) {
			*value = w->value;
			return true;
		}
	}
	return false;
}

static int
not_allowed(const struct plm_conf_def *def, struct plm_text *why)
{
	plm_text_add(why, "must be ");
	conf_allowed(def, why);
	return -EINVAL;
}

static int
from_text(const struct plm_conf_def *def, const char *text, void *field, struct plm_text *why)
{
	uint64_t value;
	size_t len = strlen(text);

	switch (def->type) {
	case PLM_CONF_UINT:
	case PLM_CONF_WORD:
		if (!word_value(def, text, &value)) {
			plm_text_add(why, "\"%s\" is not allowed, ", text);
			return not_allowed(def, why);
		}
		store(def, field, value);
		return 0;
	case PLM_CONF_STRING:
		if (len < def->min || len >= def->size)
			return not_allowed(def, why);
		memcpy(field, text, len + 1);
		return 0;
	case PLM_CONF_PARSED:
		return def->parse(text, field, why);
	default:
		return not_allowed(def, why);
	}
}

int
conf_value(const struct plm_conf_def *def, const config_setting_t *setting, void *field,
		struct plm_text *why)
{
	long long n;
	bool on;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_BOOL:
		if (def->type != PLM_CONF_BOOL)
			return not_allowed(def, why);
		on = config_setting_get_bool(setting) == CONFIG_TRUE;
		memcpy(field, &on, sizeof(on));
		return 0;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		if (def->type != PLM_CONF_UINT)
			return not_allowed(def, why);
		n = config_setting_get_int64(setting);
		if (n < 0 || (uint64_t)n < def->min || (uint64_t)n > def->max) {
			plm_text_add(why, "%lld is out of range, ", n);
			return not_allowed(def, why);
		}
		store(def, field, (uint64_t)n);
		return 0;
	case CONFIG_TYPE_STRING:
		return from_text(def, config_setting_get_string(setting), field, why);
	default:
		return not_allowed(def, why);
	}
}

int
conf_fallback(const struct plm_conf_def *def, void *field)
{
	char buf[160];
	struct plm_text why;
	char *end;
	uint64_t value;
	bool on;

	plm_text_init(&why, buf, sizeof(buf));
	switch (def->type) {
	case PLM_CONF_BOOL:
		on = strcmp(def->fallback, "true") == 0;
		memcpy(field, &on, sizeof(on));
		return 0;
	case PLM_CONF_UINT:
		value = strtoull(def->fallback, &end, 10);
		if (end != def->fallback && *end == '\0') {
			store(def, field, value);
			return 0;
		}
		return from_text(def, def->fallback, field, &why);
	default:
		return from_text(def, def->fallback, field, &why);
	}
}
