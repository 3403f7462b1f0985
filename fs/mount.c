#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/vector.h"
#include "core/words.h"
#include "fs/log.h"
#include "fs/options.h"

static const char type_name[] = "fuse.procfs-mp";
static const char fusermount_default[] = "/usr/bin/fusermount3";

/* What /proc/self/mountinfo says of one path. */
struct mounted {
	dev_t device;      /* of the topmost; 0: nothing is mounted there */
	bool is_procfs_mp; /* the topmost */
	bool has_device;   /* the asked device is among them */
	bool has_owner;    /* the topmost is of FUSE */
	uid_t owner;       /* and whose it is */
};

/* Blanks, newlines and backslashes come as \ooo (proc(5)). */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from; to++) {
		unsigned int byte = 0;
		if (*from == '\\' && sscanf(from + 1, "%3o", &byte) == 1) {
			*to = (char)byte;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static void mounted_line(struct mounted *out, char *line, const char *path, dev_t device)
{
	unsigned int major = 0, minor = 0;
	int at = 0;
	const char *type = strstr(line, " - ");
	if (!type || sscanf(line, "%*d %*d %u:%u %*s %n", &major, &minor, &at) != 2 || !at)
		return;
	char *place = line + at;
	place[strcspn(place, " ")] = '\0';
	unescape(place);
	if (strcmp(place, path) != 0)
		return;
	type += 3;
	out->device = makedev(major, minor);
	out->is_procfs_mp = strncmp(type, type_name, sizeof type_name - 1) == 0
		&& type[sizeof type_name - 1] == ' ';
	out->has_device |= out->device == device;
	/* Before it come words of the kernel's own only. */
	const char *options = type + strcspn(type, " ");
	options += strspn(options, " ");
	const char *owner = strstr(options + strcspn(options, " "), ",user_id=");
	out->has_owner = owner && sscanf(owner, ",user_id=%u", &out->owner) == 1;
}

/* The lines come in the order of mounting, so that the last of a path is the topmost. */
static void mounted_at(struct mounted *out, const char *path, dev_t device)
{
	*out = (struct mounted){0};
	FILE *file = fopen("/proc/self/mountinfo", "re");
	if (!file)
		return;
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, file) >= 0)
		mounted_line(out, line, path, device);
	free(line);
	fclose(file);
}

/* `command` is what helps, with the path behind it as a shell needs it. */
static void say_remedy(const char *path, const char *what, const char *command)
{
	char *quoted = NULL;
	words_quote(path, strlen(path), &quoted);
	log_error("'%s' %s: %s %s", path, what, command, quoted ? quoted : path);
	free(quoted);
}

static int say_unusable(const char *path, int error)
{
	switch (error) {
	case ENOTCONN:
		say_remedy(path, "is a stale mount, its server is gone; take it away with", "fusermount3 -u");
		break;
	case ENOENT:
		say_remedy(path, "does not exist; make it with", "mkdir");
		break;
	case ENOTDIR:
		log_error("'%s' is not a directory", path);
		break;
	case EBUSY:
		log_error("'%s' is busy: a procfs-mp is already mounted there", path);
		break;
	default:
		log_error("'%s' can't be the mountpoint: %s", path, strerror(error));
	}
	return -error;
}

static int make_default(char **out)
{
	char *path = NULL;
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	bool root = geteuid() == 0;

	if (root) {
		path = strdup("/run/procfs-mp");
	} else if (!runtime || runtime[0] != '/') {
		log_error("no MOUNTPOINT was given and there is no $XDG_RUNTIME_DIR to make one in");
		return -ENOENT;
	} else if (asprintf(&path, "%s/procfs-mp", runtime) < 0) {
		path = NULL;
	}
	if (!path)
		return -ENOMEM;
	if (mkdir(path, root ? 0755 : 0700) && errno != EEXIST) {
		int error = errno;
		log_error("'%s', the default mountpoint, can't be made: %s", path, strerror(error));
		free(path);
		return -error;
	}
	*out = path;
	return 0;
}

static int make_private(char **out)
{
	const char *const parents[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
	int error = ENOENT;
	for (size_t i = 0; i < sizeof parents / sizeof *parents; i++) {
		char *path = NULL;
		if (!parents[i] || parents[i][0] != '/')
			continue;
		if (asprintf(&path, "%s/procfs-mp.XXXXXX", parents[i]) < 0)
			return -ENOMEM;
		if (mkdtemp(path)) {
			*out = path;
			return 0;
		}
		error = errno;
		free(path);
	}
	log_error("no private directory to mount on could be made in /tmp: %s", strerror(error));
	return -error;
}

static int check_directory(const char *path)
{
	struct mounted mounted;
	struct stat status;

	mounted_at(&mounted, path, 0);
	struct statfs filesystem;
	int error = stat(path, &status) ? errno : 0;
	/* stat may still be answered from the kernel's cache when the server has gone; statfs never is. */
	if (mounted.is_procfs_mp && !error && statfs(path, &filesystem))
		error = errno;
	/* Another user's mount refuses even stat, with EACCES. */
	if (mounted.is_procfs_mp && error != ENOTCONN)
		error = EBUSY;
	else if (!error && !S_ISDIR(status.st_mode))
		error = ENOTDIR;
	if (error)
		return say_unusable(path, error);
	if (geteuid() != 0 && faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS)) {
		error = errno;
		log_error("'%s' can't be the mountpoint: an ordinary user needs the right to write to it", path);
		return -error;
	}
	return 0;
}

static int check_device(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	int error = errno;
	if (error == ENOENT)
		log_error("/dev/fuse is missing; load the kernel's module (modprobe fuse), "
			"or give the container the device (--device /dev/fuse)");
	else if (error == EACCES || error == EPERM)
		log_error("/dev/fuse may not be opened (%s); the superuser can allow it (chmod 0666 /dev/fuse, "
			"or for a container: --device /dev/fuse)", strerror(error));
	else
		log_error("/dev/fuse can't be opened: %s; is the kernel's module loaded (modprobe fuse)?",
			strerror(error));
	return -error;
}

/* As libfuse looks for it: where it was built to be, then along PATH. */
static bool has_fusermount(void)
{
	if (access(fusermount_default, X_OK) == 0)
		return true;
	struct vector paths = {0};
	bool found = false;
	vector_add_search(&paths, getenv("PATH"), "fusermount3");
	if (!vector_seal(&paths))
		for (size_t i = 0; i < paths.count && !found; i++)
			found = access(paths.strings[i], X_OK) == 0;
	vector_finish(&paths);
	return found;
}

static int check_fusermount(const struct options *options)
{
	if ((geteuid() == 0 && !options->auto_unmount) || has_fusermount())
		return 0;
	log_error("fusermount3 is missing, without which %s; it is in the package fuse3",
		geteuid() == 0 ? "there is no auto_unmount" : "an ordinary user can't mount");
	return -ENOENT;
}

int mount_owner(const char *path, uid_t *out)
{
	struct mounted mounted;
	mounted_at(&mounted, path, 0);
	*out = mounted.owner;
	return mounted.has_owner ? 0 : -EINVAL;
}

int mount_choose(struct mount *mount, const struct options *options)
{
	char *path = NULL;
	int error = 0;

	if (options->mountpoint)
		path = strdup(options->mountpoint);
	else
		error = options->command ? make_private(&path) : make_default(&path);
	if (error)
		return error;
	mount->is_private = !options->mountpoint && options->command;
	mount->path = path ? realpath(path, NULL) : NULL;
	if (!mount->path) {
		error = path ? say_unusable(path, errno) : -ENOMEM;
		if (mount->is_private && path)
			rmdir(path);
		free(path);
		return error;
	}
	free(path);

	error = check_directory(mount->path);
	if (!error)
		error = check_device();
	if (!error)
		error = check_fusermount(options);
	return error;
}

int mount_open(struct mount *mount, const struct options *options)
{
	static const struct fuse_lowlevel_ops nothing = {0};
	char *argv[] = {(char *)"procfs-mp", (char *)"-o", options->fuse, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct mounted mounted;

	struct fuse_session *session = fuse_session_new(&args, &nothing, sizeof nothing, NULL);
	fuse_opt_free_args(&args);
	if (!session) {
		log_error("libfuse could not begin a session");
		return -EIO;
	}
	if (fuse_session_mount(session, mount->path)) {
		log_error("'%s' could not be mounted%s", mount->path,
			geteuid() == 0 ? "; a container needs the right to mount (--cap-add SYS_ADMIN)" : "");
		fuse_session_destroy(session);
		return -EIO;
	}
	mount->session = session;
	fcntl(fuse_session_fd(session), F_SETFD, FD_CLOEXEC);
	mounted_at(&mounted, mount->path, 0);
	mount->device = mounted.device;
	return 0;
}

static void detach(const char *path)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || geteuid() == 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		execl(fusermount_default, "fusermount3", "-u", "-q", "-z", "--", path, (char *)NULL);
		execlp("fusermount3", "fusermount3", "-u", "-q", "-z", "--", path, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void mount_detach(const char *path, dev_t device)
{
	struct mounted mounted;

	mounted_at(&mounted, path, device);
	if (!device || mounted.device == device)
		detach(path);
}

/* libfuse unmounts by path, whatever is there now, unless the session's descriptor reports POLLERR, as it
 * does once its mount is gone. So libfuse is given one that reports it: a pipe without reader. What closes
 * then is the last /dev/fuse descriptor, which ends our mount wherever it lies. */
static void end_session_only(struct fuse_session *session)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return;
	close(ends[0]);
	int fd = dup2(ends[1], fuse_session_fd(session));
	close(ends[1]);
	if (fd >= 0)
		fuse_session_unmount(session);
}

static void unmount(struct mount *mount)
{
	struct mounted mounted;
	struct statfs status;

	mounted_at(&mounted, mount->path, mount->device);
	if (mount->device && mounted.device != mount->device) {
		if (mounted.has_device)
			log_warning("'%s' has another mount over it; ours is stale now and lies below", mount->path);
		end_session_only(mount->session);
		return;
	}
	fuse_session_unmount(mount->session);
	/* A mount whose connection was aborted stays in its place, and libfuse leaves it there. The device's number
	 * doesn't tell it from somebody's new mount, which may have been given ours again; that it is dead does. */
	if (statfs(mount->path, &status) && errno == ENOTCONN)
		detach(mount->path);
}

void mount_close(struct mount *mount)
{
	if (mount->session) {
		unmount(mount);
		fuse_session_destroy(mount->session);
	}
	if (mount->is_private && mount->path && rmdir(mount->path))
		log_warning("the private directory '%s' can't be removed: %s", mount->path, strerror(errno));
	free(mount->path);
	*mount = (struct mount){0};
}
