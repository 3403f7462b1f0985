/*
 * keeper.pml: the agreement between keeper and server about one managed process, for spin(1).
 *
 * The server may be killed before or after every step, and a new one goes on from the journal and the table. Whatever is
 * interleaved: no start happens twice, no exit is lost, each start is answered as what was done, and when nothing moves any more
 * nobody waits (an invalid end state otherwise). Steps and messages have the names they have in the code, where a comment says
 * which step it is; test_keeper_model.py holds one against the other.
 *
 * -DKILLS=N is how often the server may be killed; -DONE_STARTER leaves out the second program that starts it, which makes room for
 * more kills. test_keeper_model.py goes through all states, of three kills and one starter and of two kills and two starters.
 * -DBROKEN_TELL_BEFORE_COMMIT, -DBROKEN_RELEASE_BEFORE_COMMIT, -DBROKEN_NO_ANSWER, -DBROKEN_NO_RECONCILE and
 * -DBROKEN_TAKE_UNCHECKED each leave out what one of these rests on: spin has to refute them.
 */
#ifndef KILLS
#define KILLS 2 /* of the server */
#endif
#define STATUS 7 /* what the program exits with */

/* Requests that the kernel holds: two programs that start it, and one that joins it. */
#define START 0
#define START_TOO 1
#define JOIN 2
#define REQUESTS 3

/* Answers; 0 is none yet. */
#define DONE 1
#define EXEC_FAILED 2
#define EALREADY 3
#define ESRCH 4

mtype:process = { INITIAL, STARTING, RUNNING, ENDED };
mtype:entry = { FREE, CLAIMED, LAUNCHING, ALIVE, FAILED, FINISHED }; /* PTABLE_..., ALIVE and FINISHED: RUNNING and ENDED */
/* core/message.h's, but for those on which no state hangs. */
mtype:message = { MESSAGE_LAUNCH, MESSAGE_STARTED, MESSAGE_FAILED, MESSAGE_ENDED };
mtype:request = { NONE, QUEUED, DELIVERED, ANSWERED };

/* The kernel's. */
mtype:request request[REQUESTS];
byte answer[REQUESTS];
bool resent[REQUESTS]; /* bit 63 of its unique */

/* The table: one entry is enough, its generations tell launches apart. */
mtype:entry entry = FREE;
byte generation, status;

/* The journal, as it is committed. */
mtype:process kept_state = INITIAL;
byte kept_ref, kept_status;
byte kept_answer[REQUESTS];
bool kept_waits[REQUESTS]; /* the line that an open's write is at: recorded in the handle */

/* The sockets. */
chan launches = [2] of { mtype:message, byte };
chan reports = [1] of { mtype:message, byte };
bool overflow;

bool alive = true, killed;
byte kills, execs;

/* The server's memory: gone with it. */
mtype:process state;
byte ref, ended_with;
bool waits[REQUESTS];
bool resumes[REQUESTS];     /* it waited when the server before was killed, and will be sent again */
byte reply[REQUESTS];       /* queued replies */
byte launch, release;       /* queued for TELL; 0: nothing */

inline forget() {
	d_step {
		state = INITIAL; ref = 0; ended_with = 0; launch = 0; release = 0;
		resumes[START] = false; resumes[START_TOO] = false;
		waits[START] = false; waits[START_TOO] = false; waits[JOIN] = false;
		reply[START] = 0; reply[START_TOO] = 0; reply[JOIN] = 0
	}
}

/* ptable_claim() */
inline claim() {
	entry = CLAIMED; generation++; ref = generation; launch = ref
}

/* start: CHANGE */
inline begin_start(which) {
	if
	:: state == INITIAL && entry == FREE -> claim(); state = STARTING; waits[which] = true
	:: state != INITIAL && resumes[which] -> /* resent: the line goes on where it was */
		if
		:: state == STARTING -> waits[which] = true
		:: else -> reply[which] = DONE
		fi
	:: state != INITIAL && !resumes[which] -> reply[which] = EALREADY
	:: state == INITIAL && entry != FREE -> assert(false) /* an entry that nobody refers to was left behind */
	fi;
	resumes[which] = false
}

inline begin_join() {
	if
	:: state == INITIAL -> reply[JOIN] = ESRCH
	:: state == STARTING || state == RUNNING -> waits[JOIN] = true
	:: state == ENDED -> reply[JOIN] = DONE
	fi
}

inline tell_waiter(which, with) {
	if
	:: waits[which] -> waits[which] = false; reply[which] = with
	:: else
	fi
}

/* CHANGE: outcome_take() acts on what the entry says now, whichever message sent it there */
inline take_entry() {
	if
	:: ref != generation || ref == 0 -> skip
	:: else ->
		if
		:: entry == FAILED && state == STARTING ->
			state = INITIAL; release = ref; ref = 0;
			tell_waiter(START, EXEC_FAILED); tell_waiter(START_TOO, EXEC_FAILED); tell_waiter(JOIN, ESRCH)
		:: entry == ALIVE && state == STARTING ->
			state = RUNNING; tell_waiter(START, DONE); tell_waiter(START_TOO, DONE)
		:: entry == FINISHED && (state == STARTING || state == RUNNING) ->
			state = ENDED; ended_with = status; release = ref; ref = 0;
			tell_waiter(START, DONE); tell_waiter(START_TOO, DONE); tell_waiter(JOIN, DONE)
		:: else -> skip
		fi
	fi
}

inline keep(which) {
	kept_waits[which] = waits[which] || resumes[which];
#ifndef BROKEN_NO_ANSWER
	if
	:: reply[which] -> kept_answer[which] = reply[which]
	:: else
	fi
#endif
}

/* COMMIT: journal_commit() */
inline commit() {
	d_step {
		kept_state = state; kept_ref = ref; kept_status = ended_with;
		keep(START); keep(START_TOO); keep(JOIN)
	}
}

/* REPLY: the kernel knows no answered request any more (ENOENT). */
inline send_reply(which) {
	if
	:: reply[which] && request[which] == DELIVERED -> request[which] = ANSWERED; answer[which] = reply[which]
	:: else
	fi;
	reply[which] = 0
}

/* TELL */
inline tell_launch() {
	atomic {
		if
		:: launch -> launches!MESSAGE_LAUNCH,launch; launch = 0
		:: else
		fi
	}
}

/* ptable_release() */
inline tell_release() {
	atomic {
		if
		:: release && release == generation && (entry == FAILED || entry == FINISHED) -> entry = FREE
		:: else
		fi;
		release = 0
	}
}

inline finish_transaction() {
#ifdef BROKEN_TELL_BEFORE_COMMIT
	tell_launch();
#endif
#ifdef BROKEN_RELEASE_BEFORE_COMMIT
	tell_release();
#endif
	commit();
	d_step { send_reply(START); send_reply(START_TOO); send_reply(JOIN) };
	if
	:: launch -> tell_launch()
	:: else
	fi;
	if
	:: release -> tell_release()
	:: else
	fi
}

/* REQUEST, CHANGE */
inline take_request(which) {
	atomic {
		request[which] = DELIVERED;
		if
		:: resent[which] && kept_answer[which] -> reply[which] = kept_answer[which]
		:: else ->
			if
			:: which == JOIN -> begin_join()
			:: else -> begin_start(which)
			fi
		fi
	}
}

/* REPLAY, RECONCILE */
inline restore() {
	atomic {
		forget();
		state = kept_state; ref = kept_ref; ended_with = kept_status;
		resumes[START] = kept_waits[START]; resumes[START_TOO] = kept_waits[START_TOO]
	}
#ifndef BROKEN_NO_RECONCILE
	atomic {
		if
		:: entry == CLAIMED && ref != generation -> entry = FREE /* no process refers to it */
		:: (entry == FAILED || entry == FINISHED) && ref != generation -> entry = FREE
		:: else
		fi;
		if
		:: state == STARTING && entry == CLAIMED && ref == generation -> launch = ref
		:: state == STARTING && ref != generation -> assert(false) /* a claim is kept with the entry's generation */
		:: else -> take_entry()
		fi
	}
	finish_transaction();
#endif
}

/* RESEND: FUSE_NOTIFY_RESEND */
inline resend(which) {
	if
	:: request[which] == DELIVERED -> request[which] = QUEUED; resent[which] = true
	:: else
	fi
}

proctype server() {
	byte at;
begin:
	{
		restore();
		d_step { resend(START); resend(START_TOO); resend(JOIN) };
end_idle:
		do
		:: request[START] == QUEUED -> take_request(START); finish_transaction()
		:: request[START_TOO] == QUEUED -> take_request(START_TOO); finish_transaction()
		:: request[JOIN] == QUEUED -> take_request(JOIN); finish_transaction()
		:: atomic { nempty(reports) -> reports?_,at; take_entry() }; finish_transaction()
		:: atomic { empty(reports) && overflow -> overflow = false; take_entry() }; finish_transaction()
		od
	} unless { atomic { killed -> killed = false; alive = false } };
	/* The keeper has seen its end and begins another. */
	alive;
	goto begin
}

proctype killer() {
	do
	:: atomic { kills < KILLS && alive && !killed -> kills++; killed = true }
	:: true -> break
	od
}

/* REPORT. When there is no room, the server will look at the table. */
inline report(kind, what) {
	atomic {
		if
		:: alive && nfull(reports) -> reports!kind,what
		:: alive && full(reports) -> overflow = true
		:: !alive -> skip /* lost: the table is the truth */
		fi
	}
}

/* TAKE, LAUNCH, REAP of one message: what a launcher and the keeper's main thread do. */
inline take_launch(which) {
	atomic {
#ifdef BROKEN_TAKE_UNCHECKED
		taken = which == generation && entry != FREE;
#else
		taken = which == generation && entry == CLAIMED;
#endif
		if
		:: taken -> entry = LAUNCHING
		:: else
		fi
	}
	if
	:: !taken -> skip /* the message is dropped */
	:: taken ->
		if
		:: atomic { entry = FAILED }; report(MESSAGE_FAILED, which)
		:: atomic { execs++; assert(execs == 1); entry = ALIVE }; report(MESSAGE_STARTED, which);
			atomic { status = STATUS; entry = FINISHED }; report(MESSAGE_ENDED, which)
		fi
	fi
}

/* One launcher: it is enough, since a launch is taken by one. */
proctype launcher() {
	byte which;
	bool taken;
end_idle:
	do
	:: launches?MESSAGE_LAUNCH,which -> take_launch(which)
	od
}

/* DRAIN: the launchers read the old socket to its end; then SPAWN. What runs goes on meanwhile. */
proctype keeper() {
end_idle:
	do
	:: atomic { !alive && empty(launches) ->
			do
			:: nempty(reports) -> reports?_,_
			:: empty(reports) -> break
			od;
			overflow = false; alive = true }
	od
}

proctype starter(byte which) {
	request[which] = QUEUED;
	request[which] == ANSWERED -> assert(answer[which] == EXEC_FAILED || answer[which] == EALREADY || execs == 1)
}

proctype joiner() {
	request[JOIN] = QUEUED;
	request[JOIN] == ANSWERED -> assert(answer[JOIN] == ESRCH || (execs == 1 && entry != ALIVE))
}

/* When nothing moves any more. */
proctype witness() {
	timeout ->
	assert(request[START] == ANSWERED && request[START_TOO] == ANSWERED && request[JOIN] == ANSWERED);
	assert(execs == 0 || (kept_state == ENDED && kept_status == STATUS));
	assert((execs == 1) == (answer[START] == DONE || answer[START_TOO] == DONE));
	/* A start that failed while there was no server is tried again when it is resent, and may find another's under way. */
	assert(kills > 0 || answer[START] != DONE || answer[START_TOO] != DONE);
	assert(entry == FREE)
}

init {
	forget();
	atomic {
		request[START] = NONE; request[START_TOO] = NONE; request[JOIN] = NONE;
		run server(); run launcher(); run keeper(); run killer();
		run starter(START); run joiner(); run witness();
#ifdef ONE_STARTER
		request[START_TOO] = ANSWERED
#else
		run starter(START_TOO)
#endif
	}
}
