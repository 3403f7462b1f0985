/* Whatever memory file a server is told of as its keeper's: it is refused with a sentence, or its strings lie in it. The first byte
 * says whether what the keeper writes comes before it. */
#include "fs/handover.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int make_file(const void *bytes, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	require(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "a memory file takes all");
	require(!fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), "and can be sealed");
	return fd;
}

/* What a keeper says, with the bytes in place of as many of its own from `at` on. */
static int make_changed(const uint8_t *bytes, size_t size, size_t at)
{
	const struct handover handover = { .mountpoint = "/mnt", .base_directory = "/", .options = "x,y", .badness = "300" };
	char whole[512];
	int fd, changed;

	require(handover_write(&handover, &fd) == 0, "what a keeper says can be written");
	ssize_t length = pread(fd, whole, sizeof(whole), 0);

	close(fd);
	require(length > 0 && (size_t)length < sizeof(whole), "and read");
	at %= (size_t)length;
	memcpy(whole + at, bytes, size < (size_t)length - at ? size : (size_t)length - at);
	changed = make_file(whole, (size_t)length);
	return changed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct refusal why = { "" };
	struct handover handover;
	int fd, error;

	if (size < 2)
		return 0;
	fd = data[0] & 1 ? make_changed(data + 2, size - 2, data[1]) : make_file(data + 1, size - 1);
	error = handover_read(fd, &handover, &why);
	if (error) {
		require(error == -EINVAL || error == -EPROTO || error == -ENOMEM, "a refusal is one of those");
		require(error == -ENOMEM || why.sentence[0], "a refusal has a sentence");
	} else {
		require(strlen(handover.mountpoint) + strlen(handover.base_directory) + strlen(handover.options) +
				strlen(handover.badness) < size + 512, "the strings lie in the file");
		handover_finish(&handover);
	}
	close(fd);
	return 0;
}
