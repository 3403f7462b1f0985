#!/bin/sh
# mount(8) and fstab(5) mount it by its type, and the superuser's default place is /run/procfs-mp. All of it in a mount
# namespace of the test's own: what is laid over /usr/local/bin, /run and /dev is seen by nobody else.
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
	TEST_WRAP="unshare --mount"
fi
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip_all "not the superuser"
unshare --mount true 2>/dev/null || skip_all "no mount namespaces here"

before_finish()
{
	umount /run/procfs-mp /run /usr/local/bin 2>/dev/null
	! mounted "$MP" || umount "$MP"
}

# mounts NAME COMMAND...: COMMAND makes $MP a mount that works at once; it is unmounted again.
mounts()
{
	mounts_name=$1
	shift
	claim "$mounts_name: exit status" "$@"
	claim "$mounts_name: the type" grep -qE " $MP .* - fuse.procfs-mp " /proc/self/mountinfo
	make p echo "hello bob"
	claim "$mounts_name: a process starts" sh -c "printf 'start\njoin\n' >'$MP/p/ctl'"
	claim "$mounts_name: its output is there" equal "$(cat "$MP/p/stdout")" "hello bob"
	claim "$mounts_name: umount" umount "$MP"
	claim "$mounts_name: its processes end" wait_until 20 no_marked
}

mount_and_fstab()
{
	# mount(8) sets PATH anew, so the program has to stand where that finds it.
	mkdir local
	install -m 755 "$PROCFS_MP_BIN" local/procfs-mp
	mount --bind local /usr/local/bin
	mkdir -p "$MP"
	mounts "mount -t" mount -t fuse.procfs-mp procfs-mp "$MP"
	mounts "mount -t, source none" mount -t fuse.procfs-mp none "$MP"
	mounts "mount -t with options" mount -t fuse.procfs-mp procfs-mp "$MP" \
		-o rw,nofail,_netdev,x-systemd.automount,noauto,user,defaults,allow_other,default_permissions
	echo "procfs-mp $MP fuse.procfs-mp noauto,user,nofail,_netdev,x-systemd.automount,defaults,allow_other 0 0" >fstab
	mounts "a line of fstab" mount -T "$TEST_DIR/fstab" "$MP"
	echo "none $MP fuse.procfs-mp rw 0 0" >fstab
	mounts "all of fstab" mount -T "$TEST_DIR/fstab" -a
	mounts "type fuse, program in the source" mount -t fuse "procfs-mp#here" "$MP"
	claim "a missing mountpoint: mount fails" not mount -t fuse.procfs-mp procfs-mp "$TEST_DIR/missing"
	umount /usr/local/bin
}

default_place()
{
	mount -t tmpfs tmpfs /run
	claim "without a mountpoint: exit status" env -u XDG_RUNTIME_DIR "$PROCFS_MP_BIN"
	claim "the superuser's is /run/procfs-mp" test -f /run/procfs-mp/version
	claim "it works" mkdir /run/procfs-mp/p
	claim "it unmounts" umount /run/procfs-mp
	claim "its processes end" wait_until 20 no_marked
	umount /run
}

# In a further namespace, whose /dev has nothing but null.
missing_device()
{
	mkdir -p "$MP"
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount sh -c '
		mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 || exit 99
		exec "$PROCFS_MP_BIN" "$MP"' >missing.out 2>missing.err
	claim "without /dev/fuse: exit status" equal "$?" 1
	claim "without /dev/fuse: a sentence says so" matches "$(cat missing.err)" '/dev/fuse.*missing'
	claim "without /dev/fuse: one sentence" lines_in 1 missing.err
}

if [ -x /sbin/mount.fuse3 ] || [ -x /sbin/mount.fuse ]; then
	mount_and_fstab
else
	skip "mount -t fuse.procfs-mp" "mount.fuse3 is not installed"
fi
default_place
missing_device
all_told
