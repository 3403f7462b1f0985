/*
 * directories PLACE COUNT READ: makes COUNT directories in PLACE, lists them, reads the file alive in READ of them, and
 * removes them. Prints the nanoseconds of each step, for one directory. Where mkdir brings no file alive (tmpfs) it is
 * made and removed outside of the time.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ways.h"

struct tree {
	long count, read;
	bool plain;
};

static const char *path_of(char *out, long number, const char *file)
{
	sprintf(out, "d%ld%s", number, file);
	return out;
}

static double make(struct tree *tree)
{
	char path[64];
	uint64_t before = now();

	for (long i = 0; i < tree->count; i++)
		if (mkdir(path_of(path, i, ""), 0777))
			fail(path);
	uint64_t after = now();
	tree->plain = access(path_of(path, 0, "/alive"), F_OK);
	return (double)(after - before) / (double)tree->count;
}

static double list(const struct tree *tree)
{
	uint64_t before = now();
	DIR *directory = opendir(".");
	long found = 0;

	if (!directory)
		fail("opendir");
	for (struct dirent *entry; (entry = readdir(directory));)
		found += entry->d_name[0] == 'd';
	closedir(directory);
	if (found != tree->count) {
		fprintf(stderr, "directories: %ld of %ld names\n", found, tree->count);
		exit(1);
	}
	return (double)(now() - before) / (double)tree->count;
}

static double read_some(const struct tree *tree)
{
	char path[64], text[16];
	uint64_t before = now();

	for (long i = 0; i < tree->read; i++)
		if (read_file(AT_FDCWD, path_of(path, i, "/alive"), text, sizeof text) != 2)
			fail(path);
	return (double)(now() - before) / (double)tree->read;
}

/* Only where mkdir did not bring them. */
static void plain_files(const struct tree *tree, bool there)
{
	char path[64];

	for (long i = 0; tree->plain && i < tree->read; i++) {
		path_of(path, i, "/alive");
		int fd = there ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
		if (there ? fd < 0 || write(fd, "0\n", 2) != 2 : unlink(path))
			fail(path);
		if (there)
			close(fd);
	}
}

static double take_away(const struct tree *tree)
{
	char path[64];
	uint64_t before = now();

	for (long i = 0; i < tree->count; i++)
		if (rmdir(path_of(path, i, "")))
			fail(path);
	return (double)(now() - before) / (double)tree->count;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fputs("usage: directories PLACE COUNT READ\n", stderr);
		return 2;
	}
	struct tree tree = { .count = number_of(argv[2]), .read = number_of(argv[3]) };
	if (chdir(argv[1]))
		fail(argv[1]);
	double made = make(&tree), listed = list(&tree);
	plain_files(&tree, true);
	double read = read_some(&tree);
	plain_files(&tree, false);
	double removed = take_away(&tree);
	printf("mkdir ls cat rmdir\n%.0f %.0f %.0f %.0f\n", made, listed, read, removed);
	return 0;
}
