/*
 * log: messages to whoever runs the mount: stderr in the foreground, syslog(3) in the background.
 *
 * Owns: where messages go. That is the one mutable variable of the program: libfuse's log function is given
 * no pointer of ours, and openlog(3) is process-wide anyway.
 *
 * Must not know: what the messages say.
 */
#ifndef PROCFS_MP_LOG_H
#define PROCFS_MP_LOG_H

/* To be called once, early: libfuse's messages take this way too. Messages go to stderr, each as one
 * write with "procfs-mp: " before it and a newline behind. */
void log_init(void);

/* For a life in the background: from now on messages go to syslog(3), with the facility daemon, the standard
 * streams are /dev/null and the working directory is /. */
void log_leave_terminal(void);

/* No newline is needed at the end. Errors are left as errno was. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
