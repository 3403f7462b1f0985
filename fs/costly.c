#include "fs/costly.h"

#include <string.h>

enum { MILLISECOND = 1000000 };

static uint64_t left(const struct costly *costly)
{
	uint64_t now = uv_hrtime();
	return costly->free > now ? costly->free - now : 0;
}

static void on_timer(uv_timer_t *timer);

/* Less than what the loop can measure is no reason to wait. */
static void set_timer(struct costly *costly)
{
	if (costly->is_begun || TAILQ_EMPTY(&costly->turns)) {
		uv_timer_stop(&costly->timer);
		return;
	}
	uv_update_time(costly->timer.loop);
	uv_timer_start(&costly->timer, on_timer, (left(costly) + MILLISECOND - 1) / MILLISECOND, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct costly *costly = timer->data;
	struct turn *turn = TAILQ_FIRST(&costly->turns);
	if (costly->is_begun || left(costly) >= MILLISECOND) {
		set_timer(costly);
		return;
	}
	if (costly->round != turn->round)
		costly->served_count = 0;
	costly->round = turn->round;
	costly_leave(costly, turn);
	turn->waiter->on_done(turn->waiter, 0);
}

void costly_init(struct costly *costly, uv_loop_t *loop)
{
	memset(costly, 0, sizeof *costly);
	TAILQ_INIT(&costly->turns);
	uv_timer_init(loop, &costly->timer);
	costly->timer.data = costly;
}

void costly_close(struct costly *costly)
{
	uv_close((uv_handle_t *)&costly->timer, NULL);
}

bool costly_is_free(const struct costly *costly)
{
	return !costly->is_begun && TAILQ_EMPTY(&costly->turns) && left(costly) < MILLISECOND;
}

/* In this round. Where there are too many to know, all are of the next. */
static bool had_turn(const struct costly *costly, uid_t uid)
{
	for (unsigned i = 0; i < costly->served_count; i++)
		if (costly->served[i] == uid)
			return true;
	return costly->served_count == COSTLY_SERVED_MOST;
}

/* The first in which this user has none yet. */
static uint64_t choose_round(const struct costly *costly, uid_t uid)
{
	const struct turn *turn;
	TAILQ_FOREACH_REVERSE(turn, &costly->turns, turns, link)
		if (turn->uid == uid)
			return turn->round + 1;
	return costly->round + had_turn(costly, uid);
}

void costly_wait(struct costly *costly, struct turn *turn)
{
	struct turn *before;
	turn->round = choose_round(costly, turn->uid);
	TAILQ_FOREACH_REVERSE(before, &costly->turns, turns, link)
		if (before->round <= turn->round)
			break;
	if (before)
		TAILQ_INSERT_AFTER(&costly->turns, before, turn, link);
	else
		TAILQ_INSERT_HEAD(&costly->turns, turn, link);
	turn->waits = true;
	set_timer(costly);
}

void costly_leave(struct costly *costly, struct turn *turn)
{
	if (!turn->waits)
		return;
	turn->waits = false;
	TAILQ_REMOVE(&costly->turns, turn, link);
	set_timer(costly);
}

void costly_begin(struct costly *costly, uid_t uid)
{
	if (!costly->is_begun)
		costly->began = uv_hrtime();
	costly->is_begun = true;
	if (TAILQ_EMPTY(&costly->turns)) {
		costly->round++;
		costly->served_count = 0;
	}
	if (!had_turn(costly, uid))
		costly->served[costly->served_count++] = uid;
}

void costly_end(struct costly *costly)
{
	if (!costly->is_begun)
		return;
	uint64_t now = uv_hrtime();
	costly->is_begun = false;
	costly->free = now + (now - costly->began);
	set_timer(costly);
}
