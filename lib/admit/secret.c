/* SPDX-License-Identifier: BSD-3-Clause */
/* Secret files: read them only where nobody else could have. The content goes nowhere but to the
 * caller's buffer, and is erased here on every way out. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admit_priv.h"

/* All of a file of at most `size` bytes: its length, -EFBIG, or read()'s error. */
static ssize_t
read_all(int fd, uint8_t *buf, size_t size)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)len;
		len += (size_t)n;
		if (len == size)
			return -EFBIG;
	}
}

int
plm_secret_read(const char *path, uint8_t *key, size_t *len, struct plm_text *why)
{
	uint8_t buf[PLM_SECRET_MAX + 2]; /* a newline, and one byte to notice that there is more */
	struct stat st;
	ssize_t n;
	int ret;
	int fd;

	/* O_NONBLOCK: a FIFO in the file's place must not hold us up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		ret = -errno;
		plm_text_add(why, "%s: %s", path, strerror(-ret));
		return ret;
	}
	if (fstat(fd, &st) < 0) {
		ret = -errno;
		plm_text_add(why, "%s: %s", path, strerror(-ret));
		goto out;
	}
	ret = -EACCES;
	if (!S_ISREG(st.st_mode)) {
		plm_text_add(why, "%s: not a regular file", path);
		goto out;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		plm_text_add(why, "%s: owned by uid %u; it must be ours (%u) or root's", path,
				(unsigned int)st.st_uid, (unsigned int)geteuid());
		goto out;
	}
	if ((st.st_mode & 07777) != 0600 && (st.st_mode & 07777) != 0400) {
		plm_text_add(why, "%s: mode %04o; run: chmod 600 %s", path,
				(unsigned int)(st.st_mode & 07777), path);
		goto out;
	}

	n = read_all(fd, buf, sizeof(buf));
	if (n < 0 && n != -EFBIG) {
		ret = (int)n;
		plm_text_add(why, "%s: %s", path, strerror(-ret));
		goto out;
	}
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	if (n < PLM_SECRET_MIN || n > PLM_SECRET_MAX) {
		ret = -EINVAL;
		plm_text_add(why, "%s: a secret is %d to %d bytes long", path, PLM_SECRET_MIN,
				PLM_SECRET_MAX);
		goto out;
	}
	memcpy(key, buf, (size_t)n);
	*len = (size_t)n;
	ret = 0;
out:
	plm_crypto_erase(buf, sizeof(buf));
	close(fd);
	return ret;
}
