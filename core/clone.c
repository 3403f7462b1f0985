#include "core/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* With a shared memory the child must not return through the stack frame of its parent: glibc has no wrapper for that, and
 * elsewhere than here the child gets a copy of the memory, as with fork(2). */
#ifdef __x86_64__
static long clone_shared(const struct clone_call *call, struct clone_args *args)
{
	register int (*function)(void *) __asm__("r13") = call->main;
	register void *argument __asm__("r12") = call->argument;
	long result;

	args->flags |= CLONE_VM;
	args->stack = (uintptr_t)call->stack;
	args->stack_size = call->stack_size;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "call *%%r13\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(result)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(argument), "r"(function)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

enum { CLONE_CAN_SHARE = 1 };
#else
static long clone_shared(const struct clone_call *call, struct clone_args *args)
{
	(void)call;
	(void)args;
	return -ENOSYS;
}

enum { CLONE_CAN_SHARE = 0 };
#endif

static long clone_copied(const struct clone_call *call, struct clone_args *args)
{
	long result = syscall(SYS_clone3, args, sizeof(*args));

	if (result == 0)
		_exit(call->main(call->argument));
	return result < 0 ? -errno : result;
}

pid_t clone_into_group(const struct clone_call *call)
{
	struct clone_args args = {
		.flags = ((uint64_t)(unsigned)call->flags & ~(uint64_t)CLONE_VM) | CLONE_INTO_CGROUP,
		.parent_tid = (uintptr_t)call->pid,
	};
	int group_fd = open(call->group, O_PATH | O_DIRECTORY | O_CLOEXEC);
	long result;

	if (group_fd < 0)
		return -errno;
	args.cgroup = (uint64_t)group_fd;
	if (CLONE_CAN_SHARE && call->flags & CLONE_VM)
		result = clone_shared(call, &args);
	else
		result = clone_copied(call, &args);
	close(group_fd);
	return (pid_t)result;
}

pid_t clone_child(const struct clone_call *call)
{
	pid_t pid = call->group ? clone_into_group(call) : -ENOSYS;

	if (pid > 0 || pid == -EAGAIN || pid == -ENOMEM)
		return pid;
	pid = clone(call->main, call->stack + call->stack_size, call->flags, call->argument, call->pid);
	return pid < 0 ? -errno : pid;
}
