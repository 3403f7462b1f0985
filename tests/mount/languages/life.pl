# The life of two processes in Perl: open, print, close, mkdir, rmdir. Argument: the mount.
use strict;
use warnings;
use Errno;

# True, or false with $! set: buffered output fails as late as in close.
sub put {
	my ($path, $text, $mode) = @_;
	open(my $file, $mode // '>', $path) or return 0;
	print {$file} $text or return 0;
	return close($file);
}

sub get {
	my ($path) = @_;
	open(my $file, '<', $path) or die "$path: $!\n";
	local $/;
	my $text = <$file> // '';
	chomp($text);
	$text =~ s/\n\z//;
	return $text;
}

sub known {
	my ($name, $what) = @_;
	my $pid = get("$name/pid") =~ /^[1-9][0-9]*$/ ? 'a pid' : 'no pid';
	my $exitcode = get("$name/exitcode");
	$exitcode = $exitcode eq '' ? 'no exitcode' : "exitcode $exitcode";
	print "$what: alive ", get("$name/alive"), ", $pid, $exitcode, state ", get("$name/state"), "\n";
}

sub refusal {
	my ($what, $done) = @_;
	my ($errno) = grep { $!{$_} } qw(ESRCH ENOENT EALREADY EBUSY EINVAL ETIME EEXIST);
	print "$what: ", $done ? 'not refused' : $errno // "$!", "\n";
}

sub why {
	my ($name, $sentence) = @_;
	print 'why: ', index(get("$name/error"), $sentence) >= 0 ? $sentence : '', "\n";
}

sub must {
	my ($done) = @_;
	die "refused: $!\n" if !$done;
}

sub short_life {
	must(mkdir('short'));
	known('short', 'made');
	must(put('short/target', 'echo'));
	must(put('short/args', 'hello bob'));
	print 'args: ', get('short/args'), "\n";
	refusal('join before the start', put('short/ctl', 'join'));
	why('short', 'can only join a started process');
	must(put('short/target', '/no/such/program'));
	refusal('a target that is not there', put('short/ctl', 'start'));
	print 'pid after that: ', get('short/pid') eq '' ? 'none' : 'there is one', "\n";
	must(put('short/target', 'echo'));
	must(put('short/ctl', 'start'));
	must(put('short/ctl', 'join'));
	known('short', 'started and joined');
	print 'stdout: ', get('short/stdout'), "\n";
	refusal('a second start', put('short/ctl', 'start'));
	why('short', 'cannot start a process twice');
	refusal('another target', put('short/target', 'cat'));
	why('short', 'process has already started');
	print 'the target is: ', get('short/target'), "\n";
	must(rmdir('short'));
	print 'removed: ', -e 'short' ? 'there' : 'gone', "\n";
}

sub long_life {
	must(mkdir('long'));
	must(put('long/target', 'sleep'));
	must(put('long/args', "'in two'"));
	must(put('long/args', ' pieces', '>>'));
	print 'appended: ', get('long/args'), "\n";
	must(put('long/args', '1000'));
	must(put('long/ctl', 'start'));
	known('long', 'started');
	refusal('removed while it runs', rmdir('long'));
	why('long', 'Cannot close a process while it is still running. You should first call join() or terminate().');
	refusal('an unknown verb', put('long/ctl', 'dance'));
	refusal('a join of no time', put('long/ctl', 'join 0'));
	must(put('long/ctl', 'terminate'));
	must(put('long/ctl', 'join'));
	known('long', 'terminated and joined');
	refusal('made again', mkdir('long'));
	must(rmdir('long'));
	print 'removed: ', -e 'long' ? 'there' : 'gone', "\n";
}

chdir($ARGV[0]) or die "$ARGV[0]: $!\n";
short_life();
long_life();
