/* What the manager keeps of each user: its key, its share of the mount, its last refusal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/manager_private.h"

struct user *manager_user(struct manager *manager, uid_t uid)
{
	struct user *user;
	HASH_FIND(hh, manager->users, &uid, sizeof uid, user);
	if (user)
		return user;
	user = calloc(1, sizeof *user);
	if (!user)
		return NULL;
	user->uid = uid;
	user->share.limits = manager->config.limits;
	HASH_ADD(hh, manager->users, uid, sizeof uid, user);
	if (user->hh.tbl)
		return user;
	free(user);
	return NULL;
}

int manager_share(struct manager *manager, uid_t uid, struct share **out)
{
	*out = NULL;
	if (!manager->config.limits || uid == 0 || uid == manager->config.surroundings->uid)
		return 0;
	struct user *user = manager_user(manager, uid);
	if (!user)
		return -ENOMEM;
	*out = &user->share;
	return 0;
}

int manager_authkey(struct manager *manager, const struct process *process, unsigned char *out)
{
	if (process->authkey) {
		memcpy(out, process->authkey, PROCESS_AUTHKEY_SIZE);
		return 0;
	}
	struct user *user = manager_user(manager, process->owner);
	if (!user)
		return -ENOMEM;
	if (!user->authkey) {
		unsigned char *key = malloc(PROCESS_AUTHKEY_SIZE);
		if (!key)
			return -ENOMEM;
		if (getrandom(key, PROCESS_AUTHKEY_SIZE, 0) != PROCESS_AUTHKEY_SIZE) {
			free(key);
			return -errno;
		}
		user->authkey = key;
		manager->are_users_changed = true;
	}
	memcpy(out, user->authkey, PROCESS_AUTHKEY_SIZE);
	return 0;
}

void manager_set_error(struct manager *manager, uid_t uid, const char *sentence)
{
	struct user *user = manager_user(manager, uid);
	if (!user)
		return;
	if (!user->error && !sentence)
		return;
	free(user->error);
	user->error = sentence ? strdup(sentence) : NULL;
	manager->are_users_changed = true;
}

const char *manager_error(struct manager *manager, uid_t uid)
{
	struct user *user;
	HASH_FIND(hh, manager->users, &uid, sizeof uid, user);
	return user ? user->error : NULL;
}
