/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libconfig 1.5 reads 5000000000 as 705032704: an integer without the suffix L is cut to 32 bits
 * and nothing says so. This scan knows just enough of the grammar (strings, comments, words,
 * numbers, includes) to find such integers before the parser does. And libconfig says neither which
 * file it could not include nor that it takes none by an absolute path.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf_priv.h"

/* As deep as libconfig follows includes. */
#define SCAN_DEPTH 10

struct scan {
	const char *pos;
	unsigned int line;
};

static void
skip_to(struct scan *s, const char *end)
{
	for (; s->pos < end; s->pos++)
		s->line += *s->pos == '\n';
}

static const char *
end_of_line(const char *p)
{
	return p + strcspn(p, "\n");
}

/* Behind a string's closing quote; backslashes escape. */
static const char *
end_of_string(const char *p)
{
	for (p++; *p != '\0' && *p != '"'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
	}
	return *p == '"' ? p + 1 : p;
}

static int
check_number(struct scan *s, const char *path, struct plm_text *why)
{
	const char *start = s->pos;
	char *end;
	long long n;
	bool is_float;

	errno = 0;
	n = strtoll(start, &end, 0);
	if (end == start)
		end++; /* a lone sign */
	is_float = *end == '.' || *end == 'e' || *end == 'E';
	if (!is_float && (errno == ERANGE || ((n > INT_MAX || n < INT_MIN) && *end != 'L'))) {
		/* Hexadecimal fills 32 bits as it stands. */
		if (!(start[0] == '0' && (start[1] | 0x20) == 'x' && errno == 0 && n <= UINT_MAX)) {
			plm_text_add(why,
					"%s:%u: %.*s: does not fit into 32 bits, write it as %.*sL",
					path, s->line, (int)(end - start), start,
					(int)(end - start), start);
			return -EINVAL;
		}
	}
	while (isalnum((unsigned char)*end) || *end == '.')
		end++;
	s->pos = end;
	return 0;
}

static int
scan_include(struct scan *s, const char *file, const char *dir, unsigned int depth,
		struct plm_text *why)
{
	char path[PATH_MAX];
	const char *name = strchr(s->pos, '"');
	const char *end;
	int n;

	if (name == NULL || name > end_of_line(s->pos))
		return 0; /* the parser's to refuse */
	end = end_of_string(name);
	name++;
	if (*name == '/') {
		plm_text_add(why, "%s:%u: @include: must be relative to %s", file, s->line, dir);
		return -EINVAL;
	}
	n = snprintf(path, sizeof(path), "%s/%.*s", dir, (int)(end - name - 1), name);
	if (n < 0 || (size_t)n >= sizeof(path) || depth >= SCAN_DEPTH)
		return 0;
	if (access(path, R_OK) < 0) {
		plm_text_add(why, "%s:%u: @include: %s cannot be read: %s", file, s->line, path,
				strerror(errno));
		return -EINVAL;
	}
	return conf_scan(path, dir, depth + 1, why);
}

static int
scan_text(struct scan *s, const char *path, const char *dir, unsigned int depth,
		struct plm_text *why)
{
	int ret = 0;

	while (ret == 0 && *s->pos != '\0') {
		const char *p = s->pos;
		const char *end;

		if (*p == '"') {
			skip_to(s, end_of_string(p));
		} else if (*p == '#' || (p[0] == '/' && p[1] == '/')) {
			skip_to(s, end_of_line(p));
		} else if (p[0] == '/' && p[1] == '*') {
			end = strstr(p + 2, "*/");
			skip_to(s, end == NULL ? p + strlen(p) : end + 2);
		} else if (strncmp(p, "@include", 8) == 0) {
			ret = scan_include(s, path, dir, depth, why);
			skip_to(s, end_of_line(p));
		} else if (isdigit((unsigned char)*p) || *p == '-' || *p == '+') {
			ret = check_number(s, path, why);
		} else if (isalpha((unsigned char)*p) || *p == '_' || *p == '*') {
			skip_to(s,
					p + 1 +
							strspn(p + 1,
									"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
									"abcdefghijklmnopqrstuvwxyz"
									"0123456789_-*"));
		} else {
			skip_to(s, p + 1);
		}
	}
	return ret;
}

int
conf_scan(const char *path, const char *dir, unsigned int depth, struct plm_text *why)
{
	struct scan s = { .line = 1 };
	char *text = NULL;
	size_t size = 0;
	FILE *in = fopen(path, "re");
	int ret = 0;

	if (in == NULL)
		return 0;
	if (getdelim(&text, &size, '\0', in) > 0) {
		s.pos = text;
		ret = scan_text(&s, path, dir, depth, why);
	}
	free(text);
	fclose(in);
	return ret;
}
