/*
 * disk.so stands between SQLite and libc: LD_PRELOAD puts it into a process, and it watches what that does to the files of one
 * folder. What Go writes by itself does not pass here.
 *
 *   RC_DISK_DIR=DIR          the folder, as the process spells it; files in folders below it are not looked at
 *   RC_DISK_TRACE=FILE       write down every call that changed something, after it did
 *   RC_DISK_FAULT=CALL:N:HOW let the Nth call fail. CALL is open, write, fsync, ftruncate or any; HOW is eio, enospc, erofs or
 *                            short, and then once or always, as in eio-once. A short write takes half of the bytes.
 *   RC_DISK_FILE=NAME        count and fail the calls for this file only
 *   RC_DISK_FIRED=FILE       is made when the fault first happens, and says at which file
 *
 * A line of the trace is the kind of the call, the file, two numbers; behind a write's line come its bytes and a newline:
 *   open NAME 0 0, write NAME OFFSET LENGTH, truncate NAME SIZE 0, sync NAME 0 0 (NAME is . for the folder itself), unlink NAME 0 0
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 4096
#define NAME 64

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER; /* held over a call and its line, so that lines stand in the order of effects */
static char names[FILES][NAME];                         /* of what is open, by descriptor; "" is none of ours */
static const char *dir, *fault_call, *fault_file, *fired;
static int trace = -1, fault_at, fault_errno, fault_always, seen;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);

static void broken(const char *why) {
	fprintf(stderr, "disk.so: %s\n", why);
	abort();
}

static void read_fault(const char *text) {
	static char call[16], how[16];
	if (sscanf(text, "%15[a-z]:%d:%15[a-z-]", call, &fault_at, how) != 3) broken("RC_DISK_FAULT is not CALL:N:HOW");
	fault_call = call;
	fault_always = strstr(how, "-always") != NULL;
	fault_errno = !strncmp(how, "eio", 3) ? EIO : !strncmp(how, "enospc", 6) ? ENOSPC : !strncmp(how, "erofs", 5) ? EROFS : 0;
}

__attribute__((constructor)) static void begin(void) {
	real_open = dlsym(RTLD_NEXT, "open64");
	real_openat = dlsym(RTLD_NEXT, "openat64");
	real_close = dlsym(RTLD_NEXT, "close");
	real_fsync = dlsym(RTLD_NEXT, "fsync");
	real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	real_unlink = dlsym(RTLD_NEXT, "unlink");
	real_rename = dlsym(RTLD_NEXT, "rename");
	real_write = dlsym(RTLD_NEXT, "write");
	real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	dir = getenv("RC_DISK_DIR");
	fault_file = getenv("RC_DISK_FILE");
	fired = getenv("RC_DISK_FIRED");
	if (getenv("RC_DISK_FAULT")) read_fault(getenv("RC_DISK_FAULT"));
	if (getenv("RC_DISK_TRACE")) {
		trace = real_open(getenv("RC_DISK_TRACE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (trace < 0) broken("cannot open RC_DISK_TRACE");
	}
}

/* name is the file's name in the folder, "." for the folder itself, NULL for what lies elsewhere. */
static const char *name(const char *path) {
	size_t n = dir ? strlen(dir) : 0;
	if (!n || !path || strncmp(path, dir, n)) return NULL;
	if (!path[n]) return ".";
	if (path[n] != '/' || strchr(path + n + 1, '/') || strlen(path + n + 1) >= NAME) return NULL;
	return path[n + 1] ? path + n + 1 : ".";
}

static const char *opened(int fd) { return fd >= 0 && fd < FILES && names[fd][0] ? names[fd] : NULL; }

/* note writes a line with one call, so that it stands whole beside the lines of others. */
static void note(const char *kind, const char *file, long long a, long long b, const void *data, size_t n) {
	static char buffer[1 << 18];
	if (trace < 0) return;
	int head = snprintf(buffer, 256, "%s %s %lld %lld\n", kind, file, a, b);
	size_t all = (size_t)head;
	if (data) {
		if (n > sizeof buffer - 512) broken("a write is too large for the trace");
		memcpy(buffer + head, data, n);
		all += n;
		buffer[all++] = '\n';
	}
	if (real_write(trace, buffer, all) != (ssize_t)all) broken("cannot write the trace");
}

/* fails says whether this call is to fail; then it has set errno. 0 in *whole asks for a short write. */
static int fails(const char *call, const char *file, int *whole) {
	if (!fault_call || (strcmp(fault_call, "any") && strcmp(fault_call, call))) return 0;
	if (fault_file && strcmp(fault_file, file)) return 0;
	seen++;
	if (seen != fault_at && !(fault_always && seen > fault_at)) return 0;
	if (fired && seen == fault_at) {
		int f = real_open(fired, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (f < 0 || dprintf(f, "%s of %s\n", call, file) < 0) broken("cannot write RC_DISK_FIRED");
		real_close(f);
	}
	if (!fault_errno) {
		if (whole) *whole = 0;
		return 0;
	}
	errno = fault_errno;
	return 1;
}

static int open_as(int at, const char *path, int flags, mode_t mode) {
	const char *file = name(path);
	if (!file) return at == AT_FDCWD ? real_open(path, flags, mode) : real_openat(at, path, flags, mode);
	pthread_mutex_lock(&turn);
	int fd = fails("open", file, NULL) ? -1 : real_open(path, flags, mode);
	if (fd >= FILES) broken("too many open files");
	if (fd >= 0) {
		strcpy(names[fd], file);
		note("open", file, 0, 0, NULL, 0);
	}
	pthread_mutex_unlock(&turn);
	return fd;
}

#define MODE(flags, mode)                                        \
	mode_t mode = 0;                                         \
	if ((flags) & (O_CREAT | O_TMPFILE)) {                   \
		va_list more;                                    \
		va_start(more, flags);                           \
		mode = (mode_t)va_arg(more, int);                \
		va_end(more);                                    \
	}

int open(const char *path, int flags, ...) {
	MODE(flags, mode)
	return open_as(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
	MODE(flags, mode)
	return open_as(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *path, int flags, ...) {
	MODE(flags, mode)
	return open_as(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
	MODE(flags, mode)
	return open_as(at, path, flags | O_LARGEFILE, mode);
}

int close(int fd) {
	if (!opened(fd)) return real_close(fd);
	pthread_mutex_lock(&turn);
	names[fd][0] = 0;
	int r = real_close(fd);
	pthread_mutex_unlock(&turn);
	return r;
}

/* at < 0 writes where the file stands. */
static ssize_t write_at(int fd, const void *data, size_t n, off64_t at) {
	const char *file = opened(fd);
	if (!file) return at < 0 ? real_write(fd, data, n) : real_pwrite(fd, data, n, at);
	int whole = 1;
	pthread_mutex_lock(&turn);
	off64_t from = at < 0 ? lseek64(fd, 0, SEEK_CUR) : at;
	ssize_t r = -1;
	if (!fails("write", file, &whole)) {
		if (!whole && n > 1) n /= 2;
		r = at < 0 ? real_write(fd, data, n) : real_pwrite(fd, data, n, at);
	}
	if (r > 0) note("write", file, (long long)from, (long long)r, data, (size_t)r);
	pthread_mutex_unlock(&turn);
	return r;
}

ssize_t write(int fd, const void *data, size_t n) { return write_at(fd, data, n, -1); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return write_at(fd, data, n, at); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { return write_at(fd, data, n, at); }

static int sync_by(int (*real)(int), int fd) {
	const char *file = opened(fd);
	if (!file) return real(fd);
	pthread_mutex_lock(&turn);
	int r = fails("fsync", file, NULL) ? -1 : real(fd);
	if (!r) note("sync", file, 0, 0, NULL, 0);
	pthread_mutex_unlock(&turn);
	return r;
}

int fsync(int fd) { return sync_by(real_fsync, fd); }
int fdatasync(int fd) { return sync_by(real_fdatasync, fd); }

static int truncate_to(int fd, off64_t size) {
	const char *file = opened(fd);
	if (!file) return real_ftruncate(fd, size);
	pthread_mutex_lock(&turn);
	int r = fails("ftruncate", file, NULL) ? -1 : real_ftruncate(fd, size);
	if (!r) note("truncate", file, (long long)size, 0, NULL, 0);
	pthread_mutex_unlock(&turn);
	return r;
}

int ftruncate(int fd, off_t size) { return truncate_to(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncate_to(fd, size); }

int unlink(const char *path) {
	const char *file = name(path);
	if (!file) return real_unlink(path);
	pthread_mutex_lock(&turn);
	int r = real_unlink(path);
	if (!r) note("unlink", file, 0, 0, NULL, 0);
	pthread_mutex_unlock(&turn);
	return r;
}

/* SQLite does not rename; if it began to, the images would be wrong. */
int rename(const char *from, const char *to) {
	if (trace >= 0 && (name(from) || name(to))) broken("a rename below RC_DISK_DIR, which the model of power cuts does not know");
	return real_rename(from, to);
}
