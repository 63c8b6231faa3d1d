package store

// applicationID marks the file as ours ("rclu").
const applicationID = 0x72636c75

// migrations[i] takes a database from version i to i+1, in one transaction. What was released is not changed any more.
var migrations = []string{`
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;

-- A task's number grows with submission. Times are milliseconds since 1970 by the main node's clock.
CREATE TABLE tasks (
	id INTEGER PRIMARY KEY,
	job INTEGER NOT NULL,
	type TEXT NOT NULL,
	name TEXT NOT NULL DEFAULT '',
	priority INTEGER NOT NULL,
	timeout REAL NOT NULL,
	retries INTEGER NOT NULL,
	payload TEXT,
	requirements TEXT,
	submitted INTEGER NOT NULL,
	state INTEGER NOT NULL,
	attempt INTEGER NOT NULL DEFAULT 0,
	device TEXT NOT NULL DEFAULT '',
	reason TEXT NOT NULL DEFAULT '',
	failures INTEGER NOT NULL DEFAULT 0,
	losses INTEGER NOT NULL DEFAULT 0,
	eligible INTEGER,
	started INTEGER,
	finished INTEGER,
	exit_code INTEGER,
	output INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX tasks_open ON tasks (state) WHERE state < 4;
CREATE INDEX tasks_finished ON tasks (finished) WHERE finished IS NOT NULL;

-- The tasks of a job stand between its number and last, others among them.
CREATE TABLE jobs (id INTEGER PRIMARY KEY, last INTEGER NOT NULL);

CREATE TABLE attempts (
	task INTEGER NOT NULL,
	number INTEGER NOT NULL,
	lease TEXT NOT NULL,
	device TEXT NOT NULL,
	outcome TEXT NOT NULL,
	reason TEXT NOT NULL DEFAULT '',
	leased INTEGER NOT NULL,
	started INTEGER,
	finished INTEGER,
	exit_code INTEGER,
	wall REAL NOT NULL DEFAULT 0,
	cpu REAL NOT NULL DEFAULT 0,
	memory INTEGER NOT NULL DEFAULT 0,
	output INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (task, number)
) WITHOUT ROWID;

CREATE TABLE output (
	task INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	position INTEGER NOT NULL,
	stream INTEGER NOT NULL,
	after INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (task, attempt, position)
) WITHOUT ROWID;

-- A key of a submission stands for count tasks from idx on, whose numbers follow first.
CREATE TABLE keys (
	principal TEXT NOT NULL,
	key TEXT NOT NULL,
	idx INTEGER NOT NULL,
	count INTEGER NOT NULL,
	first INTEGER NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (principal, key, idx)
) WITHOUT ROWID;
CREATE INDEX keys_at ON keys (at);

CREATE TABLE devices (
	id TEXT PRIMARY KEY,
	fingerprint TEXT NOT NULL UNIQUE,
	profile TEXT NOT NULL,
	draining INTEGER NOT NULL DEFAULT 0,
	joined INTEGER NOT NULL,
	seen INTEGER,
	boot_count INTEGER NOT NULL DEFAULT 0,
	address TEXT NOT NULL DEFAULT '',
	completed INTEGER NOT NULL DEFAULT 0,
	failed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE tokens (
	id TEXT PRIMARY KEY,
	role TEXT NOT NULL,
	name TEXT NOT NULL,
	hash BLOB NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER
) WITHOUT ROWID;

CREATE TABLE invites (
	id TEXT PRIMARY KEY,
	hash BLOB NOT NULL,
	expires INTEGER NOT NULL,
	used_by TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE events (
	seq INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	kind TEXT NOT NULL,
	device TEXT NOT NULL DEFAULT '',
	job INTEGER NOT NULL DEFAULT 0,
	task INTEGER NOT NULL DEFAULT 0,
	attempt INTEGER NOT NULL DEFAULT 0,
	state INTEGER NOT NULL DEFAULT 0,
	exit_code INTEGER,
	count INTEGER NOT NULL DEFAULT 0,
	output INTEGER NOT NULL DEFAULT 0,
	reason TEXT NOT NULL DEFAULT ''
);
`, `
ALTER TABLE tasks ADD COLUMN exclusive INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN at_most_once INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN backoff REAL NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN retry_on TEXT;
ALTER TABLE devices ADD COLUMN drain_by INTEGER;
`, `
ALTER TABLE tasks ADD COLUMN provision TEXT;
ALTER TABLE attempts ADD COLUMN files TEXT;

-- Which tasks the files of the depot belong to.
CREATE TABLE files (sum TEXT, task INTEGER, PRIMARY KEY (sum, task)) WITHOUT ROWID;
CREATE INDEX files_task ON files (task);
`, `
-- A job belongs to the token that it was submitted with, where that token may see no others; '' is for those that see all.
ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX jobs_owner ON jobs (owner) WHERE owner <> '';

-- kind: '' for a token that somebody keeps, login for a code that becomes a session once, session for a browser's. The latter two speak for
-- their parent, and see what belongs to their owner alone; '' is for all. A grant is JSON.
ALTER TABLE tokens ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN parent TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN granted TEXT NOT NULL DEFAULT '{"exec":true}';
ALTER TABLE tokens ADD COLUMN used INTEGER;

-- uses: devices that an invitation is still good for.
ALTER TABLE invites ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
UPDATE invites SET uses = 1 WHERE used_by = '';

-- standing: '' for a device that has joined, pending before it is approved, untrusted for one without a key.
ALTER TABLE devices ADD COLUMN standing TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN invite TEXT NOT NULL DEFAULT '';
UPDATE devices SET invite = coalesce((SELECT id FROM invites WHERE used_by = fingerprint), '');

CREATE TABLE revoked (fingerprint TEXT PRIMARY KEY, device TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;

-- hash: SHA-256 of that of the line before, and the line. The oldest may go, in order, up to meta's audit_first.
CREATE TABLE audit (seq INTEGER PRIMARY KEY, line TEXT NOT NULL, hash BLOB NOT NULL);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
	WHEN old.seq >= coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audit_first'), 0)
	BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
`, `
-- The secrets of tasks that are not over, as JSON; provision tells their names. They are written over before they go, as what is deleted stays in the
-- pages of the file, and in copies of them.
CREATE TABLE secrets (task INTEGER PRIMARY KEY, vars BLOB NOT NULL);
CREATE TRIGGER secrets_end_with_their_task AFTER UPDATE OF state ON tasks WHEN new.state >= 4 AND old.provision IS NOT NULL BEGIN
	UPDATE secrets SET vars = zeroblob(length(vars)) WHERE task = old.id;
	DELETE FROM secrets WHERE task = old.id;
END;
`}
