# The life of two processes in Tcl: open, puts, read, close, file mkdir, file delete. Argument: the mount.
# `file mkdir` of what exists already succeeds in Tcl, so that refusal is asked of mkdir(1).

proc put {path text {mode w}} {
	set file [open $path $mode]
	# Only the flush in close meets the refusal, and close gives the descriptor up all the same.
	puts -nonewline $file $text
	close $file
}

proc get {path} {
	set file [open $path r]
	set text [read -nonewline $file]
	close $file
	return $text
}

proc known {name what} {
	set pid [expr {[regexp {^[1-9][0-9]*$} [get $name/pid]] ? "a pid" : "no pid"}]
	set exitcode [get $name/exitcode]
	set ended [expr {$exitcode eq "" ? "no exitcode" : "exitcode $exitcode"}]
	puts "$what: alive [get $name/alive], $pid, $ended, state [get $name/state]"
}

proc refusal {what script} {
	if {[catch {uplevel 1 $script} message options]} {
		set code [dict get $options -errorcode]
		if {[lindex $code 0] eq "POSIX"} {
			puts "$what: [lindex $code 1]"
		} elseif {[string match "*File exists*" $message]} {
			puts "$what: EEXIST"
		} else {
			puts "$what: $message"
		}
	} else {
		puts "$what: not refused"
	}
}

proc why {name sentence} {
	puts "why: [expr {[string first $sentence [get $name/error]] >= 0 ? $sentence : ""}]"
}

proc short_life {} {
	file mkdir short
	known short made
	put short/target echo
	put short/args "hello bob"
	puts "args: [get short/args]"
	refusal "join before the start" {put short/ctl join}
	why short "can only join a started process"
	put short/target /no/such/program
	refusal "a target that is not there" {put short/ctl start}
	puts "pid after that: [expr {[get short/pid] eq "" ? "none" : "there is one"}]"
	put short/target echo
	put short/ctl start
	put short/ctl join
	known short "started and joined"
	puts "stdout: [get short/stdout]"
	refusal "a second start" {put short/ctl start}
	why short "cannot start a process twice"
	refusal "another target" {put short/target cat}
	why short "process has already started"
	puts "the target is: [get short/target]"
	file delete short
	puts "removed: [expr {[file exists short] ? "there" : "gone"}]"
}

proc long_life {} {
	file mkdir long
	put long/target sleep
	put long/args "'in two'"
	put long/args " pieces" a
	puts "appended: [get long/args]"
	put long/args 1000
	put long/ctl start
	known long started
	refusal "removed while it runs" {file delete long}
	why long "Cannot close a process while it is still running. You should first call join() or terminate()."
	refusal "an unknown verb" {put long/ctl dance}
	refusal "a join of no time" {put long/ctl "join 0"}
	put long/ctl terminate
	put long/ctl join
	known long "terminated and joined"
	refusal "made again" {exec mkdir long}
	file delete long
	puts "removed: [expr {[file exists long] ? "there" : "gone"}]"
}

cd [lindex $argv 0]
short_life
long_life
