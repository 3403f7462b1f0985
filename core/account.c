#include "core/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct account_request {
	uv_work_t work;
	struct account account;
	int error;
	account_found *found;
	void *context;
};

static void finish(struct account *account)
{
	free(account->name);
	free(account->home);
	free(account->shell);
	free(account->groups);
}

static char *copy_or(const char *string, const char *otherwise)
{
	return strdup(string && *string ? string : otherwise);
}

static int find_groups(struct account *account, const char *name)
{
	int room = 32;
	for (;;) {
		gid_t *groups = realloc(account->groups, (size_t)room * sizeof *groups);
		if (!groups)
			return -ENOMEM;
		account->groups = groups;
		int count = room;
		if (getgrouplist(name, account->gid, groups, &count) >= 0) {
			account->group_count = count;
			return 0;
		}
		room = count > room ? count : room * 2;
		if (room > 1 << 17)
			return -E2BIG;
	}
}

/* A user whom the database doesn't know is no error; a database that doesn't answer is: the
 * process would run without its groups. */
static int find(struct account *account)
{
	size_t room = 1 << 16;
	char *buffer = malloc(room);
	if (!buffer)
		return -ENOMEM;
	struct passwd entry, *found = NULL;
	char *wanted = account->name;
	int error;
	do
		error = wanted ? -getpwnam_r(wanted, &entry, buffer, room, &found) :
				 -getpwuid_r(account->uid, &entry, buffer, room, &found);
	while (error == -EINTR);
	if (error == -ENOENT || error == -ESRCH)
		error = 0;
	if (!error && wanted && !found)
		error = -ENOENT;
	if (!error && found)
		account->uid = found->pw_uid;
	account->name = NULL;
	free(wanted);
	char number[16];
	snprintf(number, sizeof number, "%u", (unsigned)account->uid);
	if (!error) {
		account->name = strdup(found ? found->pw_name : number);
		account->home = copy_or(found ? found->pw_dir : NULL, "/");
		account->shell = copy_or(found ? found->pw_shell : NULL, "/bin/sh");
		if (!account->name || !account->home || !account->shell)
			error = -ENOMEM;
	}
	if (!error && found) {
		account->gid = found->pw_gid;
		error = find_groups(account, found->pw_name);
	}
	free(buffer);
	return error;
}

static void on_work(uv_work_t *work)
{
	struct account_request *request = work->data;
	request->error = find(&request->account);
}

static void on_after_work(uv_work_t *work, int status)
{
	struct account_request *request = work->data;
	request->found(request->context, status ? status : request->error, &request->account);
	finish(&request->account);
	free(request);
}

int account_look_up(uv_loop_t *loop, const struct account *asked, account_found *found, void *context)
{
	struct account_request *request = calloc(1, sizeof *request);
	if (!request)
		return -ENOMEM;
	request->work.data = request;
	request->account.uid = asked->uid;
	request->account.gid = asked->gid;
	request->found = found;
	if (asked->name && !(request->account.name = strdup(asked->name))) {
		free(request);
		return -ENOMEM;
	}
	request->context = context;
	int error = uv_queue_work(loop, &request->work, on_work, on_after_work);
	if (error) {
		finish(&request->account);
		free(request);
	}
	return error;
}
