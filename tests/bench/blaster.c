/* blaster FIFO COUNT: says in the FIFO that it begins, writes COUNT pieces of 64 KiB of lines to stdout, and says that it has
 * written all. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 << 10, LINE = 64 };

int main(int argc, char **argv)
{
	static char piece[PIECE];
	int signs = argc == 3 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;

	if (signs < 0)
		return 1;
	memset(piece, 'x', sizeof piece);
	for (size_t i = LINE - 1; i < sizeof piece; i += LINE)
		piece[i] = '\n';
	if (write(signs, "", 1) != 1)
		return 1;
	for (long i = 0, count = atol(argv[2]); i < count; i++)
		for (size_t done = 0; done < sizeof piece;) {
			ssize_t size = write(STDOUT_FILENO, piece + done, sizeof piece - done);
			if (size < 0)
				return 1;
			done += (size_t)size;
		}
	return write(signs, "", 1) != 1;
}
