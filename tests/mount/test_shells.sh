#!/bin/sh
# What people type, in dash and in bash: every way to write into a file, to wait, and to be freed from waiting.
. "$(dirname "$0")/lib.sh"

# in_shell WORDS [ARG...]: as if typed in the directory that has mp in it.
in_shell()
{
	words=$1
	shift
	"$shell" -c "$words" "$shell" "$@"
}

greeting()
{
	claim "$shell: the first example" equal "$(in_shell '
		mkdir mp/hello; echo echo > mp/hello/target; echo "hello bob" > mp/hello/args
		echo start > mp/hello/ctl; echo join > mp/hello/ctl; cat mp/hello/exitcode mp/hello/stdout' 2>&1)" "0
hello bob"
	claim "$shell: args holds two words" equal "$(in_shell 'cat mp/hello/args')" "hello bob"
	claim "$shell: rmdir" in_shell 'rmdir mp/hello'
}

created_by_clone()
{
	claim "$shell: one line makes, configures and starts" in_shell 'printf "target sleep\nargs 100\nstart\n" > mp/clone'
	running=$(cat mp/active_children)
	claim "$shell: the default name" matches "$running" '^Process-[0-9]+$'
	claim "$shell: its words" equal "$(cat "mp/$running/target" "mp/$running/args")" "sleep
100"
	claim "$shell: it runs" equal "$(cat "mp/$running/alive")" 1
	claim "$shell: it is ended and removed" in_shell 'echo terminate > mp/$1/ctl; cat mp/$1/wait; rmdir mp/$1' "$running"

	claim "$shell: clone tells the name of what it made, and starts it" in_shell '
		exec 3<>mp/clone
		read -r name <&3
		echo echo >"mp/$name/target"
		echo "I am $name" >"mp/$name/args"
		echo start >&3
		cat "mp/$name/wait" >/dev/null
		[ "$(cat "mp/$name/stdout")" = "I am $name" ] && rmdir "mp/$name"'
	before=$(ls mp)
	claim "$shell: reading clone" in_shell 'cat <mp/clone >/dev/null; grep -r nothing mp/clone; :'
	claim "$shell: reading clone creates nothing" equal "$(ls mp)" "$before"
}

# written NAME WORDS EXPECTED FILE: WORDS write into a file of the process p.
written()
{
	mkdir mp/p
	claim "$shell: $1: accepted" in_shell "$2"
	claim "$shell: $1: arrived" equal "$(cat "mp/p/$4")" "$3"
	rmdir mp/p
}

ways_to_write()
{
	printf 'sleep\n' >source
	printf '/bin/echo' >bare
	printf 'a b\0\0c\0' >vector
	written echo 'echo sleep > mp/p/target' sleep target
	written "echo without newline" 'printf sleep > mp/p/target' sleep target
	written "echo, shorter than before" 'echo sleep > mp/p/target; echo sh > mp/p/target' sh target
	written tee 'echo sleep | tee mp/p/target >/dev/null' sleep target
	written "tee -a" 'echo a | tee mp/p/args >/dev/null; echo b | tee -a mp/p/args >/dev/null' "a b" args
	written cat 'cat source > mp/p/target' sleep target
	written cp 'cp source mp/p/target' sleep target
	written "cp without newline" 'cp bare mp/p/target' /bin/echo target
	written dd 'dd if=source of=mp/p/target 2>/dev/null' sleep target
	written "dd, byte by byte" 'dd if=bare of=mp/p/target bs=1 2>/dev/null' /bin/echo target
	written ">> on args" 'echo one > mp/p/args; echo "two three" >> mp/p/args' "one two three" args
	written ">> on kwargs" 'echo a=1 > mp/p/kwargs; echo b=2 >> mp/p/kwargs' "a=1
b=2" kwargs
	written "quotes" "echo \"'a b' c\\\\ d\" > mp/p/args" "'a b' 'c d'" args
	written "a here-document" 'cat > mp/p/args <<END
one
"two three"
END' "one 'two three'" args
	written "a NUL-separated vector" 'cat vector > mp/p/args' "'a b' '' c" args
	written "a Boolean" 'echo 1 > mp/p/daemon' 1 daemon
	written "a value and a verb in one write" 'printf "target sleep\nargs 5 6\n" > mp/p/ctl' "5 6" args
}

scripts()
{
	mkdir mp/p
	claim "$shell: a here-document into run" in_shell 'cat > mp/p/run <<"END"
# a script of several lines
for word; do
	echo "<$word>"
done
exit 3
END'
	claim "$shell: run reads back" equal "$(sed -n 2p mp/p/run)" 'for word; do'
	claim "$shell: with words" in_shell "echo \"'a b' c\" > mp/p/args"
	claim "$shell: it starts" in_shell 'echo start > mp/p/ctl'
	claim "$shell: its exit code" equal "$(in_shell 'cat mp/p/wait')" 3
	claim "$shell: what it said" equal "$(cat mp/p/stdout)" "<a b>
<c>"
	rmdir mp/p

	mkdir mp/p
	claim "$shell: a here-document into stdin, before the start" in_shell 'echo sort > mp/p/target
cat > mp/p/stdin <<END
b
a
END
echo start > mp/p/ctl; read -r code < mp/p/wait; [ "$code" = 0 ]'
	claim "$shell: it was the whole input" equal "$(cat mp/p/stdout)" "a
b"
	rmdir mp/p
}

# blocked FILE: the joiner has FILE as its output and sleeps.
blocked()
{
	case $(readlink "/proc/$joiner/fd/1") in
	*"$1") ;;
	*) return 1 ;;
	esac
	joiner_stat=$(cat "/proc/$joiner/stat") || return 1
	case ${joiner_stat##*) } in
	S*) return 0 ;;
	esac
	return 1
}

# A shell that joins, in the background; what runs there ignores SIGINT unless told otherwise.
join_in_background()
{
	env --default-signal=INT "$shell" -c 'echo join > mp/p/ctl' 2>/dev/null &
	joiner=$!
	claim "$shell: $1: the joiner waits" wait_until 20 blocked mp/p/ctl
}

waiting()
{
	make p sleep 1000
	echo start >mp/p/ctl

	join_in_background Ctrl-C
	kill -INT "$joiner"
	claim "$shell: Ctrl-C frees the joiner" wait_until 20 gone "$joiner"
	wait "$joiner"
	claim "$shell: Ctrl-C: it ended by that" equal "$?" 130
	join_in_background "kill -9"
	kill -KILL "$joiner"
	claim "$shell: kill -9 frees the joiner" wait_until 20 gone "$joiner"
	wait "$joiner" 2>/dev/null
	claim "$shell: timeout(1) frees the joiner" equal \
		"$(timeout 0.3 "$shell" -c 'echo join > mp/p/ctl' 2>/dev/null; echo $?)" 124
	claim "$shell: a join of 0.1 seconds fails" not in_shell 'echo join 0.1 > mp/p/ctl' 2>/dev/null
	claim "$shell: the sentence says so" says_why mp/p "still running after"
	claim "$shell: the process goes on" equal "$(cat mp/p/alive)" 1

	join_in_background "another's kill"
	claim "$shell: while one joins, another's kill is taken" in_shell 'echo kill > mp/p/ctl'
	wait "$joiner"
	claim "$shell: and the join returns" equal "$?" 0
	claim "$shell: wait tells how it ended" equal "$(in_shell 'cat mp/p/wait')" -9
	claim "$shell: as often as asked" equal "$(in_shell 'read -r code < mp/p/wait; echo "$code"')" -9
	rmdir mp/p

	# bash is interrupted by its own SIGCHLD in `echo join`; this is the form that holds in every shell.
	make p sh "-c 'sleep 0.1; exit 4'"
	claim "$shell: cat wait is a join, also with a child of one's own that ends meanwhile" equal "$(in_shell '
		echo start > mp/p/ctl
		sleep 0.05 &
		cat mp/p/wait
		wait')" 4
	claim "$shell: [ -s exitcode ] tells that it has ended" in_shell '[ -s mp/p/exitcode ]'
	rmdir mp/p
}

refusals()
{
	mkdir mp/p
	claim "$shell: a refusal is an exit status" not in_shell 'echo start > mp/p/ctl' 2>/dev/null
	claim "$shell: error is a sentence" matches "$(cat mp/p/error)" 'target.*run|run.*target'
	claim "$shell: an unknown verb" not in_shell 'echo dance > mp/p/ctl' 2>/dev/null
	claim "$shell: is quoted" says_why mp/p dance
	claim "$shell: unbalanced quotes are refused" not in_shell "echo \"a 'b\" > mp/p/args" 2>/dev/null
	claim "$shell: and change nothing" equal "$(cat mp/p/args)" ""
	echo "1 2" >mp/p/args
	claim "$shell: error is empty after a success" equal "$(cat mp/p/error)" ""
	claim "$shell: unbalanced quotes are refused again" not in_shell "echo \"a 'b\" > mp/p/args" 2>/dev/null
	claim "$shell: and the value is what it was" equal "$(cat mp/p/args)" "1 2"
	rmdir mp/p
	[ "$shell" = bash ] || return
	mkdir mp/p
	claim "bash: the refusal's own words" contains "$(in_shell 'echo join > mp/p/ctl' 2>&1)" "No such process"
	rmdir mp/p
}

mount_it || exit
LC_ALL=C
export LC_ALL
for shell in dash bash; do
	if ! command -v "$shell" >/dev/null; then
		skip "what people type in $shell" "$shell is not installed"
		continue
	fi
	greeting
	created_by_clone
	ways_to_write
	scripts
	waiting
	refusals
done
claim "no child was left unreaped" no_zombies_of "$keeper"
all_told
