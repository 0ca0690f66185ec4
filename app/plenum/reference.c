/* SPDX-License-Identifier: BSD-3-Clause */
/* `plenum --reference`: the pages of docs/ that are made from the tables in the code. */
#include <stdio.h>
#include <stdlib.h>

#include "app.h"

#define PAGE_SIZE (64 * 1024)

static void
settings_page(struct plm_text *page)
{
	plm_text_add(page,
			"# Settings\n\n"
			"What `plenum.conf` may say; it is a libconfig file. `@include \"NAME\"` reads "
			"another file in its place, relative to\nthe main file: a profile of "
			"`drivers-config/`, for one. Made by `plenum --reference settings`.\n\n");
	plm_conf_reference(conf_defs, page);
}

static void
commands_page(struct plm_text *page)
{
	plm_text_add(page,
			"# Commands\n\n"
			"At the prompt, from a file (`--cmdline-file FILE`) and from another terminal "
			"(`plenum ctl COMMAND...`).\n`<name>` is a word, `<name:1-9>` a number in a "
			"range, `a|b` one of them, what stands in brackets may be left out.\nMade by "
			"`plenum --reference commands`.\n\n");
	plm_cli_reference(app_cmds, page);
}

static void
counters_page(struct plm_text *page)
{
	plm_text_add(page,
			"# Counters\n\n"
			"As `show counters` and `show drops` print them. Every worker and the slow path "
			"has its own set. Made by\n`plenum --reference counters`.\n\n"
			"| counter | class | what it counts |\n|---|---|---|\n");
	for (unsigned int i = 0; i < PLM_CNT_MAX; i++)
		plm_text_add(page, "| `%s` | %s | %s |\n", plm_counter_defs[i].name,
				plm_counter_class_name(plm_counter_defs[i].class),
				plm_counter_defs[i].help);
}

int
reference_main(const char *what)
{
	static const struct {
		const char *name;
		void (*page)(struct plm_text *page);
	} pages[] = {
		{ "settings", settings_page },
		{ "commands", commands_page },
		{ "counters", counters_page },
	};
	char *buf = malloc(PAGE_SIZE);
	struct plm_text page;

	for (unsigned int i = 0; buf != NULL && i < RTE_DIM(pages); i++) {
		if (strcmp(pages[i].name, what) != 0)
			continue;
		plm_text_init(&page, buf, PAGE_SIZE);
		pages[i].page(&page);
		fputs(buf, stdout);
		free(buf);
		return page.cut ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	free(buf);
	fprintf(stderr, "plenum: --reference %s: must be settings, commands or counters\n", what);
	return EXIT_USAGE;
}
