/* Whatever arrives at the socket between keeper and server, in both directions, with any number of descriptors: it is refused and
 * nothing of it stays open, or it is a message of the known form. The first byte says which way and with how many. */
#include "core/message_bytes.h"
#include "tests/descriptors.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_MAX = 7 };

/* The last descriptor is a memory file with the rest of the bytes, when there is one. */
static void send_bytes(int socket_fd, const uint8_t *data, size_t size, unsigned fd_count)
{
	size_t first = size < sizeof(struct message_head) ? size : sizeof(struct message_head);
	struct iovec bytes = { (void *)(uintptr_t)data, fd_count ? first : size };
	int fds[FDS_MAX];

	for (unsigned i = 0; i < fd_count; i++)
		fds[i] = i + 1 < fd_count ? open("/dev/null", O_RDWR | O_CLOEXEC) : memfd_create("fuzz", MFD_CLOEXEC);
	if (fd_count)
		require(write(fds[fd_count - 1], data, size) == (ssize_t)size, "a memory file takes all");
	require(send_with_descriptors(socket_fd, bytes, fds, fd_count) >= 0, "the bytes can be sent");
	for (unsigned i = 0; i < fd_count; i++)
		close(fds[i]);
}

static void receive_as_keeper(int socket_fd)
{
	struct message_received_launch launch;
	int error = message_receive_launch(socket_fd, &launch);

	require(launch.ref.index < PTABLE_CAPACITY, "the entry is one of the table's");
	if (error) {
		require(error == -EPROTO || error == -EMFILE || error == -EPIPE || error == -ENOMEM, "a refusal is one of those");
		return;
	}
	require(launch.spec.argv && launch.spec.candidates && launch.spec.envp, "a launch has its vectors");
	message_received_launch_finish(&launch);
}

static void receive_as_server(int socket_fd)
{
	struct message message;
	int error = message_receive(socket_fd, &message);

	if (error) {
		require(error == -EPROTO || error == -EPIPE, "a refusal is EPROTO");
		return;
	}
	require(message.ref.index < PTABLE_CAPACITY, "the entry is one of the table's");
	require(message.kind >= MESSAGE_STARTED && message.kind <= MESSAGE_SIGNAL, "the kind is known");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_head head = { .kind = MESSAGE_LAUNCH };
	uint8_t bytes[sizeof(head) + 4096];
	int before = count_fds(), sockets[2];

	if (size < 2 || size > 4096 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return 0;
	if (*data & 1) {
		send_bytes(sockets[0], data + 1, size - 1, *data >> 5);
		receive_as_server(sockets[1]);
	} else {
		/* Behind a head that is nearly right, so that more than the head is looked at. */
		head.streams = *data >> 1 & 7;
		head.memory = *data >> 4 & 1;
		memcpy(bytes, &head, sizeof(head));
		memcpy(bytes + sizeof(head), data + 1, size - 1);
		if (*data & 8)
			memcpy(bytes, data + 1, size - 1 < sizeof(head) ? size - 1 : sizeof(head));
		send_bytes(sockets[0], bytes, sizeof(head) + size - 1, *data >> 5);
		receive_as_keeper(sockets[1]);
	}
	close(sockets[0]);
	close(sockets[1]);
	require(count_fds() == before, "nothing stays open");
	return 0;
}
