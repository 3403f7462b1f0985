#!/bin/sh
# An ordinary user mounts, unmounts and is told clearly what is in the way. The test is the superuser's: it becomes that
# user, and lays a /dev/fuse of its own over the real one, in a mount namespace that nobody else sees, so that the
# device can be 0600 and 0666 by turns and nothing has to be put back.
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
	TEST_WRAP="unshare --mount"
fi
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip_all "not the superuser"
unshare --mount true 2>/dev/null || skip_all "no mount namespaces here"
command -v setpriv >/dev/null || skip_all "setpriv is not installed"
command -v fusermount3 >/dev/null || skip_all "fusermount3 is not installed"
user=$(id -u nobody) || skip_all "there is no user nobody"

before_finish()
{
	[ -n "$keeper" ] || ! mounted "$MP" || umount "$MP"
	! mounted "$home/run/procfs-mp" || umount "$home/run/procfs-mp"
	# A mount that runs still has the device open.
	umount -l /dev/fuse "$TEST_DIR/dev"
}

as_user() { setpriv --reuid="$user" --regid="$user" --clear-groups env HOME="$home" "$@"; }

# told_why NAME EXPRESSION COMMAND...: as the user; exit status 1 and one line that says why.
told_why()
{
	what=$1
	expression=$2
	shift 2
	as_user "$@" >why.out 2>why.err
	claim "$what: exit status" equal "$?" 1
	claim "$what: the reason" matches "$(cat why.err)" "$expression"
	claim "$what: one sentence" lines_in 1 why.err
}

home=$TEST_DIR/home
mkdir dev home home/run bin
chown "$user" home home/run
# What stands in the checkout may be where that user can't go.
install -m 755 "$PROCFS_MP_BIN" bin/procfs-mp
install -m 755 "$here/bin/refused" bin/refused
program=$TEST_DIR/bin/procfs-mp
MP=$home/mp
as_user mkdir "$MP"
mount -t tmpfs -o mode=755 tmpfs dev
mknod -m 600 dev/fuse c 10 229
mount --bind dev/fuse /dev/fuse

told_why "a device that is not the user's to open" '/dev/fuse' "$program" "$MP"
chmod 666 dev/fuse

mkdir not_theirs
told_why "a directory that is not the user's to write" "$TEST_DIR/not_theirs" "$program" "$TEST_DIR/not_theirs"
told_why "no mountpoint and no XDG_RUNTIME_DIR" 'XDG_RUNTIME_DIR' env -u XDG_RUNTIME_DIR "$program"

fusermount=$(command -v fusermount3)
: >dev/not_a_program
# shellcheck disable=SC2016 # for the inner shell
unshare --mount sh -c 'mount --bind dev/not_a_program "$1" && shift && exec "$@"' sh "$fusermount" \
	setpriv --reuid="$user" --regid="$user" --clear-groups "$program" "$MP" >why.out 2>why.err
claim "without fusermount3: exit status" equal "$?" 1
claim "without fusermount3: the reason" contains "$(cat why.err)" fusermount3

claim "the user mounts" as_user "$program" "$MP"
claim "the mount is the user's" grep -qE " $MP .*user_id=$user,group_id=$user" /proc/self/mountinfo
claim "others, even the superuser, see nothing of it" not ls "$MP"
as_user sh -c 'mkdir "$MP/p"; echo id >"$MP/p/target"; echo -u >"$MP/p/args"'
claim "a process starts" as_user sh -c 'printf "start\njoin\n" >"$MP/p/ctl"'
claim "it is the user's" equal "$(as_user cat "$MP/p/stdout")" "$user"
as_user sh -c 'cd "$MP" && mkdir much && echo sh >much/target && echo "-c \"seq 4000000\"" >much/args &&
	printf "start\njoin\n" >much/ctl'
seq 4000000 | tail -c 16777216 >much.expected
claim "of much output the newest is kept" as_user cmp much.expected "$MP/much/stdout"
as_user rmdir "$MP/much"
claim "it begins where the mount was started, with its environment" as_user sh -c '
	mkdir "$MP/q" && echo env >"$MP/q/target" && printf "start\njoin\n" >"$MP/q/ctl" &&
	grep -qxF "HOME=$HOME" "$MP/q/stdout" && grep -qxF "PROCFS_MP=$MP" "$MP/q/stdout"'
claim "the user unmounts" as_user fusermount3 -u "$MP"
claim "its processes end" wait_until 20 no_marked

claim "without a mountpoint: exit status" as_user env XDG_RUNTIME_DIR="$home/run" "$program"
claim "it is in XDG_RUNTIME_DIR" as_user test -f "$home/run/procfs-mp/version"
claim "it works" as_user mkdir "$home/run/procfs-mp/p"
claim "it unmounts" as_user fusermount3 -u "$home/run/procfs-mp"
claim "its processes end then too" wait_until 20 no_marked

claim "a command has the user's mount" equal "$(as_user env -u XDG_RUNTIME_DIR TMPDIR="$home" "$program" -- sh -c '
	cd "$PROCFS_MP" && mkdir p && echo id >p/target && echo -u >p/args && printf "start\njoin\n" >p/ctl && cat p/stdout')" "$user"
as_user env -u XDG_RUNTIME_DIR TMPDIR="$home" "$program" -- sh -c 'exit 3'
claim "and gives its exit status" equal "$?" 3
claim "its private directory is gone" equal "$(ls "$home")" "mp
run"

# The superuser's mount, open to all.
chown root "$MP"
chmod 755 "$MP"
mount_it -o allow_other,default_permissions || exit
make roots sleep 1000
echo start >"$MP/roots/ctl"
for file in authkey env stdin stdout stderr error; do
	claim "the user can't read another's $file" not as_user cat "$MP/roots/$file"
done
claim "the user can read another's exit code, pid and status" as_user cat "$MP/roots/exitcode" "$MP/roots/pid" "$MP/roots/status"
claim "the user can't terminate another's process" as_user "$TEST_DIR/bin/refused" EACCES "$MP/roots/ctl" terminate
claim "it goes on" equal "$(cat "$MP/roots/alive")" 1
claim "the user makes one" as_user mkdir "$MP/theirs"
claim "it is the user's" equal "$(stat -c %u "$MP/theirs")" "$user"
as_user sh -c 'echo sh >"$MP/theirs/target"; echo "-c \"id -u; pwd\"" >"$MP/theirs/args"'
claim "the user starts it" as_user sh -c 'printf "start\njoin\n" >"$MP/theirs/ctl"'
claim "it runs as the user, in /" equal "$(as_user head -n 2 "$MP/theirs/stdout")" "$user
/"
claim "the superuser may remove it" rmdir "$MP/theirs"
printf 'terminate\njoin\n' >"$MP/roots/ctl"
all_told
