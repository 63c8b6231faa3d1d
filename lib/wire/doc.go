/*
Package wire owns the protocol between the main node and everything that talks to it: the envelope, the messages,
framing and limits, error codes, and who is at the other end of a connection. It is for those who write a worker or
a client, in Go or in any other language. Begin with the transcripts below, then Conn.

This comment is the specification of protocol version 1; rc-protocol(7) tells the same.

# Connections

The main node listens on one TCP port (8080) for TLS 1.3 with the application protocol "retire-cluster/1". Its
certificate is self-signed. Who connects compares the SHA-256 of the whole certificate (DER) with the one it was
given, the fingerprint, and looks at neither names nor dates: a device whose clock says 1970 joins like any other. The server name of TLS is the fingerprint that
is expected: a main node that was given another key shows the former one, for a while, to who asks for it.
Fingerprints are written in base 32 (RFC 4648, lower case, no padding): 52 characters.

A worker presents a self-signed certificate of its own (Ed25519); that key is the device's identity. Clients present
none; they send a token in hello.

	C: is who connects (a worker or a client), M: the main node, «…» something that was cut short.

# Messages

A message is one JSON object (RFC 8259, UTF-8) on a line that ends with a newline. There is no newline inside it. A
message has at most 1,048,576 bytes, a stranger's at most 16,384. Objects and arrays stand at most 32 deep in each other, an array has at most 16,384 elements,
an object at most 1,024 fields, of which none stands twice, also not with other letters of its name as capitals (within a field payload: not the same twice). A number
has at most 32 characters, and an integer, outside of payload, is at most 2^53. This is the envelope of all:

	{"message_type":"heartbeat","sender_id":"pi4","target_id":"main","message_id":"17","reply_to":"3",
	 "timestamp":"2026-01-15T10:30:00Z","data":{…}}

message_type says how to read data. sender_id and target_id are for people and logs: what a connection may do depends
on its key or token alone. message_id is chosen by the sender, and only needed where an answer is wanted; the answer
carries it as reply_to. timestamp is the sender's clock, for people; nobody compares it with another clock. A field
that is not known is ignored; a message_type that is not known is answered by an error, and the connection goes on.

Every request with a message_id is answered by exactly one ack or error (hello by welcome or error). Messages without
one, and task_accept, task_progress, task_output and task_release, are not answered, unless something is wrong with them. Answers may come in another order than the requests.

# Beginning: hello, welcome

Who connects speaks first, within 10 seconds, and says which versions it speaks, how it is called and who it is. Anything else before that is answered by E_AUTH and
the end of the connection. Half a message is waited for 30 seconds.

	C: {"message_type":"hello","message_id":"1","data":{"protocol":{"min":1,"max":1},"software":"rc-submit 0.1.0","token":"rcs1_…"}}
	M: {"message_type":"welcome","reply_to":"1","data":{"protocol":1,"software":"rc-mained 0.1.0","main_node":"nas","role":"submit"}}

protocol in welcome is the highest version that both speak; where there is none the answer is E_PROTO with the range
that the main node speaks, and one should wait five minutes before trying again.

# Workers: join, hello, register, heartbeat

A device joins once. The join code, made by rc-ctl invite, is

	rcj1_<addresses>_<fingerprint>_<id>_<secret>_<check>

addresses: host:port, several separated by commas, in base 32 as above; fingerprint: of the main node; id: 10
characters; secret: 26 characters; check: the first 2 characters of the base 32 of the SHA-256 of everything before
the last underscore. Who joins checks the fingerprint before it sends the secret, on a connection with its own
certificate:

	C: {"message_type":"join","message_id":"1","data":{"protocol":{"min":1,"max":1},"invite":"k3f9q2mxyz","secret":"…","name":"pi4"}}
	M: {"message_type":"ack","reply_to":"1","data":{"device_id":"pi4"}}

A code is good for one key. The same key may present it again, and gets the same answer: a lost answer burns nothing.
Where the name is taken, another is given (pi4-2); device_id in the answer is the one that counts. Where "pending":true stands beside it,
hello is answered by E_PENDING until somebody has approved of the device. A code that is wrong, used or too old is answered by E_JOIN_TOKEN, whichever it is, and many of
them by E_RATE. A key that was removed is answered by E_REVOKED, always. On the main node's
own host a worker may send an admin token as "token" instead of invite and secret.

After that, every connection of the worker begins with hello:

	C: {"message_type":"hello","message_id":"1","data":{"protocol":{"min":1,"max":1},"software":"rc-workerd 0.1.0",
	    "boot_count":4,"session":2,"life":"K3…","held":[{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","state":"running","output_bytes":4096}]}}
	M: {"message_type":"welcome","reply_to":"1","data":{"protocol":1,"software":"rc-mained 0.1.0","main_node":"nas","role":"worker",
	    "device_id":"pi4","heartbeat":60,"lease":450,"incarnation":"d8…","addresses":["192.168.1.5:8080"],
	    "held":[{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","verdict":"keep","output_bytes":1024}]}}

boot_count grows with every start of the worker and is kept on its disk; session grows with every connection in that
life. fingerprint in welcome is what to pin from now on; a worker that is connected may be told so by "pin", with the same field. The main node refuses a hello that is not newer than the newest it has seen (E_STALE_SESSION, with that
boot_count; the worker goes on from one above it), and closes the older session when a newer one comes. life is random and
new in every process: where two take turns under one key, two machines have it, and neither is let in for a while (E_DUPLICATE_IDENTITY).

held lists every attempt that waits for a free slot of the worker (state waiting), that it runs (running), or that has
ended but was not judged yet (ended). The answer has a verdict for each: keep (go on; output_bytes says how much of the output the main node has: send on from
there), kill (it is no longer wanted: end it and forget it). An attempt that the main node believed to be there and that
is not in held is lost at once.

Then the worker registers its profile, and again whenever that changes:

	C: {"message_type":"register","sender_id":"pi4","message_id":"2","data":{"device_info":{"hostname":"pi4","platform":"linux","architecture":"aarch64",
	    "python_version":"3.11.2","role":"board"},"hardware_specs":{"cpu_cores":4,"memory_total":4000000000,"disk_space":31000000000,
	    "network_interfaces":["eth0"]},"capabilities":["computational"],"tags":["kitchen"],"task_types":["command","echo","shell"],"slots":4}}
	M: {"message_type":"ack","reply_to":"2","data":{}}

Memory and disk are in bytes. Every heartbeat seconds it says how it is:

	C: {"message_type":"heartbeat","message_id":"3","data":{"system_metrics":{"cpu_usage":25.5,"memory_usage":45.2,"disk_usage":12.8,
	    "load_average":[0.5,0.3,0.2],"uptime":86400},"status":"online","active_tasks":1,"assign_seen":7,
	    "held":[{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","state":"running","output_bytes":4096}]}}
	M: {"message_type":"ack","reply_to":"3","data":{"kill":[]}}

status is online, draining (finishes what it has, wants nothing new) or paused. assign_seen is the number of the last
task_assign read on this connection: what was assigned up to it and is not held is lost. kill lists held attempts that
are no longer wanted. Any message received counts as a sign of life. After some minutes of silence (5, unless set otherwise) a device is shown as
offline; when the lease ends (lease seconds after the last message received) its attempts are given to others.

The worker has a clock of its own for that, which goes on while the device sleeps: it holds what it was given for 0.929 of the lease (that
is, less a 45th part to end an attempt and a 450th for the main node's grain, and both clocks 5 % wrong), counted from when it sent the
newest hello or heartbeat that was answered. After that it begins nothing that it was given before, and ends attempts of tasks that
are exclusive, within that 45th part; it lists them as held until they have ended.

# Workers: the walk of a task

	M: {"message_type":"task_assign","target_id":"pi4","data":{"number":8,"task":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…",
	    "task_type":"python_eval","priority":"normal","timeout":300,"payload":{"expression":"sum(range(100000))","environment":{}},
	    "requirements":{"min_cpu_cores":2,"min_memory_gb":1}}}}
	C: {"message_type":"task_accept","data":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…"}}
	C: {"message_type":"task_progress","data":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","text":"42% compiling"}}
	C: {"message_type":"task_output","data":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","stream":"stdout","position":0,"after_ms":12,"data":"hello\n"}}
	C: {"message_type":"task_result","message_id":"4","data":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","status":"completed",
	    "execution_time":0.031,"output_bytes":10,"result":{"output":"4999950000","exit_code":0,"metrics":{"cpu_time":0.02,"memory_peak":9437184}}}}
	M: {"message_type":"ack","reply_to":"4","data":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","verdict":"recorded"}}

The three of task_id, attempt and lease stand in every message about an attempt and decide whose word counts.

timeout is in seconds, 0 for none. A task may also say "exclusive":true (never run twice at the same time), "at_most_once":true (never begun
twice), and with max_retries "backoff" (seconds before the first retry) and "retry_on" (exit codes). A worker that cannot take an attempt gives it back with task_release ("started":false,
with a reason); that does not count against the task.

Output is one sequence of bytes of both streams in the order in which they were printed; position is the number of bytes before
the piece. A piece that is text stands in data; one that is not UTF-8 stands in base64 (RFC 4648, padded). The main node
takes a piece whose position is what it has so far, ignores one that it has, and drops one that would leave a gap. A piece
carries at most 16,384 bytes. What a task printed at its end may stand in the result instead: result.output follows
what stdout printed so far, then result.error_output what stderr printed. output_bytes in the result is the length of
all; where the main node has less, it answers verdict resend with the output_bytes that it has, and the worker sends the
missing pieces and the result again.

status is completed, failed, timeout or cancelled; or, where the device itself has ended the attempt, released (it was stopped or drained: the task
runs again, and that does not count against it) or lost (it was cut off, or what ran the attempt was killed: that counts). The verdict is one of
recorded (it counts, and is on disk), duplicate (it had been recorded), stale (another attempt has the task now, or
it is over), unknown (no such attempt, as after the restore of a backup; the worker keeps the result aside for its owner) — after these four
the worker forgets the attempt — or resend. A result without a
verdict is sent again after the next welcome and after every heartbeat.

	M: {"message_type":"task_cancel","data":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","reason":"cancelled by rc-ctl"}}

The worker ends the attempt and everything that it left behind, and sends its result (status cancelled) as always. With
"give_back":true the status is released: its device is wanted back.
A worker that leaves says bye, without data, when it has nothing left.

In result and heartbeat a worker may say "ahead":12, the number of attempts that it would hold beyond its slots (512 at most), so that short ones follow each other
without a gap while messages travel. The main node takes it at its word for two seconds. It gives attempts of tasks that are exclusive or at_most_once,
or that failed or were lost before, to free slots only. What waits on one device it asks back when another could begin it:

	M: {"message_type":"task_recall","data":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…"}}
	C: {"message_type":"task_release","data":{"task_id":"t7k3f9q2m","attempt":1,"lease":"9a0c…","started":false,"reason":"wanted elsewhere"}}

A worker that has begun the attempt, or does not know it, does not answer: its task_accept or task_result says so. task_accept may come some milliseconds late, and not at all
where the task_result is as quick; for tasks that are exclusive or at_most_once it comes at once.

# Clients: submitting

	C: {"message_type":"submit","message_id":"2","data":{"key":"nightly-2026-01-15","key_index":0,"tasks":[
	    {"task_type":"command","payload":{"argv":["ls","-l"]},"priority":"normal","timeout":0,"requirements":{}}]}}
	M: {"message_type":"ack","reply_to":"2","data":{"job_id":"j7k3f9q2m","task_ids":["t7k3f9q2m"],"duplicates":0,"event":1041}}

All tasks of a message are taken or none. The ack says that they are on disk. With a key, task i of the message is known as
(key, key_index+i): sent again, it is the same task and counted in duplicates; a different task under the same key is refused with
E_IDEM_MISMATCH. A submission of more than one message gives the job_id of the first answer in those that follow. event is the number
of the last event before the submission: following events after it misses nothing.

# Clients: asking and following

	status, metrics, ping       data {}
	devices                     data {"after":"pi4","limit":500}          ack {"devices":[…],"next":"pi9"}; by name, at most 500
	device                      data {"device_id":"pi4"}                  ack {"device":{…},"tasks":[…]}
	tasks                       data {"filter":{…},"after":"t…","limit":500}  ack {"tasks":[…],"next":"t…"}
	task                        data {"task_id":"t7k3"}                   ack {"task":{…}}; a prefix of its id will do
	follow_events               data {"after":1041,"follow":true,"filter":{…},"output":true}
	follow_output               data {"task_id":"t7k3f9q2m","attempt":0,"position":0,"follow":true,"progress":true}
	unfollow                    data {"request":"5"}

status is answered with Status of lib/cluster, metrics with Metrics of client.go: their fields are named there.

filter of tasks: states, device_id, job_id, task_ids, since (RFC 3339). filter of events: job_ids, task_ids, events, device_id, level, since; "last":100 begins
with the newest hundred. Tasks come in the order of submission, at most limit in an answer;
next, where there is more, is the after of the following request. With "newest":true they come from the newest back.

A follow is answered by any number of messages with its reply_to, then one ack. Each event carries its number, one more than the last; to
resume after a cut, follow after the last number seen. With "output":true the events of tasks that ended carry up to 4,096 bytes of
their output as result. Events that retention has removed are skipped; ack says the number to go on from.

	M: {"message_type":"event","reply_to":"5","data":{"seq":1042,"timestamp":"…","event":"task_ended","task_id":"t7k3f9q2m","attempt":1,
	    "device_id":"pi4","state":"completed","exit_code":0,"output_bytes":10}}
	M: {"message_type":"output","reply_to":"6","data":{"attempt":1,"stream":"stdout","position":0,"after_ms":12,"data":"hello\n"}}
	M: {"message_type":"ack","reply_to":"6","data":{"attempt":1,"position":6,"ended":true}}

With "progress":true messages come between the others that have no data, but "progress": what the task says of how far it has come.
Following the output of a task that is run again begins anew with the higher attempt, position 0.

# Clients: acting

	cancel, retry               data {"tasks":["t7k3"],"job_ids":["j…"],"states":["queued"],"device_id":"pi4"}  ack {"count":12}
	drain                       data {"device_id":"pi4","within":600}             ack {}; within, in seconds, may be left out
	undrain, remove, wake, approve  data {"device_id":"pi4"}                      ack {}
	invite                      data {"addresses":["192.168.1.5:8080"],"expires":86400,"uses":1}  ack {"code":"rcj1_…","expires":"…"}
	token_make                  data {"role":"submit","name":"cron","expires":0,"exec":true}  ack {"token":"rcs1_…","id":"…","fingerprint":"…"}
	token_list                  data {}                                           ack {"tokens":[…]}
	token_revoke                data {"id":"…"}                                   ack {}
	rotate_key                  data {"within":1209600,"force":false}             ack {"fingerprint":"…","until":"…"}
	follow_audit                data {"after":0,"last":100,"follow":true}         audited {"seq":…,"line":"{…}","hash":"…"}…, ack {}
	login_make                  data {"role":"read"}                              ack {"code":"rcl1_…","expires":"…"}
	login                       data {}                                           ack {"token":"rcb1_…","id":"…","role":"read","expires":"…"}
	logout                      data {}                                           ack {}

A selection that names tasks and states takes the tasks that are both. Roles: read may ask and follow; submit may submit, and ask for, follow, cancel and retry what was
submitted with the same token: anything else is not found; it may also ask for devices. admin may all. A token of the role submit is for types of tasks that run no program;
with "exec":true for all, with "task_types":["command"] for these. "tags":["kitchen"] adds to what its tasks require, "rate":60 bounds how many they are in a minute.
What is not permitted is answered by E_FORBIDDEN or E_TYPE_FORBIDDEN.

A browser's session is a token, too. login_make makes a code for one (role: no more than one's own), good once and for five minutes. It stands in hello in the place of a token, and
then login, and nothing else, may be asked: the session's token speaks for the token that asked for the code, for a week, and twelve hours without use; logout ends it.

# Files

A task may say what files an attempt is given, and what is to be brought back of what it leaves: "files":{"in":[{"name":"data.csv","sha256":"…","size":1234}],
"out":["results/*.csv"]}. What is in "in" is put there before the task is submitted. A task_result lists under "files" what was put there after the attempt.

A task may have secrets, variables of its environment: "secrets":{"API_KEY":"…"}. The main node gives them to devices and to nobody else, who asks for the task sees "***", and forgets
them when the task is over, which is why it cannot be retried then. A worker puts '*' for every byte of them in what the task prints.

A task with files or limits is given to devices only that say "provision":true in their profile, one with secrets to those only that say "secrets":true, too. Of the attempts of a task, "task" tells the files of the newest, or of the
one that "files_of" names; lists tell none.

Files travel on connections of their own, on which nothing else is said after hello; a worker's says "files":true there, and begins no session. A client needs the role submit
to put, read to get.

	C: {"message_type":"file_put","message_id":"1","data":{"sha256":"…","size":1234}}
	M: {"message_type":"ack","reply_to":"1","data":{"size":1234,"offset":1000}}
	C: 234 bytes, as they are
	M: {"message_type":"ack","reply_to":"1","data":{"size":1234,"offset":1234}}

	C: {"message_type":"file_get","message_id":"2","data":{"sha256":"…","offset":1000}}
	M: {"message_type":"ack","reply_to":"2","data":{"size":1234}}
	M: 234 bytes, as they are

Offset is how much is there already, of a transfer that was cut off; where that is all, nothing follows. The second ack says that the file is on the main node's disk.
E_CONFLICT says that what came has another sum. A file that no task names is removed after a day.

# The first Retire-Cluster

Clients of the first Retire-Cluster speak without TLS. The main node tells them by their first byte, a {; it answers them where its owner has listed the network that
they come from (--plain-from), and elsewhere with one error. It closes connections that begin with anything but that or a TLS handshake.

Such a client sends one object with nothing behind it: it is read until it closes, of at most 65,536 bytes, within 10 seconds. It is answered by one object of at most
8,192 bytes, in one write, and the connection is closed. Times there are RFC 3339 with +00:00, sizes in units of 2^30 bytes.

	C: {"message_type":"register","sender_id":"phone","message_id":"1","data":{"device_id":"phone","role":"mobile","platform":"android",
	    "capabilities":{"computational":["python"],"services":["http"],"automation":[]},"tags":["kitchen"],"cpu_count":8,
	    "memory_total_gb":7.5,"storage_total_gb":118.4,"hostname":"pixel"}}
	M: {"message_type":"ack","sender_id":"main_server","message_id":"…","timestamp":"2024-01-15T10:30:00+00:00","data":{"original_message_id":"1",
	    "result":{"success":true,"device_id":"phone","message":"phone is registered"}}}
	C: {"message_type":"heartbeat","sender_id":"phone","data":{"metrics":{"cpu_usage":25.5,"memory_usage":45.2,"storage_usage":12.8,
	    "memory_available_gb":4.1,"storage_free_gb":103.2}}}
	M: … "result":{"success":true,"message":"heard"}
	C: {"message_type":"status","data":{"role":"mobile"}}
	M: … "result":{"cluster_stats":{"total_devices":5,"online_devices":4,"offline_devices":1,"health_percentage":80,
	    "total_resources":{"cpu_cores":24,"memory_gb":31.5,"storage_gb":512},"by_role":{"mobile":3,"server":2},"by_platform":{"android":3,"linux":2},
	    "last_updated":"…"},"online_devices":2,"device_list":[…],"timestamp":"…"}
	C: {"message_type":"list_devices","data":{"status":"online","role":"mobile"}}
	M: … "result":{"devices":[{"device_id":"phone","role":"mobile","status":"online","platform":"android","ip_address":"192.168.1.20",
	    "last_heartbeat":"…","hardware":{"cpu_count":8,"memory_total_gb":7.5,"storage_total_gb":118.4,"hostname":"pixel"},"tags":["kitchen"],
	    "capabilities":{…},"metrics":{…},"reason":"…"}],"count":1,"filters_applied":{"status":"online","role":"mobile"}}
	C: {"message_type":"device_info","data":{"device_id":"phone"}}
	M: … "result":{"device":{…},"recent_heartbeats":[{"timestamp":"…","cpu_usage":25.5,…}]}
	C: {"message_type":"task_submit","message_id":"2"}
	M: {"message_type":"error", … ,"data":{"original_message_id":"2","error":"Unknown message type: task_submit"}}

A device says who it is by data.device_id, or else by sender_id; it is bound by the rules of names of all devices. What it is refused is told by success false and a message
(a name that belongs to a device with a key, one device too many, a heartbeat of one that has not registered); what cannot be read, or is out of its range, by an error. A status is online or
offline. The devices with status are those that are online, of the role that was asked for; total_resources is of those that are online. device is null where there is none
of that name. Where there is no room for all, capabilities, metrics and reason are left out first, then tags, then devices: count, and the numbers of status, are those of all.
Such a device has no key and is given no task. More than one heartbeat in a sixth of the time between heartbeats changes nothing.

# Errors

	M: {"message_type":"error","reply_to":"2","data":{"code":"E_NOT_FOUND","error":"task t7k3f9q2m: no such task"}}

error is one line for people. retry_after_ms, where it stands, is how long to wait before trying again. The codes are in the table of errors.go; a
client in Go gets the sentinel of that table back, so that errors.Is works as if no wire were between. A code that is not known is to be
read as E_INTERNAL.
*/
package wire
