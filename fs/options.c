#include "fs/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/size.h"

enum word_kind {
	WORD_TOLERATED, /* said by or to mount(8), fstab(5) or systemd: nothing for us */
	WORD_PASSED,    /* libfuse and the kernel understand it */
	WORD_ALLOW_OTHER,
	WORD_ALLOW_ROOT,
	WORD_DEFAULT_PERMISSIONS,
	WORD_AUTO_UNMOUNT,
	WORD_FSNAME,
	WORD_SUBTYPE,
	WORD_DEBUG,
	WORD_READ_ONLY,
	WORD_MAX_PROCESSES,
	WORD_MAX_BYTES,
};

enum { MAX_PROCESSES_DEFAULT = 4096, MAX_BYTES_DEFAULT = 1 << 30 };

/* One row an -o word; a word that ends in '=' or '-' stands for all that begin so. */
static const struct word_row {
	const char *word;
	enum word_kind kind;
} word_rows[] = {
	{"allow_other", WORD_ALLOW_OTHER},
	{"allow_root", WORD_ALLOW_ROOT},
	{"default_permissions", WORD_DEFAULT_PERMISSIONS},
	{"auto_unmount", WORD_AUTO_UNMOUNT},
	{"fsname=", WORD_FSNAME},
	{"subtype=", WORD_SUBTYPE},
	{"debug", WORD_DEBUG},
	{"ro", WORD_READ_ONLY},
	{"max_processes=", WORD_MAX_PROCESSES},
	{"max_bytes=", WORD_MAX_BYTES},
	{"dev", WORD_PASSED},
	{"nodev", WORD_PASSED},
	{"suid", WORD_PASSED},
	{"nosuid", WORD_PASSED},
	{"exec", WORD_PASSED},
	{"noexec", WORD_PASSED},
	{"sync", WORD_PASSED},
	{"async", WORD_PASSED},
	{"dirsync", WORD_PASSED},
	{"atime", WORD_PASSED},
	{"noatime", WORD_PASSED},
	{"context=", WORD_PASSED},
	{"fscontext=", WORD_PASSED},
	{"defcontext=", WORD_PASSED},
	{"rootcontext=", WORD_PASSED},
	{"rw", WORD_TOLERATED},
	{"defaults", WORD_TOLERATED},
	{"auto", WORD_TOLERATED},
	{"noauto", WORD_TOLERATED},
	{"user", WORD_TOLERATED},
	{"user=", WORD_TOLERATED},
	{"nouser", WORD_TOLERATED},
	{"users", WORD_TOLERATED},
	{"nousers", WORD_TOLERATED},
	{"owner", WORD_TOLERATED},
	{"noowner", WORD_TOLERATED},
	{"group", WORD_TOLERATED},
	{"nogroup", WORD_TOLERATED},
	{"nofail", WORD_TOLERATED},
	{"_netdev", WORD_TOLERATED},
	{"nonempty", WORD_TOLERATED},
	{"diratime", WORD_TOLERATED},
	{"nodiratime", WORD_TOLERATED},
	{"relatime", WORD_TOLERATED},
	{"norelatime", WORD_TOLERATED},
	{"strictatime", WORD_TOLERATED},
	{"nostrictatime", WORD_TOLERATED},
	{"lazytime", WORD_TOLERATED},
	{"nolazytime", WORD_TOLERATED},
	{"silent", WORD_TOLERATED},
	{"loud", WORD_TOLERATED},
	{"comment=", WORD_TOLERATED},
	{"uhelper=", WORD_TOLERATED},
	{"helper=", WORD_TOLERATED},
	{"x-", WORD_TOLERATED},
	{"X-", WORD_TOLERATED},
};

/* What is under way; `words` is the list for libfuse that grows. */
struct parse {
	struct options options;
	const char *positional[2]; /* MOUNTPOINT, or SOURCE MOUNTPOINT */
	size_t positional_count;
	struct text words;
	bool default_permissions;
	bool allow_others;
	bool allow_root;
	bool fsname;
	bool subtype;
	struct refusal *why;
};

static const struct word_row *word_find(const char *word, size_t size)
{
	for (size_t i = 0; i < sizeof word_rows / sizeof *word_rows; i++) {
		const struct word_row *row = &word_rows[i];
		size_t length = strlen(row->word);
		char last = row->word[length - 1];
		bool begins = size >= length && memcmp(word, row->word, length) == 0;
		if (begins && (size == length || last == '=' || last == '-'))
			return row;
	}
	return NULL;
}

static void add_word(struct parse *parse, const char *word, size_t size)
{
	if (parse->words.size)
		text_add(&parse->words, ",");
	text_append(&parse->words, word, size);
}

/* NAME=NUMBER, or NAME=max for as many as there can be. */
static int take_limit(struct parse *parse, const char *word, size_t size, uint64_t *out)
{
	char value[32] = "";
	const char *equals = memchr(word, '=', size);
	size_t length = size - (size_t)(equals + 1 - word);
	if (length < sizeof value)
		memcpy(value, equals + 1, length);
	if (!strcmp(value, "max")) {
		*out = SHARE_UNLIMITED;
		return 0;
	}
	if (!size_parse(value, out))
		return 0;
	return refuse(parse->why, EINVAL, "mount option '%.*s': it takes a number, also with K, M, G or T, or max", (int)size,
		      word);
}

static int take_word(struct parse *parse, const char *word, size_t size)
{
	const struct word_row *row = word_find(word, size);
	if (!row)
		return refuse(parse->why, EINVAL, "unknown mount option '%.*s'", (int)size, word);
	switch (row->kind) {
	case WORD_TOLERATED:
		return 0;
	case WORD_READ_ONLY:
		return refuse(parse->why, EINVAL,
			"mount option 'ro': nothing could be made or started in a read-only procfs-mp");
	case WORD_ALLOW_OTHER:
		parse->allow_others = true;
		return 0;
	case WORD_ALLOW_ROOT:
		parse->allow_root = true;
		return 0;
	case WORD_DEFAULT_PERMISSIONS:
		parse->default_permissions = true;
		return 0;
	case WORD_DEBUG:
		parse->options.debug = true;
		return 0;
	case WORD_AUTO_UNMOUNT:
		parse->options.auto_unmount = true;
		return 0;
	case WORD_MAX_PROCESSES:
		return take_limit(parse, word, size, &parse->options.limits.processes);
	case WORD_MAX_BYTES:
		return take_limit(parse, word, size, &parse->options.limits.bytes);
	case WORD_FSNAME:
		parse->fsname = true;
		break;
	case WORD_SUBTYPE:
		parse->subtype = true;
		break;
	case WORD_PASSED:
		break;
	}
	add_word(parse, word, size);
	return 0;
}

/* A comma that belongs to a value is written as "\,", as libfuse reads it. */
static int take_word_list(struct parse *parse, const char *list)
{
	while (*list) {
		size_t size = 0;
		while (list[size] && list[size] != ',')
			size += list[size] == '\\' && list[size + 1] ? 2 : 1;
		int error = size ? take_word(parse, list, size) : 0;
		if (error)
			return error;
		list += size;
		list += *list == ',';
	}
	return 0;
}

/* "-fo rw" and "-forw" are "-f -o rw". *next is the argument behind, taken when -o needs it. */
static int take_letters(struct parse *parse, const char *letters, char *const **next)
{
	for (; *letters; letters++) {
		switch (*letters) {
		case 'f':
			parse->options.foreground = true;
			break;
		case 'd':
			parse->options.debug = true;
			break;
		case 's':
			break;
		case 'h':
			parse->options.action = OPTIONS_HELP;
			return 0;
		case 'V':
			parse->options.action = OPTIONS_VERSION;
			return 0;
		case 'o':
			if (letters[1])
				return take_word_list(parse, letters + 1);
			if (!**next)
				return refuse(parse->why, EINVAL, "option '-o' wants a mount option behind it");
			return take_word_list(parse, *(*next)++);
		default:
			return refuse(parse->why, EINVAL, "unknown option '-%c'", *letters);
		}
	}
	return 0;
}

static int take_positional(struct parse *parse, const char *argument)
{
	if (parse->positional_count == 2)
		return refuse(parse->why, EINVAL,
			"too many arguments: '%s' (a command to run belongs behind '--')", argument);
	parse->positional[parse->positional_count++] = argument;
	return 0;
}

static int take_command(struct parse *parse, char *const *command)
{
	if (!*command)
		return refuse(parse->why, EINVAL, "'--' wants a command behind it");
	if (!**command)
		return refuse(parse->why, EINVAL, "the command behind '--' is empty");
	parse->options.command = command;
	return 0;
}

static int take_arguments(struct parse *parse, char *const *next)
{
	int error = 0;
	while (!error && *next && parse->options.action != OPTIONS_HELP && parse->options.action != OPTIONS_VERSION) {
		const char *argument = *next++;
		if (strcmp(argument, "--") == 0)
			return take_command(parse, next);
		if (strcmp(argument, "--help") == 0)
			parse->options.action = OPTIONS_HELP;
		else if (strcmp(argument, "--version") == 0)
			parse->options.action = OPTIONS_VERSION;
		else if (strcmp(argument, "--upgrade") == 0)
			parse->options.action = OPTIONS_UPGRADE;
		else if (strncmp(argument, "--", 2) == 0)
			error = refuse(parse->why, EINVAL, "unknown option '%s'", argument);
		else if (argument[0] == '-' && argument[1])
			error = take_letters(parse, argument + 1, &next);
		else
			error = take_positional(parse, argument);
	}
	return error;
}

static void add_name(struct parse *parse, const char *key, const char *name)
{
	add_word(parse, key, strlen(key));
	for (; *name; name++) {
		if (*name == ',' || *name == '\\')
			text_add(&parse->words, "\\");
		text_append(&parse->words, name, 1);
	}
}

/* What one option implies for another, once all are known. */
static int settle(struct parse *parse)
{
	struct options *options = &parse->options;
	const char *source = parse->positional_count == 2 ? parse->positional[0] : NULL;

	if (parse->positional_count)
		options->mountpoint = parse->positional[parse->positional_count - 1];
	if (options->mountpoint && !*options->mountpoint)
		return refuse(parse->why, EINVAL, "the mountpoint is an empty word");
	if (options->action == OPTIONS_UPGRADE && (parse->positional_count != 1 || options->command))
		return refuse(parse->why, EINVAL, "'--upgrade' wants a MOUNTPOINT and nothing else");
	if (parse->allow_others && parse->allow_root)
		return refuse(parse->why, EINVAL, "mount options 'allow_other' and 'allow_root' exclude each other");

	options->allow_other = parse->allow_others || parse->allow_root;
	options->foreground |= options->debug || options->command;
	if (parse->allow_others)
		add_name(parse, "allow_other", "");
	if (parse->allow_root)
		add_name(parse, "allow_root", "");
	if (options->allow_other || parse->default_permissions)
		add_name(parse, "default_permissions", "");
	if (options->auto_unmount)
		add_name(parse, "auto_unmount", "");
	if (options->debug)
		add_name(parse, "debug", "");
	if (!parse->fsname)
		add_name(parse, "fsname=", source && *source ? source : "procfs-mp");
	if (!parse->subtype)
		add_name(parse, "subtype=", "procfs-mp");
	options->fuse = text_take(&parse->words, NULL);
	return options->fuse ? 0 : -ENOMEM;
}

int options_parse(struct options *out, int argc, char *const *argv, struct refusal *why)
{
	struct parse parse = {
		.options.limits = { .processes = MAX_PROCESSES_DEFAULT, .bytes = MAX_BYTES_DEFAULT },
		.why = why,
	};
	int error = take_arguments(&parse, argc ? argv + 1 : argv);
	if (!error && (parse.options.action == OPTIONS_MOUNT || parse.options.action == OPTIONS_UPGRADE))
		error = settle(&parse);
	text_finish(&parse.words);
	if (!error)
		*out = parse.options;
	return error;
}

void options_finish(struct options *options)
{
	free(options->fuse);
	options->fuse = NULL;
}

const char *options_help(void)
{
	return "Usage: procfs-mp [OPTIONS] [MOUNTPOINT]\n"
	       "       procfs-mp [OPTIONS] [MOUNTPOINT] -- COMMAND [ARG...]\n"
	       "       procfs-mp --upgrade MOUNTPOINT\n"
	       "\n"
	       "Mounts a directory in which making a directory makes a process: mkdir, echo and\n"
	       "cat create, start, join, terminate and inspect it.\n"
	       "\n"
	       "MOUNTPOINT is $XDG_RUNTIME_DIR/procfs-mp when none is given, and /run/procfs-mp\n"
	       "for the superuser. With COMMAND it is a private directory that goes away again;\n"
	       "COMMAND finds it in $PROCFS_MP, and its exit status is the mount's.\n"
	       "\n"
	       "  -f              stay in the foreground; messages on standard error\n"
	       "  -d, -o debug    show every request (implies -f)\n"
	       "  -s              accepted; it is single-threaded anyway\n"
	       "  -o OPT[,OPT...] mount options:\n"
	       "     allow_other           other users may use the mount, each for themselves\n"
	       "                           (implies default_permissions)\n"
	       "     allow_root            only the superuser may, besides you\n"
	       "     max_processes=N       how many processes each of the other users may have\n"
	       "                           (4096 when not given; max: any number)\n"
	       "     max_bytes=SIZE        how much is kept for each of them (1G, also K, M, T;\n"
	       "                           max)\n"
	       "     default_permissions   the kernel checks modes and owners\n"
	       "     fsname=NAME           the source that mount(8) shows\n"
	       "     subtype=NAME          the type that mount(8) shows, behind \"fuse.\"\n"
	       "     auto_unmount          unmount even when procfs-mp is killed (an ordinary\n"
	       "                           user needs allow_other for it)\n"
	       "     nodev nosuid noexec sync noatime ..., as in mount(8)\n"
	       "  --upgrade       let the installed procfs-mp serve a mount that is there; its\n"
	       "                  processes, their output and who waits for them stay\n"
	       "  -h, --help      this text\n"
	       "  -V, --version   the versions of procfs-mp and libfuse\n"
	       "\n"
	       "What to type next:\n"
	       "  mkdir mp && procfs-mp mp\n"
	       "  mkdir mp/hello; echo echo > mp/hello/target; echo 'hello bob' > mp/hello/args\n"
	       "  echo start > mp/hello/ctl; cat mp/hello/wait mp/hello/stdout\n"
	       "  cat mp/help\n"
	       "  fusermount3 -u mp\n"
	       "\n"
	       "The manual is procfs-mp(1).\n";
}
