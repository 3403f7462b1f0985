// The life of two processes in Node: readFileSync, writeFileSync, appendFileSync, mkdirSync, rmdirSync. Argument: the mount.
'use strict';
const fs = require('fs');

const get = (path) => fs.readFileSync(path, 'utf8').replace(/\n$/, '');
const put = (path, text) => fs.writeFileSync(path, text);

function known(name, what) {
	const pid = /^[1-9][0-9]*$/.test(get(`${name}/pid`)) ? 'a pid' : 'no pid';
	const exitcode = get(`${name}/exitcode`);
	const ended = exitcode === '' ? 'no exitcode' : `exitcode ${exitcode}`;
	console.log(`${what}: alive ${get(`${name}/alive`)}, ${pid}, ${ended}, state ${get(`${name}/state`)}`);
}

function refusal(what, act) {
	try {
		act();
		console.log(`${what}: not refused`);
	} catch (error) {
		// Node has no name for ETIME in every version.
		console.log(`${what}: ${error.errno === -62 ? 'ETIME' : error.code}`);
	}
}

function why(name, sentence) {
	console.log(`why: ${get(`${name}/error`).includes(sentence) ? sentence : ''}`);
}

function shortLife() {
	fs.mkdirSync('short');
	known('short', 'made');
	put('short/target', 'echo');
	put('short/args', 'hello bob');
	console.log(`args: ${get('short/args')}`);
	refusal('join before the start', () => put('short/ctl', 'join'));
	why('short', 'can only join a started process');
	put('short/target', '/no/such/program');
	refusal('a target that is not there', () => put('short/ctl', 'start'));
	console.log(`pid after that: ${get('short/pid') === '' ? 'none' : 'there is one'}`);
	put('short/target', 'echo');
	put('short/ctl', 'start');
	put('short/ctl', 'join');
	known('short', 'started and joined');
	console.log(`stdout: ${get('short/stdout')}`);
	refusal('a second start', () => put('short/ctl', 'start'));
	why('short', 'cannot start a process twice');
	refusal('another target', () => put('short/target', 'cat'));
	why('short', 'process has already started');
	console.log(`the target is: ${get('short/target')}`);
	fs.rmdirSync('short');
	console.log(`removed: ${fs.existsSync('short') ? 'there' : 'gone'}`);
}

function longLife() {
	fs.mkdirSync('long');
	put('long/target', 'sleep');
	put('long/args', "'in two'");
	fs.appendFileSync('long/args', ' pieces');
	console.log(`appended: ${get('long/args')}`);
	put('long/args', '1000');
	put('long/ctl', 'start');
	known('long', 'started');
	refusal('removed while it runs', () => fs.rmdirSync('long'));
	why('long', 'Cannot close a process while it is still running. You should first call join() or terminate().');
	refusal('an unknown verb', () => put('long/ctl', 'dance'));
	refusal('a join of no time', () => put('long/ctl', 'join 0'));
	put('long/ctl', 'terminate');
	put('long/ctl', 'join');
	known('long', 'terminated and joined');
	refusal('made again', () => fs.mkdirSync('long'));
	fs.rmdirSync('long');
	console.log(`removed: ${fs.existsSync('long') ? 'there' : 'gone'}`);
}

process.chdir(process.argv[2]);
shortLife();
longLife();
