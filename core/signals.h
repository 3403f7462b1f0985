/*
 * signals: their names and back.
 *
 * Pure. Must not know: who sends one.
 */
#ifndef PROCFS_MP_SIGNALS_H
#define PROCFS_MP_SIGNALS_H

#include "core/text.h"

/* A name with or without SIG in any case, RTMIN+N, RTMAX-N, or a number. Result: the number, or -EINVAL. */
int signal_parse(const char *word);

/* Appends the short name: TERM, RTMIN+1. */
void signal_add_name(struct text *out, int number);

/* Result: -EINVAL, and a sentence that lists what would be valid. */
int signal_refuse(struct refusal *why, const char *word);

#endif
