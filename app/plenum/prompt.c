/* SPDX-License-Identifier: BSD-3-Clause */
/* The main lcore's life: it sleeps in poll() and wakes for a key, a signal or a second gone by. */
#include "prompt.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define PROMPT  "plenum> "
#define TICK_MS 1000
/* timeout(1) and others signal a process and then its group: that is one wish, not two. */
#define ECHO_NS (50 * PLM_NS_PER_MS)

/* Signal handlers have no argument. */
static volatile sig_atomic_t nb_end_signals;
static volatile sig_atomic_t nb_hangups;
static int signal_fd = -1;
static struct termios terminal;
static volatile sig_atomic_t terminal_is_raw;

static void
wake(void)
{
	uint64_t one = 1;

	if (write(signal_fd, &one, sizeof(one)) < 0)
		return; /* it is full, so main wakes up anyway */
}

static void
on_end(int signo)
{
	static uint64_t first_ns;
	int saved = errno;

	if (nb_end_signals == 0) {
		first_ns = clock_now_ns(NULL);
		nb_end_signals = 1;
	} else if (clock_now_ns(NULL) - first_ns > ECHO_NS) {
		if (terminal_is_raw)
			tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
		_exit(EXIT_FORCED);
	}
	wake();
	errno = saved;
}

static void
on_hangup(int signo)
{
	int saved = errno;

	nb_hangups++;
	wake();
	errno = saved;
}

int
prompt_catch_signals(struct app *app)
{
	struct sigaction end = { .sa_handler = on_end, .sa_flags = SA_RESTART };
	struct sigaction hangup = { .sa_handler = on_hangup, .sa_flags = SA_RESTART };
	/* Drivers write to sockets of peers that may have died. */
	struct sigaction broken = { .sa_handler = SIG_IGN };

	app->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (app->wake_fd < 0)
		return -errno;
	signal_fd = app->wake_fd;
	sigfillset(&end.sa_mask);
	sigfillset(&hangup.sa_mask);
	if (sigaction(SIGINT, &end, NULL) < 0 || sigaction(SIGTERM, &end, NULL) < 0 ||
			sigaction(SIGHUP, &hangup, NULL) < 0 ||
			sigaction(SIGPIPE, &broken, NULL) < 0)
		return -errno;
	return 0;
}

static void
write_stdout(void *ctx, const char *text, size_t len)
{
	fwrite(text, 1, len, stdout);
	fflush(stdout);
}

static int
create_cli(struct app *app, struct plm_cli **cli)
{
	const struct plm_cli_conf conf = { .cmds = app_cmds, .ctx = app, .write = write_stdout };

	return plm_cli_create(cli, &conf);
}

int
prompt_run_file(struct app *app, const char *path)
{
	struct plm_cli *cli = NULL;
	char *line = NULL;
	size_t size = 0;
	unsigned int nr = 0;
	FILE *in = fopen(path, "re");
	int ret = in != NULL ? create_cli(app, &cli) : -errno;

	if (ret < 0)
		fprintf(stderr, "plenum: %s: cannot be read: %s\n", path, strerror(-ret));
	while (ret == 0 && getline(&line, &size, in) > 0) {
		nr++;
		pthread_mutex_lock(&app->lock);
		if (plm_cli_run(cli, line) != PLM_CLI_OK)
			ret = -EINVAL;
		pthread_mutex_unlock(&app->lock);
		if (ret < 0)
			fprintf(stderr, "plenum: %s:%u: the command failed\n", path, nr);
	}
	free(line);
	plm_cli_free(cli);
	if (in != NULL)
		fclose(in);
	return ret;
}

/* Keys one by one and unechoed, but Ctrl-C stays a signal. */
static void
raw_terminal(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &terminal) < 0)
		return;
	raw = terminal;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	terminal_is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void
restore_terminal(void)
{
	if (terminal_is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	terminal_is_raw = 0;
}

static void
reload(struct app *app)
{
	char buf[512];
	struct plm_text why;

	plm_text_init(&why, buf, sizeof(buf));
	pthread_mutex_lock(&app->lock);
	app_reload(app, &why);
	pthread_mutex_unlock(&app->lock);
	fprintf(stderr, "plenum: reload: %s\n", buf);
}

/* Answers come in pages where there is a screen that they could run off. */
static void
measure_terminal(struct plm_cli_edit *edit)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){ 0 };
	plm_cli_edit_resize(edit, size.ws_row, size.ws_col);
}

static void
read_keys(struct app *app, struct plm_cli_edit *edit)
{
	char keys[256];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
	bool goes_on;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	measure_terminal(edit);
	pthread_mutex_lock(&app->lock);
	goes_on = n > 0 && plm_cli_edit_input(edit, keys, (size_t)n);
	pthread_mutex_unlock(&app->lock);
	if (!goes_on)
		app_end(app, 0);
}

void
prompt_loop(struct app *app)
{
	struct plm_cli_edit *edit = NULL;
	struct plm_cli *cli = NULL;
	struct pollfd fds[2];
	uint64_t tick_ns = clock_now_ns(NULL);
	int nb_reloads = 0;
	uint64_t count;

	/* A prompt belongs to a terminal; otherwise commands come through the socket. */
	if (isatty(STDIN_FILENO) && create_cli(app, &cli) == 0) {
		raw_terminal();
		edit = plm_cli_edit_create(cli, PROMPT);
	}
	/* Acquire: drain_s comes with it; pairs with app_end(). */
	while (nb_end_signals == 0 &&
			atomic_load_explicit(&app->end, memory_order_acquire) == APP_RUNS) {
		fds[0] = (struct pollfd){ .fd = app->wake_fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = edit != NULL ? STDIN_FILENO : -1,
			.events = POLLIN };
		poll(fds, 2, TICK_MS);
		if (fds[0].revents != 0 && read(app->wake_fd, &count, sizeof(count)) < 0)
			continue; /* nothing to be read after all */
		if (nb_hangups != nb_reloads) {
			nb_reloads = nb_hangups;
			reload(app);
		}
		if (fds[1].revents != 0)
			read_keys(app, edit);
		if (clock_now_ns(NULL) - tick_ns >= TICK_MS * PLM_NS_PER_MS) {
			tick_ns = clock_now_ns(NULL);
			app_tick(app);
		}
	}
	/* What wakes main from here on is another wish to end: app_stop() then waits no longer. */
	if (read(app->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		fprintf(stderr, "plenum: eventfd: %s\n", strerror(errno));
	if (edit != NULL)
		write_stdout(NULL, "\n", 1);
	plm_cli_edit_free(edit);
	plm_cli_free(cli);
	restore_terminal();
}
