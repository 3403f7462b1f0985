/* Turns: how many launches of other users are on their way at once.
 *
 * A launch that hangs, in a filesystem that does not answer, holds one of the keeper's threads. Those of the mount's own user are
 * its own affair; of all other users together some threads stay free, and no single one can take more than a few. Nothing
 * is refused: what has no turn waits for one.
 */
#include "core/manager_private.h"

enum {
	TURNS_A_USER = 16,
	TURNS_OF_OTHERS = 96, /* of the keeper's LAUNCHERS_MAX */
};

static bool take(struct start *start)
{
	struct manager *manager = start->manager;
	struct user *user = manager_user(manager, start->process->owner);
	if (!user || user->turns >= TURNS_A_USER || manager->turns >= TURNS_OF_OTHERS)
		return false;
	user->turns++;
	manager->turns++;
	start->has_turn = true;
	return true;
}

bool turns_take(struct start *start)
{
	if (start->process->owner == start->manager->config.surroundings->uid || take(start))
		return true;
	start->waits_for_turn = true;
	TAILQ_INSERT_TAIL(&start->manager->turnless, start, turn);
	return false;
}

void turns_leave(struct start *start)
{
	struct manager *manager = start->manager;
	if (start->waits_for_turn)
		TAILQ_REMOVE(&manager->turnless, start, turn);
	start->waits_for_turn = false;
	if (!start->has_turn)
		return;
	start->has_turn = false;
	manager->turns--;
	manager_user(manager, start->process->owner)->turns--;
	TAILQ_FOREACH(start, &manager->turnless, turn) {
		if (!take(start))
			continue;
		TAILQ_REMOVE(&manager->turnless, start, turn);
		start->waits_for_turn = false;
		start_proceed(start);
		return;
	}
}
