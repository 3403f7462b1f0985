/* Descriptors that must outlive the server: the keeper is sent them as soon as they are made, before anything that is in them is
 * promised to anybody; it is told to let go of them when that they are gone is kept. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/holdings.h"
#include "core/input.h"
#include "core/manager_private.h"
#include "core/memory_file.h"
#include "core/message.h"

enum { KEEPER_PATIENCE_MS = 1000 };

struct hold_drop {
	uint64_t id;
	enum hold_part part;
};

/* The keeper reads all the time: when there is no room, there soon is. */
static int send_hold(struct manager *manager, const struct holding *holding)
{
	int error;
	while ((error = message_send_hold(manager->config.socket_fd, holding)) == -EAGAIN) {
		struct pollfd room = { .fd = manager->config.socket_fd, .events = POLLOUT };
		if (poll(&room, 1, KEEPER_PATIENCE_MS) <= 0)
			return -EAGAIN;
	}
	return error;
}

int manager_hold(struct manager *manager, const struct process *process, enum holding_kind kind, int fd)
{
	struct holdings *holdings = manager->config.holdings;
	const struct holding holding = { process->id, kind, fd };
	if (!holdings)
		return 0;
	int error = holdings_expect(holdings, process->id, kind);
	if (!error)
		error = send_hold(manager, &holding);
	if (error)
		holdings_drop(holdings, process->id, kind);
	return error;
}

int hold_output(struct manager *manager, const struct process *process, int which)
{
	struct holdings *holdings = manager->config.holdings;
	return holdings ? holdings_expect(holdings, process->id, which ? HOLDING_STDERR : HOLDING_STDOUT) : 0;
}

/* ---- letting go ---- */

/* A run's input was let go of at its end: what is held now is the next run's, which the write that reset may have started. */
static bool is_part(enum hold_part part, enum holding_kind kind)
{
	return part == HOLD_ALL || kind == HOLDING_STDOUT || kind == HOLDING_STDERR || kind == HOLDING_RESULT;
}

static void drop(struct manager *manager, const struct hold_drop *what)
{
	for (enum holding_kind kind = 0; kind < HOLDING_KINDS; kind++)
		if (is_part(what->part, kind))
			holdings_drop(manager->config.holdings, what->id, kind);
}

/* Without memory it is let go of at once, and would be missed by a new server if we died before we have kept why. */
void hold_forget(struct manager *manager, uint64_t id, enum hold_part part)
{
	const struct hold_drop what = { id, part };
	if (!manager->config.holdings)
		return;
	if (manager->drop_count == manager->drop_room) {
		size_t room = manager->drop_room ? manager->drop_room * 2 : 64;
		struct hold_drop *drops = realloc(manager->drops, room * sizeof *drops);
		if (!drops) {
			drop(manager, &what);
			return;
		}
		manager->drops = drops;
		manager->drop_room = room;
	}
	manager->drops[manager->drop_count++] = what;
}

/* What the write that reset has started was announced in the place of what is dropped now, and has its room. */
static void announce_again(struct manager *manager, uint64_t id)
{
	const struct process *process = manager_by_id(manager, id);
	for (int i = 0; process && process->start && i < 2; i++)
		if (process->output_fd[i] >= 0)
			hold_output(manager, process, i);
}

void hold_release(struct manager *manager)
{
	for (size_t i = 0; i < manager->drop_count; i++) {
		drop(manager, &manager->drops[i]);
		announce_again(manager, manager->drops[i].id);
	}
	manager->drop_count = 0;
}

/* Result: 0, -EAGAIN, -EPIPE, or -ENOENT: the keeper does not hold it yet. */
static int have_pipe_closed(struct manager *manager, uint64_t id, int witness_fd)
{
	struct holding over = { .kind = HOLDING_OVER, .fd = witness_fd };
	int error = holdings_end(manager->config.holdings, id, HOLDING_STDIN_PIPE, &over.id);
	if (error)
		return error;
	error = send_hold(manager, &over);
	if (error)
		holdings_drop_ended(manager->config.holdings, over.id);
	return error;
}

/* The program reads the end of its input when everybody has closed the pipe, so the keeper must do it now. It is not to be the last who
 * does, and neither are we: the porter does it when it sees that the keeper, who closes the witness after it, has. Where that can't be
 * had, a message about what there is not makes the keeper look for what is not wanted any more. */
static void close_pipe(struct manager *manager, uint64_t id, int fd)
{
	struct holdings *holdings = manager->config.holdings;
	const struct holding nothing = { HOLDINGS_CAPACITY, HOLDING_OVER, manager->config.socket_fd };
	int ends[2] = { -1, -1 }, error = pipe2(ends, O_CLOEXEC) ? -errno : 0;
	const struct porter_wish wish = { .kind = PORTER_CLOSE, .fds = { fd, ends[0] } };
	bool has_witness = !error;
	if (has_witness)
		(void)porter_begin(manager->config.porter, &wish, NULL);
	close(fd);
	holdings_drop(holdings, id, HOLDING_STDIN_QUEUE);
	if (has_witness)
		error = have_pipe_closed(manager, id, ends[1]);
	if (error) {
		holdings_drop(holdings, id, HOLDING_STDIN_PIPE);
		send_hold(manager, &nothing);
	}
	if (has_witness) {
		close(ends[0]);
		close(ends[1]);
	}
}

static void on_input_closing(struct input *input, int fd)
{
	close_pipe(input->context, input->process->id, fd);
}

static void on_queued(struct input *input)
{
	struct manager *manager = input->context;
	if (!input->is_moving)
		LIST_INSERT_HEAD(&manager->moving, input, moving);
	input->is_moving = true;
}

void hold_move(struct manager *manager)
{
	struct input *input;
	while ((input = LIST_FIRST(&manager->moving))) {
		LIST_REMOVE(input, moving);
		input->is_moving = false;
		input_move(input);
	}
}

static void watch_input(struct manager *manager, struct input *input)
{
	input->context = manager;
	input->on_closing = on_input_closing;
	input->on_queued = on_queued;
}

int hold_input(struct manager *manager, struct process *process)
{
	if (!manager->config.holdings)
		return 0;
	watch_input(manager, process->input);
	int error = manager_hold(manager, process, HOLDING_STDIN_QUEUE, process->input->queue_fd);
	return error ? error : manager_hold(manager, process, HOLDING_STDIN_PIPE, process->input->fd);
}

/* ---- in a new server ---- */

/* Nothing of a run is held before the keeper has taken its launch: what there is comes from before a reset that was kept, when the
 * server died before it had it let go of. */
static bool has_run(const struct manager *manager, const struct process *process)
{
	if (process->state != PROCESS_STARTING || process->rerun)
		return process->state != PROCESS_INITIAL;
	return start_is_taken(manager, process);
}

/* Result: where the descriptor belongs; NULL: nowhere. */
static int *place_of(const struct manager *manager, struct process *process, enum holding_kind kind)
{
	if (kind != HOLDING_STDIN_FILE && !has_run(manager, process))
		return NULL;
	switch (kind) {
	case HOLDING_STDOUT:
	case HOLDING_STDERR:
		return &process->output_fd[kind == HOLDING_STDERR];
	case HOLDING_STDIN_FILE:
		return &process->stdin_fd;
	case HOLDING_RESULT:
		return &process->result_fd;
	case HOLDING_STDIN_QUEUE:
		return process->input ? &process->input->queue_fd : NULL;
	default:
		return NULL;
	}
}

/* A write that nobody was told of comes again: were its bytes left behind the others, it would append them twice. */
static void forget_untold(const struct process *process, const struct holding *holding)
{
	bool grows = process->state == PROCESS_INITIAL ? holding->kind == HOLDING_STDIN_FILE : holding->kind == HOLDING_RESULT;
	if (grows && memory_file_size(holding->fd) > process->kept.written)
		(void)!ftruncate(holding->fd, (off_t)process->kept.written);
}

static void let_go_of_unknown(struct manager *manager, const struct holding *holding)
{
	if (holding->kind == HOLDING_STDIN_PIPE)
		close_pipe(manager, holding->id, holding->fd);
	else
		close(holding->fd);
	holdings_drop(manager->config.holdings, holding->id, holding->kind);
}

/* Takes over the descriptor, or closes it when nobody knows of it. Result: 0; as input_adopt(): it is held still. */
static int take_one(struct manager *manager, const struct holding *holding)
{
	struct process *process = manager_by_id(manager, holding->id);
	int *place = process ? place_of(manager, process, holding->kind) : NULL;
	bool is_input = process && holding->kind == HOLDING_STDIN_PIPE && process->input && process->input->fd < 0;
	int error = is_input ? input_adopt(process->input, holding->fd) : 0;
	if (is_input && !error) {
		watch_input(manager, process->input);
	} else if (place && *place < 0) {
		*place = holding->fd;
		forget_untold(process, holding);
	} else if (!is_input) {
		let_go_of_unknown(manager, holding);
	}
	return error;
}

int hold_take(struct manager *manager)
{
	struct holdings *holdings = manager->config.holdings;
	struct holding holding;
	uint32_t cursor = 0;
	int error = 0;
	while (!error && holdings && holdings_next(holdings, &cursor, &holding))
		error = take_one(manager, &holding);
	return error;
}
