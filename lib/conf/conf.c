/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks a libconfig tree along a table: every key known, every value checked, every default set. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "conf_priv.h"

struct plm_conf {
	config_t tree;
	char *path; /* as the operator wrote it */
	char *dir;  /* of `path`, for includes */
};

static int read_group(const struct plm_conf *conf, const struct plm_conf_def *defs,
		const config_setting_t *group, const char *prefix, void *out, struct plm_text *why);

static void
place(const struct plm_conf *conf, const config_setting_t *setting, const char *key,
		struct plm_text *why)
{
	const char *file = setting != NULL ? config_setting_source_file(setting) : NULL;

	plm_text_add(why, "%s:", file != NULL ? file : conf->path);
	if (setting != NULL && config_setting_source_line(setting) > 0)
		plm_text_add(why, "%u:", config_setting_source_line(setting));
	plm_text_add(why, " %s: ", key);
}

static int
read_scalar(const struct plm_conf *conf, const struct plm_conf_def *def,
		const config_setting_t *setting, const char *key, void *field, struct plm_text *why)
{
	char buf[320];
	struct plm_text wrong;
	int ret;

	plm_text_init(&wrong, buf, sizeof(buf));
	if (def->type == PLM_CONF_GROUP) {
		if (config_setting_is_group(setting))
			return read_group(conf, def->group, setting, key, field, why);
		plm_text_add(&wrong, "must be ");
		conf_allowed(def, &wrong);
		ret = -EINVAL;
	} else {
		ret = conf_value(def, setting, field, &wrong);
	}
	if (ret < 0) {
		place(conf, setting, key, why);
		plm_text_add(why, "%s", buf);
	}
	return ret;
}

static int
read_list(const struct plm_conf *conf, const struct plm_conf_def *def,
		const config_setting_t *setting, const char *key, void *out, struct plm_text *why)
{
	char elem_key[CONF_KEY_SIZE];
	struct plm_text elem;
	unsigned int n;
	int ret;

	if (!config_setting_is_array(setting) && !config_setting_is_list(setting)) {
		place(conf, setting, key, why);
		plm_text_add(why, "must be a list, %s",
				def->type == PLM_CONF_GROUP ? "( { ... }, ... )" : "[ ..., ... ]");
		return -EINVAL;
	}
	n = (unsigned int)config_setting_length(setting);
	if (n < def->list_min || n > def->list_max) {
		place(conf, setting, key, why);
		plm_text_add(why, "%u entries, must be %u to %u", n, def->list_min, def->list_max);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < n; i++) {
		plm_text_init(&elem, elem_key, sizeof(elem_key));
		plm_text_add(&elem, "%s[%u]", key, i);
		ret = read_scalar(conf, def, config_setting_get_elem(setting, i), elem_key,
				(char *)out + def->offset + i * def->size, why);
		if (ret < 0)
			return ret;
	}
	memcpy((char *)out + def->nb_offset, &n, sizeof(n));
	return 0;
}

static int
read_absent(const struct plm_conf *conf, const struct plm_conf_def *def,
		const config_setting_t *group, const char *key, void *out, struct plm_text *why)
{
	unsigned int none = 0;

	if (def->type == PLM_CONF_GROUP && def->list_max == 0 && def->fallback != NULL)
		return read_group(conf, def->group, NULL, key, (char *)out + def->offset, why);
	if (def->fallback == NULL) {
		place(conf, group, key, why);
		plm_text_add(why, "missing, must be ");
		if (def->list_max != 0)
			plm_text_add(why, "a list of %u to %u of ", def->list_min, def->list_max);
		conf_allowed(def, why);
		return -EINVAL;
	}
	if (def->list_max != 0) {
		memcpy((char *)out + def->nb_offset, &none, sizeof(none));
		return 0;
	}
	return conf_fallback(def, (char *)out + def->offset);
}

static const struct plm_conf_def *
find_def(const struct plm_conf_def *defs, const char *key)
{
	for (; defs->key != NULL; defs++) {
		if (strcmp(defs->key, key) == 0)
			return defs;
	}
	return NULL;
}

static void
join_key(char key[CONF_KEY_SIZE], const char *prefix, const char *name)
{
	struct plm_text text;

	plm_text_init(&text, key, CONF_KEY_SIZE);
	plm_text_add(&text, "%s%s%s", prefix, *prefix != '\0' ? "." : "", name);
}

/* A group of the file, or NULL for one that is absent and takes its defaults. */
static int
read_group(const struct plm_conf *conf, const struct plm_conf_def *defs,
		const config_setting_t *group, const char *prefix, void *out, struct plm_text *why)
{
	char key[CONF_KEY_SIZE];
	int ret;

	/* Unknown keys first: a misspelt one explains why another is missing. */
	for (int i = 0; group != NULL && i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned int)i);

		if (find_def(defs, config_setting_name(s)) != NULL)
			continue;
		join_key(key, prefix, config_setting_name(s));
		place(conf, s, key, why);
		plm_text_add(why, "unknown setting, must be one of");
		for (const struct plm_conf_def *d = defs; d->key != NULL; d++)
			plm_text_add(why, " %s", d->key);
		return -EINVAL;
	}
	for (const struct plm_conf_def *d = defs; d->key != NULL; d++) {
		const config_setting_t *s =
				group != NULL ? config_setting_get_member(group, d->key) : NULL;

		join_key(key, prefix, d->key);
		if (s == NULL)
			ret = read_absent(conf, d, group, key, out, why);
		else if (d->list_max != 0)
			ret = read_list(conf, d, s, key, out, why);
		else
			ret = read_scalar(conf, d, s, key, (char *)out + d->offset, why);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The flex scanner inside libconfig ends the process when it reads a directory. */
static int
check_readable(const char *path, struct plm_text *why)
{
	struct stat st;
	FILE *in = fopen(path, "re");
	int ret = 0;

	if (in == NULL) {
		ret = -errno;
	} else {
		if (fstat(fileno(in), &st) < 0)
			ret = -errno;
		else if (!S_ISREG(st.st_mode))
			ret = -EINVAL;
		fclose(in);
	}
	if (ret == -EINVAL)
		plm_text_add(why, "%s: not a regular file", path);
	else if (ret < 0)
		plm_text_add(why, "%s: cannot be read: %s", path, strerror(-ret));
	return ret;
}

static int
set_path(struct plm_conf *conf, const char *path)
{
	const char *slash = strrchr(path, '/');

	conf->path = strdup(path);
	if (slash == NULL)
		conf->dir = strdup(".");
	else
		conf->dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	return conf->path == NULL || conf->dir == NULL ? -ENOMEM : 0;
}

static int
parse(struct plm_conf *conf, struct plm_text *why)
{
	const char *file;

	config_set_include_dir(&conf->tree, conf->dir);
	if (config_read_file(&conf->tree, conf->path) == CONFIG_TRUE)
		return 0;
	file = config_error_file(&conf->tree);
	plm_text_add(why, "%s:%d: %s", file != NULL ? file : conf->path,
			config_error_line(&conf->tree), config_error_text(&conf->tree));
	return -EINVAL;
}

int
plm_conf_read(struct plm_conf **conf, const char *path, const struct plm_conf_def *defs, void *out,
		struct plm_text *why)
{
	struct plm_conf *c = calloc(1, sizeof(*c));
	int ret;

	if (c == NULL)
		return -ENOMEM;
	config_init(&c->tree);
	ret = set_path(c, path);
	if (ret == 0)
		ret = check_readable(path, why);
	if (ret == 0)
		ret = conf_scan(path, c->dir, 0, why);
	if (ret == 0)
		ret = parse(c, why);
	if (ret == 0)
		ret = read_group(c, defs, config_root_setting(&c->tree), "", out, why);
	if (ret < 0) {
		plm_conf_free(c);
		return ret;
	}
	*conf = c;
	return 0;
}

void
plm_conf_free(struct plm_conf *conf)
{
	if (conf == NULL)
		return;
	config_destroy(&conf->tree);
	free(conf->path);
	free(conf->dir);
	free(conf);
}

void
plm_conf_where(const struct plm_conf *conf, const char *key, struct plm_text *why)
{
	/* libconfig writes an element as ".[0]". Up to the last step that is in the file. */
	char path[2 * CONF_KEY_SIZE];
	const config_setting_t *s;
	size_t n = 0;
	char *step;

	for (const char *p = key; *p != '\0' && n < sizeof(path) - 2; p++) {
		if (*p == '[')
			path[n++] = '.';
		path[n++] = *p;
	}
	path[n] = '\0';
	while ((s = config_lookup(&conf->tree, path)) == NULL) {
		step = strrchr(path, '.');
		if (step == NULL)
			break;
		*step = '\0';
	}
	place(conf, s, key, why);
}

int
plm_conf_defaults(const struct plm_conf_def *defs, void *out)
{
	char path[] = "";
	char buf[256];
	const struct plm_conf none = { .path = path };
	struct plm_text why;

	plm_text_init(&why, buf, sizeof(buf));
	return read_group(&none, defs, NULL, "", out, &why);
}
