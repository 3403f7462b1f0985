#!/bin/sh
# What a process works on is given by position (args) or by name (kwargs): both arrive, blanks and all.
. "$(dirname "$0")/lib.sh"

cat >child.sh <<'END'
#!/bin/sh
case $1 in
--data=*) data=${1#--data=} ;;
*) data=$1 ;;
esac
echo "$# $data"
END
chmod +x child.sh

mount_it || exit
make mine "$TEST_DIR/child.sh" "'the first prozeß'"
make other "$TEST_DIR/child.sh"
echo "data=the second prozeß" >"$MP/other/kwargs"
for p in mine other; do
	claim "$p starts" sh -c "echo start >'$MP/$p/ctl'"
done
for p in mine other; do
	claim "$p is joined" sh -c "echo join >'$MP/$p/ctl'"
done
claim "the one by position got it" equal "$(cat "$MP/mine/stdout")" "1 the first prozeß"
claim "the one by name got it" equal "$(cat "$MP/other/stdout")" "1 the second prozeß"
claim "args reads back as words" equal "$(cat "$MP/mine/args")" "'the first prozeß'"
claim "kwargs reads back" equal "$(cat "$MP/other/kwargs")" "data=the second prozeß"
all_told
