#include "core/detached.h"

#include <pthread.h>

int detached_begin(size_t stack, void *(*work)(void *argument), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);
	if (error)
		return -error;
	error = pthread_attr_setstacksize(&attributes, stack);
	if (!error)
		error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (!error)
		error = pthread_create(&thread, &attributes, work, argument);
	pthread_attr_destroy(&attributes);
	return -error;
}
